//! What must hold whatever the weights: as many predictions as texts, in their order; a text's numbers depend on that text
//! alone, bit for bit; probabilities are probabilities.

use std::path::PathBuf;
use std::sync::LazyLock;

use detente::{Classifier, Document, Precision, Prediction};

/// Rounding of sums of five f32 probabilities.
const SUM_TOLERANCE: f32 = 1e-5;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Texts of all lengths in all scripts, some many windows long.
fn texts() -> Vec<String> {
    let seeds = [
        "Die Waffenruhe hält seit drei Tagen.",
        "Nein.",
        "Министр отверг ультиматум и отозвал посла.",
        "Посол повернувся до столиці.",
        "وقف إطلاق النار",
        "停火协议已经签署",
        "Rząd nałożył sankcje na bank centralny.",
        "a\u{ad}b\u{200b}c",
        "\u{1F600}",
    ];
    let mut texts: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    for (index, repeats) in [2, 5, 9, 40, 120].into_iter().enumerate() {
        texts.push(format!("{} ", seeds[index % seeds.len()]).repeat(repeats));
    }
    texts
}

fn bits(prediction: &Prediction) -> Vec<u32> {
    let topics = prediction.topics().map(|topic| topic.probability.to_bits());
    let levels = prediction.escalation_probabilities().iter().map(|probability| probability.to_bits());
    topics.chain(levels).chain(prediction.boilerplate().map(f32::to_bits)).collect()
}

/// The fixtures, the bundle inside the program, and the one that `scripts/check.sh --bundle DIR` names.
fn for_every_bundle(check: impl Fn(&str, &Classifier)) {
    for name in ["tiny", "tiny/int8", "fake"] {
        for precision in [Precision::F32, Precision::Int8] {
            let classifier = Classifier::builder().precision(precision).open(fixture(name)).unwrap();
            check(&format!("{name}, {}", classifier.info().kernel), &classifier);
        }
    }
    #[cfg(feature = "embedded")]
    {
        static EMBEDDED: LazyLock<Classifier> = LazyLock::new(|| Classifier::embedded().unwrap());
        check("embedded", &EMBEDDED);
    }
    if let Some(folder) = std::env::var_os("DETENTE_TEST_BUNDLE") {
        check("DETENTE_TEST_BUNDLE", &Classifier::open(folder).unwrap());
    }
}

#[test]
fn a_text_alone_equals_the_text_in_any_batch_and_order() {
    for_every_bundle(|name, classifier| {
        let texts = texts();
        let together = classifier.classify_batch(&texts).unwrap();
        assert_eq!(together.len(), texts.len(), "{name}");
        let reversed: Vec<&String> = texts.iter().rev().collect();
        let backwards = classifier.classify_batch(&reversed).unwrap();
        for (index, text) in texts.iter().enumerate() {
            let alone = classifier.classify(text).unwrap();
            assert_eq!(bits(&alone), bits(&together[index]), "{name}, in the batch: {text:.40}");
            assert_eq!(bits(&alone), bits(&backwards[texts.len() - 1 - index]), "{name}, reversed: {text:.40}");
            assert_eq!(alone, together[index], "{name}: {text:.40}");
        }
    });
}

#[test]
fn one_and_more_threads_give_the_same_bits() {
    for name in ["tiny", "tiny/int8", "fake"] {
        let texts = texts();
        let [one, two, three] = [1, 2, 3].map(|threads| {
            let classifier = Classifier::builder().threads(threads).open(fixture(name)).unwrap();
            assert_eq!(classifier.threads(), threads);
            classifier.classify_batch(&texts).unwrap()
        });
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(bits(&one[index]), bits(&two[index]), "{name}, 2 threads: {text:.40}");
            assert_eq!(bits(&one[index]), bits(&three[index]), "{name}, 3 threads: {text:.40}");
        }
    }
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let texts = texts();
    for (name, precision) in [("tiny", Precision::Int8), ("tiny/int8", Precision::Int8), ("tiny", Precision::F32)] {
        let classify = |kernel: &str| {
            let classifier = Classifier::builder().precision(precision).kernel(kernel).open(fixture(name)).unwrap();
            assert!(classifier.info().kernel.ends_with(kernel), "{}", classifier.info().kernel);
            classifier.classify_batch(&texts).unwrap()
        };
        let scalar = classify("scalar");
        for kernel in Classifier::kernels() {
            for ((found, expected), text) in classify(kernel).iter().zip(&scalar).zip(&texts) {
                assert_eq!(bits(found), bits(expected), "{name}, {precision:?}, {kernel}: {text:.40}");
            }
        }
    }
}

