//! What a commit consists of, and which of its files are needed to classify.
//!
//! In: the Hub's answer, or a listing that the cache keeps. Out: a [`Listing`] whose paths and hashes were checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{CheckpointFault, HubFault};
use crate::hub::hash::Hash;
use crate::hub::repository::is_safe_path;

/// The version of the form in which the cache keeps listings; that of Python's client.
const VERSION: u64 = 1;

/// The files of a commit, by their paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    files: BTreeMap<String, Entry>,
}

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: u64,
    pub(crate) hash: Hash,
}

/// One entry of the Hub's answer.
#[derive(Deserialize)]
pub(super) struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<TreeLfs>,
}

#[derive(Deserialize)]
struct TreeLfs {
    oid: String,
    size: u64,
}

/// A listing in the cache.
#[derive(Serialize, Deserialize)]
struct Kept {
    format_version: u64,
    files: BTreeMap<String, KeptEntry>,
}

#[derive(Serialize, Deserialize)]
struct KeptEntry {
    size: u64,
    blob_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lfs_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lfs_size: Option<u64>,
}

impl Listing {
    /// Of the Hub's answer; `url` is for messages.
    pub(super) fn of_tree(entries: Vec<TreeEntry>, url: &str) -> Result<Self, HubFault> {
        let mut files = BTreeMap::new();
        for TreeEntry { kind, path, size, oid, lfs } in entries {
            // A path of any kind that leads out of its folder is an attack on somebody.
            if !is_safe_path(&path) {
                return Err(HubFault::UnsafePath { path });
            }
            if kind != "file" {
                continue;
            }
            let (bytes, digits) = lfs.map_or((size, oid), |lfs| (lfs.size, lfs.oid));
            let hash = Hash::parse(&digits).ok_or_else(|| HubFault::Answer {
                url: url.into(),
                problem: format!("{path} has the hash {digits:?}, which is neither a sha256 nor that of git"),
            })?;
            files.insert(path, Entry { bytes, hash });
        }
        Ok(Self { files })
    }

    /// Of a file in the cache, by us or by Python's client; `None` if it is damaged or of another version.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(json).ok().filter(|kept: &Kept| kept.format_version == VERSION)?;
        let entry = |(path, entry): (String, KeptEntry)| {
            let (bytes, digits) = match entry.lfs_sha256 {
                Some(sha256) => (entry.lfs_size.unwrap_or(entry.size), sha256),
                None => (entry.size, entry.blob_id),
            };
            let hash = Hash::parse(&digits).filter(|_| is_safe_path(&path))?;
            Some((path, Entry { bytes, hash }))
        };
        Some(Self { files: kept.files.into_iter().map(entry).collect::<Option<_>>()? })
    }

    /// As the cache keeps it.
    pub(super) fn to_json(&self) -> String {
        let entry = |(path, entry): (&String, &Entry)| {
            let (bytes, digits) = (entry.bytes, entry.hash.digits().to_owned());
            let kept = match entry.hash {
                Hash::Git(_) => KeptEntry { size: bytes, blob_id: digits, lfs_sha256: None, lfs_size: None },
                Hash::Sha256(_) => {
                    KeptEntry { size: bytes, blob_id: String::new(), lfs_sha256: Some(digits), lfs_size: Some(bytes) }
                }
            };
            (path.clone(), kept)
        };
        let kept = Kept { format_version: VERSION, files: self.files.iter().map(entry).collect() };
        serde_json::to_string_pretty(&kept).expect("strings and numbers are JSON")
    }

    /// The files that are fetched and verified.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let has_whole = |folder: &str| self.files.contains_key(&format!("{folder}{WHOLE}"));
        let files = self.files.iter().filter(move |(path, _)| {
            let (folder, name) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
            is_needed(path) && !(is_shard(name) && has_whole(folder))
        });
        files.map(|(path, entry)| (path.as_str(), entry))
    }

    /// # Errors
    /// If there are no weights that are ever opened; nothing is fetched then.
    pub(super) fn check_weights(&self) -> Result<(), CheckpointFault> {
        const PICKLES: [&str; 4] =
            ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "model.pt"];
        const OTHERS: [&str; 4] = ["tf_model.h5", "flax_model.msgpack", "model.onnx", "onnx/model.onnx"];
        if self.needed().any(|(path, _)| path.ends_with(".safetensors")) {
            return Ok(());
        }
        let first = |names: &[&'static str]| names.iter().copied().find(|name| self.files.contains_key(*name));
        Err(match first(&PICKLES) {
            Some(found) => CheckpointFault::PickleOnly { found },
            None => CheckpointFault::NoWeights { file: WHOLE.into(), found: first(&OTHERS) },
        })
    }
}

