//! Logits to probabilities to decisions.
//!
//! In: `Logits` of one text. Out: calibrated probabilities and, from them, the decisions. Thresholds and the decision
//! rule never change a probability.

mod flag;
mod isotonic;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::calibration::flag::{FlagCalibration, TopicCalibration};
pub use crate::calibration::isotonic::Isotonic;
use crate::error::BundleFault;
use crate::head::{Logits, ScaleHead};
use crate::label::{Prediction, PredictionParts, Scheme};

const FILE: &str = "calibration.json";

/// `calibration.json`: how logits become probabilities and probabilities become decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// One for each topic, in the order of the scheme.
    pub topics: Vec<TopicCalibration>,
    /// How it is decided which topics apply.
    #[serde(default, skip_serializing_if = "TopicDecision::is_default")]
    pub topic_decision: TopicDecision,
    /// For the ordinal scale, if the scheme has one.
    #[serde(rename = "escalation", alias = "scale")]
    pub scale: Option<ScaleCalibration>,
    /// For the boilerplate flag, if the scheme has one.
    pub boilerplate: Option<FlagCalibration>,
    /// Which data the numbers were fitted on.
    #[serde(default)]
    pub fitted_on: String,
}

/// How it is decided which topics apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicDecision {
    /// Each topic whose probability reaches its threshold.
    #[default]
    Thresholds,
    /// The probabilities are those of one label of many: the most probable topic applies, if it is as probable as everything
    /// that is no topic, and reaches its threshold.
    Highest,
}

impl TopicDecision {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Which topics apply, by a threshold each.
    pub(crate) fn applies(self, thresholds: impl Iterator<Item = f64>, probabilities: &[f32]) -> Vec<bool> {
        let mut applies: Vec<bool> = thresholds
            .zip(probabilities)
            .map(|(threshold, &probability)| f64::from(probability) >= threshold)
            .collect();
        if self == Self::Highest {
            let best = (0..probabilities.len()).reduce(|a, b| if probabilities[b] > probabilities[a] { b } else { a });
            let rest = 1.0 - probabilities.iter().sum::<f32>();
            for (index, applies) in applies.iter_mut().enumerate() {
                *applies &= Some(index) == best && probabilities[index] >= rest;
            }
        }
        applies
    }
}

/// Temperature scaling (Guo et al. 2017) with an offset for each logit: (logit + offset) / temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleCalibration {
    /// Divisor of all logits, above 0.
    pub temperature: f32,
    /// One for each logit: a logit a level (softmax head) or a step between levels (cumulative head).
    pub offsets: Vec<f32>,
    /// How one level is chosen.
    pub decision: Decision,
}

/// How one level is chosen from the distribution over levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "lowercase", deny_unknown_fields)]
pub enum Decision {
    /// The most probable level; of equals the one nearest to code 0.
    Mode,
    /// The lowest level at which half of the probability is reached: least expected absolute error.
    Median,
    /// The expected code, cut at these points: the level is the number of cut points below it.
    Cutpoints {
        /// Ascending, one fewer than levels, in codes.
        cutpoints: Vec<f32>,
    },
}

/// Probabilities and decisions for one text, before they are put under their scheme.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calibrated {
    pub(crate) topic_probabilities: Vec<f32>,
    pub(crate) topic_applies: Vec<bool>,
    pub(crate) level_probabilities: Vec<f32>,
    pub(crate) level: usize,
    pub(crate) boilerplate_probability: Option<f32>,
    pub(crate) is_boilerplate: bool,
}

impl Calibration {
    /// Reads `calibration.json` and checks it against the scheme.
    pub(crate) fn read(json: &[u8], scheme: &Scheme, head: ScaleHead) -> Result<Self, BundleFault> {
        let calibration: Self =
            serde_json::from_slice(json).map_err(|source| BundleFault::Json { file: FILE.into(), source })?;
        match calibration.problem(scheme, head) {
            Some(problem) => Err(BundleFault::Inconsistent { file: FILE.into(), problem }),
            None => Ok(calibration),
        }
    }

