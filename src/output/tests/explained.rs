//! Explanations in the formats that have a place for them.

use std::convert::Infallible;

use dom_query::Document as Page;
use serde_json::{Value, json};

use crate::explain::{ExplainOptions, Explanation, explain_with};
use crate::label::Prediction;
use crate::output::tests::fixture::{BUNDLE, boilerplate, rated, shipped};
use crate::output::{DocumentRecord, Format, ParagraphRecord, Summary, TableOptions, WriterOptions, writer};
use crate::text::{Document, Language};

/// The first word of `texts` moves military, the word `Talks` the level, and one that is markup too; without `Cookies`
/// nothing is boilerplate.
fn read(texts: &[String]) -> Result<Vec<Prediction>, Infallible> {
    let read = |text: &String| {
        let has = |word: &str| text.contains(word);
        if has("Cookies") {
            return boilerplate();
        }
        let military = if has("Troops") { 0.9 } else { 0.2 };
        rated(if has("Talks") { -1.5 } else { 0.0 } + if has("script") { 0.5 } else { 0.0 }, [military, 0.1, 0.0])
    };
    Ok(texts.iter().map(read).collect())
}

fn written(format: Format, width: usize, text: &str) -> String {
    let document = Document::from_text("a.txt", text);
    let mut options = WriterOptions::new(format, shipped());
    options.table = TableOptions { width, ..TableOptions::default() };
    let mut out = Vec::new();
    let mut writer = writer(&mut out, options).unwrap();
    let mut summary = Summary::new(shipped());
    for paragraph in document.paragraphs() {
        let explanation: Explanation = explain_with(paragraph.text(), &ExplainOptions::default(), read).unwrap();
        let language = Language::UNDETERMINED;
        summary.add(&paragraph, explanation.prediction(), language);
        let record = ParagraphRecord {
            document: &document,
            paragraph: &paragraph,
            prediction: explanation.prediction(),
            language,
            language_validated: true,
            bundle: BUNDLE,
            explanation: Some(&explanation),
        };
        writer.paragraph(&record).unwrap();
    }
    writer.document(&DocumentRecord { document: &document, summary: &summary, bundle: BUNDLE }).unwrap();
    writer.finish().unwrap();
    drop(writer);
    String::from_utf8(out).unwrap()
}

const TEXT: &str = "Cookies here.\n\nTroops left. Talks began.";

#[test]
fn weights_in_json_lines() {
    let lines = written(Format::Jsonl, 80, TEXT);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let explanation = &records[1]["explanation"];
    assert_eq!(explanation["readings"], 4);
    let parts = explanation["parts"].as_array().unwrap();
    let texts: Vec<&Value> = parts.iter().map(|part| &part["text"]).collect();
    assert_eq!(texts, ["Troops", "left", "Talks", "began"]);
    for part in parts {
        let [start, end] = ["start", "end"].map(|name| part[name].as_u64().unwrap() as usize);
        assert_eq!(&TEXT[start..end], part["text"]);
    }
    let troops = json!({
        "start": 15, "end": 21, "text": "Troops", "words": 1, "boilerplate_probability": 0.0,
        "topic_probabilities": {"military": 0.7, "diplomacy": 0.0, "sanctions": 0.0}, "escalation_expected": 0.0
    });
    assert_eq!(parts[0], troops);
    assert!(parts[2]["escalation_expected"].as_f64().unwrap() < -1.0, "{}", parts[2]);
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/output.md")).unwrap();
    for name in parts[0].as_object().unwrap().keys().filter(|name| *name != "end") {
        assert!(docs.contains(&format!("| `parts[].{name}`")), "{name}");
    }
}

#[test]
fn words_below_a_row_of_the_table() {
    let table = written(Format::Table, 80, TEXT);
    let why: Vec<&str> = table.lines().filter(|line| line.contains(" by ")).collect();
    assert_eq!(
        why,
        ["    boilerplate by Cookies +0.97", "    military by Troops +0.70", "    escalation by Talks -1.46"],
        "{table}"
    );
    assert!(written(Format::Table, 80, "Nothing here.").contains("    escalation by no single word\n"));
    for width in [30, 40, 61] {
        for line in written(Format::Table, width, &TEXT.replace("Troops", &"Troops".repeat(9))).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn words_underlined_on_the_page() {
    let text = format!("{TEXT} <script>alert(1)</script> & so");
    let page = Page::from(written(Format::Html, 80, &text));
    let select = |selector: &str| page.select(selector).iter().map(|node| node.text().to_string()).collect::<Vec<_>>();
    assert_eq!(select("p.text"), ["Cookies here.", &text[15..]]);
    assert_eq!(select("#d0p0 .why.up"), ["Cookies"]);
    assert_eq!(select("#d0p1 .why.down.w3"), ["Talks"]);
    assert!(select("#d0p1 .why").len() <= 3);
    assert!(page.select("#d0p1 .why.down").attr("title").unwrap().starts_with("escalation: −1."));
    assert_eq!(select("#d0p1 .reasons dt"), ["military by", "escalation by"]);
    assert_eq!(select("script").len(), 0);
}
