//! What the labels of a checkpoint stand for: by themselves, or by a map from them to a scheme (`--labels map.toml`,
//! specified in `docs/checkpoints.md`).
//!
//! In: the labels of a head. Out: a [`Reading`]: the scheme, which outputs stand for what, and how they are decided on.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bundle::HeadKind;
use crate::bundle::hex_sha256;
use crate::calibration::{Calibration, Decision, FlagCalibration, ScaleCalibration, TopicCalibration, TopicDecision};
use crate::error::{Error, InputFault, Result};
use crate::head::{Mapping, ScaleHead, Values};
use crate::label::{Scale, ScaleLevel, Scheme, Topic};

/// A map from the labels of a checkpoint to a scheme.
#[derive(Debug, Clone)]
pub struct LabelMap {
    /// The file, for messages.
    path: PathBuf,
    map: MapToml,
    sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapToml {
    #[serde(default)]
    topics: Vec<TopicToml>,
    scale: Option<ScaleToml>,
    boilerplate: Option<BoilerplateToml>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicToml {
    name: String,
    #[serde(default)]
    description: String,
    labels: Vec<String>,
    threshold: Option<f32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleToml {
    name: String,
    levels: Vec<LevelToml>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelToml {
    code: i32,
    name: String,
    #[serde(default)]
    labels: Vec<String>,
    value: Option<f32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoilerplateToml {
    labels: Vec<String>,
    threshold: Option<f32>,
}

/// What the outputs of a head mean.
pub(crate) struct Reading {
    pub(crate) scheme: Scheme,
    pub(crate) mapping: Mapping,
    pub(crate) scale_head: ScaleHead,
    pub(crate) calibration: Calibration,
}

impl LabelMap {
    /// Reads a map.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Input`] if the file is not as specified.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let at = |what| Error::Input { path: path.into(), what };
        let map: MapToml = toml::from_slice(&bytes).map_err(|source| at(InputFault::Toml(source)))?;
        Ok(Self { path: path.into(), map, sha256: hex_sha256(&bytes) })
    }

    /// Hexadecimal sha256 of the file.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What a head's outputs mean by this map.
    pub(crate) fn reading(&self, kind: &HeadKind, labels: &[String]) -> Result<Reading> {
        self.read(kind, labels)
            .map_err(|problem| Error::Input { path: self.path.clone(), what: InputFault::Setting(problem) })
    }

    fn read(&self, kind: &HeadKind, labels: &[String]) -> Result<Reading, String> {
        let values = match kind {
            HeadKind::SingleLabel => Values::Softmax,
            HeadKind::MultiLabel => Values::Sigmoid,
            HeadKind::Regression => Values::Number(self.points()?),
            HeadKind::Nli(_) => {
                return Err(
                    "the checkpoint judges pairs of texts (natural-language inference) and has no labels to map; give it \
                     a scheme with hypotheses (--scheme)"
                        .into(),
                );
            }
            HeadKind::Encoder => return Err("the checkpoint is a plain encoder and has no labels to map".into()),
        };
        let MapToml { topics, scale, boilerplate } = &self.map;
        if matches!(values, Values::Number(_)) && (!topics.is_empty() || boilerplate.is_some()) {
            return Err(
                "the checkpoint gives one number, which can be a scale, but no topics and no boilerplate".into()
            );
        }
        if values == Values::Sigmoid && scale.is_some() {
            return Err(
                "the labels of the checkpoint exclude one another in no way (problem_type is multi_label_classification), \
                 so they make no scale; map them to topics"
                    .into(),
            );
        }
        let find = |of: &str, names: &[String]| find_all(of, names, labels);
        let mapping = Mapping {
            topics: topics
                .iter()
                .map(|topic| find(&format!("the topic {:?}", topic.name), &topic.labels))
                .collect::<Result<_, _>>()?,
            levels: match (&values, scale) {
                (Values::Softmax, Some(scale)) => {
                    let level = |level: &LevelToml| match (level.value, level.labels.is_empty()) {
                        (Some(_), _) => Err(format!(
                            "the level {} has a value; the checkpoint has labels, name those that stand for it",
                            level.code
                        )),
                        (None, true) => Ok(Vec::new()),
                        (None, false) => find(&format!("the level {}", level.code), &level.labels),
                    };
                    let levels: Vec<Vec<usize>> = scale.levels.iter().map(level).collect::<Result<_, _>>()?;
                    if levels.iter().filter(|labels| !labels.is_empty()).count() < 2 {
                        return Err(format!(
                            "the scale {:?} needs labels for two levels at least; the checkpoint has {labels:?}",
                            scale.name
                        ));
                    }
                    levels
                }
                _ => Vec::new(),
            },
            boilerplate: boilerplate.as_ref().map_or(Ok(Vec::new()), |flag| find("boilerplate", &flag.labels))?,
            values,
        };
        if let Some(label) = twice(&mapping.levels) {
            return Err(format!("the label {:?} stands for two levels", labels[label]));
        }
        let decision = match mapping.values {
            Values::Softmax if twice(&mapping.topics).is_none() => TopicDecision::Highest,
            _ => TopicDecision::Thresholds,
        };
        let thresholds = topics.iter().map(|topic| topic.threshold).collect();
        let boilerplate_threshold = boilerplate.as_ref().and_then(|flag| flag.threshold);
        let scheme = self.scheme();
        if let Some(problem) = scheme.problem() {
            return Err(problem);
        }
        let reading = Reading::new(scheme, mapping, decision, thresholds, boilerplate_threshold);
        match reading.calibration.problem(&reading.scheme, reading.scale_head) {
            Some(problem) => Err(problem),
            None => Ok(reading),
        }
    }

    fn scheme(&self) -> Scheme {
        let MapToml { topics, scale, boilerplate } = &self.map;
        let topic = |topic: &TopicToml| Topic { name: topic.name.clone(), description: topic.description.clone() };
        let level = |level: &LevelToml| ScaleLevel { code: level.code, name: level.name.clone() };
        Scheme {
            topics: topics.iter().map(topic).collect(),
            scale: scale
                .as_ref()
                .map(|scale| Scale { name: scale.name.clone(), levels: scale.levels.iter().map(level).collect() }),
            boilerplate: boilerplate.is_some(),
        }
    }

    /// The outputs of a regression that stand for the levels.
    fn points(&self) -> Result<Vec<f32>, String> {
        let Some(scale) = &self.map.scale else {
            return Err(
                "the checkpoint gives one number; the map needs a [scale] with the value that stands for each level"
                    .into(),
            );
        };
        let value = |level: &LevelToml| match level.value {
            Some(value) if value.is_finite() && level.labels.is_empty() => Ok(value),
            _ => Err(format!(
                "the level {} needs a value, the output of the checkpoint that stands for it, and no labels",
                level.code
            )),
        };
        let points: Vec<f32> = scale.levels.iter().map(value).collect::<Result<_, _>>()?;
        let ascends = points.windows(2).all(|pair| pair[0] < pair[1]);
        let descends = points.windows(2).all(|pair| pair[0] > pair[1]);
        match ascends || descends {
            true => Ok(points),
            false => Err(format!("the values of the levels are {points:?}; they must ascend or descend")),
        }
    }
}

impl Reading {
    /// By the labels' own names; `None` where they say nothing of a text that stands alone.
    pub(crate) fn of_labels(kind: &HeadKind, labels: &[String]) -> Option<Self> {
        let (values, decision) = match kind {
            HeadKind::SingleLabel => (Values::Softmax, TopicDecision::Highest),
            HeadKind::MultiLabel => (Values::Sigmoid, TopicDecision::Thresholds),
            HeadKind::Regression | HeadKind::Nli(_) | HeadKind::Encoder => return None,
        };
        let topic = |name: &String| Topic { name: name.clone(), description: String::new() };
        let scheme = Scheme { topics: labels.iter().map(topic).collect(), scale: None, boilerplate: false };
        let topics = (0..labels.len()).map(|index| vec![index]).collect();
        let mapping = Mapping { values, topics, ..Mapping::default() };
        Some(Self::new(scheme, mapping, decision, vec![None; labels.len()], None))
    }

    /// Of something without labels.
    pub(crate) fn of_nothing() -> Self {
        let scheme = Scheme { topics: Vec::new(), scale: None, boilerplate: false };
        Self::new(scheme, Mapping::default(), TopicDecision::Thresholds, Vec::new(), None)
    }

    pub(crate) fn new(
        scheme: Scheme,
        mapping: Mapping,
        decision: TopicDecision,
        thresholds: Vec<Option<f32>>,
        boilerplate: Option<f32>,
    ) -> Self {
        let flag = |threshold| FlagCalibration { scale: 1.0, offset: 0.0, threshold, isotonic: None };
        // One label of many always applies: without a wish of the user there is no bar to clear.
        let usual = if decision == TopicDecision::Highest { 0.0 } else { 0.5 };
        let topics = scheme.topics.iter().zip(thresholds);
        let scale_head = match mapping.values {
            Values::Number(_) => ScaleHead::Cumulative,
            Values::Softmax | Values::Sigmoid => ScaleHead::Softmax,
        };
        let calibration = Calibration {
            topics: topics
                .map(|(topic, threshold)| TopicCalibration::of(&topic.name, flag(threshold.unwrap_or(usual))))
                .collect(),
            topic_decision: decision,
            scale: scheme.scale.as_ref().map(|scale| ScaleCalibration {
                temperature: 1.0,
                offsets: vec![0.0; scale_head.logits(scale.levels.len())],
                decision: Decision::Mode,
            }),
            boilerplate: scheme.boilerplate.then(|| flag(boilerplate.unwrap_or(0.5))),
            fitted_on: "nothing: probabilities are those of the checkpoint".into(),
        };
        Self { scheme, mapping, scale_head, calibration }
    }
}

/// The outputs that have these names.
fn find_all(of: &str, names: &[String], labels: &[String]) -> Result<Vec<usize>, String> {
    if names.is_empty() {
        return Err(format!("{of} has no labels; name those of the checkpoint that stand for it: {labels:?}"));
    }
    let mut found = Vec::new();
    for name in names {
        let Some(index) = labels.iter().position(|label| label == name) else {
            return Err(format!(
                "{of} names the label {name:?}, which the checkpoint does not have; its labels are {labels:?}"
            ));
        };
        if found.contains(&index) {
            return Err(format!("{of} names the label {name:?} twice"));
        }
        found.push(index);
    }
    Ok(found)
}

/// An output that is in two of the lists.
fn twice(lists: &[Vec<usize>]) -> Option<usize> {
    let mut all: Vec<usize> = lists.concat();
    all.sort_unstable();
    all.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
