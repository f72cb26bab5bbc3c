//! The library in a program of one's own: the bundle is opened once and shared by threads, each of which labels a file.
//!
//! Command: `cargo run --release --example embed [FILE]...`
//! In:      plain-text files, by default two of the articles beside this one
//! Out:     one line a paragraph: level, probability of boilerplate, topics, the beginning of the text

#![allow(clippy::print_stdout, reason = "the output of this program is what it prints")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs, thread};

use detente::{Classifier, Document};

const SHOWN_CHARACTERS: usize = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
        files = ["grain-corridor.txt", "kouan.txt"].map(|name| folder.join(name)).to_vec();
    }
    let documents: Vec<Document> = files
        .iter()
        .map(|file| Ok(Document::from_text(file.display().to_string(), fs::read_to_string(file)?)))
        .collect::<Result<_, std::io::Error>>()?;

    let classifier = Arc::new(Classifier::embedded()?);
    let workers: Vec<_> = documents
        .into_iter()
        .map(|document| {
            let classifier = Arc::clone(&classifier);
            thread::spawn(move || lines(&classifier, &document))
        })
        .collect();
    for worker in workers {
        for line in worker.join().expect("classifying does not panic")? {
            println!("{line}");
        }
    }
    Ok(())
}

/// One line for each paragraph of a document.
fn lines(classifier: &Classifier, document: &Document) -> detente::Result<Vec<String>> {
    let predictions = classifier.classify_document(document)?;
    let lines = document.paragraphs().zip(&predictions).map(|(paragraph, prediction)| {
        let topics: Vec<&str> = prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name).collect();
        let level = prediction.escalation().map_or(0, |level| level.code);
        let beginning: String = paragraph.text().chars().take(SHOWN_CHARACTERS).collect();
        format!("{level:>2}  {:.2}  {:28}  {beginning}", prediction.boilerplate().unwrap_or(0.0), topics.join(" "))
    });
    Ok(lines.collect())
}
