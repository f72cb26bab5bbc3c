//! A checkpoint: a folder as `transformers` or `sentence-transformers` writes it, of any family that the encoder knows.
//!
//! In: a folder. Out: an [`OpenCheckpoint`] whose parts were all read and checked. Nothing of a checkpoint is ever run: weights
//! are read from safetensors alone, and pickles are refused.

mod config;
mod export;
mod files;
mod sentence;

use std::fs;
use std::path::Path;

use crate::bundle::checkpoint::config::CheckpointConfig;
pub use crate::bundle::checkpoint::config::{HeadKind, NliOutputs};
pub(crate) use crate::bundle::checkpoint::export::{Exported, check_export, export};
use crate::bundle::checkpoint::files::Files;
use crate::bundle::checkpoint::sentence::Sentence;
pub(crate) use crate::bundle::checkpoint::sentence::SentenceEncoder;
use crate::bundle::zero_shot::ZeroShotInfo;
use crate::encode::{Prompt, TextTokenizer};
use crate::encoder::{self, Encoder, EncoderConfig, EncoderOptions, Pooling, Weights};
use crate::error::{BundleFault, CheckpointFault, Error, Result};
use crate::head::SequenceHead;

/// Longest window that is taken unless the checkpoint asks for a shorter one, in tokens. Attention grows with its square;
/// longer texts are read in several windows, never cut.
const LONGEST_WINDOW: usize = 512;

/// What a checkpoint says of itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// What the head is.
    pub head: HeadKind,
    /// The head's own labels, in the order of its outputs; empty without a head.
    pub labels: Vec<String>,
    /// Hexadecimal sha256 over all files that were read, without any map or scheme.
    pub sha256: String,
    /// What stands before every text (`query: `); often empty.
    pub prefix: String,
    /// The scheme that texts are judged by, if there is one.
    pub zero_shot: Option<ZeroShotInfo>,
    /// What is needed before texts can be classified, and how to get it; `None` if nothing.
    pub missing: Option<String>,
}

/// An opened checkpoint.
pub(crate) struct OpenCheckpoint {
    pub(crate) head_kind: HeadKind,
    pub(crate) labels: Vec<String>,
    pub(crate) head: Option<SequenceHead>,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) encoder: Box<dyn Encoder>,
    pub(crate) prefix: String,
    pub(crate) max_length: usize,
    /// In a few words.
    pub(crate) description: String,
    pub(crate) parameters: usize,
    pub(crate) vocabulary: usize,
    pub(crate) products_per_token: Option<u64>,
    /// Size of the files read.
    pub(crate) bytes: u64,
    /// Stands for the contents of all files read.
    pub(crate) sha256: String,
    /// As README.md says.
    pub(crate) license: String,
    /// README.md, or nothing.
    pub(crate) card: String,
}

impl OpenCheckpoint {
    /// What is needed before texts can be classified, where the labels by themselves do not say anything of a text.
    pub(crate) fn missing(&self) -> String {
        match self.head_kind {
            HeadKind::Encoder => "is a plain encoder without a head and gives vectors, but no labels; \
                `detente fit` learns labels on its vectors"
                .into(),
            HeadKind::Nli(_) => {
                "judges pairs of texts (natural-language inference) and has no labels for a text that stands alone; \
                    give it some with --scheme, as docs/zero-shot.md shows"
                    .into()
            }
            _ => format!(
                "gives one number ({}), and does not say which levels it stands for; give them with --labels, as docs/checkpoints.md shows",
                self.labels.join(", ")
            ),
        }
    }
}

/// Whether the folder holds a checkpoint of transformers and no bundle, not even one whose manifest is missing.
pub fn is_checkpoint(folder: impl AsRef<Path>) -> bool {
    let has = |file: &str| folder.as_ref().join(file).exists();
    (has("config.json") || has("modules.json")) && !has("bundle.json") && !has("heads.safetensors")
}

/// Opens the checkpoint in a folder.
pub(crate) fn open(folder: &Path, options: &EncoderOptions) -> Result<OpenCheckpoint> {
    read(folder, options).map_err(|what| Error::Checkpoint { path: folder.to_path_buf(), what })
}

