//! A checkpoint's encoder as the files of a bundle that has no heads yet: `detente fit` puts them in.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use serde_json::json;

use crate::bundle::checkpoint::config::CheckpointConfig;
use crate::bundle::checkpoint::files::Files;
use crate::bundle::checkpoint::sentence::Sentence;
use crate::bundle::checkpoint::{HeadKind, license, window_length};
use crate::bundle::{FORMAT, hex_sha256};
use crate::encode::{Prompt, TextTokenizer};
use crate::encoder::{EncoderConfig, Pooling, Weights};
use crate::error::{BundleFault, CheckpointFault, Error, Result};
use crate::head::SequenceHead;

const WEIGHTS: &str = "encoder.safetensors";

/// `bundle.json` and the files that it names. Name, languages, scheme and heads are empty.
pub(crate) struct Exported {
    pub(crate) manifest: Vec<u8>,
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

/// Whether the encoder can be taken over, as far as that is known without reading its weights.
pub(crate) fn check_export(folder: &Path) -> Result<()> {
    let sentence = Sentence::read(&mut Files::of(folder));
    let check = sentence.and_then(|sentence| normalize(&sentence));
    check.map(|_| ()).map_err(|what| Error::Checkpoint { path: folder.to_path_buf(), what })
}

/// Whether vectors are brought to length 1.
fn normalize(sentence: &Sentence) -> Result<bool, CheckpointFault> {
    sentence.normalize_alone().ok_or_else(|| {
        let problem = "it names a dense layer behind the pooling, which a bundle has no place for".into();
        CheckpointFault::Config { file: "modules.json".into(), problem }
    })
}

/// Reads the checkpoint in a folder.
pub(crate) fn export(folder: &Path) -> Result<Exported> {
    read(folder).map_err(|what| Error::Checkpoint { path: folder.to_path_buf(), what })
}

fn read(folder: &Path) -> Result<Exported, CheckpointFault> {
    let mut files = Files::of(folder);
    let sentence = Sentence::read(&mut files)?;
    let config_json = files.needed(&sentence.file("config.json"))?;
    let json = CheckpointConfig::read(&config_json, sentence.has_modules)?;
    let config = EncoderConfig::read(&config_json, json.family)?;
    let tokenizer_json = files.needed(&sentence.file("tokenizer.json"))?;
    let max_length = window_length(&mut files, &sentence, &config)?;
    let prompt = Prompt { prefix: sentence.prefix.clone(), lower_case: sentence.lower_case };
    let stride = TextTokenizer::read(&tokenizer_json, max_length, None, prompt)?.stride();
    let normalize = normalize(&sentence)?;
    let pooling = match json.head {
        HeadKind::Encoder => sentence.pooling.unwrap_or(Pooling::Mean),
        _ => SequenceHead::pooling(&config_json, config.family)?,
    };
    let shards = files.weights(&sentence.folder)?;
    let views: Vec<(&str, &[u8])> = shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let weights = Weights::read_shards(&views)?;
    let encoder = serialize(&weights.of_encoder(config.family).tensors())?;

    let files: Vec<(&'static str, Vec<u8>)> =
        vec![("config.json", config_json), ("tokenizer.json", tokenizer_json), (WEIGHTS, encoder)];
    let entry = |(name, bytes): &(&'static str, Vec<u8>)| {
        ((*name).to_owned(), json!({"bytes": bytes.len(), "sha256": hex_sha256(bytes)}))
    };
    let mut encoder = json!({
        "family": config.family.name(),
        "pooling": match pooling { Pooling::Mean => "mean", Pooling::Cls => "cls" },
        "max_length": max_length,
        "stride": stride,
    });
    if normalize {
        encoder["normalize"] = json!(true);
    }
    if !sentence.prefix.is_empty() {
        encoder["prefix"] = json!(sentence.prefix);
    }
    if sentence.lower_case {
        encoder["lower_case"] = json!(true);
    }
    let manifest = json!({
        "format": FORMAT,
        "name": "",
        "version": "",
        "license": license(folder),
        "languages": [],
        "encoder": encoder,
        "head": {"escalation": "cumulative"},
        "scheme": {"topics": [], "scale": null, "boilerplate": false},
        "files": files.iter().map(entry).collect::<serde_json::Map<_, _>>(),
    });
    Ok(Exported { manifest: manifest.to_string().into_bytes(), files })
}

fn serialize(tensors: &BTreeMap<String, TensorView<'_>>) -> Result<Vec<u8>, BundleFault> {
    safetensors::serialize(tensors, None).map_err(|source| BundleFault::Tensors { file: WEIGHTS.into(), source })
}
