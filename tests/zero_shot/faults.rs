//! What is wrong with a scheme, or with what it is given: each message names the file, the key and what to do.

use detente::{Classifier, LabelMap, Precision};

use super::{checkpoint, open, root, scheme, tiny};

/// A scheme that is right, to spoil.
const GOOD: &str = r#"name = "good"
[[topics]]
name = "war"
hypotheses = { en = ["It is war."], de = ["Es ist Krieg."] }
[[topics]]
name = "talks"
hypotheses = { en = ["They talk."] }
[scale]
name = "tone"
levels = [
    { code = -1, name = "down", hypotheses = { en = ["It is calm."], de = ["Es ist ruhig."] } },
    { code = 1, name = "up", hypotheses = { en = ["It is grave."], de = ["Es ist ernst."] } },
]
[boilerplate]
hypotheses = { en = ["It is a notice."] }
"#;

#[test]
fn a_faulty_scheme_is_refused_with_its_key_and_a_remedy() {
    assert!(open("xlm-roberta-nli", scheme(GOOD).unwrap()).is_ok());
    let cases = [
        ("name = \"good\"", "name = \"go od\"", "name is \"go od\"; it stands in every record, write letters"),
        ("name = \"good\"", "name = \"good\"\nlanguage = \"de\"", "unknown variant `de`, expected `text` or `en`"),
        ("name = \"good\"", "name = \"good\"\nthreshold = 1", "unknown field `threshold`, expected one of `name`"),
        ("name = \"talks\"", "name = \"talks\"\nlabels = []", "unknown field `labels`"),
        ("name = \"talks\"", "name = \"war\"", "topics[1].name is \"war\", which is used twice; write another one"),
        ("name = \"talks\"", "name = \"\"", "topics[1].name is \"\", which is empty; write another one"),
        ("name = \"tone\"", "name = \"war\"", "scale.name is \"war\", which is used twice"),
        ("name = \"up\"", "name = \"down\"", "scale.levels[1].name is \"down\", which is used twice"),
        ("code = 1", "code = -1", "scale.levels: the code -1 stands before -1; write the levels in ascending order"),
        ("code = 1", "code = -2", "scale.levels: the code -1 stands before -2; write the levels in ascending order"),
        (
            "en = [\"They talk.\"]",
            "de = [\"Sie reden.\"]",
            "topics[1] (\"talks\").hypotheses.en is missing; English stands in",
        ),
        ("hypotheses = { en = [\"They talk.\"] }", "", "topics[1] (\"talks\").hypotheses.en is missing"),
        ("[\"They talk.\"]", "[]", "topics[1] (\"talks\").hypotheses.en is an empty list; write a sentence"),
        ("They talk.", " ", "topics[1] (\"talks\").hypotheses.en[0] is blank; write a sentence"),
        (
            "They talk.",
            "About {}.",
            "topics[1] (\"talks\").hypotheses.en[0] has a placeholder, \"About {}.\"; hypotheses are whole sentences",
        ),
        (
            "They talk.",
            "It is war.",
            "topics[1] (\"talks\").hypotheses.en has the sentence \"It is war.\", which topics[0] (\"war\") has already",
        ),
        (
            "en = [\"They talk.\"]",
            "en = [\"They talk.\"], xx = [\"Xx.\"]",
            "topics[1] (\"talks\").hypotheses has the language \"xx\", which cannot be detected",
        ),
        ("en = [\"It is a notice.\"]", "fr = [\"Un avis.\"]", "boilerplate.hypotheses.en is missing"),
        (
            ", de = [\"Es ist ernst.\"]",
            "",
            "scale.levels[1] (1).hypotheses lacks the language \"de\", which another level has",
        ),
        (
            ", de = [\"Es ist ruhig.\"]",
            "",
            "scale.levels[0] (-1).hypotheses lacks the language \"de\", which another level has",
        ),
        ("[boilerplate]", "[boilerplate]\nthreshold = \"high\"", "invalid type: string \"high\", expected f32"),
        ("\"war\"", "war", "this is not the TOML that was expected"),
    ];
    for (good, bad, message) in cases {
        assert!(GOOD.contains(good), "{good}");
        let error = scheme(&GOOD.replacen(good, bad, 1)).unwrap_err().to_string();
        assert!(error.contains("scheme.toml: ") && error.contains(message), "{bad}\n{error}");
    }
    let error = scheme("name = \"none\"").unwrap_err().to_string();
    assert!(error.contains("the scheme has no labels at all; give it [[topics]]"), "{error}");
    let one =
        "name = \"one\"\n[scale]\nname = \"s\"\nlevels = [{ code = 0, name = \"x\", hypotheses = { en = [\"X.\"] } }]";
    let error = scheme(one).unwrap_err().to_string();
    assert!(error.contains("has fewer than two levels"), "{error}");
}

