//! Texts, ids and fields of hostile characters through every writer: what is read back is what was given.

use dom_query::Document as Page;
use serde_json::{Map, Value, json};

use crate::output::table::cell;
use crate::output::tests::fixture::{Labelled, boilerplate, rated, shipped, written};
use crate::output::{By, Format, TableOptions, WriterOptions};
use crate::text::Document;

/// What breaks formats: quotes, delimiters, line ends, markup, controls, wide, combining and right-to-left characters.
const ALPHABET: [&str; 40] = [
    "\"",
    "'",
    ",",
    ";",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\\",
    "\0",
    "\u{1b}[31m",
    "\u{7}",
    "\u{7f}",
    "\u{85}",
    "\u{9b}",
    "<",
    ">",
    "&",
    "&lt;",
    "<!--",
    "]]>",
    "</p>",
    "=",
    "+",
    "@",
    "#",
    "%",
    "é",
    "e\u{301}",
    "\u{202e}",
    "\u{200d}",
    "\u{feff}",
    "\u{2028}",
    "协",
    "ــلا",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "\u{10ffff}",
    " ",
    "word",
];

#[test]
fn noise_comes_back_unchanged() {
    let documents: Vec<Labelled> = (0..200).map(document).collect();
    let jsonl = written(WriterOptions::new(Format::Jsonl, shipped()), &documents);
    let csv =
        written(WriterOptions { fields: vec!["a".into()], ..WriterOptions::new(Format::Csv, shipped()) }, &documents);
    let mut lines = jsonl.split_terminator('\n');
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let header = rows.headers().unwrap().clone();
    let mut rows = rows.records();
    for (document, _) in &documents {
        for paragraph in document.paragraphs() {
            let record: Map<String, Value> = serde_json::from_str(lines.next().unwrap()).unwrap();
            assert_eq!(record["text"], paragraph.text());
            assert_eq!(record["document"], document.id());
            assert_eq!(record["fields"], Value::Object(document.fields().clone()));
            let row = rows.next().unwrap().unwrap();
            let cell = |name: &str| &row[header.iter().position(|column| column == name).unwrap()];
            assert_eq!(cell("text"), paragraph.text());
            assert_eq!(cell("document"), document.id());
            assert_eq!(cell("fields.a"), document.fields()["a"]);
            let others: Value = serde_json::from_str(cell("other_fields")).unwrap();
            assert_eq!(others["b"], document.fields()["b"]);
        }
    }
    assert!(lines.next().is_none() && rows.next().is_none());
}

#[test]
fn noise_stays_text_on_the_page() {
    let documents: Vec<Labelled> = (0..200).map(document).collect();
    let page = Page::from(written(WriterOptions::new(Format::Html, shipped()), &documents));
    let mut texts = page.select("section.para p.text").iter();
    for (document, _) in &documents {
        for paragraph in document.paragraphs() {
            // A parser of HTML reads every line end as a line feed.
            let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
            let kept = |character: char| {
                if character.is_control() && !"\t\n\r".contains(character) { '\u{fffd}' } else { character }
            };
            let given: String = paragraph.text().chars().map(kept).collect();
            assert_eq!(lines(&texts.next().unwrap().text()), lines(&given));
        }
    }
    assert!(texts.next().is_none());
}

#[test]
fn noise_does_not_steer_the_terminal() {
    let documents: Vec<Labelled> = (0..100).map(document).collect();
    for width in [30, 59, 60, 80] {
        for full_text in [false, true] {
            let table = TableOptions { width, full_text, colour: false };
            for by in [By::Paragraph, By::Document] {
                let table = table.clone();
                let drawn =
                    written(WriterOptions { table, by, ..WriterOptions::new(Format::Table, shipped()) }, &documents);
                assert!(!drawn.contains(|character: char| character.is_control() && character != '\n'));
                let widest = drawn.lines().max_by_key(|line| cell::width(line)).unwrap();
                assert!(cell::width(widest) <= width, "{width}: {widest:?}");
            }
        }
    }
}

/// The same noise for the same seed.
fn document(seed: u64) -> Labelled {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = |length: u64| -> String {
        let mut draw = || {
            // xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        (0..draw() % length).map(|_| ALPHABET[(draw() % ALPHABET.len() as u64) as usize]).collect()
    };
    let fields = json!({"a": noise(6), "b": [noise(6), null, 1.5]});
    let document = Document::from_text(noise(12), noise(60)).with_fields(fields.as_object().cloned().unwrap());
    let label =
        |index: usize| if index % 4 == 3 { boilerplate() } else { rated(index as f32 % 5.0 - 2.0, [0.9, 0.1, 0.6]) };
    let predictions = document.paragraphs().enumerate().map(|(index, _)| label(index)).collect();
    (document, predictions)
}
