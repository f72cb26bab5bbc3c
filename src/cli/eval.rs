//! `detente eval`: systems scored against gold. Everything is read and checked before a model runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum, ValueHint};
use detente::eval::baseline::{Lexicon, majority};
use detente::eval::{
    BehaviourPairs, Dimension, Evaluation, FaithfulnessOptions, Gates, GoldItem, NgramModel, Predicted, ReportOptions,
    Style, System, SystemKind, abstention, faithfulness, html_page, read_behaviour_files, read_gold_files,
    read_predictions_file, score, score_behaviour, write_items,
};
use detente::explain::ExplainOptions;
use detente::{Classifier, Error, LabelMap, Scheme, ZeroShotScheme, is_checkpoint};

use crate::cli::args::{Draws, PrecisionChoice};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::cli::model::Model;
use crate::cli::pool;
use crate::cli::target::{FileIdentity, check_folder};

/// After the help of `eval`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  detente eval --gold eval/sets/authored-test.jsonl --by lang
  detente eval --gold gold.csv --predictions other.csv --embedded --baseline lexicon
  detente eval --gold gold.jsonl --format json --output report.json --gates eval/gates.toml
  detente eval --gold eval/sets/authored-test.jsonl --by lang --format html --output report.html
  detente eval --behaviour eval/behaviour/*.jsonl --by lang

A gold record has id, text and any of topics, escalation, boilerplate; null says that a label is not known. A prediction
record has id and the same labels, and probabilities if there are any. eval/README.md specifies both.

Exit codes:
  0 done; 1 a gate does not hold; 2 something failed.";

/// Flags of `eval`.
#[derive(Debug, Args)]
#[command(mut_arg("gold", |gold| gold.required(false).required_unless_present("behaviour")))]
pub(crate) struct Eval {
    /// What to score, and against what.
    #[command(flatten)]
    pub(crate) systems: Systems,
    /// Minimal pairs, as in eval/behaviour: JSON Lines of two texts each, whose labels must change or stay.
    #[arg(long, num_args = 1.., value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Gold")]
    pub(crate) behaviour: Vec<PathBuf>,
    /// Built-in systems that a model must beat.
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Systems")]
    pub(crate) baseline: Vec<Baseline>,
    /// Labelled paragraphs that the baseline `ngram` learns from; none of them may be in the gold.
    #[arg(long, num_args = 1.., value_name = "FILE", value_hint = ValueHint::FilePath, requires = "baseline", help_heading = "Systems")]
    pub(crate) train: Vec<PathBuf>,
    /// How to report.
    #[command(flatten)]
    pub(crate) reporting: Reporting,
    /// CSV file to write with one row for each gold item: its labels and those of the one system that is no baseline.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "gold", help_heading = "Report")]
    pub(crate) items: Option<PathBuf>,
    /// Precision that thresholds are to reach: shows what is kept at them, and how the risk falls with the coverage.
    #[arg(long, value_name = "P", value_parser = precision, requires = "gold", help_heading = "Report")]
    pub(crate) target_precision: Option<f64>,
    /// Measure how faithful explanations are, on so many texts of the gold: how far labels fall without the words that are said to
    /// matter most, against as many random ones. Bundles only; each text is read about a hundred times.
    #[arg(long, value_name = "TEXTS", requires = "gold", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Report")]
    pub(crate) explain: Option<u32>,
    /// TOML file of figures that must hold; exit code 1 if one does not.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) gates: Option<PathBuf>,
}

/// Flags that name gold and systems.
#[derive(Debug, Args)]
#[command(next_help_heading = "Systems")]
pub(crate) struct Systems {
    /// Labelled paragraphs: JSON Lines, .csv or .tsv, also as .gz or .zst.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Gold")]
    pub(crate) gold: Vec<PathBuf>,
    /// Only the gold items whose field `split` says this.
    #[arg(long, value_name = "NAME", requires = "gold", help_heading = "Gold")]
    pub(crate) split: Option<String>,
    /// Label scheme as JSON, as bundle.json holds it, or as TOML with hypotheses, by which checkpoints for natural-language inference among
    /// the models label [default: that of the first bundle, else of the one inside the program].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Gold")]
    pub(crate) scheme: Option<PathBuf>,
    /// Folder of a bundle or of a checkpoint to score, or hf:owner/name[@revision]; may be given several times. `eval` without any system scores the bundle that DETENTE_MODEL
    /// names, or the one inside the program.
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::DirPath, value_parser = Model::parser())]
    pub(crate) model: Vec<Model>,
    /// TOML file that maps the labels of the checkpoints among them to topics, a scale, boilerplate.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "model")]
    pub(crate) labels: Option<PathBuf>,
    /// Score the bundle inside the program.
    #[arg(long)]
    pub(crate) embedded: bool,
    /// Arithmetic of the bundles' encoders. `f32` is the reference; `bf16` and `int8` are faster and move few labels.
    #[arg(long, value_enum, default_value_t = PrecisionChoice::Auto)]
    pub(crate) precision: PrecisionChoice,
    /// File of predictions made elsewhere: JSON Lines, .csv or .tsv, also as .gz or .zst; may be given several times.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) predictions: Vec<PathBuf>,
}

impl Systems {
    /// The files that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> + Clone {
        self.gold.iter().chain(&self.scheme).chain(&self.labels).chain(&self.predictions)
    }
}

/// Flags about the report.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct Reporting {
    /// Slices to report beside all items, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FIELD")]
    pub(crate) by: Vec<SliceBy>,
    /// Form of the report.
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// File to write [default: standard output].
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Replace output files that exist.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) draws: Draws,
    /// Worker threads [default: all cores]. Figures do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// The built-in baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Baseline {
    /// What most of the gold has, for every item.
    Majority,
    /// Words that stand for labels, in twelve languages.
    Lexicon,
    /// Logistic regression over character n-grams, fitted on the files of --train.
    Ngram,
}

/// What slices are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SliceBy {
    /// The field `lang`.
    Lang,
    /// The field `source`.
    Source,
    /// The field `genre`.
    Genre,
    /// Characters of the text.
    Length,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Tables for a terminal.
    Text,
    /// One JSON object, for programs.
    Json,
    /// Tables for a README.
    Markdown,
    /// One page with plots and the errors, for a browser.
    Html,
}

impl From<SliceBy> for Dimension {
    fn from(by: SliceBy) -> Self {
        match by {
            SliceBy::Lang => Dimension::Lang,
            SliceBy::Source => Dimension::Source,
            SliceBy::Genre => Dimension::Genre,
            SliceBy::Length => Dimension::Length,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// If an input cannot be used, a bundle not opened, or the report not be written.
pub(crate) fn eval(args: &Eval, console: &Console) -> anyhow::Result<Exit> {
    let files = args.systems.files().chain(&args.train).chain(&args.behaviour).chain(&args.gates);
    args.reporting.check(args.items.as_deref(), files)?;
    let gates = args.gates.as_ref().map(Gates::open).transpose()?;
    let systems = &args.systems;
    let needs_default = systems.model.is_empty() && systems.predictions.is_empty() && !systems.embedded;
    let mut loaded = Loaded::open(&args.systems, &args.behaviour, needs_default, &args.reporting)?;
    for baseline in &args.baseline {
        let (scheme, gold, members) = (&loaded.scheme, &loaded.gold, &loaded.pairs.members);
        let (name, predicted, on_pairs) = match baseline {
            Baseline::Majority => {
                let answer = majority(scheme, if gold.is_empty() { members } else { gold });
                let repeated = |count| answer.iter().take(1).cycle().take(count).cloned().collect();
                ("majority", repeated(gold.len()), repeated(members.len()))
            }
            Baseline::Lexicon => {
                let lexicon = Lexicon::embedded(scheme)
                    .map_err(|what| Error::Input { path: "eval/lexicon.toml".into(), what })?;
                ("lexicon", lexicon.predict(scheme, gold), lexicon.predict(scheme, members))
            }
            Baseline::Ngram => {
                let model = NgramModel::fit(scheme, &read_training(&args.train, &loaded)?);
                ("ngram", model.predict(gold), model.predict(members))
            }
        };
        let system = |predicted| System { name: name.into(), kind: SystemKind::Baseline, predicted };
        loaded.systems.push(system(predicted));
        loaded.on_pairs.push(system(on_pairs));
    }
    loaded.check_names()?;
    if let Some(path) = &args.items {
        loaded.write_items(path)?;
    }
    if args.explain.is_some() && loaded.bundles.is_empty() {
        bail!(
            "--explain reads texts again with a bundle, but only predictions are scored; name one with --model, or --embedded"
        );
    }
    let options = args.reporting.options(&args.systems.gold);
    let mut report =
        pool::install(args.reporting.threads, || score(&loaded.scheme, &loaded.gold, &loaded.systems, &options))?;
    report.abstention =
        args.target_precision.map(|target| abstention(&loaded.scheme, &loaded.gold, &loaded.systems, target));
    if !args.behaviour.is_empty() {
        let files: Vec<String> = args.behaviour.iter().map(|path| path.display().to_string()).collect();
        let behaviour = score_behaviour(&loaded.scheme, &loaded.pairs, &loaded.on_pairs, &files, &options);
        report.set_behaviour(behaviour);
    }
    if let Some(items) = args.explain {
        let explain = ExplainOptions::default();
        let options = FaithfulnessOptions { items: items as usize, explain, bootstrap: options.bootstrap };
        report.faithfulness = Some(faithfulness(&loaded.scheme, &loaded.gold, &loaded.bundles, &options)?);
    }
    let text = match args.reporting.format {
        ReportFormat::Text => report.render(Style::Text),
        ReportFormat::Markdown => report.render(Style::Markdown),
        ReportFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
        ReportFormat::Html => html_page(&Evaluation {
            scheme: &loaded.scheme,
            report: &report,
            gold: &loaded.gold,
            systems: &loaded.systems,
            pairs: &loaded.pairs,
            on_pairs: &loaded.on_pairs,
        }),
    };
    args.reporting.write(&text)?;
    let failures = gates.map_or_else(Vec::new, |gates| report.check(&gates));
    for failure in &failures {
        console.error(format!("gate: {}", failure.0));
    }
    Ok(if failures.is_empty() { Exit::Done } else { Exit::No })
}

fn precision(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "a number above 0 and up to 1 was expected, for example 0.9".into())
}

/// Gold and what systems say of it.
pub(crate) struct Loaded {
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) gold: Vec<GoldItem>,
    pub(crate) systems: Vec<System>,
    /// The bundles among the systems, by name.
    bundles: Vec<(String, Classifier)>,
    /// Minimal pairs, and what the same systems say of their members.
    pairs: BehaviourPairs,
    on_pairs: Vec<System>,
}

impl Loaded {
    /// Reads gold, minimal pairs and predictions, and runs the bundles; `with_default` also the one that
    /// `DETENTE_MODEL` names or, without it, the embedded one.
    ///
    /// # Errors
    /// If a file is bad, a bundle cannot be opened, or the bundles' labels differ.
    pub(crate) fn open(
        args: &Systems,
        behaviour: &[PathBuf],
        with_default: bool,
        reporting: &Reporting,
    ) -> anyhow::Result<Self> {
        let threads = reporting.threads.map_or(0, usize::from);
        let builder = || Classifier::builder().threads(threads).precision(args.precision);
        let folders = args.model.iter().map(Model::folder).collect::<anyhow::Result<Vec<_>>>()?;
        let map = args.labels.as_ref().map(LabelMap::open).transpose()?;
        if map.is_some() && !folders.iter().any(is_checkpoint) {
            bail!("--labels is for the labels of a checkpoint of transformers, and no --model is one");
        }
        let declared = args.scheme.as_deref().map(SchemeFile::open).transpose()?;
        let open = |folder: &Path| {
            let mut builder = builder();
            if is_checkpoint(folder) {
                if let Some(map) = &map {
                    builder = builder.labels(map.clone());
                }
                if let Some(SchemeFile::ZeroShot(scheme)) = &declared {
                    builder = builder.scheme(scheme.as_ref().clone());
                }
            }
            builder.open(folder)
        };
        let default = || match std::env::var_os("DETENTE_MODEL").filter(|folder| !folder.is_empty()) {
            Some(name) => anyhow::Ok(open(Model::named(name).folder()?)?),
            None => Ok(builder().embedded()?),
        };
        let mut bundles = Vec::new();
        if with_default {
            bundles.push(default()?);
        }
        if args.embedded {
            bundles.push(builder().embedded()?);
        }
        for folder in &folders {
            bundles.push(open(folder)?);
        }
        let scheme = match (&declared, bundles.first()) {
            (Some(scheme), _) => Arc::new(scheme.labels().clone()),
            (None, Some(bundle)) => Arc::clone(&bundle.info().scheme),
            (None, None) => Arc::clone(&default()?.info().scheme),
        };
        for bundle in &bundles {
            bundle.check_labels()?;
            let info = bundle.info();
            if !is_part_of(&info.scheme, &scheme) {
                bail!(
                    "the labels of {} are not those of the scheme that the gold is read by; score it by itself",
                    info.id
                );
            }
        }
        let mut gold = read_gold_files(&args.gold, &scheme)?;
        if let Some(split) = &args.split {
            gold.retain(|item| item.split.as_deref().map(str::trim) == Some(split.as_str()));
            if gold.is_empty() {
                bail!("no gold item has the split {split:?}; leave out --split to score them all");
            }
        }
        let pairs = read_behaviour_files(behaviour, &scheme)?;
        // Systems run once, on the gold and then on the members of the pairs.
        let in_gold = gold.len();
        let ids: BTreeSet<&str> = gold.iter().filter(|_| !behaviour.is_empty()).map(|item| item.id.as_str()).collect();
        if let Some(member) = pairs.members.iter().find(|member| ids.contains(member.id.as_str())) {
            bail!(
                "the id {:?} is that of a gold item and of a text of a pair; name one of them differently",
                member.id
            );
        }
        gold.extend_from_slice(&pairs.members);
        let mut systems = Vec::new();
        for path in &args.predictions {
            let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let predicted = read_predictions_file(path, &scheme, &gold)?;
            systems.push(System { name, kind: SystemKind::Predictions, predicted });
        }
        let texts: Vec<&str> = gold.iter().map(|item| item.text.as_str()).collect();
        let mut run = Vec::new();
        let mut named = Vec::new();
        for bundle in bundles {
            let predicted: Vec<Predicted> = bundle.classify_batch(&texts)?.iter().map(Predicted::from).collect();
            let mut name = bundle.info().id.clone();
            if args.precision != PrecisionChoice::Auto {
                name += &format!(" {}", bundle.info().precision.name());
            }
            run.push(System { name: name.clone(), kind: SystemKind::Bundle, predicted });
            named.push((name, bundle));
        }
        run.append(&mut systems);
        gold.truncate(in_gold);
        let split = |system: &mut System| System {
            name: system.name.clone(),
            kind: system.kind,
            predicted: system.predicted.split_off(in_gold),
        };
        let on_pairs = run.iter_mut().map(split).collect();
        Ok(Self { scheme, gold, systems: run, bundles: named, pairs, on_pairs })
    }

    /// # Errors
    /// If there is not exactly one system that is no baseline, or the file cannot be written.
    fn write_items(&self, path: &Path) -> anyhow::Result<()> {
        let systems: Vec<&System> = self.systems.iter().filter(|system| system.kind != SystemKind::Baseline).collect();
        let [system] = systems.as_slice() else {
            bail!("--items shows one system's labels, but {} are scored; name one, beside baselines", systems.len());
        };
        let write = |file: File| write_items(&self.scheme, &self.gold, &system.predicted, BufWriter::new(file));
        File::create(path).and_then(write).with_context(|| format!("cannot write {}", path.display()))
    }

    /// # Errors
    /// If two systems have the same name.
    pub(crate) fn check_names(&self) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        for system in &self.systems {
            if !names.insert(&system.name) {
                bail!(
                    "two systems are named {:?}; name the files of predictions differently, give each bundle once",
                    system.name
                );
            }
        }
        Ok(())
    }
}

/// # Errors
/// If there is no training file, a bad one, or one that shares a text with the gold.
fn read_training(paths: &[PathBuf], loaded: &Loaded) -> anyhow::Result<Vec<GoldItem>> {
    if paths.is_empty() {
        bail!("the baseline ngram learns from labelled paragraphs; name files with --train");
    }
    let train = read_gold_files(paths, &loaded.scheme)?;
    let texts: BTreeSet<&str> =
        loaded.gold.iter().chain(&loaded.pairs.members).map(|item| item.text.as_str()).collect();
    let shared: Vec<&GoldItem> = train.iter().filter(|item| texts.contains(item.text.as_str())).collect();
    if let Some(first) = shared.first() {
        bail!(
            "{} texts of the training files are in the gold or the pairs too, the first is {:?}; nothing may be scored on what it learnt from",
            shared.len(),
            first.id
        );
    }
    Ok(train)
}

/// What `--scheme` names.
enum SchemeFile {
    /// Labels alone, as JSON.
    Labels(Scheme),
    /// Labels with hypotheses, as TOML.
    ZeroShot(Box<ZeroShotScheme>),
}

impl SchemeFile {
    /// Told by the extension.
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml")) {
            return Ok(Self::ZeroShot(Box::new(ZeroShotScheme::open(path)?)));
        }
        let json = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let scheme: Scheme = serde_json::from_slice(&json)
            .with_context(|| format!("{} is not a label scheme as bundle.json holds it", path.display()))?;
        match scheme.problem() {
            Some(problem) => bail!("{}: {problem}", path.display()),
            None => Ok(Self::Labels(scheme)),
        }
    }

    fn labels(&self) -> &Scheme {
        match self {
            Self::Labels(scheme) => scheme,
            Self::ZeroShot(scheme) => scheme.scheme(),
        }
    }
}

/// # Errors
/// If it cannot be read, or is none.
pub(crate) fn read_scheme(path: &Path) -> anyhow::Result<Scheme> {
    Ok(SchemeFile::open(path)?.labels().clone())
}

/// Whether the topics, the scale and the flag of `part` are those of `scheme`, as far as it has them; it may be without some
/// of the three, and then says nothing of them. Descriptions and names of levels do not matter.
fn is_part_of(part: &Scheme, scheme: &Scheme) -> bool {
    let topics = |scheme: &Scheme| scheme.topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>();
    let levels = |scheme: &Scheme| {
        let scale = scheme.scale.as_ref()?;
        Some((scale.name.clone(), scale.levels.iter().map(|level| level.code).collect::<Vec<_>>()))
    };
    let has_topics = part.topics.is_empty() || topics(part) == topics(scheme);
    let has_levels = part.scale.is_none() || levels(part) == levels(scheme);
    has_topics && has_levels && (!part.boilerplate || scheme.boilerplate)
}

impl Reporting {
    /// # Errors
    /// If the output file or the `other` one is there and may not be replaced, or has no folder to stand in; if both are one, or one
    /// is among the `inputs`.
    pub(crate) fn check<'a>(
        &self,
        other: Option<&Path>,
        inputs: impl IntoIterator<Item = &'a PathBuf> + Clone,
    ) -> anyhow::Result<()> {
        for path in [self.output.as_deref(), other].into_iter().flatten() {
            let output = FileIdentity::of(path);
            if inputs.clone().into_iter().any(|input| output.is(input)) {
                bail!("{} is both input and output; write to another file", path.display());
            }
            if path.is_dir() {
                bail!("cannot write {}: it is a folder; name a file", path.display());
            }
            if path.exists() && !self.force {
                bail!("{} exists; replace it with --force, or name another file", path.display());
            }
            check_folder(path)?;
        }
        if let (Some(output), Some(other)) = (self.output.as_deref(), other)
            && FileIdentity::of(output).is(other)
        {
            bail!("{} is named twice; each output needs a file of its own", output.display());
        }
        Ok(())
    }

    pub(crate) fn options(&self, files: &[PathBuf]) -> ReportOptions {
        ReportOptions {
            bootstrap: self.draws.options(),
            by: self.by.iter().copied().map(Dimension::from).collect(),
            files: files.iter().map(|path| path.display().to_string()).collect(),
        }
    }

    /// # Errors
    /// If the report cannot be written.
    pub(crate) fn write(&self, text: &str) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display())),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write <stdout>")
            }
        }
    }
}
