//! A bundle is checked completely when it is opened: each fault has its own message, and none of them panics.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use detente::calibration::{Calibration, Isotonic};
use detente::{BundleSource, Classifier};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// One way to spoil a bundle.
type Spoil = fn(&Copy);

/// A copy of a fixture to spoil.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn edit(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> &Self {
        let path = self.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        self
    }

    fn edit_json(&self, file: &str, change: impl FnOnce(&mut Value)) -> &Self {
        self.edit(file, |bytes| {
            let mut value: Value = serde_json::from_slice(bytes).unwrap();
            change(&mut value);
            *bytes = serde_json::to_vec(&value).unwrap();
        })
    }

    /// Makes bundle.json agree with the files again, as somebody who made a wrong bundle in earnest would.
    fn sign(&self) -> &Self {
        self.edit_json("bundle.json", |manifest| {
            for (name, entry) in manifest["files"].as_object_mut().unwrap() {
                let bytes = fs::read(self.path().join(name)).unwrap();
                let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                *entry = json!({"bytes": bytes.len(), "sha256": sha256});
            }
        })
    }

    fn message(&self) -> String {
        match Classifier::open(self.path()) {
            Ok(_) => panic!("a spoilt bundle was opened"),
            Err(error) => error.to_string().replace(&self.path().display().to_string(), "DIR"),
        }
    }
}

#[test]
fn files_outside_the_folder_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    for name in ["../payload", "x/n.txt", "/etc/passwd", "x\\n.txt", "c:n", "", ".", ".."] {
        let copy = Copy::of("fake");
        copy.edit_json("bundle.json", |manifest| manifest["files"][name] = json!({"bytes": 0, "sha256": ""}));
        let expected = format!("it names the file {name:?}, which is no plain file name");
        assert!(copy.message().contains(&expected), "{name}: {}", copy.message());
        let calibration = Classifier::open(fixture("fake")).unwrap().info().calibration.clone();
        let output = outside.path().join("new");
        let error = BundleSource::Folder(copy.path().into()).recalibrate(&calibration, &output).unwrap_err();
        assert!(error.to_string().contains(&expected), "{name}: {error}");
        assert!(!output.exists());
    }
}

