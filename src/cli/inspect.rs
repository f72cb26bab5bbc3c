//! `detente inspect`: what is inside a bundle, and what computes it here.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Context;
use detente::calibration::{Decision, TopicDecision};
use detente::{BundleInfo, Classifier, HeadKind};
use serde_json::{Value, json};

use crate::cli::args::Inspect;
use crate::cli::classify::open_classifier;
use crate::cli::exit::Exit;

/// Runs the verb.
///
/// # Errors
/// If the bundle cannot be opened, or standard output not be written.
pub(crate) fn inspect(args: &Inspect) -> anyhow::Result<Exit> {
    let classifier = open_classifier(&args.engine)?;
    let source =
        args.engine.model.as_ref().map_or("inside the program".into(), |model| model.name().display().to_string());
    let mut text = match (args.card, args.json) {
        (true, _) => classifier.info().card.clone(),
        (false, true) => serde_json::to_string_pretty(&as_json(&classifier, &source))?,
        (false, false) => as_text(&classifier, &source)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write <stdout>")?;
    Ok(Exit::Done)
}

fn as_json(classifier: &Classifier, source: &str) -> Value {
    let info = classifier.info();
    json!({
        "name": info.name,
        "version": info.version,
        "id": info.id,
        "source": source,
        "bytes": info.bytes,
        "sha256": info.sha256,
        "license": info.license,
        "languages": info.languages,
        "encoder": info.encoder,
        "parameters": info.parameters,
        "vocabulary": info.vocabulary,
        "max_length": info.max_length,
        "stride": info.stride,
        "kernel": info.kernel,
        "threads": classifier.threads(),
        "cpu_features": cpu_features(),
        "scheme": info.scheme.as_ref(),
        "calibration": info.calibration,
        "checkpoint": info.checkpoint.as_ref().map(|checkpoint| json!({
            "head": head(&checkpoint.head),
            "labels": checkpoint.labels,
            "prefix": checkpoint.prefix,
            "zero_shot": checkpoint.zero_shot.as_ref().map(|scheme| json!({
                "scheme": scheme.name,
                "description": scheme.description,
                "languages": scheme.languages,
                "pairs": scheme.pairs,
            })),
            "missing": checkpoint.missing,
        })),
    })
}

/// The head in words.
fn head(kind: &HeadKind) -> &'static str {
    match kind {
        HeadKind::Encoder => "none, a plain encoder",
        HeadKind::SingleLabel => "one label of many (softmax)",
        HeadKind::MultiLabel => "several labels or none (sigmoid)",
        HeadKind::Regression => "one number (regression)",
        HeadKind::Nli(_) => "natural-language inference",
        _ => "unknown",
    }
}

fn as_text(classifier: &Classifier, source: &str) -> Result<String, std::fmt::Error> {
    let info = classifier.info();
    let mut out = String::new();
    writeln!(out, "{} {} ({})", info.name, info.version, info.id)?;
    let features = cpu_features();
    let cpu = if features.is_empty() { "no special features".to_owned() } else { features.join(" ") };
    let languages = if info.languages.is_empty() { "none validated".to_owned() } else { info.languages.join(" ") };
    let is_checkpoint = info.checkpoint.is_some();
    let rows = [
        (if is_checkpoint { "checkpoint" } else { "bundle" }, format!("{source}, {:.1} MB", info.bytes as f64 / 1e6)),
        ("sha256", info.sha256.clone()),
        ("license", info.license.clone()),
        ("encoder", info.encoder.clone()),
        (
            "size",
            format!("{:.1} million parameters, {} pieces of vocabulary", info.parameters as f64 / 1e6, info.vocabulary),
        ),
        ("windows", format!("{} tokens, one every {}", info.max_length, info.stride)),
        ("languages", languages),
        ("kernel", format!("{}, {} threads", info.kernel, classifier.threads())),
        ("cpu", cpu),
        (
            "calibrated",
            if info.calibration.fitted_on.is_empty() { "on unnamed data" } else { &info.calibration.fitted_on }
                .to_owned(),
        ),
    ];
    for (name, value) in rows {
        writeln!(out, "  {name:<11} {value}")?;
    }
    if let Some(checkpoint) = &info.checkpoint {
        writeln!(out, "  {:<11} {}", "head", head(&checkpoint.head))?;
        if !checkpoint.labels.is_empty() {
            writeln!(out, "  {:<11} {}", "own labels", checkpoint.labels.join(", "))?;
        }
        if !checkpoint.prefix.is_empty() {
            writeln!(out, "  {:<11} {:?} before every text", "prefix", checkpoint.prefix)?;
        }
        if let Some(scheme) = &checkpoint.zero_shot {
            let colon = if scheme.description.is_empty() { "" } else { ": " };
            writeln!(out, "  {:<11} {}{colon}{}", "scheme", scheme.name, scheme.description)?;
            let (pairs, languages) = (scheme.pairs, scheme.languages.join(" "));
            writeln!(out, "  {:<11} {pairs} a paragraph and window, in {languages}", "hypotheses")?;
        }
        if let Some(missing) = &checkpoint.missing {
            writeln!(out, "\n{} {missing}.", info.id)?;
        }
    }
    labels(&mut out, info)?;
    if !info.card.is_empty() {
        writeln!(out, "\n`detente inspect --card` prints the model card: data, evaluation, limits.")?;
    }
    Ok(out)
}

