//! A fitted bundle is a bundle like any other: it opens, classifies the same from program and library, and is made
//! the same way twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use detente::Classifier;
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

const TOPICS: [(&str, &[&str]); 2] = [
    ("energy", &["The pipeline delivers gas.", "Power plants burn coal.", "Der Strompreis steigt."]),
    ("weather", &["Rain is expected.", "Der Winter bleibt mild.", "A storm hit the coast."]),
];

/// Labelled lines: two topics, three levels, boilerplate.
fn training(folder: &Path) -> PathBuf {
    let mut lines = String::new();
    for number in 0..90 {
        let (topic, texts) = TOPICS[number % 2];
        let topics = if number % 5 == 0 { "[]".to_owned() } else { format!("[\"{topic}\"]") };
        let (text, level) = (texts[number % 3], number % 3);
        let long = if number % 11 == 0 { "And so on, and on. ".repeat(40) } else { String::new() };
        writeln!(
            lines,
            r#"{{"id": {number}, "text": "{text} {number} {long}", "topics": {topics}, "escalation": {level}, "boilerplate": {}, "document": {}}}"#,
            number % 4 == 0,
            number / 2
        )
        .unwrap();
    }
    let path = folder.join("train.jsonl");
    fs::write(&path, lines).unwrap();
    path
}

fn run(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_detente")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn fit(base: &Path, train: &Path, output: &Path, more: &[&str]) {
    let [base, train, output] = [base, train, output].map(|path| path.to_str().unwrap());
    let args = ["fit", "--model", base, "--train", train, "--output", output, "--name", "mine", "--replicates", "100"];
    run(&[&args, more].concat());
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_fitted_bundle_classifies_the_same_from_program_and_library() {
    let folder = tempfile::tempdir().unwrap();
    let (train, output) = (training(folder.path()), folder.path().join("new"));
    fit(&fixture("tiny"), &train, &output, &[]);
    let classifier = Classifier::open(&output).unwrap();
    let info = classifier.info();
    assert!(info.id.starts_with("mine@1+"), "{}", info.id);
    let names: Vec<&str> = info.scheme.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["weather", "energy"], "in the order of the data");
    assert_eq!(info.scheme.level_count(), 3);
    assert!(info.scheme.boilerplate);
    let sha256 = info.calibration.fitted_on.split("sha256 ").nth(1).unwrap().split(')').next().unwrap();
    assert_eq!(sha256.len(), 64);
    assert!(info.card.contains(sha256) && info.card.contains("cross-validated"), "{}", info.card);

    let text = "The pipeline delivers gas to the coast, and rain is expected.";
    let document = folder.path().join("text.txt");
    fs::write(&document, text).unwrap();
    let args = ["classify", document.to_str().unwrap(), "--model", output.to_str().unwrap(), "--format", "jsonl"];
    let record: Value = serde_json::from_slice(&run(&args).stdout).unwrap();
    let prediction = classifier.classify(text).unwrap();
    let same = |found: &Value, expected: f32| (found.as_f64().unwrap() - f64::from(expected)).abs() < 1e-6;
    for topic in prediction.topics() {
        assert!(same(&record["topic_probabilities"][topic.name], topic.probability), "{}: {record}", topic.name);
    }
    for (code, &probability) in prediction.escalation_probabilities().iter().enumerate() {
        assert!(same(&record["escalation_probabilities"][code.to_string()], probability), "{code}: {record}");
    }
    assert_eq!(record["escalation"], prediction.escalation().unwrap().code);
    assert!(same(&record["boilerplate_probability"], prediction.boilerplate().unwrap()));
}

#[test]
fn the_same_data_make_the_same_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let train = training(folder.path());
    let made = ["one", "two"].map(|name| {
        let output = folder.path().join(name);
        fit(&fixture("tiny"), &train, &output, &["--threads", if name == "one" { "1" } else { "2" }]);
        files(&output)
    });
    assert!(made[0] == made[1]);
    assert!(made[0]["encoder.safetensors"] == fs::read(fixture("tiny/encoder.safetensors")).unwrap());
}

#[test]
fn from_is_short_for_a_bundle_whose_heads_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (train, long, short) = (training(folder.path()), folder.path().join("long"), folder.path().join("short"));
    fit(&fixture("tiny"), &train, &long, &["--keep-heads"]);
    // It comes before what --model, or the variable in its stead, says.
    fit(&fixture("fake"), &train, &short, &["--from", fixture("tiny").to_str().unwrap()]);
    assert!(files(&long) == files(&short));
}

#[test]
fn kept_heads_say_what_they_said_and_new_topics_stand_behind_them() {
    // The second one has a dense layer before its heads, and windows of few tokens.
    for base in [fixture("tiny"), fixture("tiny/int8"), fixture("fake")] {
        let folder = tempfile::tempdir().unwrap();
        let (train, output) = (training(folder.path()), folder.path().join("new"));
        fit(&base, &train, &output, &["--keep-heads"]);
        let [old, new] = [&base, &output].map(|bundle| Classifier::open(bundle).unwrap());
        let count = old.info().scheme.topics.len();
        assert_eq!(new.info().scheme.topics.len(), count + 2);
        assert_eq!(new.info().scheme.topics[..count], old.info().scheme.topics);
        assert_eq!(new.info().scheme.scale, old.info().scheme.scale);
        assert!(new.info().calibration.fitted_on.contains("weather, energy: train.jsonl (90 items, sha256 "));
        for text in ["Troops crossed the river.", &"A long text. ".repeat(100)] {
            let [before, after] = [&old, &new].map(|bundle| bundle.classify(text).unwrap());
            let topics: Vec<f32> = before.topics().map(|topic| topic.probability).collect();
            let kept: Vec<f32> = after.topics().take(count).map(|topic| topic.probability).collect();
            assert_eq!(kept, topics, "{}", base.display());
            assert_eq!(after.escalation_probabilities(), before.escalation_probabilities());
            assert_eq!(after.boilerplate(), before.boilerplate());
        }
    }
}