    /// What does not fit the scheme, if anything.
    pub(crate) fn problem(&self, scheme: &Scheme, head: ScaleHead) -> Option<String> {
        let wanted: Vec<&str> = scheme.topics.iter().map(|topic| topic.name.as_str()).collect();
        let found: Vec<&str> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
        if wanted != found {
            return Some(format!("the topics are {found:?}, the scheme has {wanted:?} in this order"));
        }
        let topics = self.topics.iter().map(|topic| (topic.name.as_str(), topic.flag()));
        let boilerplate = self.boilerplate.iter().map(|flag| ("boilerplate", flag.clone()));
        if let Some(problem) =
            topics.chain(boilerplate).find_map(|(name, flag)| Some(format!("{name}: {}", flag.problem()?)))
        {
            return Some(problem);
        }
        if self.boilerplate.is_some() != scheme.boilerplate {
            return Some("boilerplate must be there if, and only if, the scheme has the flag".into());
        }
        match (&self.scale, &scheme.scale) {
            (None, None) => None,
            (Some(scale), Some(declared)) => scale.problem(declared.levels.len(), head),
            _ => Some("the scale must be there if, and only if, the scheme has one".into()),
        }
    }

    /// The threshold of each topic.
    pub(crate) fn topic_thresholds(&self) -> impl Iterator<Item = f64> {
        self.topics.iter().map(|topic| topic.threshold.into())
    }

    /// The probabilities and decisions for one text.
    pub(crate) fn apply(&self, logits: &Logits, scheme: &Scheme, head: ScaleHead) -> Calibrated {
        let topic_probabilities: Vec<f32> =
            self.topics.iter().zip(&logits.topics).map(|(topic, &logit)| topic.probability(logit)).collect();
        let topic_applies = self.topic_decision.applies(self.topic_thresholds(), &topic_probabilities);
        let boilerplate = self.boilerplate.as_ref().zip(logits.boilerplate);
        let boilerplate_probability = boilerplate.map(|(flag, logit)| flag.probability(logit));
        let is_boilerplate = self
            .boilerplate
            .as_ref()
            .zip(boilerplate_probability)
            .is_some_and(|(flag, probability)| probability >= flag.threshold);
        let (level_probabilities, level) = match (&self.scale, &scheme.scale) {
            (Some(calibration), Some(scale)) => {
                let codes: Vec<i32> = scale.levels.iter().map(|level| level.code).collect();
                let probabilities = calibration.probabilities(&logits.scale, head);
                let level = calibration.decision.level(&probabilities, &codes);
                (probabilities, level)
            }
            _ => (Vec::new(), 0),
        };
        Calibrated {
            topic_probabilities,
            topic_applies,
            level_probabilities,
            level,
            boilerplate_probability,
            is_boilerplate,
        }
    }
}

impl Calibrated {
    /// Under its scheme: of a text of so many windows and tokens.
    pub(crate) fn into_prediction(self, scheme: &Arc<Scheme>, windows: usize, tokens: usize) -> Prediction {
        let parts = PredictionParts {
            topic_probabilities: self.topic_probabilities,
            topic_applies: self.topic_applies,
            level_probabilities: self.level_probabilities,
            level: self.level,
            boilerplate_probability: self.boilerplate_probability,
            is_boilerplate: self.is_boilerplate,
            windows,
            tokens,
        };
        Prediction::from_parts(Arc::clone(scheme), parts)
    }
}

