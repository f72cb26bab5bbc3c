//! A bundle: everything needed to classify, in one folder or inside the program. The format is specified in
//! `models/README.md`. A checkpoint of transformers opens as one, too ([`checkpoint`]).
//!
//! In: a folder. Out: an [`OpenBundle`] whose parts were all read and checked; after that nothing depends on the files.

pub(crate) mod checkpoint;
mod labels;
mod recalibrate;
mod refit;
mod snapshot;
mod zero_shot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use crate::bundle::checkpoint::{CheckpointInfo, HeadKind, NliOutputs};
use crate::bundle::checkpoint::{OpenCheckpoint, SentenceEncoder};
pub use crate::bundle::labels::LabelMap;
use crate::bundle::labels::Reading;
pub use crate::bundle::recalibrate::BundleSource;
pub use crate::bundle::refit::Refit;
pub use crate::bundle::zero_shot::{ZeroShotInfo, ZeroShotScheme};
use crate::calibration::Calibration;
use crate::encode::{Encoding, Prompt, TextTokenizer};
use crate::encoder::{self, Encoder, EncoderConfig, EncoderOptions, Family, Pooling, Precision, Weights};
use crate::error::{BundleFault, CheckpointFault, Error, Result};
use crate::head::{Heads, LinearHeads, MappedHead, ScaleHead};
use crate::label::Scheme;
use crate::text::language::{Language, primary_subtag};

/// The version of the bundle format that this program reads.
pub const FORMAT: u64 = 1;

/// What a bundle says of itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BundleInfo {
    /// Name (`detente-mini`).
    pub name: String,
    /// Version of the bundle, not of the format.
    pub version: String,
    /// Hexadecimal sha256 of `bundle.json`, which holds those of all other files: it stands for the whole bundle.
    pub sha256: String,
    /// Name, version and the first 8 digits of the sha256: `detente-mini@0.1.0+1a2b3c4d`; from the Hub `owner/name@commit+1a2b3c4d`.
    /// Written into every record.
    pub id: String,
    /// SPDX expression.
    pub license: String,
    /// BCP-47 codes of the languages that figures exist for.
    pub languages: Vec<String>,
    /// The labels.
    pub scheme: Arc<Scheme>,
    /// What the logits of the scale mean.
    pub scale_head: ScaleHead,
    /// How logits become probabilities and decisions.
    pub calibration: Calibration,
    /// Longest window, in tokens, special tokens included.
    pub max_length: usize,
    /// Step from window to window, in tokens.
    pub stride: usize,
    /// The encoder in a few words (`bert, 6 layers, 384 hidden, 12 heads, mean pooling`).
    pub encoder: String,
    /// Weights of the encoder.
    pub parameters: usize,
    /// Pieces in the vocabulary.
    pub vocabulary: usize,
    /// Multiplications that the matrix products of the layers take for one token, attention not counted; `None` of families
    /// whose layers have more.
    pub products_per_token: Option<u64>,
    /// Size of all files, in bytes.
    pub bytes: u64,
    /// What computes (`int8 avx512-vnni`, `f32 avx2`, `candle f32`).
    pub kernel: &'static str,
    /// Its arithmetic.
    pub precision: Precision,
    /// The model card, in Markdown.
    pub card: String,
    /// What a checkpoint of transformers says of itself; `None` of a bundle.
    pub checkpoint: Option<CheckpointInfo>,
}

impl BundleInfo {
    /// Whether the card has figures for the language.
    pub fn is_validated_for(&self, language: Language) -> bool {
        self.languages.iter().any(|tag| primary_subtag(tag).eq_ignore_ascii_case(language.code()))
    }
}

/// How a bundle or a checkpoint is opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenOptions {
    pub(crate) encoder: EncoderOptions,
    /// What the labels of a checkpoint stand for.
    pub(crate) labels: Option<LabelMap>,
    /// Labels for a checkpoint for natural-language inference.
    pub(crate) scheme: Option<ZeroShotScheme>,
    /// Name and revision that it is known by; else those of a snapshot of the Hub, else a bundle's own and the name of a checkpoint's folder.
    pub(crate) origin: Option<(String, String)>,
}

/// An opened bundle: the parts that a classifier runs.
pub(crate) struct OpenBundle {
    pub(crate) info: BundleInfo,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) encoder: Box<dyn Encoder>,
    pub(crate) heads: Heads,
}

