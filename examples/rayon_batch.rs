//! A corpus in a program that is parallel by rayon: files are read and split on rayon's threads, the paragraphs of many files go
//! to the classifier in one call, and what is made of the labels is rayon's again.
//!
//! The classifier has threads of its own. Called from inside a parallel iterator it would give the same labels, but rayon's
//! threads would wait for the classifier's, and two sets of threads would share the cores.
//!
//! Command: `cargo run --release --example rayon_batch [FILE]...`
//! In:      files of any kind that `detente classify` reads, by default all plain texts beside this one
//! Out:     one line a document, in the order of the files: paragraphs that are content, mean expected escalation, id

#![allow(clippy::print_stdout, reason = "the output of this program is what it prints")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use detente::output::Summary;
use detente::text::{self, ReadOptions, detect_language};
use detente::{Classifier, Document, Prediction};
use rayon::prelude::*;

/// Files in memory at once.
const TOGETHER: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|end| end == "txt"));
        files.sort();
    }
    let classifier = Classifier::embedded()?;
    for files in files.chunks(TOGETHER) {
        let documents: Vec<Vec<Document>> = files.par_iter().map(|file| read(file)).collect::<detente::Result<_>>()?;
        let documents: Vec<Document> = documents.into_iter().flatten().collect();
        let texts: Vec<Vec<&str>> = documents.par_iter().map(paragraphs).collect();
        let predictions = classifier.classify_batch(&texts.concat())?;
        // The predictions of each document, in its order.
        let mut rest = predictions.as_slice();
        let labelled: Vec<(&Document, &[Prediction])> = documents
            .iter()
            .zip(&texts)
            .map(|(document, texts)| (document, rest.split_off(..texts.len()).unwrap_or_default()))
            .collect();
        let lines: Vec<String> = labelled.into_par_iter().map(|labelled| line(&classifier, labelled)).collect();
        for line in lines {
            println!("{line}");
        }
    }
    Ok(())
}

fn read(file: &Path) -> detente::Result<Vec<Document>> {
    text::open(file, &ReadOptions::default())?.collect()
}

fn paragraphs(document: &Document) -> Vec<&str> {
    document.paragraphs().map(|paragraph| paragraph.text()).collect()
}

fn line(classifier: &Classifier, (document, predictions): (&Document, &[Prediction])) -> String {
    let mut summary = Summary::new(classifier.info().scheme.clone());
    for (paragraph, prediction) in document.paragraphs().zip(predictions) {
        summary.add(&paragraph, prediction, detect_language(paragraph.text()));
    }
    let mean = summary.escalation_mean().map_or("–".into(), |mean| format!("{mean:+.2}"));
    format!("{:>3} of {:>3}  {mean:>5}  {}", summary.content(), summary.paragraphs(), document.id())
}