#[test]
fn a_scheme_that_does_not_fit_the_checkpoint_is_refused() {
    let long = GOOD.replace("They talk.", &"They talk. ".repeat(20));
    let error = open("xlm-roberta-nli", scheme(&long).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("scheme.toml: topics[1] (\"talks\").hypotheses.en[0] has ")
            && error.contains("a shorter sentence"),
        "{error}"
    );
    let high = GOOD.replace("name = \"talks\"", "name = \"talks\"\nthreshold = 2");
    let error = open("xlm-roberta-nli", scheme(&high).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("talks: scale 1 must be above 0") && error.contains("threshold 2 between 0 and 1"),
        "{error}"
    );

    for name in ["bert-single", "bert-multi-v4", "bert-regression", "bert-encoder"] {
        let error = open(name, tiny()).unwrap_err().to_string();
        assert!(
            error.contains(name)
                && error.contains("is no checkpoint for natural-language inference, which the scheme \"tiny\" needs"),
            "{error}"
        );
        assert!(error.contains("id2label of config.json"), "{error}");
    }
    let error = Classifier::builder().scheme(tiny()).open(root().join("tests/fixtures/tiny")).unwrap_err().to_string();
    assert!(error.contains("is a bundle and has its own scheme; a zero-shot scheme is for"), "{error}");
    let int8 = Classifier::builder().scheme(tiny()).precision(Precision::Int8);
    let error = int8.open(checkpoint("xlm-roberta-nli")).unwrap_err().to_string();
    assert!(error.contains("only f32 has been measured; use --precision f32"), "{error}");
}

#[test]
fn a_map_beside_a_scheme_is_for_checkpoints_with_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.toml");
    std::fs::write(&path, "[[topics]]\nname = \"war\"\nlabels = [\"negative\"]").unwrap();
    let both = || Classifier::builder().scheme(tiny()).labels(LabelMap::open(&path).unwrap());
    let names = |classifier: Classifier| {
        classifier.info().scheme.topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(both().open(checkpoint("bert-single")).unwrap()), ["war"]);
    assert_eq!(names(both().open(checkpoint("xlm-roberta-nli")).unwrap()), ["war", "talks"]);
}

#[test]
fn labels_of_inference_are_found_in_any_order_and_case() {
    let expected = open("xlm-roberta-nli", tiny()).unwrap().classify("Nein.").unwrap();
    let spoil = |edit: &dyn Fn(&str) -> String| {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(checkpoint("xlm-roberta-nli")).unwrap() {
            let from = file.unwrap().path();
            std::fs::copy(&from, folder.path().join(from.file_name().unwrap())).unwrap();
        }
        let config = folder.path().join("config.json");
        std::fs::write(&config, edit(&std::fs::read_to_string(&config).unwrap())).unwrap();
        let opened = Classifier::builder().scheme(tiny()).open(folder.path());
        opened.map(|classifier| classifier.classify("Nein.").unwrap())
    };
    let capitals = |config: &str| {
        config.replace("\"entailment\"", "\"ENTAILMENT\"").replace("\"contradiction\"", "\"Contradiction\"")
    };
    assert_eq!(spoil(&capitals).unwrap(), expected);
    let turned = |config: &str| {
        config
            .replace("\"0\": \"entailment\"", "\"0\": \"x\"")
            .replace("\"2\": \"contradiction\"", "\"2\": \"entailment\"")
            .replace("\"0\": \"x\"", "\"0\": \"contradiction\"")
    };
    let turned = spoil(&turned).unwrap();
    let (p, q) = (expected.topics().next().unwrap().probability, turned.topics().next().unwrap().probability);
    assert!((p + q - 1.0).abs() < 1e-5, "entailment and contradiction have changed places: {p} and {q}");
    let nameless = |config: &str| {
        config
            .replace("\"0\": \"entailment\"", "\"0\": \"LABEL_0\"")
            .replace("\"1\": \"neutral\"", "\"1\": \"LABEL_1\"")
            .replace("\"2\": \"contradiction\"", "\"2\": \"LABEL_2\"")
    };
    let error = spoil(&nameless).unwrap_err().to_string();
    assert!(
        error.contains("its labels are [\"LABEL_0\", \"LABEL_1\", \"LABEL_2\"]") && error.contains("id2label"),
        "{error}"
    );
}
