//! The output tensors of the Open Inference Protocol: which there are, and what they hold.
//!
//! | name | type | shape | what |
//! |---|---|---|---|
//! | `topics` | BYTES | [N] | names of the topics that apply, separated by commas |
//! | `topic_probabilities` | FP32 | [N, topics] | in the order of the bundle |
//! | `topic_applies` | BOOL | [N, topics] | |
//! | `escalation` (the scale's name) | INT32 | [N] | code of the level |
//! | `escalation_probabilities` | FP32 | [N, levels] | from the lowest level to the highest |
//! | `escalation_expected` | FP32 | [N] | mean code |
//! | `boilerplate` | BOOL | [N] | |
//! | `boilerplate_probability` | FP32 | [N] | |

use serde::Serialize;

use crate::label::{Prediction, Scheme};

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its name.
    pub(crate) name: String,
    /// Values of one text; `None` if it is a single one, which has no dimension of its own.
    pub(crate) width: Option<usize>,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Topics,
    TopicProbabilities,
    TopicApplies,
    Level,
    LevelProbabilities,
    Expected,
    Boilerplate,
    BoilerplateProbability,
}

/// The values of an output, of all texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Values {
    /// BYTES.
    Bytes(Vec<String>),
    /// FP32.
    Floats(Vec<f32>),
    /// INT32.
    Codes(Vec<i32>),
    /// BOOL.
    Flags(Vec<bool>),
}

impl Output {
    /// Every output of a scheme.
    pub(crate) fn all(scheme: &Scheme) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |name: String, width, what| all.push(Self { name, width, what });
        if !scheme.topics.is_empty() {
            let width = Some(scheme.topics.len());
            add("topics".into(), None, What::Topics);
            add("topic_probabilities".into(), width, What::TopicProbabilities);
            add("topic_applies".into(), width, What::TopicApplies);
        }
        if let Some(scale) = &scheme.scale {
            add(scale.name.clone(), None, What::Level);
            add(format!("{}_probabilities", scale.name), Some(scale.levels.len()), What::LevelProbabilities);
            add(format!("{}_expected", scale.name), None, What::Expected);
        }
        if scheme.boilerplate {
            add("boilerplate".into(), None, What::Boilerplate);
            add("boilerplate_probability".into(), None, What::BoilerplateProbability);
        }
        all
    }

    /// The protocol's name of its type.
    pub(crate) fn datatype(&self) -> &'static str {
        match self.what {
            What::Topics => "BYTES",
            What::TopicProbabilities | What::LevelProbabilities | What::Expected | What::BoilerplateProbability => {
                "FP32"
            }
            What::Level => "INT32",
            What::TopicApplies | What::Boilerplate => "BOOL",
        }
    }

    /// Its values, text after text.
    pub(crate) fn values(&self, predictions: &[Prediction]) -> Values {
        let each = predictions.iter();
        match self.what {
            What::Topics => Values::Bytes(each.map(applying).collect()),
            What::TopicProbabilities => {
                Values::Floats(each.flat_map(|one| one.topics().map(|topic| topic.probability)).collect())
            }
            What::TopicApplies => Values::Flags(each.flat_map(|one| one.topics().map(|topic| topic.applies)).collect()),
            What::Level => Values::Codes(each.map(|one| one.escalation().map_or(0, |level| level.code)).collect()),
            What::LevelProbabilities => {
                Values::Floats(each.flat_map(|one| one.escalation_probabilities().iter().copied()).collect())
            }
            What::Expected => Values::Floats(each.map(|one| one.expected_escalation().unwrap_or_default()).collect()),
            What::Boilerplate => Values::Flags(each.map(Prediction::is_boilerplate).collect()),
            What::BoilerplateProbability => {
                Values::Floats(each.map(|one| one.boilerplate().unwrap_or_default()).collect())
            }
        }
    }
}

impl Values {
    /// As the protocol's bytes: little-endian numbers, a byte a flag, texts after their length in four bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Codes(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Flags(values) => values.iter().map(|&value| u8::from(value)).collect(),
            Self::Bytes(values) => {
                let text = |text: &String| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
                values.iter().flat_map(text).collect()
            }
        }
    }
}

fn applying(prediction: &Prediction) -> String {
    let names: Vec<&str> = prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name).collect();
    names.join(",")
}
