//! `detente fit`: heads for labels of one's own, fitted on labelled paragraphs, written as a new bundle.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum, ValueHint};
use detente::eval::{
    ClassWeights, FitGold, FitOptions, FitSample, Fitted, GoldItem, Labels, Origin, ReportOptions, SchemeSource, Style,
    check_examples, fit as fit_heads, languages, read_gold_to_fit, read_scheme_of_data,
};
use detente::{BundleSource, Classifier, Refit, Scheme, TextVectors, VectorSpace};

use crate::cli::args::{Draws, Engine};
use crate::cli::classify::open_classifier;
use crate::cli::console::Console;
use crate::cli::eval::read_scheme;
use crate::cli::exit::Exit;
use crate::cli::model::Model;
use crate::cli::pool;
use crate::cli::tune::{check_output, source};

/// Texts that vectors are computed of at a time; between them only the vectors are held.
const BLOCK: usize = 512;

/// Here a scheme says which labels are learnt.
const SCHEME_HELP: &str = "Label scheme as JSON, as bundle.json holds it, or as TOML with hypotheses [default: the labels that occur in the data]";

/// After the help of `fit`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  detente fit --train mine.jsonl --output my-bundle
  detente fit --train energy.csv --keep-heads --output with-energy
  detente classify article.txt --model my-bundle

Training items are as gold for `detente eval`: id, text, topics, escalation, boilerplate; a label
that is null teaches nothing, items with the same group or document stay together in
cross-validation. Topics are those of the data, in the order of their first appearance; levels
those that occur; the encoder stays as it is. Five examples of each class are the least, 32 and more
are better.";

/// Flags of `fit`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("scheme", |scheme| scheme.help(SCHEME_HELP).help_heading(None)))]
pub(crate) struct Fit {
    /// Labelled paragraphs to learn from: JSON Lines, .csv or .tsv, also as .gz or .zst.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) train: Vec<PathBuf>,
    /// Only the items whose field `split` says this.
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Field that holds the level, and name of the scale [default: that of the bundle's scale].
    #[arg(long, value_name = "NAME", conflicts_with_all = ["scheme", "keep_heads", "from"])]
    pub(crate) scale: Option<String>,
    /// Keep the bundle's heads as they are and add the topics that it does not have.
    #[arg(long)]
    pub(crate) keep_heads: bool,
    /// Bundle to add topics to: takes the place of --model and stands for --keep-heads.
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::DirPath, value_parser = Model::parser())]
    pub(crate) from: Option<Model>,
    /// What items count while a head is fitted.
    #[arg(long, value_enum, default_value_t = Weights::Balanced)]
    pub(crate) class_weights: Weights,
    /// Folder to write the new bundle into; must not exist.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Name of the new bundle [default: that of its folder].
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) draws: Draws,
    /// The bundle whose encoder gives the vectors.
    #[command(flatten)]
    pub(crate) engine: Engine,
}

/// What items count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weights {
    /// The less, the more items share their label: rare classes count as much as frequent ones.
    Balanced,
    /// All the same.
    Equal,
}

