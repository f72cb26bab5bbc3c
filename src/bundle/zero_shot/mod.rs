//! A scheme for zero-shot classification (`--scheme scheme.toml`, specified in `docs/zero-shot.md`): for every label hypotheses that a
//! checkpoint for natural-language inference judges.
//!
//! In: a file. Out: a [`ZeroShotScheme`], checked, then the head that reads texts with its hypotheses. `detente tune` writes a calibration
//! behind the scheme, which holds for one checkpoint and for the scheme as it was.

mod calibrated;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::bundle::OpenOptions;
use crate::bundle::checkpoint::{CheckpointInfo, HeadKind, NliOutputs, OpenCheckpoint};
use crate::bundle::hex_sha256;
use crate::bundle::labels::Reading;
use crate::bundle::zero_shot::calibrated::CalibrationToml;
use crate::bundle::zero_shot::file::{HypothesisLanguage, SchemeToml};
use crate::calibration::{Calibration, TopicDecision};
use crate::encode::{PairFrame, TextTokenizer};
use crate::encoder::Precision;
use crate::error::{CheckpointFault, Error, InputFault, Result};
use crate::head::{Hypotheses, Hypothesis, Mapping, SequenceHead, ZeroShotHead};
use crate::label::Scheme;
use crate::text::Language;

/// The language of the hypotheses for texts whose own one has none.
const FALLBACK: &str = "en";

/// Labels with hypotheses, as a file declares them.
#[derive(Debug, Clone)]
pub struct ZeroShotScheme {
    /// The file, for messages.
    path: PathBuf,
    /// As it stands in the file, without the calibration.
    text: String,
    toml: SchemeToml,
    scheme: Scheme,
    calibration: Option<CalibrationToml>,
    sha256: String,
}

/// What a zero-shot classifier says of its scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZeroShotInfo {
    /// Name of the scheme.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// BCP-47 codes of the languages that there are hypotheses in.
    pub languages: Vec<String>,
    /// Most pairs that a paragraph of one window makes: what it costs, against one reading of a bundle.
    pub pairs: usize,
}

/// The scheme for a checkpoint, and which outputs of its head are which; `None` if it is not asked for.
///
/// A label map beside the scheme is for checkpoints with labels of their own, among several that are opened alike.
pub(super) fn for_checkpoint<'o>(
    opened: &OpenCheckpoint,
    folder: &Path,
    options: &'o OpenOptions,
) -> Result<Option<(&'o ZeroShotScheme, NliOutputs)>> {
    let Some(scheme) = &options.scheme else { return Ok(None) };
    let missing = match opened.head_kind {
        // What 8-bit activations and bf16 do to entailment has not been measured.
        HeadKind::Nli(_) if opened.encoder.precision() != Precision::F32 => {
            "is for natural-language inference, where only f32 has been measured; use --precision f32".into()
        }
        HeadKind::Nli(outputs) => return Ok(Some((scheme, outputs))),
        _ if options.labels.is_some() => return Ok(None),
        _ => format!(
            "is no checkpoint for natural-language inference, which the scheme {:?} needs: its labels are {:?}, not entailment, \
             neutral and contradiction, or entailment and not_entailment; name another one, or, where these are such labels under \
             other names, write the names into id2label of config.json",
            scheme.name(),
            opened.labels
        ),
    };
    Err(Error::Missing { id: folder.display().to_string(), missing })
}

