//! The program: records name scheme and checkpoint, its numbers are those of the library, figures and calibration work as for a bundle.

use std::fs;
use std::path::Path;
use std::process::Command;

use detente::{Classifier, ZeroShotScheme};
use serde_json::{Value, json};

use crate::program::{failure, stdout};

use super::shipped::with_long_windows;
use super::{checkpoint, numbers, root, scheme, tiny};

const TEXTS: [&str; 6] = [
    "Nein.",
    "The guns fell silent.",
    "Der Rat hob die Sanktionen auf.",
    "两国恢复谈判。",
    "Troops crossed the river at night.",
    "Посол уехал.",
];

fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Gold with both answers to everything, so that everything can be fitted.
fn gold(folder: &Path) -> String {
    let line = |index: usize| {
        let text = format!("{} {}", TEXTS[index % 6], "x".repeat(index / 6));
        let topics = [vec![], vec!["war"], vec!["talks"], vec!["war", "talks"]];
        json!({"id": index, "text": text, "topics": topics[index % 4], "escalation": 1 - (index % 3) as i64,
            "boilerplate": index.is_multiple_of(5), "split": "dev", "document": index})
        .to_string()
    };
    let path = folder.join("gold.jsonl");
    fs::write(&path, (0..48).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    text_of(&path).to_owned()
}

#[test]
fn records_are_those_of_the_library_and_name_scheme_and_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("texts.txt");
    fs::write(&input, TEXTS.join("\n\n")).unwrap();
    let (model, scheme) = (checkpoint("deberta-nli-v4"), root().join("tests/fixtures/zero-shot.toml"));
    let flags = ["--model", text_of(&model), "--scheme", text_of(&scheme)];
    let records = stdout(&[&["classify", text_of(&input), "--format", "jsonl"], &flags[..]].concat());
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), TEXTS.len());
    let classifier = Classifier::builder().scheme(tiny()).open(&model).unwrap();
    let id = &classifier.info().id;
    assert!(id.starts_with("deberta-nli-v4:tiny@local+"), "{id}");
    for (record, text) in records.iter().zip(TEXTS) {
        assert_eq!((record["text"].as_str(), record["bundle"].as_str()), (Some(text), Some(id.as_str())));
        let fields = ["war", "talks"].map(|topic| &record["topic_probabilities"][topic]).into_iter();
        let levels = ["-1", "0", "1"].map(|level| &record["escalation_probabilities"][level]);
        let found: Vec<f64> = fields
            .chain(levels)
            .chain([&record["boilerplate_probability"]])
            .map(|number| number.as_f64().unwrap())
            .collect();
        let expected = numbers(&classifier.classify(text).unwrap());
        for (found, expected) in found.iter().zip(&expected) {
            // Records have six decimals, and levels are rounded so that they sum to 1.
            assert!((found - f64::from(*expected)).abs() < 2e-6, "{text}: {found}, not {expected}");
        }
    }
    let text = stdout(&[&["inspect"], &flags[..]].concat());
    assert!(text.contains("scheme      tiny: two topics, three levels, boilerplate"), "{text}");
    assert!(text.contains("hypotheses  7 a paragraph and window, in de en zh"), "{text}");
    let json: Value = serde_json::from_str(&stdout(&[&["inspect", "--json"], &flags[..]].concat())).unwrap();
    assert_eq!(json["checkpoint"]["zero_shot"]["scheme"], "tiny");

    let error = failure(&["classify", text_of(&input), "--scheme", text_of(&scheme)]);
    assert!(error.contains("is a bundle and has its own scheme"), "{error}");
    #[cfg(feature = "serve")]
    {
        let error = failure(&["serve", "--model", text_of(&model), "--scheme", "none.toml"]);
        assert!(error.contains("cannot read none.toml"), "{error}");
    }
    let error = failure(&["classify", text_of(&input), "--model", text_of(&model)]);
    assert!(error.contains("give it some with --scheme"), "{error}");
}

#[test]
fn gold_scores_a_scheme_beside_a_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let gold = gold(folder.path());
    let (model, scheme) = (checkpoint("xlm-roberta-nli"), root().join("tests/fixtures/zero-shot.toml"));
    let args = ["eval", "--gold", &gold, "--scheme", text_of(&scheme), "--model", text_of(&model)];
    let report: Value = serde_json::from_str(&stdout(
        &[&args[..], &["--format", "json", "--replicates", "100", "--baseline", "majority"]].concat(),
    ))
    .unwrap();
    let systems = report["slices"][0]["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2);
    assert!(
        systems[0]["system"].as_str().unwrap().starts_with("xlm-roberta-nli:tiny@local+"),
        "{}",
        systems[0]["system"]
    );
    let mae = |system: &Value| {
        let figures = system["figures"].as_array().unwrap();
        let found = figures.iter().find(|figure| figure["name"] == "escalation.mean_absolute_error").unwrap();
        (found["value"].as_f64().unwrap(), found["support"].as_u64().unwrap())
    };
    let classifier = Classifier::builder().scheme(tiny()).open(&model).unwrap();
    let items: Vec<Value> =
        fs::read_to_string(&gold).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let difference = |item: &Value| {
        let code = classifier.classify(item["text"].as_str().unwrap()).unwrap().escalation().unwrap().code;
        (i64::from(code) - item["escalation"].as_i64().unwrap()).abs() as f64
    };
    let expected = items.iter().map(difference).sum::<f64>() / items.len() as f64;
    let (found, support) = mae(&systems[0]);
    assert!((found - expected).abs() < 1e-6 && support == 48, "{found}, not {expected}; {support}");
}

