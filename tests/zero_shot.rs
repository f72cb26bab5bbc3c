//! Zero-shot schemes on tiny checkpoints for natural-language inference: the numbers are those of the pipeline of transformers, and of the
//! pairs scored one by one. What is wrong with a scheme: [`faults`]. The program, and calibration: [`program`]. The schemes in `eval/schemes` and in the
//! documentation: [`shipped`].

mod faults;
mod program;
mod shipped;

use std::fs;
use std::path::{Path, PathBuf};

use detente::text::detect_language;
use detente::{Classifier, Nli, NliLogits, Prediction, ZeroShotScheme};
use serde::Deserialize;

/// Two f32 implementations of one graph, then exponentials.
const TOLERANCE: f32 = 1e-4;
/// The same logits, added in another order.
const SAME: f32 = 1e-5;

const CHECKPOINTS: [&str; 5] =
    ["bert-nli-v4", "xlm-roberta-nli", "distilbert-nli-v4", "deberta-nli-v4", "modernbert-nli"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn checkpoint(name: &str) -> PathBuf {
    root().join("tests/fixtures/checkpoints").join(name)
}

fn tiny() -> ZeroShotScheme {
    ZeroShotScheme::open(root().join("tests/fixtures/zero-shot.toml")).unwrap()
}

/// A scheme from text, in a file of this name.
fn scheme(toml: &str) -> detente::Result<ZeroShotScheme> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scheme.toml");
    fs::write(&path, toml).unwrap();
    ZeroShotScheme::open(path)
}

