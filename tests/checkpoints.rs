//! Checkpoints of transformers through the library's front door: what their heads say becomes a prediction, a map makes it one of
//! another scheme. What is broken: [`faults`]. That the numbers are PyTorch's is tested beside the code.

mod faults;

use std::fs;
use std::path::{Path, PathBuf};

use detente::{Classifier, HeadKind, LabelMap, Nli, Precision, Prediction};
use serde_json::{Value, json};

use crate::program::{failure, stdout};

/// Two f32 implementations of one graph, then exponentials.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
}

/// Texts and what PyTorch says of them.
fn reference(name: &str) -> Vec<(Vec<String>, Vec<f32>)> {
    let json: Value = serde_json::from_slice(&fs::read(fixture(name).join("reference.json")).unwrap()).unwrap();
    let texts: Vec<Vec<String>> = serde_json::from_value(json["texts"].clone()).unwrap();
    let logits: Vec<Vec<f32>> = serde_json::from_value(json["alone"].clone()).unwrap();
    texts.into_iter().zip(logits).collect()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn near(case: &str, found: f32, expected: f32) {
    assert!((found - expected).abs() < TOLERANCE, "{case}: {found}, not {expected}");
}

fn topics(prediction: &Prediction) -> (Vec<f32>, Vec<&str>) {
    let probabilities = prediction.topics().map(|topic| topic.probability).collect();
    (probabilities, prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name).collect())
}

fn map(toml: &str) -> LabelMap {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.toml");
    fs::write(&path, toml).unwrap();
    LabelMap::open(path).unwrap()
}

#[test]
fn a_softmax_head_gives_one_label_of_many() {
    for name in ["bert-single", "xlm-roberta-single-v4", "distilbert-single-v4", "deberta-single", "modernbert-single"]
    {
        let classifier = Classifier::open(fixture(name)).unwrap();
        let info = classifier.info();
        assert_eq!(info.checkpoint.as_ref().unwrap().head, HeadKind::SingleLabel, "{name}");
        assert!(info.id.starts_with(&format!("{name}@local+")), "{}", info.id);
        for (texts, logits) in reference(name) {
            let prediction = classifier.classify(&texts[0]).unwrap();
            let (found, applies) = topics(&prediction);
            let expected = softmax(&logits);
            for (found, expected) in found.iter().zip(&expected) {
                near(&format!("{name}: {texts:?}"), *found, *expected);
            }
            let best = (0..3).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(applies, [["negative", "neutral", "positive"][best]], "{name}: {texts:?}");
        }
    }
}

#[test]
fn a_sigmoid_head_gives_every_label_that_reaches_one_half() {
    let name = "xlm-roberta-multi";
    let classifier = Classifier::open(fixture(name)).unwrap();
    let names: Vec<&str> = classifier.info().scheme.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["Defense", "Macroeconomics", "Sports", "International Affairs"]);
    for (texts, logits) in reference(name) {
        let prediction = classifier.classify(&texts[0]).unwrap();
        let (found, applies) = topics(&prediction);
        found.iter().zip(&logits).for_each(|(found, logit)| near(name, *found, sigmoid(*logit)));
        let expected: Vec<&str> =
            names.iter().zip(&logits).filter(|(_, logit)| **logit >= 0.0).map(|(name, _)| *name).collect();
        assert_eq!(applies, expected, "{texts:?}");
    }
}

/// What 8-bit activations may move a probability by, as for bundles of random weights.
const INT8_TOLERANCE: f32 = 0.08;

#[test]
fn int8_is_near_f32_where_it_is_there_and_refused_elsewhere() {
    let open = |name: &str, precision| Classifier::builder().precision(precision).open(fixture(name));
    for name in ["bert-multi-v4", "xlm-roberta-multi", "roberta-single"] {
        let [int8, f32] = [Precision::Int8, Precision::F32].map(|precision| open(name, precision).unwrap());
        assert!(int8.info().kernel.starts_with("int8"), "{}", int8.info().kernel);
        let mut worst = 0.0f32;
        for (texts, _) in reference(name) {
            let [int8, f32] = [&int8, &f32].map(|classifier| topics(&classifier.classify(&texts[0]).unwrap()).0);
            worst = int8.iter().zip(&f32).fold(worst, |worst, (int8, f32)| worst.max((int8 - f32).abs()));
        }
        assert!(worst > 0.0 && worst < INT8_TOLERANCE, "{name}: {worst}");
        assert_eq!(
            Classifier::open(fixture(name)).unwrap().info().precision,
            Precision::F32,
            "not without being asked"
        );
    }
    let error = open("deberta-single", Precision::Int8).unwrap_err().to_string();
    assert!(error.contains("int8 arithmetic is there for bert and roberta, not for deberta-v2"), "{error}");
}

