//! The way round: paragraphs picked by the program, labelled, and read as gold.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use detente::Classifier;
use detente::eval::{Labels, read_gold_files};
use serde_json::{Value, json};

fn bundle() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny")
}

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
    let output = command.current_dir(folder).env("DETENTE_MODEL", bundle()).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A corpus of two files with paragraphs that occur twice.
fn corpus(folder: &Path) {
    let paragraph =
        |number: usize| format!("Meldung {} aus Ort {}: \"{}\".", number % 40, number % 7, "x; y, ".repeat(number % 4));
    let text: Vec<String> = (0..60).map(paragraph).collect();
    fs::write(folder.join("a.txt"), text.join("\n\n")).unwrap();
    let mut lines = String::new();
    for number in 30..70 {
        writeln!(lines, "{}", json!({"id": format!("n{number}"), "text": paragraph(number)})).unwrap();
    }
    fs::write(folder.join("b.jsonl"), lines).unwrap();
}

const SAMPLE: [&str; 7] = ["sample", "--corpus", "a.txt", "b.jsonl", "--count", "12", "--with-boilerplate"];

#[test]
fn a_filled_table_is_gold_and_an_empty_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    for name in ["one.csv", "two.csv"] {
        run(folder.path(), &[&SAMPLE[..], &["--output", name]].concat());
    }
    let table = fs::read_to_string(folder.path().join("one.csv")).unwrap();
    assert_eq!(table, fs::read_to_string(folder.path().join("two.csv")).unwrap(), "the same corpus, the same sample");
    let scheme = Classifier::open(bundle()).unwrap().info().scheme.clone();
    let path = folder.path().join("one.csv");
    let error = read_gold_files(&[&path], &scheme).unwrap_err().to_string();
    assert!(error.contains("no record has a label"), "what the bundle says is no label: {error}");

    let mut reader = csv::Reader::from_path(&path).unwrap();
    let header = reader.headers().unwrap().clone();
    let filled = folder.path().join("filled.csv");
    let mut writer = csv::Writer::from_path(&filled).unwrap();
    writer.write_record(&header).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    for row in &rows {
        let cells = row.iter().zip(&header).map(|(cell, name)| match name {
            "topics" => "sanctions;military",
            "escalation" => "-2",
            "boilerplate" => "no",
            _ => cell,
        });
        writer.write_record(cells).unwrap();
    }
    drop(writer);
    let gold = read_gold_files(&[&filled], &scheme).unwrap();
    assert_eq!(gold.len(), 12);
    for (item, row) in gold.iter().zip(&rows) {
        assert_eq!((item.id.as_str(), item.document.as_deref(), item.text.as_str()), (&row[0], Some(&row[1]), &row[3]));
        assert_eq!(
            item.labels,
            Labels { topics: Some(vec![true, false, true]), level: Some(0), boilerplate: Some(false) }
        );
    }
    let mut texts: Vec<&str> = gold.iter().map(|item| item.text.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 12, "no paragraph twice");
}

#[test]
fn tasks_come_back_from_label_studio() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    let output = run(folder.path(), &[&SAMPLE[..], &["--output", "tasks.json"]].concat());
    let config = String::from_utf8(output.stdout).unwrap();
    assert!(config.contains("<Choices name=\"topics\" toName=\"text\" choice=\"multiple\">"), "{config}");
    let path = folder.path().join("tasks.json");
    let mut tasks: Vec<Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(tasks.len(), 12);
    let classifier = Classifier::open(bundle()).unwrap();
    for task in &mut tasks {
        let prediction = task["predictions"][0].clone();
        assert_eq!(prediction["model_version"], classifier.info().id.as_str());
        // The coder agrees with everything: the export has the choices of the prediction as annotation.
        task["annotations"] = json!([{"result": prediction["result"], "was_cancelled": false, "completed_by": 1}]);
        for result in prediction["result"].as_array().unwrap() {
            for choice in result["value"]["choices"].as_array().unwrap() {
                assert!(config.contains(&format!("<Choice value={choice}")), "{choice}: {config}");
            }
        }
    }
    fs::write(&path, serde_json::to_vec(&tasks).unwrap()).unwrap();
    let gold = read_gold_files(&[&path], &classifier.info().scheme).unwrap();
    assert_eq!(gold.len(), 12);
    for item in gold {
        let prediction = classifier.classify(&item.text).unwrap();
        let topics: Vec<bool> = prediction.topics().map(|topic| topic.applies).collect();
        let code = prediction.escalation().unwrap().code;
        let level = classifier.info().scheme.scale.as_ref().unwrap().levels.iter().position(|level| level.code == code);
        assert_eq!(
            item.labels,
            Labels { topics: Some(topics), level, boilerplate: Some(prediction.is_boilerplate()) },
            "{}",
            item.text
        );
    }
}