impl ZeroShotScheme {
    /// Reads a scheme and checks everything that can be checked without a checkpoint.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Input`], which names the key and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let at = |what| Error::Input { path: path.into(), what };
        let mut toml: SchemeToml = toml::from_slice(&bytes).map_err(|source| at(InputFault::Toml(source)))?;
        let setting = |problem| at(InputFault::Setting(problem));
        let scheme = toml.check().map_err(setting)?;
        let calibration = toml.calibration.take();
        // TOML is UTF-8, or it would not have been read.
        let text = calibrated::without_calibration(&String::from_utf8_lossy(&bytes), calibration.is_some());
        let text = text.map_err(setting)?;
        let before: SchemeToml = toml::from_str(&text).map_err(|source| at(InputFault::Toml(source)))?;
        if before.hypotheses().len() != toml.hypotheses().len() {
            let problem = "labels stand behind the calibration, which ends the file; move them before it";
            return Err(setting(problem.into()));
        }
        Ok(Self { path: path.into(), text, toml, scheme, calibration, sha256: hex_sha256(&bytes) })
    }

    /// The labels.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.toml.name
    }

    /// BCP-47 codes of the languages that there are hypotheses in.
    pub fn languages(&self) -> Vec<&str> {
        let tables = self.toml.hypotheses();
        let codes: BTreeSet<&str> = tables.iter().flat_map(|(_, table)| table.keys().map(String::as_str)).collect();
        codes.into_iter().collect()
    }

    /// Hexadecimal sha256 of the file.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    fn fault(&self, problem: String) -> Error {
        Error::Input { path: self.path.clone(), what: InputFault::Setting(problem) }
    }

    /// What the logits mean, for the checkpoint with this sha256.
    pub(crate) fn reading(&self, checkpoint_sha256: &str) -> Result<Reading> {
        let thresholds = self.toml.topics.iter().map(|topic| topic.threshold).collect();
        let boilerplate = self.toml.boilerplate.as_ref().and_then(|flag| flag.threshold);
        let decision = TopicDecision::Thresholds;
        let mut reading = Reading::new(self.scheme.clone(), Mapping::default(), decision, thresholds, boilerplate);
        if let Some(calibration) = &self.calibration {
            reading.calibration =
                calibration.values_for(checkpoint_sha256, &self.text).map_err(|problem| self.fault(problem))?;
        }
        match reading.calibration.problem(&reading.scheme, reading.scale_head) {
            Some(problem) => Err(self.fault(problem)),
            None => Ok(reading),
        }
    }

    /// The text of the file with a calibration behind the scheme, which holds for this checkpoint alone. One that the file has is left
    /// out.
    pub fn with_calibration(&self, checkpoint: &CheckpointInfo, calibration: &Calibration) -> String {
        let block = CalibrationToml::new(&checkpoint.sha256, &self.text, calibration);
        format!("{}\n\n{}", self.text, block.to_text())
    }

    /// The head that judges texts with the hypotheses.
    pub(crate) fn head(
        &self,
        folder: &Path,
        head: SequenceHead,
        outputs: NliOutputs,
        tokenizer: &TextTokenizer,
        max_length: usize,
    ) -> Result<ZeroShotHead> {
        let at = |what| Error::Checkpoint { path: folder.into(), what: CheckpointFault::Part(what) };
        let frame = PairFrame::of(tokenizer, max_length).map_err(at)?;
        let hypotheses = self.hypotheses(tokenizer, frame.longest_second())?;
        let NliOutputs { entailment, contradiction, .. } = outputs;
        Ok(ZeroShotHead { head, entailment, contradiction, frame, hypotheses })
    }

    /// Every hypothesis as tokens, none longer than `limit`.
    fn hypotheses(&self, tokenizer: &TextTokenizer, limit: usize) -> Result<Hypotheses> {
        let mut all = Vec::new();
        // For each label the places of its hypotheses, by language.
        let mut places: Vec<BTreeMap<Language, Vec<usize>>> = Vec::new();
        for (label, table) in self.toml.hypotheses() {
            let mut of_label: BTreeMap<Language, Vec<usize>> = BTreeMap::new();
            for (code, sentences) in table {
                let language = Language::of_code(code).expect("the scheme was checked");
                for (number, sentence) in sentences.iter().enumerate() {
                    let ids = tokenizer.content_ids(sentence)?;
                    if ids.len() > limit || ids.is_empty() {
                        let key = self.toml.key(label);
                        let found = ids.len();
                        return Err(self.fault(format!(
                            "{key}.hypotheses.{code}[{number}] has {found} tokens for this checkpoint; 1 to {limit} leave room for \
                             a text, write a shorter sentence"
                        )));
                    }
                    of_label.entry(language).or_default().push(all.len());
                    all.push(Hypothesis { label, ids });
                }
            }
            places.push(of_label);
        }
        let fallback = Language::of_code(FALLBACK).expect("English can be told");
        let chosen = |language: Language| {
            let of_label = |places: &BTreeMap<Language, Vec<usize>>| {
                places.get(&language).or_else(|| places.get(&fallback)).cloned().unwrap_or_default()
            };
            places.iter().flat_map(of_label).collect::<Vec<usize>>()
        };
        let languages: BTreeSet<Language> = match self.toml.language {
            HypothesisLanguage::Text => places.iter().flat_map(|places| places.keys().copied()).collect(),
            HypothesisLanguage::English => BTreeSet::new(),
        };
        Ok(Hypotheses {
            all,
            by_language: languages.into_iter().map(|language| (language, chosen(language))).collect(),
            otherwise: chosen(fallback),
            topics: self.scheme.topics.len(),
            levels: self.scheme.level_count(),
        })
    }

    /// What there is to say of it.
    pub(crate) fn info(&self, head: &ZeroShotHead) -> ZeroShotInfo {
        let languages = match self.toml.language {
            HypothesisLanguage::Text => self.languages().into_iter().map(str::to_owned).collect(),
            HypothesisLanguage::English => vec![FALLBACK.into()],
        };
        ZeroShotInfo {
            name: self.toml.name.clone(),
            description: self.toml.description.clone(),
            languages,
            pairs: head.hypotheses.most_pairs(),
        }
    }
}
