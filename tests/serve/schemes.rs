//! Checkpoints behind the server: a zero-shot scheme, whose queue schedules pairs as it does windows, and one label of many.

use detente::{Classifier, ZeroShotScheme};
use serde_json::json;

use crate::serve::client::{Running, fixture, options};

#[test]
fn answers_are_those_of_the_library() {
    let open = || {
        let scheme = ZeroShotScheme::open(fixture("zero-shot.toml"))?;
        Classifier::builder().threads(2).scheme(scheme).open(fixture("checkpoints/xlm-roberta-nli"))
    };
    let long = "Der Rat hob die Sanktionen auf. ".repeat(9);
    let texts = ["Nein.", "Der Rat hob die Sanktionen auf.", "两国恢复谈判。", long.as_str(), "The guns fell silent."];
    let server = Running::open(options(), Box::new(open));
    let answer = server.post("/v1/classify", &json!({"texts": texts})).json();
    server.stop().unwrap();
    let classifier = open().unwrap();
    assert_eq!(answer["bundle"], classifier.info().id.as_str());
    let paragraphs = answer["paragraphs"].as_array().unwrap();
    assert_eq!(paragraphs.len(), texts.len());
    for (paragraph, text) in paragraphs.iter().zip(texts) {
        let prediction = classifier.classify(text).unwrap();
        assert_eq!(paragraph["windows"], prediction.windows(), "{text}");
        for (index, topic) in prediction.topics().enumerate() {
            assert_eq!(paragraph["topics"][index]["name"], topic.name);
            let found = paragraph["topics"][index]["probability"].as_f64().unwrap();
            // Answers have six decimals.
            assert!((found - f64::from(topic.probability)).abs() < 1e-6, "{text}: {paragraph}");
        }
    }
}

#[test]
fn of_one_label_of_many_at_most_one_applies() {
    let open = || Classifier::open(fixture("checkpoints/bert-single"));
    let server = Running::open(options(), Box::new(open));
    let texts = ["Nein.", "Der Rat hob die Sanktionen auf.", "The guns fell silent."];
    let answer = server.post("/v1/classify", &json!({"texts": texts})).json();
    let classifier = open().unwrap();
    for (paragraph, text) in answer["paragraphs"].as_array().unwrap().iter().zip(texts) {
        let applies: Vec<bool> = classifier.classify(text).unwrap().topics().map(|topic| topic.applies).collect();
        assert!(applies.len() > 1 && applies.iter().filter(|&&applies| applies).count() <= 1, "{applies:?}");
        let answered: Vec<bool> =
            paragraph["topics"].as_array().unwrap().iter().map(|topic| topic["applies"] == true).collect();
        assert_eq!(answered, applies, "{text}");
    }
    // A request's threshold is one more condition.
    let thresholds: serde_json::Map<_, _> =
        classifier.info().scheme.topics.iter().map(|topic| (topic.name.clone(), json!(1.0))).collect();
    let answer = server.post("/v1/classify", &json!({"texts": texts, "options": {"thresholds": thresholds}})).json();
    assert!(answer["paragraphs"][0]["topics"].as_array().unwrap().iter().all(|topic| topic["applies"] == false));
    server.stop().unwrap();
}