#[test]
fn a_forced_kernel_that_cannot_compute_the_family_is_refused() {
    let open = |kernel: &str| Classifier::builder().kernel(kernel).open(fixture("deberta-single"));
    let error = open("scalar").unwrap_err().to_string();
    let expected =
        "the kernel \"scalar\" is there for bert and roberta, not for deberta-v2; leave DETENTE_KERNEL unset";
    assert!(error.contains(expected), "{error}");
    assert!(open("candle").is_ok());
}

#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16() -> bool {
    false
}

/// What bf16 may move a probability by.
const BF16_TOLERANCE: f32 = 0.02;

#[test]
fn bf16_is_near_f32_where_the_cpu_has_it_and_refused_elsewhere() {
    let open = |name: &str, precision| Classifier::builder().precision(precision).open(fixture(name));
    let refused = |name: &str, kernel: &str| {
        let error = Classifier::builder().precision(Precision::Bf16).kernel(kernel).open(fixture(name)).unwrap_err();
        error.to_string()
    };
    let error = refused("bert-multi-v4", "scalar");
    assert!(
        error.contains("bf16 arithmetic needs a CPU with AVX512-BF16; the kernel here is scalar; use --precision f32"),
        "{error}"
    );
    let error = open("deberta-single", Precision::Bf16).unwrap_err().to_string();
    assert!(error.contains("bf16 arithmetic is there for bert and roberta, not for deberta-v2"), "{error}");
    for name in ["bert-multi-v4", "xlm-roberta-multi", "roberta-single"] {
        if !has_bf16() {
            assert!(open(name, Precision::Bf16).is_err());
            continue;
        }
        let bf16 = open(name, Precision::Bf16).unwrap();
        assert!(bf16.info().kernel.starts_with("bf16") && bf16.info().precision == Precision::Bf16);
        let f32 = open(name, Precision::F32).unwrap();
        let mut worst = 0.0f32;
        for (texts, _) in reference(name) {
            let [bf16, f32] = [&bf16, &f32].map(|classifier| topics(&classifier.classify(&texts[0]).unwrap()).0);
            worst = bf16.iter().zip(&f32).fold(worst, |worst, (bf16, f32)| worst.max((bf16 - f32).abs()));
        }
        assert!(worst > 0.0 && worst < BF16_TOLERANCE, "{name}: {worst}");
    }
}

#[test]
fn a_long_text_is_one_judgement_of_a_softmax_and_many_of_sigmoids() {
    let long = "The guns fell silent. Der Rat hob die Sanktionen auf. ".repeat(20);
    for name in ["bert-single", "xlm-roberta-multi"] {
        let prediction = Classifier::open(fixture(name)).unwrap().classify(&long).unwrap();
        assert!(prediction.windows() > 2, "{name}");
        let sum: f32 = topics(&prediction).0.iter().sum();
        assert_eq!((sum - 1.0).abs() < TOLERANCE, name == "bert-single", "{name}: {sum}");
    }
}

