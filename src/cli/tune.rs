//! `detente tune`: a bundle's calibration fitted on labelled paragraphs, written as a new bundle.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum, ValueHint};
use detente::calibration::{Calibration, Decision};
use detente::eval::{FitGold, KeptLabel, Method, ReportOptions, Style, TuneSample, read_gold_to_fit, tune as fit};
use detente::{BundleInfo, BundleSource, Classifier, ZeroShotScheme};

use crate::cli::args::{Draws, Engine};
use crate::cli::classify::open_classifier;
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::cli::model::Model;
use crate::cli::pool;
use crate::cli::target::check_folder;

/// After the help of `tune`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  detente tune --gold eval/sets/authored-dev.jsonl eval/sets/web_lines-dev.jsonl --output tuned
  detente tune --gold gold.jsonl --split dev --method isotonic --model DIR --output tuned
  detente tune --gold dev.jsonl --scheme scheme.toml --model NLI-CHECKPOINT --output tuned.toml

Gold is as for `detente eval`; a label that is null teaches nothing. Items marked test are refused.
What is fitted: for each topic and boilerplate its calibration and threshold; for the scale its
temperature, its offsets and the rule that decides on a level. The new folder has every other file
of the bundle unchanged; `detente classify --model DIR` uses it. With --scheme, what is written is
the scheme with the calibration behind it, for --scheme with the same checkpoint.";

/// Flags of `tune`.
#[derive(Debug, Args)]
pub(crate) struct Tune {
    /// Labelled paragraphs to fit on: JSON Lines, .csv or .tsv, also as .gz or .zst.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) gold: Vec<PathBuf>,
    /// Only the gold items whose field `split` says this.
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// How topics and boilerplate are calibrated.
    #[arg(long, value_enum, default_value_t = CalibrationMethod::Platt)]
    pub(crate) method: CalibrationMethod,
    /// Folder to write the new bundle into, with --scheme a .toml file; must not exist.
    #[arg(long, short, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) draws: Draws,
    /// The bundle to start from.
    #[command(flatten)]
    pub(crate) engine: Engine,
}

/// How topics and boilerplate are calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CalibrationMethod {
    /// Scale and offset of the logit.
    Platt,
    /// Scale of the logit alone.
    Temperature,
    /// Any map that never falls, as breakpoints; wants some hundred items of each label.
    Isotonic,
}