#[test]
fn every_fault_has_its_own_message() {
    let cases: [(&str, Spoil, &str); 20] = [
        (
            "no manifest",
            |copy| fs::remove_file(copy.path().join("bundle.json")).unwrap(),
            "bundle DIR: cannot read bundle.json: ",
        ),
        (
            "missing file",
            |copy| fs::remove_file(copy.path().join("heads.safetensors")).unwrap(),
            "cannot read heads.safetensors",
        ),
        (
            "version",
            |copy| {
                copy.edit_json("bundle.json", |json| json["format"] = json!(2));
            },
            "bundle format 2 is not supported, this program reads format 1",
        ),
        (
            "not json",
            |copy| {
                copy.edit("bundle.json", |bytes| bytes.truncate(30));
            },
            "bundle.json is not as the bundle format asks",
        ),
        (
            "unknown field",
            |copy| {
                copy.edit_json("bundle.json", |json| json["extra"] = json!(1));
            },
            "unknown field `extra`",
        ),
        (
            "flipped bit",
            |copy| {
                copy.edit("encoder.safetensors", |bytes| *bytes.last_mut().unwrap() ^= 1);
            },
            "encoder.safetensors has sha256 ",
        ),
        (
            "cut weights",
            |copy| {
                copy.edit("encoder.safetensors", |bytes| bytes.truncate(5000)).sign();
            },
            "encoder.safetensors is cut short",
        ),
        (
            "wrong shape",
            |copy| {
                copy.edit_json("config.json", |json| json["intermediate_size"] = json!(65)).sign();
            },
            "tensor encoder.layer.0.intermediate.dense.weight has shape [64, 32], the configuration asks for [65, 32]",
        ),
        (
            "more layers",
            |copy| {
                copy.edit_json("config.json", |json| json["num_hidden_layers"] = json!(3)).sign();
            },
            "encoder.safetensors has no tensor encoder.layer.2.attention.self.query.weight",
        ),
        (
            "heads do not divide",
            |copy| {
                copy.edit_json("config.json", |json| json["num_attention_heads"] = json!(5)).sign();
            },
            "hidden_size 32 is not a multiple of num_attention_heads 5",
        ),
        (
            "no heads",
            |copy| {
                copy.edit_json("config.json", |json| json["num_attention_heads"] = json!(0)).sign();
            },
            "num_attention_heads 0",
        ),
        (
            "activation",
            |copy| {
                copy.edit_json("config.json", |json| json["hidden_act"] = json!("swish")).sign();
            },
            "unknown variant `swish`",
        ),
        (
            "position embeddings",
            |copy| {
                copy.edit_json("config.json", |json| json["position_embedding_type"] = json!("relative_key")).sign();
            },
            "position_embedding_type is \"relative_key\"",
        ),
        (
            "too long windows",
            |copy| {
                copy.edit_json("bundle.json", |json| json["encoder"]["max_length"] = json!(4096));
            },
            "max_length is 4096, config.json has ",
        ),
        (
            "no hidden units",
            |copy| {
                copy.edit_json("config.json", |json| json["hidden_size"] = json!(0)).sign();
            },
            "hidden_size is 0, 1 to 65536 can be computed",
        ),
        (
            "no token types",
            |copy| {
                copy.edit_json("config.json", |json| json["type_vocab_size"] = json!(0)).sign();
            },
            "type_vocab_size is 0, 1 to 65536 can be computed",
        ),
        (
            "stride",
            |copy| {
                copy.edit_json("bundle.json", |json| json["encoder"]["stride"] = json!(31));
            },
            "the stride is 31",
        ),
        (
            "topic twice",
            |copy| {
                copy.edit_json("bundle.json", |json| json["scheme"]["topics"][1]["name"] = json!("military"));
            },
            "the name \"military\" is used twice",
        ),
        (
            "topic named as the flag",
            |copy| {
                copy.edit_json("bundle.json", |json| json["scheme"]["topics"][1]["name"] = json!("boilerplate"));
            },
            "a topic or the scale is named \"boilerplate\"",
        ),
        (
            "tokenizer",
            |copy| {
                copy.edit("tokenizer.json", |bytes| bytes.truncate(100)).sign();
            },
            "tokenizer.json cannot be used",
        ),
    ];
    for (case, spoil, message) in cases {
        let copy = Copy::of("tiny");
        spoil(&copy);
        let found = copy.message();
        assert!(found.starts_with("bundle DIR: ") && found.contains(message), "{case}: {found}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Classifier::open("no/such/bundle").unwrap_err().to_string();
    assert!(error.starts_with("bundle no/such/bundle: cannot read bundle.json: "), "{error}");
}

#[test]
fn any_cut_of_any_file_is_an_error_and_not_a_panic() {
    for file in ["bundle.json", "config.json", "tokenizer.json", "heads.safetensors", "calibration.json"] {
        let length = fs::metadata(fixture("fake").join(file)).unwrap().len() as usize;
        for cut in [0, 1, length / 3, length / 2, length - 2] {
            let copy = Copy::of("fake");
            copy.edit(file, |bytes| bytes.truncate(cut));
            if file != "bundle.json" {
                copy.sign();
            }
            assert!(!copy.message().is_empty(), "{file} cut at {cut}");
        }
    }
}

#[test]
fn the_whole_bundle_has_one_identity() {
    let info = |copy: &Copy| Classifier::open(copy.path()).unwrap().info().clone();
    let copy = Copy::of("tiny");
    let before = info(&copy);
    assert_eq!(before.id, format!("tiny@{}+{}", before.version, &before.sha256[..8]));
    copy.edit_json("calibration.json", |json| json["fitted_on"] = json!("something else")).sign();
    assert_ne!(info(&copy).sha256, before.sha256);
}

/// The files of a bundle's folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn recalibrated(calibration: &Calibration) -> Calibration {
    let mut new = calibration.clone();
    let map = Isotonic { logits: vec![-1.0, 0.5, 2.0], probabilities: vec![0.05, 0.5, 0.9] };
    let topic = &mut new.topics[1];
    (topic.scale, topic.offset, topic.threshold, topic.isotonic) = (1.0, 0.0, 0.25, Some(map));
    new.fitted_on = "a test".into();
    new
}

#[test]
fn a_recalibrated_bundle_differs_in_its_calibration_alone() {
    let copy = Copy::of("tiny");
    let before = Classifier::open(copy.path()).unwrap().info().clone();
    let calibration = recalibrated(&before.calibration);
    let output = copy.path().join("new");
    BundleSource::Folder(copy.path().into()).recalibrate(&calibration, &output).unwrap();

    let classifier = Classifier::open(&output).unwrap();
    assert_eq!(classifier.info().calibration, calibration);
    assert_ne!(classifier.info().id, before.id);
    let text = "Truppen überschritten den Fluss.";
    let logit = classifier.logits_batch(&[text]).unwrap()[0].topics[1];
    let topic = classifier.classify(text).unwrap().topics().nth(1).map(|topic| topic.probability).unwrap();
    let share = |left: f32, right: f32| (logit - left) / (right - left);
    let expected = match logit {
        ..=-1.0 => 0.05,
        ..=0.5 => 0.05 + share(-1.0, 0.5) * 0.45,
        ..=2.0 => 0.5 + share(0.5, 2.0) * 0.4,
        _ => 0.9,
    };
    assert!((topic - expected).abs() < 1e-5, "{topic}, {expected} at {logit}");

    let (old, new) = (files(&fixture("tiny")), files(&output));
    let named: Value = serde_json::from_slice(&old["bundle.json"]).unwrap();
    let named: Vec<&String> = named["files"].as_object().unwrap().keys().collect();
    assert_eq!(new.len(), named.len() + 1);
    for name in named.into_iter().filter(|name| *name != "calibration.json") {
        assert!(new[name] == old[name], "{name} changed");
    }
    let [mut old, mut new] = [&old, &new].map(|files| serde_json::from_slice::<Value>(&files["bundle.json"]).unwrap());
    let entry = new["files"]["calibration.json"].take();
    assert_ne!(entry, old["files"]["calibration.json"].take());
    assert_eq!(new, old);

    let again = BundleSource::Folder(copy.path().into()).recalibrate(&calibration, &output).unwrap_err().to_string();
    assert!(again.starts_with("cannot write ") && again.contains("new: "), "{again}");
}

#[test]
fn a_calibration_that_does_not_fit_is_not_written() {
    let copy = Copy::of("tiny");
    let mut calibration = recalibrated(&Classifier::open(copy.path()).unwrap().info().calibration);
    calibration.topics[1].scale = 2.0;
    let output = copy.path().join("new");
    let source = BundleSource::Folder(copy.path().into());
    let error = source.recalibrate(&calibration, &output).unwrap_err().to_string();
    assert!(error.contains("isotonic stands in place of scale and offset"), "{error}");
    calibration.topics[1].scale = 1.0;
    copy.edit("heads.safetensors", |bytes| *bytes.last_mut().unwrap() ^= 1);
    let error = source.recalibrate(&calibration, &output).unwrap_err().to_string();
    assert!(error.contains("heads.safetensors has sha256"), "{error}");
    assert!(!output.exists());
}

#[test]
#[cfg(feature = "embedded")]
fn the_embedded_bundle_can_be_recalibrated() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("new");
    let before = Classifier::embedded().unwrap().info().clone();
    BundleSource::Embedded.recalibrate(&recalibrated(&before.calibration), &output).unwrap();
    let after = Classifier::open(&output).unwrap().info().clone();
    assert_eq!((after.name, after.parameters), (before.name, before.parameters));
    assert_eq!(after.calibration, recalibrated(&before.calibration));
}