/// All weights of a checkpoint in one file; parts are left alone where it is there.
const WHOLE: &str = "model.safetensors";

fn is_shard(name: &str) -> bool {
    name.starts_with("model-") && name.contains("-of-") && name.ends_with(".safetensors")
}

/// Whether a file is one that is read when a bundle or a checkpoint is opened, or says what it is. Pickles never are.
pub(super) fn is_needed(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return is_needed_name(path) || is_text(path) };
    is_module(folder) && is_needed_name(name)
}

fn is_needed_name(name: &str) -> bool {
    const WEIGHTS: [&str; 3] = [WHOLE, "encoder.safetensors", "heads.safetensors"];
    WEIGHTS.contains(&name) || is_shard(name) || name.ends_with(".json") && !name.contains(".bin.")
}

/// Model card, vocabulary, licence.
fn is_text(name: &str) -> bool {
    name.ends_with(".md") || name.ends_with(".txt") || name.starts_with("LICENSE")
}

/// Whether it is a folder as sentence-transformers names those of its steps: `1_Pooling`.
fn is_module(folder: &str) -> bool {
    let parts = folder.split_once('_');
    parts.is_some_and(|(number, name)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    fn listing(paths: &[&str]) -> Listing {
        let entry = |path: &&str| TreeEntry {
            kind: "file".into(),
            path: (*path).into(),
            size: 6,
            oid: GIT.into(),
            lfs: path.ends_with(".safetensors").then(|| TreeLfs { oid: SHA256.into(), size: 7 }),
        };
        Listing::of_tree(paths.iter().map(entry).collect(), "url").unwrap()
    }

    #[test]
    fn only_what_is_read_is_fetched() {
        let needed = [
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "LICENSE",
            "README.md",
            "config.json",
            "model.safetensors",
            "modules.json",
            "tokenizer.json",
            "vocab.txt",
        ];
        let others = [
            ".gitattributes",
            "2_Dense/pytorch_model.bin",
            "adapter.py",
            "checkpoint-5/model.safetensors",
            "model-00001-of-00002.safetensors",
            "model.fp16.safetensors",
            "model.onnx",
            "onnx/config.json",
            "onnx/model.onnx",
            "optimizer.pt",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            "tf_model.h5",
            "training_args.bin",
        ];
        let all: Vec<&str> = needed.into_iter().chain(others).collect();
        let listing = listing(&all);
        assert_eq!(listing.needed().map(|(path, _)| path).collect::<Vec<_>>(), needed);
        assert!(listing.check_weights().is_ok());
    }

    #[test]
    fn parts_are_fetched_where_there_is_no_whole() {
        let paths =
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"];
        assert_eq!(listing(&paths).needed().count(), 3);
    }

    #[test]
    fn repositories_without_safetensors_are_told_before_anything_is_fetched() {
        let fault = |paths: &[&str]| listing(paths).check_weights().unwrap_err().to_string();
        assert!(fault(&["config.json", "pytorch_model.bin"]).contains("a pickle"));
        assert!(fault(&["config.json", "onnx/model.onnx"]).contains("only onnx/model.onnx"));
        assert!(fault(&["README.md"]).contains("there is no model.safetensors"));
    }

    #[test]
    fn a_kept_listing_is_read_as_it_was() {
        let listing = listing(&["config.json", "model.safetensors"]);
        assert_eq!(Listing::parse(listing.to_json().as_bytes()), Some(listing));
        let python = format!(
            r#"{{"format_version": 1, "files": {{"model.safetensors": {{"size": 1, "blob_id": "{GIT}", "lfs_sha256": "{SHA256}",
            "lfs_size": 9, "xet_hash": "{SHA256}"}}}}}}"#
        );
        let entry = Entry { bytes: 9, hash: Hash::parse(SHA256).unwrap() };
        assert_eq!(Listing::parse(python.as_bytes()).unwrap().files["model.safetensors"], entry);
        for bad in [
            String::new(),
            python.replace("\"format_version\": 1", "\"format_version\": 2"),
            python.replace("model.safetensors", "../model.safetensors"),
            python.replace(SHA256, "5891"),
        ] {
            assert_eq!(Listing::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