#[test]
fn labels_mapped_to_topics_and_boilerplate() {
    let map = map(r#"
        [[topics]]
        name = "military"
        labels = ["positive"]

        [boilerplate]
        labels = ["neutral"]
        "#);
    let classifier = Classifier::builder().labels(map).open(fixture("bert-single")).unwrap();
    assert!(classifier.info().scheme.boilerplate);
    let plain = Classifier::open(fixture("bert-single")).unwrap();
    assert_ne!(classifier.info().sha256, plain.info().sha256, "the map is a part of what labels depend on");
    for (texts, logits) in reference("bert-single") {
        let prediction = classifier.classify(&texts[0]).unwrap();
        let p = softmax(&logits);
        let (found, applies) = topics(&prediction);
        near("military", found[0], p[2]);
        near("boilerplate", prediction.boilerplate().unwrap(), p[1]);
        assert_eq!(applies.len() == 1, p[2] > 0.5, "more probable than everything else together: {p:?}");
    }
}

#[test]
fn labels_mapped_to_a_scale() {
    let map = map(r#"
        [scale]
        name = "tone"
        levels = [
          { code = -1, name = "good", labels = ["positive"] },
          { code = 1, name = "bad", labels = ["negative"] },
        ]
        "#);
    let classifier = Classifier::builder().labels(map).open(fixture("distilbert-single-v4")).unwrap();
    for (texts, logits) in reference("distilbert-single-v4") {
        let prediction = classifier.classify(&texts[0]).unwrap();
        let p = softmax(&[logits[2], logits[0]]);
        near("good", prediction.escalation_probabilities()[0], p[0]);
        near("mean", prediction.expected_escalation().unwrap(), p[1] - p[0]);
        assert_eq!(prediction.escalation().unwrap().code, if p[1] > p[0] { 1 } else { -1 });
        assert_eq!(prediction.topics().count(), 0);
    }
}

#[test]
fn a_number_read_as_a_scale() {
    let name = "xlm-roberta-regression-v4";
    let error = Classifier::open(fixture(name)).unwrap().classify("Nein.").unwrap_err().to_string();
    assert!(error.contains("gives one number (score)") && error.contains("--labels"), "{error}");
    let outputs: Vec<f32> = reference(name).iter().map(|(_, logits)| logits[0]).collect();
    let largest = outputs.iter().fold(0.0f32, |largest, output| largest.max(output.abs()));
    let map = map(&format!(
        "[scale]\nname = 'tone'\nlevels = [{{code = -2, name = 'a', value = -{largest}}}, {{code = 0, name = 'b', value = 0.0}}, \
         {{code = 2, name = 'c', value = {largest}}}]"
    ));
    let classifier = Classifier::builder().labels(map).open(fixture(name)).unwrap();
    for (texts, output) in reference(name) {
        let prediction = classifier.classify(&texts[0]).unwrap();
        near(&texts[0], prediction.expected_escalation().unwrap() / 2.0, output[0] / largest);
    }
}

#[test]
fn a_map_that_does_not_fit_is_refused() {
    let scale = |levels: &str| format!("[scale]\nname = 's'\nlevels = [{levels}]");
    let numbers = "{code = 0, name = 'a', value = 1.0}, {code = 1, name = 'b', value = 1.0}";
    let labels = "{code = 0, name = 'a', labels = ['Defense']}, {code = 1, name = 'b', labels = ['Sports']}";
    let twice = "{code = 0, name = 'a', labels = ['positive']}, {code = 1, name = 'b', labels = ['positive']}";
    let valued = "{code = 0, name = 'a', value = 0.5}, {code = 1, name = 'b', labels = ['positive']}";
    let topic = "[[topics]]\nname = 'a'\nlabels = ['positive']";
    let cases = [
        (
            "bert-single",
            "[[topics]]\nname = 'a'\nlabels = ['Positive']".into(),
            "names the label \"Positive\", which the checkpoint does not have; its labels are [\"negative\", \"neutral\", \"positive\"]",
        ),
        ("bert-single", "[[topics]]\nname = 'a'\nlabels = []".into(), "the topic \"a\" has no labels"),
        ("bert-single", format!("{topic}\nthreshold = 2.0"), "threshold 2 between 0 and 1"),
        ("bert-single", format!("{topic}\n{topic}"), "the name \"a\" is used twice"),
        ("bert-single", String::new(), "the scheme has no labels at all"),
        ("bert-single", scale(twice), "the label \"positive\" stands for two levels"),
        ("bert-single", scale(valued), "the level 0 has a value"),
        ("xlm-roberta-multi", scale(labels), "they make no scale"),
        ("bert-regression", topic.into(), "needs a [scale] with the value"),
        ("bert-regression", scale(numbers), "they must ascend or descend"),
        ("bert-regression", scale(twice), "the level 0 needs a value"),
        ("bert-nli-v4", topic.into(), "has no labels to map"),
        ("bert-encoder", topic.into(), "is a plain encoder"),
    ];
    for (name, toml, message) in cases {
        let error = Classifier::builder().labels(map(&toml)).open(fixture(name)).unwrap_err().to_string();
        assert!(error.contains("map.toml: ") && error.contains(message), "{name}: {toml}\n{error}");
    }
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    let error = Classifier::builder().labels(map(topic)).open(bundle).unwrap_err().to_string();
    assert!(error.contains("is a bundle and has its own scheme"), "{error}");
}

#[test]
fn pairs_are_judged_as_pytorch_judges_them_alone_and_together() {
    for name in ["bert-nli-v4", "xlm-roberta-nli", "distilbert-nli-v4", "deberta-nli-v4", "modernbert-nli"] {
        let nli = Nli::open(fixture(name)).unwrap();
        let pairs: Vec<(String, String)> =
            reference(name).into_iter().map(|(texts, _)| (texts[0].clone(), texts[1].clone())).collect();
        let together = nli.score(&pairs).unwrap();
        for (index, (texts, expected)) in reference(name).into_iter().enumerate() {
            let found = together[index];
            assert_eq!(nli.score(&[(&texts[0], &texts[1])]).unwrap(), [found], "{name}: {texts:?}");
            if name == "bert-nli-v4" {
                assert_eq!(found.neutral, None);
                near(name, found.contradiction, expected[0]);
                near(name, found.entailment, expected[1]);
            } else {
                near(name, found.entailment, expected[0]);
                near(name, found.neutral.unwrap(), expected[1]);
                near(name, found.contradiction, expected[2]);
            }
            near("sum", found.probabilities().iter().sum(), 1.0);
        }
    }
}

#[test]
fn a_premise_of_many_windows_is_never_cut_and_a_long_hypothesis_is_refused() {
    let nli = Nli::open(fixture("xlm-roberta-nli")).unwrap();
    let short = "The guns fell silent.";
    let long = format!("{} {short}", "Der Rat hob die Sanktionen auf. ".repeat(30));
    let [long, part] = [long.as_str(), "Der Rat hob die Sanktionen auf."]
        .map(|premise| nli.score(&[(premise, "It is war.")]).unwrap()[0]);
    assert!(long != part, "the end of the premise counts, too");
    let error = nli.score(&[(short, "It is war. ".repeat(30))]).unwrap_err().to_string();
    assert!(error.contains("a hypothesis has") && error.contains("make it shorter"), "{error}");
    let error = nli.score(&[(short, " ")]).unwrap_err().to_string();
    assert!(error.contains("text 0 is blank"), "{error}");
    let error = Nli::open(fixture("bert-single")).unwrap_err().to_string();
    assert!(error.contains("is no checkpoint for natural-language inference"), "{error}");
    let error = Classifier::open(fixture("xlm-roberta-nli")).unwrap().classify(short).unwrap_err().to_string();
    assert!(error.contains("judges pairs of texts"), "{error}");
}

#[test]
fn the_program_inspects_every_checkpoint_and_says_what_is_missing() {
    let cases = [
        ("bert-single", "one label of many (softmax)", "own labels  negative, neutral, positive"),
        ("bert-multi-v4", "several labels or none (sigmoid)", "each applies from its threshold on"),
        ("bert-regression", "one number (regression)", "give them with --labels"),
        ("modernbert-nli", "natural-language inference", "judges pairs of texts"),
        ("bert-encoder", "none, a plain encoder", "prefix      \"query: \" before every text"),
    ];
    for (name, head, more) in cases {
        let text = stdout(&["inspect", "--model", fixture(name).to_str().unwrap()]);
        assert!(text.contains(head) && text.contains(more), "{name}: {text}");
        let json: Value =
            serde_json::from_str(&stdout(&["inspect", "--json", "--model", fixture(name).to_str().unwrap()])).unwrap();
        assert_eq!(json["checkpoint"]["head"], head, "{name}");
    }
    let text = fixture("bert-single").join("config.json");
    let error = failure(&[
        "classify",
        text.to_str().unwrap(),
        "--input-format",
        "text",
        "--model",
        fixture("bert-encoder").to_str().unwrap(),
    ]);
    assert!(error.contains("is a plain encoder without a head"), "{error}");
}

#[test]
fn the_program_scores_a_mapped_checkpoint_beside_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let level = |(code, label): (i32, &str)| format!("{{code = {code}, name = 'level {code}', labels = [{label}]}}");
    let levels = [(-2, "'positive'"), (-1, ""), (0, "'neutral'"), (1, ""), (2, "'negative'")].map(level);
    let map = file("map.toml", &format!("[scale]\nname = 'escalation'\nlevels = [{}]", levels.join(", ")));
    let gold: Vec<String> = reference("bert-single")
        .iter()
        .enumerate()
        .map(|(index, (texts, _))| {
            json!({"id": index, "text": texts[0], "topics": ["military"], "escalation": (index % 3) as i64 * 2 - 2})
                .to_string()
        })
        .collect();
    let gold = file("gold.jsonl", &gold.join("\n"));
    let checkpoint = fixture("bert-single");
    let checkpoint = checkpoint.to_str().unwrap();
    let report = |more: &[&str]| -> Value {
        let args = ["eval", "--gold", &gold, "--labels", &map, "--format", "json", "--replicates", "100"];
        serde_json::from_str(&stdout(&[&args[..], more].concat())).unwrap()
    };
    let kappa = |report: &Value, system: usize| {
        let figures = report["slices"][0]["systems"][system]["figures"].as_array().unwrap().iter();
        let found = figures.clone().find(|figure| figure["name"] == "escalation.quadratic_weighted_kappa").unwrap();
        let is_of_topics =
            |figure: &&Value| figure["name"].as_str().unwrap().starts_with("topics.") && figure["value"].is_number();
        let topics = figures.filter(is_of_topics).count();
        (found["value"].as_f64().unwrap(), topics)
    };
    // What the most probable label says of each text, by hand.
    let codes: Vec<i64> = reference("bert-single")
        .iter()
        .map(|(_, logits)| [2, 0, -2][(0..3).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()])
        .collect();
    let expected = quadratic_weighted_kappa(&codes, &(0..6).map(|index| index % 3 * 2 - 2).collect::<Vec<i64>>());
    let alone = report(&["--model", checkpoint]);
    let (found, topics) = kappa(&alone, 0);
    assert!((found - expected).abs() < 1e-6 && topics == 0, "{found}, not {expected}; {topics}");
    let both = report(&["--model", "tests/fixtures/tiny", "--model", checkpoint]);
    assert!(kappa(&both, 0).1 > 0, "the bundle says something of topics");
    assert_eq!(kappa(&both, 1), (found, 0), "the checkpoint says nothing of topics");

    let error = failure(&["eval", "--gold", &gold, "--model", "tests/fixtures/tiny", "--labels", &map]);
    assert!(error.contains("no --model is one"), "{error}");
    let output = folder.path().join("tuned");
    let error = failure(&["tune", "--gold", &gold, "--model", checkpoint, "--output", output.to_str().unwrap()]);
    assert!(error.contains("is a checkpoint of transformers, not a bundle"), "{error}");
}

/// Cohen 1968, with squared distances as weights.
fn quadratic_weighted_kappa(one: &[i64], other: &[i64]) -> f64 {
    let distance = |a: i64, b: i64| ((a - b) * (a - b)) as f64;
    let observed: f64 = one.iter().zip(other).map(|(&a, &b)| distance(a, b)).sum();
    let expected: f64 = one.iter().flat_map(|&a| other.iter().map(move |&b| distance(a, b))).sum();
    1.0 - observed * one.len() as f64 / expected
}

#[test]
fn a_bundle_is_fitted_on_the_encoder_of_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let train = folder.path().join("train.jsonl");
    let line = |number: usize| {
        let (topic, text) = [("war", "The guns fell silent"), ("sport", "Troops crossed the river")][number % 2];
        json!({"id": number, "text": format!("{text} {number}."), "topics": [topic], "document": number}).to_string()
    };
    fs::write(&train, (0..60).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    for name in [
        "bert-encoder",
        "bert-multi-v4",
        "xlm-roberta-multi",
        "deberta-encoder",
        "distilbert-encoder",
        "modernbert-encoder",
    ] {
        let output = folder.path().join(name);
        let checkpoint = fixture(name);
        stdout(&[
            "fit",
            "--train",
            train.to_str().unwrap(),
            "--model",
            checkpoint.to_str().unwrap(),
            "--output",
            output.to_str().unwrap(),
            "--replicates",
            "100",
        ]);
        let [bundle, checkpoint] = [&output, &checkpoint].map(|folder| Classifier::open(folder).unwrap());
        assert!(bundle.info().checkpoint.is_none() && bundle.info().name == name);
        assert_eq!(bundle.info().max_length, checkpoint.info().max_length);
        let text = "Der Rat hob die Sanktionen auf.";
        let [of_bundle, of_checkpoint] = [&bundle, &checkpoint]
            .map(|classifier| classifier.vectors_batch(&[text], detente::VectorSpace::Encoder).unwrap());
        assert_eq!(of_bundle, of_checkpoint, "{name}");
        assert_eq!(bundle.classify(text).unwrap().topics().count(), 2);
    }
    let output = folder.path().join("dense");
    let args = ["fit", "--train", train.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let dense = fixture("xlm-roberta-encoder");
    let error = failure(&[&args[..], &["--model", dense.to_str().unwrap()]].concat());
    assert!(error.contains("a dense layer behind the pooling"), "{error}");
    let error = failure(&[&args[..], &["--keep-heads", "--model", fixture("bert-single").to_str().unwrap()]].concat());
    assert!(error.contains("is a checkpoint of transformers, not a bundle"), "{error}");
}
