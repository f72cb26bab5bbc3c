//! The files of a checkpoint: each is read once, and what was read is summed up in one sha256.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bundle::{hex_sha256, is_plain_name};
use crate::error::CheckpointFault;

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

pub(super) struct Files<'f> {
    folder: &'f Path,
    /// Name, size and sha256 of what was read.
    read: BTreeMap<String, (u64, String)>,
}

impl<'f> Files<'f> {
    pub(super) fn of(folder: &'f Path) -> Self {
        Self { folder, read: BTreeMap::new() }
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// A file that must be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<Vec<u8>, CheckpointFault> {
        let bytes = fs::read(self.folder.join(name))
            .map_err(|source| CheckpointFault::Unreadable { file: name.into(), source })?;
        self.read.insert(name.into(), (bytes.len() as u64, hex_sha256(&bytes)));
        Ok(bytes)
    }

    /// A file that may be missing.
    pub(super) fn optional(&mut self, name: &str) -> Result<Option<Vec<u8>>, CheckpointFault> {
        match self.needed(name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(CheckpointFault::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// A JSON file that may be missing.
    pub(super) fn json(&mut self, name: &str) -> Result<Option<Value>, CheckpointFault> {
        let Some(bytes) = self.optional(name)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|source| CheckpointFault::Json { file: name.into(), source })
    }

    /// The files with the weights: one, or those that the index names.
    pub(super) fn weights(&mut self, folder: &str) -> Result<Vec<(String, Vec<u8>)>, CheckpointFault> {
        let at = |name: &str| format!("{folder}{name}");
        if let Some(bytes) = self.optional(&at(WEIGHTS))? {
            return Ok(vec![(at(WEIGHTS), bytes)]);
        }
        let Some(index) = self.json(&at(INDEX))? else { return Err(self.no_weights(folder)) };
        let bad = |problem: String| CheckpointFault::Config { file: at(INDEX), problem };
        let map = index["weight_map"].as_object().ok_or_else(|| bad("it has no weight_map".into()))?;
        let mut names: Vec<&str> = Vec::new();
        for (tensor, file) in map {
            match file.as_str().filter(|name| is_plain_name(name)) {
                Some(name) if names.contains(&name) => {}
                Some(name) => names.push(name),
                None => {
                    return Err(bad(format!(
                        "the tensor {tensor} is said to be in {file}, which is no plain file name"
                    )));
                }
            }
        }
        if names.is_empty() {
            return Err(bad("its weight_map is empty".into()));
        }
        names.sort_unstable();
        let shard = |name: &str| match self.optional(&at(name))? {
            Some(bytes) => Ok((at(name), bytes)),
            None => Err(CheckpointFault::MissingShard { file: at(name), index: at(INDEX), shards: names.len() }),
        };
        names.iter().copied().map(shard).collect()
    }

    /// Says what stands there instead of safetensors.
    fn no_weights(&self, folder: &str) -> CheckpointFault {
        const PICKLES: [&str; 3] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"];
        const OTHERS: [&str; 4] = ["tf_model.h5", "flax_model.msgpack", "model.onnx", "onnx/model.onnx"];
        let first = |names: &[&'static str]| names.iter().copied().find(|name| self.exists(&format!("{folder}{name}")));
        match first(&PICKLES) {
            Some(found) => CheckpointFault::PickleOnly { found },
            None => CheckpointFault::NoWeights { file: format!("{folder}{WEIGHTS}"), found: first(&OTHERS) },
        }
    }

    /// Bytes read.
    pub(super) fn bytes(&self) -> u64 {
        self.read.values().map(|(bytes, _)| bytes).sum()
    }

    /// Hexadecimal sha256 of the list of all files read, a line each: name, size, sha256.
    pub(super) fn sha256(&self) -> String {
        let mut list = Sha256::new();
        for (name, (bytes, sha256)) in &self.read {
            list.update(format!("{name} {bytes} {sha256}\n"));
        }
        list.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
