//! A bundle is checked completely when it is opened: each fault has its own message, and none of them panics.

use std::fs;
use std::path::{Path, PathBuf};

use detente::Classifier;
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
fn every_fault_has_its_own_message() {
    let cases: [(&str, Spoil, &str); 17] = [
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
            "encoder.safetensors is not a whole safetensors file",
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