/// Every label, with its threshold and the calibration behind it.
fn labels(out: &mut String, info: &BundleInfo) -> std::fmt::Result {
    let width = info.scheme.topics.iter().map(|topic| topic.name.chars().count()).max().unwrap_or(0);
    if !info.scheme.topics.is_empty() {
        let rule = match info.calibration.topic_decision {
            TopicDecision::Thresholds => "each applies from its threshold on",
            TopicDecision::Highest => "the most probable one applies, from its threshold on",
        };
        writeln!(out, "\nTopics: {rule}; probability = sigmoid(scale × logit + offset)")?;
    }
    for (topic, calibration) in info.scheme.topics.iter().zip(&info.calibration.topics) {
        write!(out, "  {:<width$}  threshold {:.3}  ", topic.name, calibration.threshold)?;
        match &calibration.isotonic {
            Some(isotonic) => writeln!(out, "isotonic, {} breakpoints", isotonic.logits.len())?,
            None => writeln!(out, "scale {:.3}  offset {:+.3}", calibration.scale, calibration.offset)?,
        }
        if !topic.description.is_empty() {
            writeln!(out, "      {}", topic.description)?;
        }
    }
    if let (Some(scale), Some(calibration)) = (&info.scheme.scale, &info.calibration.scale) {
        let rule = match &calibration.decision {
            Decision::Mode => "the most probable level".to_owned(),
            Decision::Median => "the median level".to_owned(),
            Decision::Cutpoints { cutpoints } => format!("the expected value, cut at {cutpoints:?}"),
        };
        let mut letters = scale.name.chars();
        let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        writeln!(
            out,
            "\n{name}: {rule}; temperature {:.3}, offsets {:?}",
            calibration.temperature, calibration.offsets
        )?;
        for level in &scale.levels {
            writeln!(out, "  {:>+3}  {}", level.code, level.name)?;
        }
    }
    if let Some(calibration) = &info.calibration.boilerplate {
        let (threshold, scale, offset) = (calibration.threshold, calibration.scale, calibration.offset);
        write!(out, "\nBoilerplate: threshold {threshold:.3}, ")?;
        match &calibration.isotonic {
            Some(isotonic) => writeln!(out, "isotonic, {} breakpoints", isotonic.logits.len())?,
            None => writeln!(out, "scale {scale:.3}, offset {offset:+.3}")?,
        }
    }
    Ok(())
}

/// Features of this CPU that arithmetic can use.
fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("f16c", std::is_x86_feature_detected!("f16c")),
        ("avx-vnni", std::is_x86_feature_detected!("avxvnni")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512bw", std::is_x86_feature_detected!("avx512bw")),
        ("avx512-vnni", std::is_x86_feature_detected!("avx512vnni")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [(&str, bool); 0] = [];
    found.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}