impl From<Weights> for ClassWeights {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Balanced => ClassWeights::Balanced,
            Weights::Equal => ClassWeights::Equal,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// If the data may not or cannot be learnt from, the bundle cannot be opened, or the new one not be written.
pub(crate) fn fit(args: &Fit, console: &Console) -> anyhow::Result<Exit> {
    let args = &spelled_out(args);
    check_output(&args.output, args.engine.model.as_ref(), "fit")?;
    let name = bundle_name(args)?;
    let source = source(&args.engine)?;
    if args.keep_heads {
        source.check_is_bundle()?;
    }
    source.check_encoder()?;
    let classifier = open_classifier(&Engine { scheme: None, ..args.engine.clone() })?;
    let info = classifier.info();
    let scheme = Arc::new(scheme(args, &info.scheme, console)?);
    let gold = read_training(args, &info.scheme, &scheme)?;
    check_examples(&scheme, &gold.items)?;

    let space = if args.keep_heads { VectorSpace::Heads } else { VectorSpace::Encoder };
    let (vectors, flags) = match args.keep_heads && info.scheme.boilerplate {
        true => {
            vectors_and_boilerplate(&classifier, &gold.items, space).map(|(vectors, flags)| (vectors, Some(flags)))?
        }
        false => (vectors(&classifier, &gold.items, space)?, None),
    };
    let sample =
        FitSample { scheme: &scheme, gold: &gold.items, vectors: &vectors, boilerplate_of_base: flags.as_deref() };
    let options = FitOptions {
        class_weights: args.class_weights.into(),
        report: ReportOptions {
            bootstrap: args.draws.options(),
            by: Vec::new(),
            files: gold.files.iter().map(|file| file.name()).collect(),
        },
    };
    let mut fitted = pool::install(args.engine.threads, || fit_heads(&sample, &options))??;
    write(args, &name, &source, &classifier, &scheme, &gold, &mut fitted)?;

    let written = Classifier::open(&args.output)?;
    let text = format!(
        "{}\n{}\n{} has the encoder of {}\n",
        fitted.render(Style::Text),
        fitted.summary(),
        written.info().id,
        info.id
    );
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write <stdout>")?;
    for warning in &fitted.warnings {
        console.note(warning);
    }
    console.note(format!("{} is written; card.md holds these figures", args.output.display()));
    Ok(Exit::Done)
}

/// `--from` as the two flags that it stands for.
fn spelled_out(args: &Fit) -> Fit {
    let mut args = args.clone();
    if let Some(model) = args.from.take() {
        args.engine.model = Some(model);
        args.keep_heads = true;
    }
    args
}

/// # Errors
/// If it is blank, or names no file on some system.
fn bundle_name(args: &Fit) -> anyhow::Result<String> {
    let folder = || args.output.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.clone().or_else(folder).unwrap_or_default();
    if name.trim().is_empty() || name.contains(['@', '+', '/', '\n']) {
        bail!("{name:?} cannot name a bundle: something without @, + and / was expected; give one with --name");
    }
    Ok(name)
}

/// The labels to fit: of the scheme file or the data; with --keep-heads the topics among them that the bundle lacks.
///
/// # Errors
/// If there is nothing to fit.
fn scheme(args: &Fit, known: &Scheme, console: &Console) -> anyhow::Result<Scheme> {
    let mut scheme = match &args.engine.scheme {
        Some(path) => read_scheme(path)?,
        None => {
            let own = known.scale.as_ref().map_or("escalation", |scale| scale.name.as_str());
            let scale = args.scale.as_deref().unwrap_or(own);
            let source = SchemeSource { split: args.split.as_deref(), scale, known };
            let found = read_scheme_of_data(&args.train, &source)?;
            for note in found.notes.iter().filter(|_| !args.keep_heads) {
                console.note(note);
            }
            found.scheme
        }
    };
    if args.keep_heads {
        scheme.topics.retain(|topic| known.topics.iter().all(|other| other.name != topic.name));
        (scheme.scale, scheme.boilerplate) = (None, false);
        if scheme.topics.is_empty() {
            bail!(
                "there is no topic to add: the bundle has every topic of the data; leave out --keep-heads to fit all \
                 labels anew, or fit the calibration of its heads with `detente tune`"
            );
        }
    }
    Ok(scheme)
}

/// # Errors
/// If a file is bad or holds test items, or if no item with a label is left.
fn read_training(args: &Fit, known: &Scheme, scheme: &Scheme) -> anyhow::Result<FitGold> {
    let mut all = scheme.clone();
    if args.keep_heads {
        all.topics = known.topics.iter().chain(&scheme.topics).cloned().collect();
    }
    let mut gold = read_gold_to_fit(&args.train, &all, args.split.as_deref())?;
    if let Some(split) = args.split.as_ref().filter(|_| gold.items.is_empty()) {
        bail!("no item has the split {split:?}; leave out --split to learn from all items, or name another split");
    }
    if gold.items.iter().all(|item| item.labels.is_empty()) {
        bail!("none of the {} items has a label; there is nothing to learn from", gold.items.len());
    }
    let first = all.topics.len() - scheme.topics.len();
    for item in &mut gold.items {
        let topics = item.labels.topics.take().map(|topics| topics[first..].to_vec());
        item.labels = Labels { topics, ..item.labels.clone() };
    }
    Ok(gold)
}

/// The vectors of all texts, block by block: tokens and hidden states of one block at a time are in memory.
fn vectors(classifier: &Classifier, items: &[GoldItem], space: VectorSpace) -> anyhow::Result<Vec<TextVectors>> {
    let mut vectors = Vec::with_capacity(items.len());
    for block in items.chunks(BLOCK) {
        let texts: Vec<&str> = block.iter().map(|item| item.text.as_str()).collect();
        vectors.extend(classifier.vectors_batch(&texts, space)?);
    }
    Ok(vectors)
}

/// The same, and whether the bundle calls each text boilerplate.
fn vectors_and_boilerplate(
    classifier: &Classifier,
    items: &[GoldItem],
    space: VectorSpace,
) -> anyhow::Result<(Vec<TextVectors>, Vec<bool>)> {
    let (mut vectors, mut flags) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for block in items.chunks(BLOCK) {
        let texts: Vec<&str> = block.iter().map(|item| item.text.as_str()).collect();
        for (prediction, text_vectors) in classifier.predictions_and_vectors(&texts, space)? {
            vectors.push(text_vectors);
            flags.push(prediction.is_boilerplate());
        }
    }
    Ok((vectors, flags))
}

fn write(
    args: &Fit,
    name: &str,
    source: &BundleSource,
    classifier: &Classifier,
    scheme: &Scheme,
    gold: &FitGold,
    fitted: &mut Fitted,
) -> anyhow::Result<()> {
    let info = classifier.info();
    let origin = Origin {
        name,
        base: &info.id,
        license: &info.license,
        encoder: &info.encoder,
        kernel: info.kernel,
        gold,
        seed: args.draws.seed,
        kept: args.keep_heads.then_some(info.scheme.as_ref()),
    };
    fitted.calibration.fitted_on = origin.fitted_on();
    let card = fitted.card(&origin);
    let output: &Path = &args.output;
    if args.keep_heads {
        let (scheme, calibration) = fitted.beside(info, scheme);
        let languages = &info.languages;
        let (scheme, calibration) = (&scheme, &calibration);
        source.extend(&Refit { name, languages, scheme, heads: &fitted.heads, calibration, card: &card }, output)?;
    } else {
        let (calibration, languages) = (&fitted.calibration, &languages(&gold.items));
        source.refit(&Refit { name, languages, scheme, heads: &fitted.heads, calibration, card: &card }, output)?;
    }
    Ok(())
}
