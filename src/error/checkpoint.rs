//! What can be wrong with a checkpoint of transformers.

use std::io;

use crate::error::BundleFault;

/// Why a checkpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// One of the files is missing or unreadable.
    #[error("cannot read {file}: {source}; copy or download the checkpoint anew")]
    Unreadable {
        /// File name inside the checkpoint.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A JSON file is not as transformers writes it.
    #[error("{file} is not as transformers writes it: {source}")]
    Json {
        /// File name inside the checkpoint.
        file: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The architecture is none of those that can be computed.
    #[error(
        "its model_type is {found:?}; bert, roberta, xlm-roberta, distilbert, deberta-v2 (DeBERTa-v3 and mDeBERTa, too) and \
         modernbert can be opened"
    )]
    Family {
        /// `model_type` of config.json, empty if it has none.
        found: String,
    },
    /// The head is none of those that can be computed.
    #[error(
        "it is a {found}; classifiers of texts (…ForSequenceClassification) and plain encoders (…Model, …ForMaskedLM) can be opened"
    )]
    Architecture {
        /// The first of `architectures` in config.json.
        found: String,
    },
    /// A setting in one of the files cannot be followed.
    #[error("{file}: {problem}")]
    Config {
        /// File name inside the checkpoint.
        file: String,
        /// What it says, and what was expected.
        problem: String,
    },
    /// There is no `tokenizer.json`.
    #[error(
        "there is no {file}{others}; write it with `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)` of transformers",
        others = if .found.is_empty() { String::new() } else { format!(", only {}", .found.join(", ")) }
    )]
    NoTokenizer {
        /// File name inside the checkpoint.
        file: String,
        /// Files of tokenizers that are there and not read.
        found: Vec<&'static str>,
    },
    /// The tokenizer is that of another encoder.
    #[error(
        "tokenizer.json has ids up to {}, config.json says that the encoder has {encoder} pieces; they are not of the same checkpoint",
        .tokenizer.saturating_sub(1)
    )]
    Vocabulary {
        /// One more than the largest id of the tokenizer.
        tokenizer: usize,
        /// Rows of the encoder's word embeddings.
        encoder: usize,
    },
    /// The weights are pickled.
    #[error(
        "its weights are in {found}, a pickle, which can run any code when it is read and is never opened here; \
         take a version of the checkpoint with model.safetensors, or convert it where you trust it: \
         `AutoModelForSequenceClassification.from_pretrained(DIR).save_pretrained(NEW)`"
    )]
    PickleOnly {
        /// The file found.
        found: &'static str,
    },
    /// There are no weights.
    #[error("there is no {file}{}; copy or download the checkpoint anew", .found.map_or_else(String::new, |found| format!(", only {found}, which is not read")))]
    NoWeights {
        /// The file that was expected.
        file: String,
        /// Weights in another format.
        found: Option<&'static str>,
    },
    /// One of several files with weights is missing.
    #[error("{file} is missing, one of the {shards} files that {index} names; download the checkpoint anew")]
    MissingShard {
        /// The file.
        file: String,
        /// The index that names it.
        index: String,
        /// Files named.
        shards: usize,
    },
    /// Something that bundles are checked for, too.
    #[error(transparent)]
    Part(BundleFault),
}