fn read(folder: &Path, options: &EncoderOptions) -> Result<OpenCheckpoint, CheckpointFault> {
    let mut files = Files::of(folder);
    let sentence = Sentence::read(&mut files)?;
    let config_json = files.needed(&sentence.file("config.json"))?;
    let json = CheckpointConfig::read(&config_json, sentence.has_modules)?;
    let config = EncoderConfig::read(&config_json, json.family)?;
    let tokenizer_json = tokenizer_json(&mut files, &sentence)?;

    let max_length = window_length(&mut files, &sentence, &config)?;
    let prompt = Prompt { prefix: sentence.prefix.clone(), lower_case: sentence.lower_case };
    let tokenizer = TextTokenizer::read(&tokenizer_json, max_length, None, prompt)?;
    let vocabulary = tokenizer.vocabulary_size();
    if vocabulary > config.vocab_size {
        return Err(CheckpointFault::Vocabulary { tokenizer: vocabulary, encoder: config.vocab_size });
    }

    let shards = files.weights(&sentence.folder)?;
    let views: Vec<(&str, &[u8])> = shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let weights = Weights::read_shards(&views)?;
    let own = weights.of_encoder(config.family);
    let pooling = match json.head {
        HeadKind::Encoder => sentence.pooling.unwrap_or(Pooling::Mean),
        _ => SequenceHead::pooling(&config_json, config.family)?,
    };
    let encoder = encoder::load(&config, pooling, Some(&own), options)?;
    let head = match json.head {
        HeadKind::Encoder => None,
        _ => Some(SequenceHead::load(&config_json, &config, &weights, json.labels.len())?),
    };
    let encoder = match json.head {
        HeadKind::Encoder => SentenceEncoder::over(encoder, &sentence, &mut files, config.hidden_size)?,
        _ => encoder,
    };
    Ok(OpenCheckpoint {
        head_kind: json.head,
        labels: json.labels,
        head,
        tokenizer,
        encoder,
        prefix: sentence.prefix,
        max_length,
        description: crate::bundle::describe(&config, pooling),
        parameters: weights.count(),
        vocabulary,
        products_per_token: config.products_per_token(),
        bytes: files.bytes(),
        sha256: files.sha256(),
        license: license(folder),
        card: fs::read_to_string(folder.join("README.md")).unwrap_or_default(),
    })
}

/// `tokenizer.json`, or an error that says which other tokenizer files there are.
fn tokenizer_json(files: &mut Files<'_>, sentence: &Sentence) -> Result<Vec<u8>, CheckpointFault> {
    const OTHERS: [&str; 5] = ["vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spm.model", "tokenizer.model"];
    let name = sentence.file("tokenizer.json");
    match files.optional(&name)? {
        Some(bytes) => Ok(bytes),
        None => {
            let found = OTHERS.iter().copied().filter(|other| files.exists(&sentence.file(other)));
            Err(CheckpointFault::NoTokenizer { file: name, found: found.collect() })
        }
    }
}

/// Tokens of a window: the least of what the encoder can take, what the files say, and [`LONGEST_WINDOW`].
fn window_length(files: &mut Files<'_>, sentence: &Sentence, config: &EncoderConfig) -> Result<usize, CheckpointFault> {
    /// transformers writes 1e30 where nothing is known.
    const NO_LIMIT: f64 = 1e6;
    let json = files.json(&sentence.file("tokenizer_config.json"))?.unwrap_or_default();
    let length = json["model_max_length"].as_f64().filter(|&length| (1.0..NO_LIMIT).contains(&length));
    let limits = [Some(config.max_tokens), length.map(|length| length as usize), sentence.max_length];
    Ok(limits.into_iter().flatten().fold(LONGEST_WINDOW, usize::min))
}

/// What the front matter of README.md says.
fn license(folder: &Path) -> String {
    let card = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    let mut lines = card.lines();
    let front = (lines.next() == Some("---")).then(|| lines.take_while(|line| *line != "---"));
    let license = front.into_iter().flatten().find_map(|line| Some(line.strip_prefix("license:")?.trim().to_owned()));
    license.filter(|license| !license.is_empty()).unwrap_or_else(|| "not stated".into())
}

impl From<BundleFault> for CheckpointFault {
    fn from(fault: BundleFault) -> Self {
        match fault {
            BundleFault::Json { file, source } => Self::Json { file, source },
            fault => Self::Part(fault),
        }
    }
}

#[cfg(test)]
mod tests;