fn open(name: &str, scheme: ZeroShotScheme) -> detente::Result<Classifier> {
    Classifier::builder().scheme(scheme).open(checkpoint(name))
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

fn near(case: &str, found: f32, expected: f32, tolerance: f32) {
    assert!((found - expected).abs() < tolerance, "{case}: {found}, not {expected}");
}

/// Every number of a prediction: topics, levels, boilerplate.
fn numbers(prediction: &Prediction) -> Vec<f32> {
    let topics = prediction.topics().map(|topic| topic.probability);
    topics.chain(prediction.escalation_probabilities().iter().copied()).chain(prediction.boilerplate()).collect()
}

/// What the pipeline of transformers says of one text (`scripts/make_zero_shot.py`).
#[derive(Deserialize)]
struct Reference {
    checkpoint: String,
    text: String,
    language: String,
    topics: Vec<Vec<f32>>,
    levels: Vec<f32>,
    boilerplate: Vec<f32>,
}

#[test]
fn probabilities_are_those_of_the_pipeline_of_transformers() {
    let json = fs::read(root().join("tests/fixtures/zero-shot.json")).unwrap();
    let references: Vec<Reference> = serde_json::from_slice(&json).unwrap();
    // Several hypotheses of a label: their logits are averaged.
    let together =
        |scores: &[f32]| sigmoid(mean(&scores.iter().map(|score| (score / (1.0 - score)).ln()).collect::<Vec<_>>()));
    for name in CHECKPOINTS {
        let classifier = open(name, tiny()).unwrap();
        let of_checkpoint: Vec<&Reference> = references.iter().filter(|one| one.checkpoint == name).collect();
        assert_eq!(of_checkpoint.len(), 5, "{name}");
        for reference in of_checkpoint {
            let Reference { text, language, topics, levels, boilerplate, .. } = reference;
            assert_eq!(detect_language(text).code(), language, "{text}");
            let mut expected: Vec<f32> = topics.iter().map(|scores| together(scores)).collect();
            expected.extend(levels);
            expected.push(together(boilerplate));
            let prediction = classifier.classify(text).unwrap();
            for (index, (found, expected)) in numbers(&prediction).iter().zip(&expected).enumerate() {
                near(&format!("{name}: {text}: {index}"), *found, *expected, TOLERANCE);
            }
            let applies: Vec<bool> = prediction.topics().map(|topic| topic.applies).collect();
            let is_boilerplate = expected[5] >= 0.6;
            let wanted = [expected[0] >= 0.5 && !is_boilerplate, expected[1] >= 0.4 && !is_boilerplate];
            assert_eq!((applies, prediction.is_boilerplate()), (wanted.to_vec(), is_boilerplate), "{name}: {text}");
        }
    }
}

/// The logits of a text with each of the sentences.
fn judged(nli: &Nli, text: &str, sentences: &[&str]) -> Vec<NliLogits> {
    let pairs: Vec<(&str, &str)> = sentences.iter().map(|sentence| (text, *sentence)).collect();
    nli.score(&pairs).unwrap()
}

#[test]
fn labels_are_scored_as_pairs_are_by_hand() {
    let several = r#"
        name = "several"
        language = "en"
        [[topics]]
        name = "war"
        hypotheses = { en = ["It is war.", "Guns, troops.", "It is grave."], de = ["Es ist Krieg."] }
        [scale]
        name = "tone"
        levels = [
            { code = 0, name = "calm", hypotheses = { en = ["It is calm.", "Peace.", "Talks."] } },
            { code = 3, name = "grave", hypotheses = { en = ["It is bad."] } },
        ]
        "#;
    // German, and longer than a window: the largest margin of a topic counts wherever it stands.
    let short = "Der Rat hob die Sanktionen auf.";
    let long = format!("{}The guns fell silent.", "Der Rat hob die Sanktionen auf. ".repeat(12));
    for name in CHECKPOINTS {
        let classifier = open(name, scheme(several).unwrap()).unwrap();
        let nli = Nli::open(checkpoint(name)).unwrap();
        for text in [short, &long] {
            let prediction = classifier.classify(text).unwrap();
            let margins = judged(&nli, text, &["It is war.", "Guns, troops.", "It is grave."]);
            let margins: Vec<f32> = margins.iter().map(NliLogits::margin).collect();
            near(name, prediction.topics().next().unwrap().probability, sigmoid(mean(&margins)), SAME);
            assert_eq!(prediction.windows() > 1, text == long, "{name}");
            assert_eq!(prediction.boilerplate(), None);
        }
        let levels = judged(&nli, short, &["It is calm.", "Peace.", "Talks.", "It is bad."]);
        let levels: Vec<f32> = levels.iter().map(|logits| logits.entailment).collect();
        let expected = softmax(&[mean(&levels[..3]), levels[3]]);
        let prediction = classifier.classify(short).unwrap();
        for (found, expected) in prediction.escalation_probabilities().iter().zip(&expected) {
            near(name, *found, *expected, SAME);
        }
        assert_eq!(prediction.escalation().unwrap().code, if expected[1] > expected[0] { 3 } else { 0 });
        let sum: f32 = classifier.classify(&long).unwrap().escalation_probabilities().iter().sum();
        near("a long text has levels, too", sum, 1.0, SAME);
    }
}

#[test]
fn a_text_is_judged_in_its_own_language_where_a_label_has_it() {
    let nli = Nli::open(checkpoint("xlm-roberta-nli")).unwrap();
    let classifier = open("xlm-roberta-nli", tiny()).unwrap();
    let english = fs::read_to_string(root().join("tests/fixtures/zero-shot.toml")).unwrap();
    let english = english.replace("name = \"tiny\"", "name = \"tiny\"\nlanguage = \"en\"");
    let english = open("xlm-roberta-nli", scheme(&english).unwrap()).unwrap();
    let german = "Der Rat hob die Sanktionen auf.";
    let war = |sentences: &[&str]| {
        sigmoid(mean(&judged(&nli, german, sentences).iter().map(NliLogits::margin).collect::<Vec<_>>()))
    };
    let first = |classifier: &Classifier| classifier.classify(german).unwrap().topics().next().unwrap().probability;
    near("German", first(&classifier), war(&["Es ist Krieg.", "Truppen rollen."]), SAME);
    near("English", first(&english), war(&["It is war.", "Guns, troops."]), SAME);
    let info = |classifier: &Classifier| classifier.info().checkpoint.clone().unwrap().zero_shot.unwrap();
    let (own, always) = (info(&classifier), info(&english));
    assert_eq!((own.name.as_str(), own.pairs), ("tiny", 7));
    assert_eq!(own.languages, ["de", "en", "zh"]);
    assert_eq!(always.languages, ["en"]);
}

#[test]
fn numbers_of_a_text_depend_on_that_text_alone() {
    let seeds = [
        "Nein.",
        "Der Rat hob die Sanktionen auf.",
        "两国恢复谈判。",
        "Troops crossed the river at night.",
        "\u{1F600}",
    ];
    let mut texts: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    texts.extend(seeds.iter().enumerate().map(|(index, seed)| format!("{seed} ").repeat(4 * index + 3)));
    for name in ["bert-nli-v4", "deberta-nli-v4", "modernbert-nli"] {
        let with = |threads| Classifier::builder().scheme(tiny()).threads(threads).open(checkpoint(name)).unwrap();
        let classifier = with(1);
        let bits = |prediction: &Prediction| numbers(prediction).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let alone: Vec<_> = texts.iter().map(|text| bits(&classifier.classify(text).unwrap())).collect();
        let together = with(2).classify_batch(&texts).unwrap();
        assert_eq!(together.iter().map(bits).collect::<Vec<_>>(), alone, "{name}: in a batch, on two threads");
        let backwards: Vec<&String> = texts.iter().rev().collect();
        let mut backwards = classifier.classify_batch(&backwards).unwrap();
        backwards.reverse();
        assert_eq!(backwards, together, "{name}: in another order");
    }
}

#[test]
fn a_topic_needs_an_entry_and_nothing_else() {
    let file = fs::read_to_string(root().join("tests/fixtures/zero-shot.toml")).unwrap();
    let energy = "[[topics]]\nname = \"energy\"\nhypotheses = { en = [\"Gas and oil.\"] }\n\n[scale]";
    let more = file.replace("[scale]", energy);
    let text = "Der Rat hob die Sanktionen auf.";
    let nli = Nli::open(checkpoint("xlm-roberta-nli")).unwrap();
    let before = open("xlm-roberta-nli", tiny()).unwrap().classify(text).unwrap();
    let after = open("xlm-roberta-nli", scheme(&more).unwrap()).unwrap().classify(text).unwrap();
    let topics: Vec<(&str, f32)> = after.topics().map(|topic| (topic.name, topic.probability)).collect();
    assert_eq!(topics[2].0, "energy");
    near(
        "in English, which it has alone",
        topics[2].1,
        sigmoid(judged(&nli, text, &["Gas and oil."])[0].margin()),
        SAME,
    );
    let mut others = numbers(&after);
    others.remove(2);
    assert_eq!(others, numbers(&before), "no other label changes");
}
