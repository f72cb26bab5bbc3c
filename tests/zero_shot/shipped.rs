//! The shipped scheme, and the one in the documentation.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use detente::text::detect_language;
use detente::{Classifier, ZeroShotScheme};

use super::{checkpoint, numbers, root, scheme};

/// A checkpoint of a family without a table of positions, told to take long windows.
pub(crate) fn with_long_windows(folder: &Path) {
    for file in fs::read_dir(checkpoint("modernbert-nli")).unwrap() {
        let from = file.unwrap().path();
        let text = fs::read(&from).unwrap();
        let text = match from.extension().is_some_and(|end| end == "json") && from.file_stem().unwrap() != "tokenizer" {
            true => String::from_utf8(text)
                .unwrap()
                .replace("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 512")
                .replace("\"model_max_length\": 64", "\"model_max_length\": 512")
                .into_bytes(),
            false => text,
        };
        fs::write(folder.join(from.file_name().unwrap()), text).unwrap();
    }
}

#[test]
fn the_shipped_scheme_covers_the_languages_and_the_labels_of_the_shipped_bundle() {
    let conflict = ZeroShotScheme::open(root().join("eval/schemes/conflict.toml")).unwrap();
    assert_eq!(conflict.languages(), ["ar", "cs", "de", "en", "es", "fr", "it", "pl", "ru", "tr", "uk", "zh"]);
    let topics: Vec<&str> = conflict.scheme().topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(topics, ["military", "diplomacy", "sanctions"]);
    let scale = conflict.scheme().scale.as_ref().unwrap();
    assert_eq!(
        (scale.name.as_str(), scale.levels.iter().map(|level| level.code).collect::<Vec<_>>()),
        ("escalation", vec![-2, -1, 0, 1, 2])
    );
    assert!(conflict.scheme().boilerplate);

    let folder = tempfile::tempdir().unwrap();
    with_long_windows(folder.path());
    let classifier = Classifier::builder().scheme(conflict).open(folder.path()).unwrap();
    assert_eq!(classifier.info().max_length, 512);
    let pairs = classifier.info().checkpoint.as_ref().unwrap().zero_shot.as_ref().unwrap().pairs;
    assert_eq!(pairs, 17, "in every language as many sentences");
    for text in [
        "Troops crossed the river at night.",
        "وقف إطلاق النار بين الجانبين",
        "停火协议已经签署",
        "Посол вернулся в столицу, чтобы вести переговоры.",
    ] {
        let prediction = classifier.classify(text).unwrap();
        assert!(numbers(&prediction).iter().all(|number| (0.0..=1.0).contains(number)), "{text}");
        assert_eq!(prediction.windows(), 1);
    }
}

/// Sentences in the shipped scheme are in the language that they are listed under.
#[test]
fn shipped_hypotheses_are_in_their_languages() {
    let file = fs::read_to_string(root().join("eval/schemes/conflict.toml")).unwrap();
    let toml: toml::Table = file.parse().unwrap();
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::<String, usize>::new();
    let labels = toml["topics"]
        .as_array()
        .unwrap()
        .iter()
        .chain(toml["scale"]["levels"].as_array().unwrap())
        .chain([&toml["boilerplate"]]);
    for label in labels {
        for (code, sentences) in label["hypotheses"].as_table().unwrap() {
            for sentence in sentences.as_array().unwrap() {
                let sentence = sentence.as_str().unwrap();
                *counts.entry(code.clone()).or_default() += 1;
                let found = detect_language(sentence).code();
                if found != code && found != "und" {
                    wrong.push(format!("{code}: {sentence} ({found})"));
                }
            }
        }
    }
    assert!(counts.len() == 12 && counts.values().all(|count| *count == 17), "{counts:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_scheme_in_the_documentation_opens() {
    let page = fs::read_to_string(root().join("docs/zero-shot.md")).unwrap();
    let toml = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let energy = scheme(toml).unwrap();
    assert_eq!((energy.name(), energy.languages()), ("energy", vec!["de", "en"]));
}
