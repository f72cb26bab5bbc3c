//! Checkpoints that were spoilt: each fault is told by a message of its own, and none of them panics.

use std::fs;
use std::path::PathBuf;

use detente::Classifier;
use serde_json::{Value, json};

use crate::checkpoints::fixture;

/// A copy of a checkpoint to spoil.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            let target = folder.path().join(path.file_name().unwrap());
            if path.is_file() {
                fs::copy(&path, target).unwrap();
                continue;
            }
            fs::create_dir(&target).unwrap();
            for entry in fs::read_dir(&path).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, target.join(path.file_name().unwrap())).unwrap();
            }
        }
        Self(folder)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn edit(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(file)).unwrap();
        change(&mut bytes);
        fs::write(self.path(file), bytes).unwrap();
    }

    fn set(&self, file: &str, field: &str, value: Value) {
        self.edit(file, |bytes| {
            let mut json: Value = serde_json::from_slice(bytes).unwrap();
            json[field] = value;
            *bytes = serde_json::to_vec(&json).unwrap();
        });
    }

    /// Writes another header before the same tensors.
    fn edit_header(&self, change: impl FnOnce(&mut Value)) {
        self.edit("model.safetensors", |bytes| {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
            change(&mut header);
            let header = serde_json::to_vec(&header).unwrap();
            let tensors = bytes.split_off(8 + length);
            *bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &tensors].concat();
        });
    }

    fn message(&self) -> String {
        match Classifier::open(self.0.path()) {
            Ok(_) => panic!("a spoilt checkpoint was opened"),
            Err(error) => error.to_string().replace(&self.0.path().display().to_string(), "DIR"),
        }
    }
}

type Spoil = fn(&Copy);

#[test]
fn every_fault_has_its_own_message() {
    let cases: [(&str, Spoil, &str); 22] = [
        ("bert-single", |copy| copy.remove("config.json"), "cannot read bundle.json"),
        (
            "bert-single",
            |copy| copy.rename("model.safetensors", "pytorch_model.bin"),
            "its weights are in pytorch_model.bin, a pickle, which can run any code",
        ),
        (
            "bert-single",
            |copy| copy.rename("model.safetensors", "tf_model.h5"),
            "there is no model.safetensors, only tf_model.h5, which is not read",
        ),
        (
            "bert-single",
            |copy| copy.rename("tokenizer.json", "vocab.txt"),
            "there is no tokenizer.json, only vocab.txt; write it with `AutoTokenizer",
        ),
        (
            "bert-single",
            |copy| copy.edit("tokenizer.json", |bytes| bytes.truncate(200)),
            "tokenizer.json cannot be used",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "vocab_size", json!(100)),
            "tokenizer.json has ids up to 159, config.json says that the encoder has 100 pieces",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "vocab_size", json!(161)),
            "tensor bert.embeddings.word_embeddings.weight has shape [160, 16], the configuration asks for [161, 16]",
        ),
        (
            "bert-single",
            |copy| copy.edit("model.safetensors", |bytes| bytes.truncate(9000)),
            "model.safetensors is cut short: it has 9000 bytes, its header asks for ",
        ),
        (
            "bert-single",
            |copy| copy.edit("model.safetensors", |bytes| bytes.truncate(5)),
            "model.safetensors is no valid safetensors file",
        ),
        (
            "bert-single",
            |copy| {
                copy.edit("model.safetensors", |bytes| {
                    *bytes = b"version https://git-lfs.github.com/spec/v1\noid sha256:00".to_vec()
                })
            },
            "model.safetensors is a pointer of Git LFS",
        ),
        (
            "bert-single",
            |copy| {
                copy.edit("model.safetensors", |bytes| {
                    *bytes = b"<!DOCTYPE html><html><body>403 Forbidden</body></html>".to_vec()
                })
            },
            "model.safetensors is no valid safetensors file",
        ),
        (
            "bert-single",
            |copy| copy.edit_header(|header| header["classifier.weight"]["shape"] = json!([3, 17])),
            "model.safetensors is no valid safetensors file",
        ),
        (
            "bert-single",
            |copy| copy.edit_header(|header| header["classifier.bias"]["dtype"] = json!("I16")),
            "model.safetensors is no valid safetensors file",
        ),
        (
            "bert-single",
            |copy| {
                copy.edit("model.safetensors", |bytes| {
                    let end = bytes.len();
                    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
                })
            },
            "holds a value that is not finite",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "model_type", json!("gpt2")),
            "its model_type is \"gpt2\"; bert, roberta",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "architectures", json!(["BertForTokenClassification"])),
            "it is a BertForTokenClassification; classifiers of texts",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "id2label", json!({"0": "a", "1": "b"})),
            "tensor classifier.weight has shape [3, 16], the configuration asks for [2, 16]",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "id2label", json!({"0": "a", "2": "b"})),
            "id2label has the id \"2\"",
        ),
        (
            "bert-single",
            |copy| copy.set("config.json", "id2label", json!({"0": "a", "1": "b", "2": "a"})),
            "id2label gives two outputs the name \"a\"",
        ),
        (
            "bert-single",
            |copy| copy.edit("config.json", |bytes| bytes.truncate(50)),
            "config.json is not as transformers writes it",
        ),
        (
            "xlm-roberta-multi",
            |copy| copy.remove("model-00002-of-00004.safetensors"),
            "model-00002-of-00004.safetensors is missing, one of the 4 files that model.safetensors.index.json names",
        ),
        (
            "xlm-roberta-multi",
            |copy| copy.set("model.safetensors.index.json", "weight_map", json!({"a": "../../secret"})),
            "the tensor a is said to be in \"../../secret\", which is no plain file name",
        ),
    ];
    for (name, spoil, message) in cases {
        let copy = Copy::of(name);
        spoil(&copy);
        let found = copy.message();
        assert!(found.contains(message), "{name}, {message}: {found}");
    }
}

