//! What `config.json` says of a checkpoint beside the encoder's shape: its family, its head, its labels.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::encoder::Family;
use crate::error::CheckpointFault;

const FILE: &str = "config.json";

/// What the head of a checkpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadKind {
    /// None: the checkpoint gives vectors.
    Encoder,
    /// Softmax: one label of many.
    SingleLabel,
    /// A sigmoid each: several labels or none (`problem_type` is `multi_label_classification`).
    MultiLabel,
    /// One number.
    Regression,
    /// Natural-language inference: judges pairs of texts.
    Nli(NliOutputs),
}

/// Which output of an NLI head is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NliOutputs {
    /// The premise entails the hypothesis.
    pub entailment: usize,
    /// Neither; `None` where the head knows only two answers.
    pub neutral: Option<usize>,
    /// The premise contradicts the hypothesis, or, of two answers, does not entail it.
    pub contradiction: usize,
}

pub(super) struct CheckpointConfig {
    pub(super) family: Family,
    pub(super) head: HeadKind,
    /// In the order of the outputs; empty without a head.
    pub(super) labels: Vec<String>,
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    problem_type: Option<String>,
    num_labels: Option<usize>,
    id2label: Option<BTreeMap<String, String>>,
}

impl CheckpointConfig {
    /// `has_modules`: sentence-transformers files say that the checkpoint is used as an encoder.
    pub(super) fn read(json: &[u8], has_modules: bool) -> Result<Self, CheckpointFault> {
        let json: ConfigJson =
            serde_json::from_slice(json).map_err(|source| CheckpointFault::Json { file: FILE.into(), source })?;
        let model_type = json.model_type.as_deref().unwrap_or_default();
        let Some(family) = Family::of(model_type) else {
            return Err(CheckpointFault::Family { found: model_type.into() });
        };
        let architecture = json.architectures.as_ref().and_then(|names| names.first()).map_or("", String::as_str);
        if !has_sequence_head(architecture, has_modules)? {
            return Ok(Self { family, head: HeadKind::Encoder, labels: Vec::new() });
        }
        let labels = labels(&json)?;
        let head = head_kind(&json, &labels)?;
        Ok(Self { family, head, labels })
    }
}

/// Whether the class of a checkpoint has a sequence classification head; an error if it has another one.
fn has_sequence_head(architecture: &str, has_modules: bool) -> Result<bool, CheckpointFault> {
    if architecture.ends_with("ForSequenceClassification") {
        return Ok(!has_modules);
    }
    let is_encoder = ["Model", "ForMaskedLM", "ForPreTraining"].iter().any(|end| architecture.ends_with(end));
    if is_encoder || architecture.is_empty() {
        return Ok(false);
    }
    Err(CheckpointFault::Architecture { found: architecture.into() })
}

/// transformers' rule: `id2label`, or as many names as `num_labels` says, or two.
fn labels(json: &ConfigJson) -> Result<Vec<String>, CheckpointFault> {
    let bad = |problem: String| CheckpointFault::Config { file: FILE.into(), problem };
    let Some(names) = &json.id2label else {
        return Ok((0..json.num_labels.unwrap_or(2)).map(|index| format!("LABEL_{index}")).collect());
    };
    let mut labels = vec![None; names.len()];
    for (id, name) in names {
        let place = id.trim().parse::<usize>().ok().and_then(|index| labels.get_mut(index));
        match place {
            Some(place) if place.is_none() => *place = Some(name.trim().to_owned()),
            _ => {
                return Err(bad(format!(
                    "id2label has the id {id:?}; the ids of {} labels are 0 to {}",
                    names.len(),
                    names.len() - 1
                )));
            }
        }
    }
    let labels: Vec<String> = labels.into_iter().flatten().collect();
    if labels.is_empty() {
        return Err(bad("id2label has no labels".into()));
    }
    if let Some(name) =
        labels.iter().enumerate().find(|(index, name)| labels[..*index].contains(name)).map(|(_, name)| name)
    {
        return Err(bad(format!("id2label gives two outputs the name {name:?}; rename one")));
    }
    Ok(labels)
}

fn head_kind(json: &ConfigJson, labels: &[String]) -> Result<HeadKind, CheckpointFault> {
    let bad = |problem: String| CheckpointFault::Config { file: FILE.into(), problem };
    match json.problem_type.as_deref() {
        Some("multi_label_classification") => Ok(HeadKind::MultiLabel),
        Some("regression") if labels.len() > 1 => Err(bad(format!(
            "problem_type is \"regression\" with {} outputs; one output can be read as a scale",
            labels.len()
        ))),
        Some("single_label_classification") if labels.len() == 1 => {
            Err(bad("problem_type is \"single_label_classification\" with a single label, which always applies".into()))
        }
        None | Some("regression" | "single_label_classification") if labels.len() == 1 => Ok(HeadKind::Regression),
        None | Some("single_label_classification") => Ok(nli(labels).map_or(HeadKind::SingleLabel, HeadKind::Nli)),
        Some(other) => Err(bad(format!(
            "problem_type is {other:?}; single_label_classification, multi_label_classification and regression are known"
        ))),
    }
}

/// The outputs of an NLI head, told by the names of its labels.
fn nli(labels: &[String]) -> Option<NliOutputs> {
    let find = |names: &[&str]| {
        labels.iter().position(|label| names.contains(&label.to_lowercase().replace([' ', '-'], "_").as_str()))
    };
    let entailment = find(&["entailment", "entail", "entails"])?;
    let neutral = find(&["neutral"]);
    let contradiction = find(&["contradiction", "contradict", "contradicts", "not_entailment"])?;
    let is_all = labels.len() == 2 + usize::from(neutral.is_some());
    is_all.then_some(NliOutputs { entailment, neutral, contradiction })
}