impl OpenBundle {
    /// A text as the encoder is to see it.
    pub(crate) fn encode(&self, text: &str) -> Result<Encoding> {
        self.heads.encode(&self.tokenizer, text)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleJson {
    /// Checked before the rest is read.
    #[serde(rename = "format")]
    _format: u64,
    name: String,
    version: String,
    license: String,
    languages: Vec<String>,
    encoder: EncoderJson,
    head: HeadJson,
    scheme: Scheme,
    files: BTreeMap<String, FileJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncoderJson {
    family: Family,
    pooling: Pooling,
    max_length: usize,
    stride: usize,
    /// Whether vectors are brought to length 1.
    #[serde(default)]
    normalize: bool,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    lower_case: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadJson {
    #[serde(rename = "escalation", alias = "scale")]
    scale: ScaleHead,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJson {
    bytes: u64,
    sha256: String,
}

/// Opens the bundle in a folder: reads every file, checks its sha256, then everything in it. A checkpoint is checked as far
/// as it says what it is.
pub(crate) fn open(folder: &Path, options: &OpenOptions) -> Result<OpenBundle> {
    let at = |what| Error::Bundle { path: folder.to_path_buf(), what };
    if checkpoint::is_checkpoint(folder) {
        let opened = checkpoint::open(folder, &options.encoder)?;
        return of_checkpoint(opened, folder, options);
    }
    let load = |file: &str| {
        fs::read(folder.join(file)).map_err(|source| BundleFault::MissingFile { file: file.into(), source })
    };
    let manifest = load("bundle.json").map_err(at)?;
    let json = manifest_json(&manifest).map_err(at)?;
    let mut files = BTreeMap::new();
    for (file, expected) in &json.files {
        let bytes = load(file).map_err(at)?;
        verify(file, &bytes, expected).map_err(at)?;
        files.insert(file.as_str(), bytes);
    }
    let bytes = |file: &str| files.get(file).map(Vec::as_slice);
    let mut opened = assemble(&manifest, &json, &bytes, &options.encoder).map_err(at)?;
    if let Some((name, revision)) = options.origin.clone().or_else(|| snapshot::origin(folder)) {
        opened.info.id = format!("{name}@{revision}+{}", &opened.info.sha256[..8]);
    }
    without_map(opened, options)
}

/// A bundle has a scheme of its own.
fn without_map(opened: OpenBundle, options: &OpenOptions) -> Result<OpenBundle> {
    let what = match (&options.labels, &options.scheme) {
        (None, None) => return Ok(opened),
        (Some(_), _) => "a label map is for the labels of a checkpoint of transformers",
        (None, Some(_)) => "a zero-shot scheme is for a checkpoint of transformers for natural-language inference",
    };
    Err(Error::Missing { id: opened.info.id, missing: format!("is a bundle and has its own scheme; {what}") })
}

/// A checkpoint as a bundle, its labels read by themselves, by the map or by the scheme.
fn of_checkpoint(opened: OpenCheckpoint, folder: &Path, options: &OpenOptions) -> Result<OpenBundle> {
    let zero_shot = zero_shot::for_checkpoint(&opened, folder, options)?;
    let reading = match (zero_shot, &options.labels) {
        (Some((scheme, _)), _) => Some(scheme.reading(&opened.sha256)?),
        (None, Some(map)) => Some(map.reading(&opened.head_kind, &opened.labels)?),
        (None, None) => Reading::of_labels(&opened.head_kind, &opened.labels),
    };
    let missing = reading.is_none().then(|| opened.missing());
    let Reading { scheme, mapping, scale_head, calibration } = reading.unwrap_or_else(Reading::of_nothing);
    if let (None, Some(problem)) = (&missing, scheme.problem()) {
        let what = CheckpointFault::Config { file: "config.json".into(), problem };
        return Err(Error::Checkpoint { path: folder.to_path_buf(), what });
    }
    let (mut name, version) = options
        .origin
        .clone()
        .or_else(|| snapshot::origin(folder))
        .unwrap_or_else(|| (folder_name(folder), "local".into()));
    let mut sha256 = opened.sha256.clone();
    let by = match (zero_shot, &options.labels) {
        (Some((scheme, _)), _) => Some(scheme.sha256()),
        (None, map) => map.as_ref().map(LabelMap::sha256),
    };
    if let Some(by) = by {
        sha256 = hex_sha256(format!("{sha256} {by}").as_bytes());
    }
    let heads = match (opened.head, zero_shot) {
        (Some(head), Some((scheme, outputs))) => {
            name = format!("{name}:{}", scheme.name());
            Heads::ZeroShot(scheme.head(folder, head, outputs, &opened.tokenizer, opened.max_length)?)
        }
        (Some(head), None) if missing.is_none() => Heads::Mapped(MappedHead { head, mapping }),
        (Some(head), None) => Heads::Unread(head),
        (None, _) => Heads::None,
    };
    let scheme_info = match (&heads, zero_shot) {
        (Heads::ZeroShot(head), Some((scheme, _))) => Some(scheme.info(head)),
        _ => None,
    };
    let info = BundleInfo {
        id: format!("{name}@{version}+{}", &sha256[..8]),
        name,
        version,
        sha256,
        license: opened.license,
        languages: Vec::new(),
        scheme: Arc::new(scheme),
        scale_head,
        calibration,
        max_length: opened.max_length,
        stride: opened.tokenizer.stride(),
        encoder: opened.description,
        parameters: opened.parameters,
        vocabulary: opened.vocabulary,
        products_per_token: opened.products_per_token,
        bytes: opened.bytes,
        kernel: opened.encoder.kernel(),
        precision: opened.encoder.precision(),
        card: opened.card,
        checkpoint: Some(CheckpointInfo {
            head: opened.head_kind,
            labels: opened.labels,
            sha256: opened.sha256,
            prefix: opened.prefix,
            zero_shot: scheme_info,
            missing,
        }),
    };
    Ok(OpenBundle { info, tokenizer: opened.tokenizer, encoder: opened.encoder, heads })
}

/// The folder's own name, also of `.` and of links.
fn folder_name(folder: &Path) -> String {
    let path = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    path.file_name().map_or_else(|| "checkpoint".into(), |name| name.to_string_lossy().into_owned())
}

/// Opens the bundle inside the program. Its hashes are checked by the tests, not at every start.
pub(crate) fn embedded(options: &OpenOptions) -> Result<OpenBundle> {
    let at = |what| Error::Bundle { path: PathBuf::from("<embedded>"), what };
    #[cfg(feature = "embedded")]
    {
        let file = |name: &str| EMBEDDED.iter().find(|(file, _)| *file == name).map(|(_, bytes)| *bytes);
        let manifest = file("bundle.json").unwrap_or_default();
        let json = manifest_json(manifest).map_err(at)?;
        let opened = assemble(manifest, &json, &file, &options.encoder).map_err(at)?;
        without_map(opened, options)
    }
    #[cfg(not(feature = "embedded"))]
    {
        let _ = options;
        Err(at(BundleFault::NotEmbedded))
    }
}

#[cfg(feature = "embedded")]
macro_rules! embedded_files {
    ($($file:literal),*) => {
        &[$(($file, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/detente-mini/", $file)))),*]
    };
}

/// The files of the bundle inside the program.
#[cfg(feature = "embedded")]
static EMBEDDED: &[(&str, &[u8])] = embedded_files![
    "bundle.json",
    "config.json",
    "tokenizer.json",
    "encoder.safetensors",
    "heads.safetensors",
    "calibration.json",
    "card.md"
];

fn manifest_json(bytes: &[u8]) -> Result<BundleJson, BundleFault> {
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let fault = |source| BundleFault::Json { file: "bundle.json".into(), source };
    let Version { format } = serde_json::from_slice(bytes).map_err(fault)?;
    if format != FORMAT {
        return Err(BundleFault::Version { found: format, supported: FORMAT });
    }
    let json: BundleJson = serde_json::from_slice(bytes).map_err(fault)?;
    match json.files.keys().find(|name| !is_plain_name(name)) {
        Some(name) => Err(inconsistent(format!(
            "it names the file {name:?}, which is no plain file name; files of a bundle stand beside bundle.json"
        ))),
        None => Ok(json),
    }
}

/// Whether the name is that of a file beside `bundle.json` on every system: no folder, drive or stream in it.
fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', ':', '\0'])
}

fn verify(file: &str, bytes: &[u8], expected: &FileJson) -> Result<(), BundleFault> {
    let found = hex_sha256(bytes);
    if bytes.len() as u64 == expected.bytes && found == expected.sha256 {
        return Ok(());
    }
    Err(BundleFault::Checksum { file: file.into(), expected: expected.sha256.clone(), found })
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads and checks the parts; `file` gives the bytes of a file that the manifest names.
fn assemble<'b>(
    manifest: &[u8],
    json: &BundleJson,
    file: &dyn Fn(&str) -> Option<&'b [u8]>,
    options: &EncoderOptions,
) -> Result<OpenBundle, BundleFault> {
    let needed =
        |name: &str| file(name).ok_or_else(|| inconsistent(format!("{name} is not among the files that it names")));
    if let Some(problem) = json.scheme.problem() {
        return Err(inconsistent(problem));
    }
    let config = EncoderConfig::read(needed("config.json")?, json.encoder.family)?;
    let EncoderJson { max_length, stride, pooling, normalize, lower_case, .. } = json.encoder;
    let prompt = Prompt { prefix: json.encoder.prefix.clone(), lower_case };
    if max_length > config.max_tokens {
        return Err(inconsistent(format!(
            "max_length is {max_length}, config.json has {} positions",
            config.max_tokens
        )));
    }
    let tokenizer_json = needed("tokenizer.json")?;
    let weights = file("encoder.safetensors").map(|bytes| Weights::read("encoder.safetensors", bytes)).transpose()?;
    // The two largest pieces of opening, side by side.
    let (tokenizer, encoder) = both(
        || TextTokenizer::read(tokenizer_json, max_length, Some(stride), prompt.clone()),
        || encoder::load(&config, pooling, weights.as_ref(), options),
    );
    let tokenizer = tokenizer?;
    let vocabulary = tokenizer.vocabulary_size();
    if config.family != Family::Hash && vocabulary > config.vocab_size {
        return Err(inconsistent(format!(
            "tokenizer.json has ids up to {}, the encoder has embeddings for {} pieces",
            vocabulary.saturating_sub(1),
            config.vocab_size
        )));
    }
    let mut encoder = encoder?;
    if normalize {
        encoder = SentenceEncoder::normalizing(encoder, config.hidden_size);
    }
    let head_weights = Weights::read("heads.safetensors", needed("heads.safetensors")?)?;
    let heads = LinearHeads::load(&head_weights, &json.scheme, json.head.scale, config.hidden_size)?;
    let calibration = Calibration::read(needed("calibration.json")?, &json.scheme, json.head.scale)?;
    let sha256 = hex_sha256(manifest);
    let info = BundleInfo {
        name: json.name.clone(),
        version: json.version.clone(),
        id: format!("{}@{}+{}", json.name, json.version, &sha256[..8]),
        sha256,
        license: json.license.clone(),
        languages: json.languages.clone(),
        scheme: Arc::new(json.scheme.clone()),
        scale_head: json.head.scale,
        calibration,
        max_length,
        stride,
        encoder: describe(&config, pooling),
        parameters: weights.as_ref().map_or(0, Weights::count),
        vocabulary,
        products_per_token: config.products_per_token(),
        bytes: manifest.len() as u64 + json.files.values().map(|file| file.bytes).sum::<u64>(),
        kernel: encoder.kernel(),
        precision: encoder.precision(),
        card: file("card.md").map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default(),
        checkpoint: None,
    };
    Ok(OpenBundle { info, tokenizer, encoder, heads: Heads::Linear(heads) })
}

/// The results of both, the first on a thread of its own if there can be one.
fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let started = thread::Builder::new().name("opening".into()).spawn_scoped(scope, &first);
        let second = second();
        let first = match started.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(first)) => first,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => first(),
        };
        (first, second)
    })
}

fn inconsistent(problem: String) -> BundleFault {
    BundleFault::Inconsistent { file: "bundle.json".into(), problem }
}

fn describe(config: &EncoderConfig, pooling: Pooling) -> String {
    let pooling = match pooling {
        Pooling::Mean => "mean",
        Pooling::Cls => "cls",
    };
    match config.family {
        Family::Hash => format!("hash of the token ids, {} numbers", config.hidden_size),
        family => format!(
            "{}, {} layers, {} hidden, {} heads, {pooling} pooling",
            family.name(),
            config.layers,
            config.hidden_size,
            config.heads,
        ),
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_files_are_those_the_manifest_names() {
        let find = |name: &str| EMBEDDED.iter().find(|(file, _)| *file == name).map(|(_, bytes)| *bytes).unwrap();
        let json = manifest_json(find("bundle.json")).unwrap();
        for (file, expected) in &json.files {
            verify(file, find(file), expected).unwrap();
        }
        assert_eq!(json.files.len() + 1, EMBEDDED.len());
    }
}