#[test]
fn a_kernel_that_the_cpu_lacks_is_refused() {
    let error = Classifier::builder().kernel("abacus").open(fixture("tiny")).unwrap_err().to_string();
    assert!(error.starts_with("this CPU has no kernel \"abacus\"; it has ["), "{error}");
}

#[test]
fn probabilities_are_probabilities_and_boilerplate_has_no_topics() {
    for_every_bundle(|name, classifier| {
        let mut boilerplate = 0;
        for (index, prediction) in classifier.classify_batch(&texts()).unwrap().iter().enumerate() {
            assert_eq!(prediction.topics().count(), 3);
            assert!(prediction.topics().all(|topic| (0.0..=1.0).contains(&topic.probability)), "{name}, text {index}");
            let sum: f32 = prediction.escalation_probabilities().iter().sum();
            assert!((sum - 1.0).abs() < SUM_TOLERANCE, "{name}, text {index}: the levels sum to {sum}");
            let expected = prediction.expected_escalation().unwrap();
            assert!((-2.0..=2.0).contains(&expected), "{name}, text {index}: {expected}");
            if prediction.is_boilerplate() {
                boilerplate += 1;
                assert!(!prediction.topics().any(|topic| topic.applies), "{name}, text {index}");
                assert_eq!(prediction.escalation().unwrap().code, 0, "{name}, text {index}");
            }
        }
        assert!(
            !name.starts_with("fake") || boilerplate > 0,
            "{name}: no text is boilerplate, the check checks nothing"
        );
    });
}

#[test]
fn long_texts_are_cut_into_windows_and_count_their_tokens_once() {
    for_every_bundle(|name, classifier| {
        let info = classifier.info();
        let word = "Waffenruhe ";
        let one = classifier.classify(word).unwrap().tokens();
        for repeats in [1, 10, 200, 400] {
            let prediction = classifier.classify(&word.repeat(repeats)).unwrap();
            assert_eq!(prediction.tokens(), one * repeats, "{name}, {repeats} words");
            let capacity = info.max_length - 2;
            let windows = if prediction.tokens() <= capacity {
                1
            } else {
                1 + (prediction.tokens() - capacity).div_ceil(info.stride)
            };
            assert_eq!(prediction.windows(), windows, "{name}, {repeats} words");
        }
    });
}

#[test]
fn line_breaks_inside_a_paragraph_do_not_matter() {
    for_every_bundle(|name, classifier| {
        let joined = classifier.classify("Die Waffenruhe hält seit drei Tagen.").unwrap();
        for text in ["Die Waffenruhe\nhält seit drei Tagen.", "  Die\tWaffenruhe \r\n hält seit\u{a0}drei Tagen.\n"] {
            assert_eq!(bits(&classifier.classify(text).unwrap()), bits(&joined), "{name}: {text:?}");
        }
    });
}

#[test]
fn blank_texts_are_named_and_empty_batches_are_empty() {
    for_every_bundle(|name, classifier| {
        assert!(classifier.classify_batch::<&str>(&[]).unwrap().is_empty(), "{name}");
        let error = classifier.classify_batch(&["eins", " \n\u{3000}", "drei"]).unwrap_err();
        assert_eq!(error.to_string(), "text 1 is blank: there is nothing to classify", "{name}");
    });
}

#[test]
fn a_document_has_one_prediction_a_paragraph() {
    for_every_bundle(|name, classifier| {
        let document = Document::from_text("d", texts().join("\n\n"));
        let predictions = classifier.classify_document(&document).unwrap();
        assert_eq!(predictions.len(), document.paragraphs().count(), "{name}");
        for (paragraph, prediction) in document.paragraphs().zip(&predictions) {
            assert_eq!(
                bits(&classifier.classify(paragraph.text()).unwrap()),
                bits(prediction),
                "{name}: {}",
                paragraph.index()
            );
        }
    });
}
