//! A zero-shot scheme behind the server, whose queue schedules pairs as it does windows.

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