#[test]
fn settings_that_cannot_be_followed_are_refused() {
    let cases: [(&str, &str, Value, &str); 12] = [
        ("bert-single", "position_embedding_type", json!("relative_key"), "only \"absolute\" can be computed"),
        ("bert-single", "is_decoder", json!(true), "is_decoder is on"),
        ("bert-single", "hidden_act", json!("swish"), "unknown variant `swish`"),
        ("bert-single", "num_attention_heads", json!(3), "hidden_size 16 is not a multiple of num_attention_heads 3"),
        ("bert-single", "problem_type", json!("ranking"), "problem_type is \"ranking\""),
        ("bert-single", "problem_type", json!("regression"), "problem_type is \"regression\" with 3 outputs"),
        ("deberta-single", "conv_kernel_size", json!(3), "asks for a convolution layer"),
        ("deberta-single", "relative_attention", json!(false), "relative_attention is off"),
        ("deberta-single", "pooler_hidden_size", json!(8), "pooler_hidden_size is not hidden_size, 16"),
        ("modernbert-single", "norm_bias", json!(true), "norm_bias, attention_bias or mlp_bias is on"),
        (
            "modernbert-single",
            "layer_types",
            json!(["full_attention", "full_attention", "sliding_attention", "full_attention"]),
            "one global layer before every so many local ones was expected",
        ),
        (
            "modernbert-single",
            "rope_parameters",
            json!({"full_attention": {"rope_type": "yarn"}}),
            "rope_type is \"yarn\"",
        ),
    ];
    for (name, field, value, message) in cases {
        let copy = Copy::of(name);
        copy.set("config.json", field, value);
        let found = copy.message();
        assert!(found.starts_with("checkpoint DIR: ") && found.contains(message), "{name}, {field}: {found}");
    }
    let copy = Copy::of("bert-encoder");
    copy.set("1_Pooling/config.json", "pooling_mode", json!("max"));
    assert!(copy.message().contains("1_Pooling/config.json: the pooling is [\"max\"]"), "{}", copy.message());
    let copy = Copy::of("bert-encoder");
    copy.set("config_sentence_transformers.json", "default_prompt_name", json!("other"));
    assert!(copy.message().contains("there is no prompt \"other\""), "{}", copy.message());
}

#[test]
fn any_cut_of_any_file_is_an_error_and_not_a_panic() {
    for file in ["config.json", "tokenizer.json", "model.safetensors", "modules.json", "1_Pooling/config.json"] {
        let length = fs::metadata(fixture("bert-encoder").join(file)).unwrap().len() as usize;
        for cut in [0, 1, 7, 9, length / 3, length / 2, length - 2] {
            let copy = Copy::of("bert-encoder");
            copy.edit(file, |bytes| bytes.truncate(cut));
            assert!(!copy.message().is_empty(), "{file} cut at {cut}");
        }
    }
}