#[test]
fn records_come_back_from_argilla() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    let output = run(folder.path(), &[&SAMPLE[..], &["--format", "argilla", "--output", "records.json"]].concat());
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let questions = settings["questions"].as_array().unwrap();
    let names: Vec<&str> = questions.iter().map(|question| question["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["topics", "escalation", "boilerplate"]);
    let options = |question: &str| {
        let place = names.iter().position(|name| *name == question).unwrap();
        let options = questions[place]["settings"]["options"].as_array().unwrap();
        options.iter().map(|option| option["value"].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(options("escalation"), ["-2", "-1", "0", "1", "2"]);
    let path = folder.path().join("records.json");
    let records: Vec<Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(records.len(), 12);
    // The first coder agrees with everything, the second one calls everything boilerplate; as a flat export has it.
    let labelled = records.iter().map(|record| {
        let mut flat =
            json!({"id": record["id"], "text": record["fields"]["text"], "document": record["metadata"]["document"]});
        assert!(record["metadata"]["lang"].is_string() && record["metadata"]["uncertainty"].is_number());
        for (question, suggestion) in record["suggestions"].as_object().unwrap() {
            let value = &suggestion["value"];
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            assert!(
                !values.is_empty() && values.iter().all(|value| options(question).contains(value)),
                "{question}: {value}"
            );
            let scores = suggestion["score"].as_array().cloned().unwrap_or_else(|| vec![suggestion["score"].clone()]);
            assert!(scores.iter().all(|score| (0.0..=1.0).contains(&score.as_f64().unwrap())), "{suggestion}");
            assert_eq!(scores.len(), values.len());
            assert!(!suggestion["agent"].as_str().unwrap().contains(['@', '+']), "Argilla refuses these");
            let mut answers = vec![value.clone()];
            answers.extend((question == "boilerplate").then(|| json!("yes")));
            flat[format!("{question}.responses")] = json!(answers);
            flat[format!("{question}.responses.users")] = json!(["one", "two"][..answers.len()]);
            flat[format!("{question}.responses.status")] = json!(["submitted", "submitted"][..answers.len()]);
        }
        flat
    });
    let labelled: Vec<Value> = labelled.collect();
    fs::write(&path, serde_json::to_vec(&labelled).unwrap()).unwrap();
    let classifier = Classifier::open(bundle()).unwrap();
    let gold = read_gold_files(&[&path], &classifier.info().scheme).unwrap();
    assert_eq!(gold.len(), 12);
    for item in gold {
        let prediction = classifier.classify(&item.text).unwrap();
        let topics: Vec<bool> = prediction.topics().map(|topic| topic.applies).collect();
        let code = prediction.escalation().unwrap().code;
        let level = classifier.info().scheme.scale.as_ref().unwrap().levels.iter().position(|level| level.code == code);
        let boilerplate = Some(prediction.is_boilerplate());
        assert_eq!(item.labels, Labels { topics: Some(topics), level, boilerplate }, "{}", item.text);
        let second = Labels { boilerplate: Some(true), ..Labels::default() };
        assert_eq!((item.second, item.second_annotator.as_deref()), (Some(second), Some("two")));
        assert!(item.document.is_some());
    }
}