#[test]
fn the_shipped_scheme_is_scored_beside_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    with_long_windows(folder.path());
    let (gold, scheme) = (root().join("tests/cli/input-eval/gold.jsonl"), root().join("eval/schemes/conflict.toml"));
    let (bundle, model) = (root().join("tests/fixtures/tiny"), folder.path());
    let args = ["eval", "--gold", text_of(&gold), "--scheme", text_of(&scheme), "--model", text_of(&bundle)];
    let more = ["--model", text_of(model), "--format", "json", "--replicates", "100"];
    let report: Value = serde_json::from_str(&stdout(&[&args[..], &more].concat())).unwrap();
    let systems = report["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2);
    assert!(systems[0]["name"].as_str().unwrap().starts_with("tiny@"), "{systems:?}");
    assert!(systems[1]["name"].as_str().unwrap().contains(":conflict@local+"), "{systems:?}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
    let output = command.env("DETENTE_MODEL", model).args(&args[..5]).args(["--replicates", "100"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(":conflict@local+"), "by the variable: {text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn tune_writes_the_scheme_with_a_calibration_for_this_checkpoint_and_wording() {
    let folder = tempfile::tempdir().unwrap();
    let gold = gold(folder.path());
    let (model, scheme_file) = (checkpoint("xlm-roberta-nli"), root().join("tests/fixtures/zero-shot.toml"));
    let tune = |method: &str, from: &Path, output: &Path| {
        let args =
            ["tune", "--gold", &gold, "--model", text_of(&model), "--scheme", text_of(from), "--replicates", "100"];
        stdout(&[&args[..], &["--method", method, "--output", text_of(output)]].concat())
    };
    let tuned = folder.path().join("tuned.toml");
    let report = tune("platt", &scheme_file, &tuned);
    assert!(report.contains("xlm-roberta-nli:tiny@local+") && report.contains("was made of"), "{report}");
    let written = fs::read_to_string(&tuned).unwrap();
    let original = fs::read_to_string(&scheme_file).unwrap();
    assert!(written.starts_with(original.trim_end()), "comments and all");

    let open = |path: &Path| Classifier::builder().scheme(ZeroShotScheme::open(path).unwrap()).open(&model);
    let [plain, fitted] = [&scheme_file, &tuned].map(|path| open(path).unwrap());
    assert!(
        fitted.info().calibration.fitted_on.starts_with("gold.jsonl (48 items)"),
        "{:?}",
        fitted.info().calibration
    );
    assert_ne!(plain.info().id, fitted.info().id);
    let (plain_logits, logits) = (plain.logits_batch(&TEXTS).unwrap(), fitted.logits_batch(&TEXTS).unwrap());
    assert_eq!(plain_logits, logits, "calibration changes no logit");
    for (prediction, logits) in fitted.classify_batch(&TEXTS).unwrap().iter().zip(&logits) {
        let calibration = &fitted.info().calibration;
        for ((topic, logit), calibration) in prediction.topics().zip(&logits.topics).zip(&calibration.topics) {
            let expected = 1.0 / (1.0 + (-(calibration.scale * logit + calibration.offset)).exp());
            assert!((topic.probability - expected).abs() < 1e-6, "{}", topic.name);
        }
    }
    let changed = |classifier: &Classifier| classifier.classify_batch(&TEXTS).unwrap();
    assert_ne!(changed(&plain), changed(&fitted), "and it changes probabilities");

    // From a scheme with a calibration to one with another; numbers survive bit for bit.
    let again = folder.path().join("again.toml");
    tune("isotonic", &tuned, &again);
    let text = fs::read_to_string(&again).unwrap();
    assert_eq!(text.matches("# Calibration, written by detente tune").count(), 1);
    let calibration = open(&again).unwrap().info().calibration.clone();
    let file = ZeroShotScheme::open(&again).unwrap();
    let same = file.with_calibration(open(&again).unwrap().info().checkpoint.as_ref().unwrap(), &calibration);
    assert_eq!(same, text);

    let other = Classifier::builder().scheme(ZeroShotScheme::open(&tuned).unwrap()).open(checkpoint("deberta-nli-v4"));
    let error = other.unwrap_err().to_string();
    assert!(
        error.contains("tuned.toml: calibration.checkpoint is ") && error.contains("is for another one; fit it anew"),
        "{error}"
    );
    let error = Classifier::builder().scheme(scheme(&written.replacen("It is war.", "War.", 1)).unwrap()).open(&model);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("calibration.scheme is not the sha256 of the scheme above it") && error.contains("fit it anew"),
        "{error}"
    );
    let error = scheme(&written.replace("# Calibration, written", "# Written")).unwrap_err().to_string();
    assert!(error.contains("calibration stands without the line"), "{error}");
    let behind = format!("{written}\n[[topics]]\nname = \"late\"\nhypotheses = {{ en = [\"Late.\"] }}\n");
    let error = scheme(&behind).unwrap_err().to_string();
    assert!(error.contains("stand behind the calibration") && error.contains("move them"), "{error}");
}

#[test]
fn tune_does_not_write_over_anything() {
    let folder = tempfile::tempdir().unwrap();
    let gold = gold(folder.path());
    let (model, scheme) = (checkpoint("xlm-roberta-nli"), root().join("tests/fixtures/zero-shot.toml"));
    let fail = |output: &str| {
        failure(&[
            "tune",
            "--gold",
            &gold,
            "--model",
            text_of(&model),
            "--scheme",
            text_of(&scheme),
            "--output",
            output,
        ])
    };
    assert!(fail(text_of(&scheme)).contains("exists; tune writes a new file"));
    assert!(
        fail(text_of(&folder.path().join("tuned"))).contains("is not named .toml; with --scheme, tune writes a scheme")
    );
    let output = folder.path().join("none/tuned.toml");
    assert!(fail(text_of(&output)).contains("make it first"));
}