impl From<CalibrationMethod> for Method {
    fn from(method: CalibrationMethod) -> Self {
        match method {
            CalibrationMethod::Platt => Method::Platt,
            CalibrationMethod::Temperature => Method::Temperature,
            CalibrationMethod::Isotonic => Method::Isotonic,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// If the gold may not be fitted on, the bundle cannot be opened, or the new one not be written.
pub(crate) fn tune(args: &Tune, console: &Console) -> anyhow::Result<Exit> {
    let source = source(&args.engine)?;
    if args.engine.scheme.is_some() {
        check_scheme_output(&args.output)?;
    } else {
        check_output(&args.output, args.engine.model.as_ref(), "tune")?;
        source.check_is_bundle()?;
    }
    let classifier = open_classifier(&args.engine)?;
    let info = classifier.info();
    let gold = read_gold(args, &classifier)?;
    let texts: Vec<&str> = gold.items.iter().map(|item| item.text.as_str()).collect();
    let logits = classifier.logits_batch(&texts)?;
    let sample = TuneSample {
        scheme: &info.scheme,
        head: info.scale_head,
        current: &info.calibration,
        gold: &gold.items,
        logits: &logits,
    };
    let options = ReportOptions {
        bootstrap: args.draws.options(),
        by: Vec::new(),
        files: args.gold.iter().map(|path| path.display().to_string()).collect(),
    };
    let mut tuned = pool::install(args.engine.threads, || fit(&sample, args.method.into(), &options))?;
    if tuned.is_as_before() {
        let reasons: Vec<String> = tuned.kept.iter().map(|kept| format!("{}: {}", kept.label, kept.reason)).collect();
        bail!("no label could be fitted ({}); give more items, with each label and without it", reasons.join("; "));
    }
    tuned.calibration.fitted_on = fitted_on(args, &gold, &tuned.kept, &info.calibration);
    let written = match &args.engine.scheme {
        Some(scheme) => write_scheme(args, scheme, info, &tuned.calibration)?,
        None => {
            source.recalibrate(&tuned.calibration, &args.output)?;
            Classifier::open(&args.output)?
        }
    };
    let text = format!(
        "{}\n{}\n{} was made of {}, whose calibration had been fitted on: {}\n",
        tuned.render(Style::Text),
        parameters(&info.calibration, &tuned.calibration),
        written.info().id,
        info.id,
        named(&info.calibration.fitted_on),
    );
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write <stdout>")?;
    let about = match args.engine.scheme {
        Some(_) => "the calibration at its end holds for this checkpoint and this wording alone",
        None => "its card.md is that of the old bundle, with the old figures",
    };
    console.note(format!("{} is written; {about}", args.output.display()));
    Ok(Exit::Done)
}

/// Whether a scheme can be written there.
///
/// # Errors
/// If it is not named as one, exists, or has no place.
fn check_scheme_output(output: &Path) -> anyhow::Result<()> {
    if output.extension().is_none_or(|end| !end.eq_ignore_ascii_case("toml")) {
        bail!("--output {} is not named .toml; with --scheme, tune writes a scheme", output.display());
    }
    if output.symlink_metadata().is_ok() {
        bail!("{} exists; tune writes a new file, name another one", output.display());
    }
    check_folder(output)
}

/// Writes the scheme with the calibration, and opens it.
///
/// # Errors
/// If it cannot be written.
fn write_scheme(
    args: &Tune,
    scheme: &Path,
    info: &BundleInfo,
    calibration: &Calibration,
) -> anyhow::Result<Classifier> {
    let checkpoint = info.checkpoint.as_ref().context("a scheme is for a checkpoint")?;
    let text = ZeroShotScheme::open(scheme)?.with_calibration(checkpoint, calibration);
    let file = OpenOptions::new().write(true).create_new(true).open(&args.output);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", args.output.display()))?;
    open_classifier(&Engine { scheme: Some(args.output.clone()), ..args.engine.clone() })
}

/// Where the bundle is that the flags name; one of the Hub is fetched.
///
/// # Errors
/// If it cannot be fetched.
pub(crate) fn source(engine: &Engine) -> anyhow::Result<BundleSource> {
    Ok(match &engine.model {
        Some(model) => BundleSource::Folder(model.folder()?.to_owned()),
        None => BundleSource::Embedded,
    })
}

/// Whether a new bundle can be written there.
///
/// # Errors
/// If the folder is the bundle, exists, or has no place.
pub(crate) fn check_output(output: &Path, model: Option<&Model>, verb: &str) -> anyhow::Result<()> {
    let is_model = model.is_some_and(|model| match (model.name().canonicalize(), output.canonicalize()) {
        (Ok(model), Ok(output)) => model == output,
        _ => false,
    });
    if is_model {
        bail!(
            "--output {} is the bundle itself; {verb} leaves it as it is and writes a new one, name another folder",
            output.display()
        );
    }
    if output.symlink_metadata().is_ok() {
        bail!("{} exists; {verb} writes a new folder, name another one", output.display());
    }
    check_folder(output)
}

/// # Errors
/// If a file is bad or holds test items, or if no item with a label is left.
fn read_gold(args: &Tune, classifier: &Classifier) -> anyhow::Result<FitGold> {
    let gold = read_gold_to_fit(&args.gold, &classifier.info().scheme, args.split.as_deref())?;
    if let Some(split) = args.split.as_ref().filter(|_| gold.items.is_empty()) {
        bail!("no gold item has the split {split:?}; leave out --split to fit on all items, or name another split");
    }
    if gold.items.iter().all(|item| item.labels.is_empty()) {
        bail!("none of the {} gold items has a label; there is nothing to fit on", gold.items.len());
    }
    Ok(gold)
}

fn named(fitted_on: &str) -> &str {
    if fitted_on.is_empty() { "unnamed data" } else { fitted_on }
}

/// Names of files without folders, numbers of items, splits and method: what somebody needs who wants to repeat it. Then
/// the labels that were left as they were, and what those had been fitted on.
fn fitted_on(args: &Tune, gold: &FitGold, kept: &[KeptLabel], old: &Calibration) -> String {
    let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let files: Vec<String> =
        gold.files.iter().map(|file| format!("{} ({} items)", name(&file.path), file.items)).collect();
    let splits: BTreeSet<&str> =
        gold.items.iter().map(|item| item.split.as_deref().unwrap_or("not stated").trim()).collect();
    let splits: Vec<&str> = splits.into_iter().collect();
    let (files, splits, count) = (files.join(", "), splits.join(" and "), gold.items.len());
    let method = Method::from(args.method).name();
    let mut text = format!("{files}; split {splits}; {count} items in all; detente tune, {method}");
    if !kept.is_empty() {
        let labels: Vec<&str> = kept.iter().map(|kept| kept.label.as_str()).collect();
        text += &format!("; not refitted: {}, fitted on: {}", labels.join(", "), named(&old.fitted_on));
    }
    text
}

/// Old and new parameters, a line a label.
fn parameters(old: &Calibration, new: &Calibration) -> String {
    let flag = |scale: f32, offset: f32, threshold: f32, breakpoints: Option<usize>| {
        let map = breakpoints.map_or_else(
            || format!("scale {scale:.3}, offset {offset:+.3}"),
            |count| format!("isotonic, {count} breakpoints"),
        );
        format!("{map}, threshold {threshold:.2}")
    };
    let flags = |calibration: &Calibration| {
        let topics = calibration.topics.iter().map(|topic| {
            let breakpoints = topic.isotonic.as_ref().map(|map| map.logits.len());
            (topic.name.clone(), flag(topic.scale, topic.offset, topic.threshold, breakpoints))
        });
        let boilerplate = calibration.boilerplate.iter().map(|topic| {
            let breakpoints = topic.isotonic.as_ref().map(|map| map.logits.len());
            ("boilerplate".to_owned(), flag(topic.scale, topic.offset, topic.threshold, breakpoints))
        });
        let scale = calibration.scale.iter().map(|scale| {
            let rule = match &scale.decision {
                Decision::Mode => "mode".to_owned(),
                Decision::Median => "median".to_owned(),
                Decision::Cutpoints { cutpoints } => format!("expected value cut at {cutpoints:?}"),
            };
            ("levels".to_owned(), format!("temperature {:.3}, offsets {:?}, {rule}", scale.temperature, scale.offsets))
        });
        topics.chain(boilerplate).chain(scale).collect::<Vec<_>>()
    };
    let lines = flags(old).into_iter().zip(flags(new)).map(|((name, old), (_, new))| {
        if old == new {
            format!("  {name}: {new}, as before\n")
        } else {
            format!("  {name}: {new}\n    before: {old}\n")
        }
    });
    format!("Calibration\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        tune: Tune,
    }

    #[test]
    fn labels_that_were_not_refitted_are_named_with_what_they_stand_by() {
        let args = Line::parse_from(["tune", "--gold", "g.jsonl", "--output", "o"]).tune;
        let gold = FitGold { items: Vec::new(), files: Vec::new() };
        let mut old = Classifier::open("tests/fixtures/fake").unwrap().info().calibration.clone();
        old.fitted_on = "old items".into();
        let kept = |label: &str| KeptLabel { label: label.into(), reason: String::new() };
        assert!(fitted_on(&args, &gold, &[], &old).ends_with("detente tune, platt"));
        let text = fitted_on(&args, &gold, &[kept("sanctions"), kept("boilerplate")], &old);
        assert!(text.ends_with("platt; not refitted: sanctions, boilerplate, fitted on: old items"), "{text}");
        old.fitted_on.clear();
        let text = fitted_on(&args, &gold, &[kept("sanctions")], &old);
        assert!(text.ends_with("; not refitted: sanctions, fitted on: unnamed data"), "{text}");
    }
}
