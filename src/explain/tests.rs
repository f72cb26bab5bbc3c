//! Explanations of a reader whose words have known weights.

use std::path::Path;
use std::sync::Arc;

use crate::classifier::Classifier;
use crate::error::Result;
use crate::explain::{ExplainOptions, Explanation, Target, explain, explain_with};
use crate::label::{Prediction, PredictionParts, Scale, ScaleLevel, Scheme, Topic};

fn scheme() -> Arc<Scheme> {
    let level = |code| ScaleLevel { code, name: format!("level {code}") };
    Arc::new(Scheme {
        topics: vec![Topic { name: "military".into(), description: String::new() }],
        scale: Some(Scale { name: "escalation".into(), levels: vec![level(-1), level(1)] }),
        boilerplate: true,
    })
}

/// `gun` raises the topic by a quarter, `peace` lowers the expected level by a half, `cookie` raises boilerplate by an
/// eighth: a token a word.
fn read(texts: &[String]) -> Result<Vec<Prediction>> {
    let read = |text: &String| {
        let count = |word: &str| text.split(' ').filter(|other| *other == word).count() as f32;
        let low = 0.25 + count("peace") * 0.25;
        let topic = 0.25 + count("gun") * 0.25;
        let boilerplate = 0.125 + count("cookie") * 0.125;
        let parts = PredictionParts {
            topic_probabilities: vec![topic],
            topic_applies: vec![topic >= 0.5],
            level_probabilities: vec![low, 1.0 - low],
            boilerplate_probability: Some(boilerplate),
            is_boilerplate: boilerplate >= 0.25,
            windows: 1,
            tokens: text.split(' ').count(),
            ..PredictionParts::default()
        };
        Prediction::from_parts(scheme(), parts)
    };
    Ok(texts.iter().map(read).collect())
}

fn strongest(explanation: &Explanation, text: &str, target: Target) -> Vec<(String, f32)> {
    let strongest = explanation.strongest(target, 0.01);
    strongest.into_iter().map(|(part, weight)| (text[part.byte_range()].to_owned(), weight)).collect()
}

#[test]
fn words_have_the_weight_that_they_move() {
    let text = "a gun, and peace for a cookie";
    let text = text.replace(',', " ,");
    let explanation = explain_with(&text, &ExplainOptions::default(), read).unwrap();
    assert_eq!(explanation.readings(), 7);
    assert_eq!(strongest(&explanation, &text, Target::Topic(0)), [("gun".to_owned(), 0.25)]);
    assert_eq!(strongest(&explanation, &text, Target::Scale), [("peace".to_owned(), -0.5)]);
    assert_eq!(strongest(&explanation, &text, Target::Boilerplate), [("cookie".to_owned(), 0.125)]);
    assert_eq!(Target::decided(explanation.prediction()), [Target::Boilerplate]);
}

#[test]
fn a_long_text_is_searched_for_the_words_within_its_readings() {
    let mut words = vec!["the"; 3000];
    words[1234] = "gun";
    words[77] = "peace";
    let text = words.join(" ");
    for max_readings in [1, 3, 8, 20, 40, 128] {
        let options = ExplainOptions { max_readings, max_tokens: usize::MAX };
        let mut readings = 0;
        let counted = |texts: &[String]| {
            readings += texts.len();
            read(texts)
        };
        let explanation = explain_with(&text, &options, counted).unwrap();
        assert!(explanation.readings() <= max_readings, "{} of {max_readings}", explanation.readings());
        assert_eq!(readings, explanation.readings() + 1);
        let parts = explanation.parts();
        assert_eq!(parts.iter().map(|part| part.words()).sum::<usize>(), words.len());
        assert!(parts.windows(2).all(|pair| pair[0].byte_range().end < pair[1].byte_range().start));
        for (target, word) in [(Target::Topic(0), "gun"), (Target::Scale, "peace")] {
            let found = strongest(&explanation, &text, target);
            assert_eq!(found.len(), 1, "{max_readings} readings");
            assert!(found[0].0.split(' ').any(|other| other == word));
            assert_eq!(found[0].0 == word, max_readings == 128, "{max_readings} readings: {} bytes", found[0].0.len());
        }
    }
}

#[test]
fn readings_are_bounded_by_tokens_too() {
    assert_eq!(ExplainOptions { max_readings: 3, max_tokens: 1 }.readings(1000), 3);
    let options = ExplainOptions { max_readings: 100, max_tokens: 1000 };
    for (tokens, readings) in [(0, 100), (1, 100), (10, 100), (20, 50), (125, 8), (1_000_000, 8)] {
        assert_eq!(options.readings(tokens), readings, "{tokens} tokens");
    }
}

#[test]
fn texts_of_one_word_and_of_none() {
    let options = ExplainOptions::default();
    let one = explain_with("gun", &options, read).unwrap();
    assert_eq!(strongest(&one, "gun", Target::Topic(0)), [("gun".to_owned(), 0.25)]);
    let none = explain_with("***", &options, read).unwrap();
    assert_eq!((none.parts(), none.readings()), (&[][..], 0));
}

#[test]
fn the_prediction_is_that_of_the_classifier() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for bundle in ["tiny", "fake"] {
        let classifier = Classifier::open(fixtures.join(bundle)).unwrap();
        for text in ["Die Waffenruhe hält seit drei Tagen.", "部长们讨论了停火问题。", "...", "one"] {
            let explanation = explain(&classifier, text, &ExplainOptions::default()).unwrap();
            assert_eq!(explanation.prediction(), &classifier.classify(text).unwrap(), "{bundle}: {text}");
            for part in explanation.parts() {
                let rest = text.replacen(&text[part.byte_range()], "", 1);
                let rest = if rest.is_empty() { "." } else { &rest };
                let without = classifier.classify(rest).unwrap();
                for target in Target::all(&classifier.info().scheme) {
                    let weight = target.value(explanation.prediction()) - target.value(&without);
                    assert_eq!(explanation.weight(part, target), weight, "{bundle}: {text}");
                }
            }
        }
        let blank = explain(&classifier, " ", &ExplainOptions::default());
        assert!(blank.is_err_and(|error| error.to_string().contains("blank")));
    }
}