impl ScaleCalibration {
    fn problem(&self, levels: usize, head: ScaleHead) -> Option<String> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Some(format!("the temperature is {}, it must be above 0", self.temperature));
        }
        let wanted = head.logits(levels);
        if self.offsets.len() != wanted || self.offsets.iter().any(|offset| !offset.is_finite()) {
            return Some(format!("offsets must be {wanted} finite numbers, one for each logit of the head"));
        }
        if let Decision::Cutpoints { cutpoints } = &self.decision {
            let ascending = cutpoints.windows(2).all(|pair| pair[0] <= pair[1]);
            if cutpoints.len() + 1 != levels || !ascending || cutpoints.iter().any(|cut| !cut.is_finite()) {
                return Some(format!(
                    "cutpoints must be {} ascending numbers, one between each two levels",
                    levels - 1
                ));
            }
        }
        None
    }

    /// Probability of each level, summing to 1.
    pub(crate) fn probabilities(&self, logits: &[f32], head: ScaleHead) -> Vec<f32> {
        let calibrated = logits.iter().zip(&self.offsets).map(|(logit, offset)| (logit + offset) / self.temperature);
        match head {
            ScaleHead::Softmax => softmax(&calibrated.collect::<Vec<f32>>()),
            ScaleHead::Cumulative => {
                // P(level > k), made non-increasing by a running minimum; the levels are its steps down from 1 to 0.
                let mut above = 1.0f32;
                let mut probabilities = Vec::with_capacity(logits.len() + 1);
                for logit in calibrated {
                    let next = sigmoid(logit).min(above);
                    probabilities.push(above - next);
                    above = next;
                }
                probabilities.push(above);
                probabilities
            }
        }
    }
}

impl Decision {
    /// Index of the chosen level.
    pub(crate) fn level(&self, probabilities: &[f32], codes: &[i32]) -> usize {
        match self {
            Self::Mode => {
                let mut best = 0;
                for index in 1..probabilities.len() {
                    let (here, there) = (probabilities[index], probabilities[best]);
                    if here > there || (here == there && codes[index].unsigned_abs() < codes[best].unsigned_abs()) {
                        best = index;
                    }
                }
                best
            }
            Self::Median => {
                let mut reached = 0.0;
                let found = probabilities.iter().position(|probability| {
                    reached += probability;
                    reached >= 0.5
                });
                found.unwrap_or(probabilities.len() - 1)
            }
            Self::Cutpoints { cutpoints } => {
                let mean: f32 =
                    probabilities.iter().zip(codes).map(|(probability, &code)| probability * code as f32).sum();
                cutpoints.iter().filter(|&&cut| cut < mean).count()
            }
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: [i32; 5] = [-2, -1, 0, 1, 2];

    /// Rounding of sums of five f32 probabilities.
    const TOLERANCE: f32 = 1e-6;

    fn scale(temperature: f32, logits: usize, decision: Decision) -> ScaleCalibration {
        ScaleCalibration { temperature, offsets: vec![0.0; logits], decision }
    }

    #[test]
    fn both_heads_give_distributions() {
        let softmax = scale(0.7, 5, Decision::Mode);
        let cumulative = scale(0.7, 4, Decision::Mode);
        for extreme in [0.0, 1.0, -3.0, 80.0, -80.0, 1e30] {
            for (calibration, head) in [(&softmax, ScaleHead::Softmax), (&cumulative, ScaleHead::Cumulative)] {
                let logits: Vec<f32> = (0..head.logits(5)).map(|index| extreme * (1.0 - 0.3 * index as f32)).collect();
                let probabilities = calibration.probabilities(&logits, head);
                assert_eq!(probabilities.len(), 5);
                assert!(
                    probabilities.iter().all(|p| (0.0..=1.0).contains(p)),
                    "{head:?} {logits:?}: {probabilities:?}"
                );
                assert!(
                    (probabilities.iter().sum::<f32>() - 1.0).abs() < TOLERANCE,
                    "{head:?} {logits:?}: {probabilities:?}"
                );
            }
        }
    }

    #[test]
    fn decisions() {
        let cutpoints = Decision::Cutpoints { cutpoints: vec![-1.5, -0.5, 0.5, 1.5] };
        let cases: [(&Decision, [f32; 5], i32); 9] = [
            (&Decision::Mode, [0.1, 0.2, 0.3, 0.4, 0.0], 1),
            (&Decision::Mode, [0.2, 0.2, 0.2, 0.2, 0.2], 0),
            (&Decision::Mode, [0.0, 0.5, 0.0, 0.0, 0.5], -1),
            (&Decision::Median, [0.3, 0.1, 0.2, 0.2, 0.2], 0),
            (&Decision::Median, [0.5, 0.5, 0.0, 0.0, 0.0], -2),
            (&Decision::Median, [0.0, 0.0, 0.0, 0.0, 0.4], 2),
            (&cutpoints, [0.0, 0.0, 0.0, 0.0, 1.0], 2),
            (&cutpoints, [0.5, 0.0, 0.0, 0.0, 0.5], 0),
            (&cutpoints, [0.9, 0.0, 0.0, 0.1, 0.0], -2),
        ];
        for (decision, probabilities, code) in cases {
            assert_eq!(CODES[decision.level(&probabilities, &CODES)], code, "{decision:?} {probabilities:?}");
        }
    }

    #[test]
    fn calibration_must_fit_the_scheme() {
        let scheme: Scheme = serde_json::from_str(
            r#"{"topics":[{"name":"a"}],"scale":{"name":"s","levels":[{"code":0,"name":"x"},{"code":1,"name":"y"}]},"boilerplate":false}"#,
        )
        .unwrap();
        let good = r#"{"topics":[{"name":"a","scale":1,"offset":0,"threshold":0.5}],"scale":{"temperature":1,"offsets":[0],"decision":{"rule":"mode"}}}"#;
        assert!(Calibration::read(good.as_bytes(), &scheme, ScaleHead::Cumulative).is_ok());
        let cases = [
            (r#""name":"a""#, r#""name":"b""#, "the topics are"),
            (r#""scale":1"#, r#""scale":0"#, "a: scale 0"),
            (r#""threshold":0.5"#, r#""threshold":1.5"#, "threshold 1.5"),
            (r#""temperature":1"#, r#""temperature":-1"#, "temperature"),
            (r#""offsets":[0]"#, r#""offsets":[0,0]"#, "offsets must be 1"),
            (r#"{"rule":"mode"}"#, r#"{"rule":"cutpoints","cutpoints":[]}"#, "cutpoints must be 1"),
            (r#"{"rule":"mode"}"#, r#"{"rule":"guess"}"#, "not as the bundle format asks"),
            (
                r#""threshold":0.5"#,
                r#""threshold":0.5,"isotonic":{"logits":[0,1],"probabilities":[0.5,0.4]}"#,
                "a: isotonic probabilities must be between 0 and 1 and never fall",
            ),
            (
                r#""scale":1,"offset":0,"threshold":0.5"#,
                r#""scale":2,"offset":0,"threshold":0.5,"isotonic":{"logits":[0],"probabilities":[0.5]}"#,
                "a: isotonic stands in place of scale and offset, which must be 1 and 0 beside it, not 2 and 0",
            ),
        ];
        let isotonic = r#""threshold":0.5,"isotonic":{"logits":[0,1],"probabilities":[0.25,0.75]}"#;
        let isotonic = good.replace(r#""threshold":0.5"#, isotonic);
        let isotonic = Calibration::read(isotonic.as_bytes(), &scheme, ScaleHead::Cumulative).unwrap();
        let logits = Logits { topics: vec![0.5], scale: vec![0.0], boilerplate: None };
        assert_eq!(isotonic.apply(&logits, &scheme, ScaleHead::Cumulative).topic_probabilities, [0.5]);
        for (from, to, message) in cases {
            let bad = good.replace(from, to);
            let fault = Calibration::read(bad.as_bytes(), &scheme, ScaleHead::Cumulative).unwrap_err().to_string();
            assert!(fault.contains(message), "{bad}: {fault}");
        }
    }
}
