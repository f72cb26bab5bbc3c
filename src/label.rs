//! The label scheme and what a classification says: the only place that knows names, order and codes of labels.
//!
//! A scheme is data that a bundle declares ([`Scheme`]); a [`Prediction`] is one paragraph's probabilities and decisions
//! under a scheme. Nothing here computes: [`crate::calibration`] makes the numbers, [`crate::output`] writes them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The labels that a bundle gives: topics (multi-label), an ordered scale, a boilerplate flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// The topics, in the order of every list of topic probabilities. May be empty.
    pub topics: Vec<Topic>,
    /// The ordinal scale, if the bundle has one.
    pub scale: Option<Scale>,
    /// Whether paragraphs are told apart into boilerplate and content.
    pub boilerplate: bool,
}

/// What coders answer where no topic applies and an answer must be given.
pub(crate) const NO_TOPIC: &str = "none of these";

/// One topic of a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Short name, as in the output (`military`).
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
}

/// An ordinal scale: its name and its levels from lowest to highest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Name of what is rated, as in the output (`escalation`).
    pub name: String,
    /// The levels in ascending order of their codes; at least two.
    pub levels: Vec<ScaleLevel>,
}

/// One level of a scale as a scheme declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleLevel {
    /// The number that stands for the level (-2 … 2).
    pub code: i32,
    /// Its name (`neutral`).
    pub name: String,
}

impl Scale {
    /// Index of the level nearest to 0, which a boilerplate text gets; of two the lower one.
    pub(crate) fn neutral(&self) -> usize {
        let nearest = self.levels.iter().enumerate().min_by_key(|(_, level)| level.code.unsigned_abs());
        nearest.map_or(0, |(index, _)| index)
    }
}

impl Scheme {
    /// Says what is wrong with the scheme, if anything: empty or doubled names, levels out of order.
    pub fn problem(&self) -> Option<String> {
        let mut names: Vec<&str> = self.topics.iter().map(|topic| topic.name.as_str()).collect();
        names.extend(self.scale.iter().map(|scale| scale.name.as_str()));
        if self.boilerplate && names.contains(&"boilerplate") {
            return Some("a topic or the scale is named \"boilerplate\", which is the name of the flag".into());
        }
        if names.iter().any(|name| name.trim().is_empty()) {
            return Some("a topic or the scale has an empty name".into());
        }
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!("the name {:?} is used twice", pair[0]));
        }
        if let Some(scale) = &self.scale {
            if scale.levels.len() < 2 {
                return Some(format!("the scale {:?} has fewer than two levels", scale.name));
            }
            if let Some(pair) = scale.levels.windows(2).find(|pair| pair[0].code >= pair[1].code) {
                return Some(format!(
                    "the levels of {:?} are not in ascending order: {} stands before {}",
                    scale.name, pair[0].code, pair[1].code
                ));
            }
        }
        if self.topics.is_empty() && self.scale.is_none() && !self.boilerplate {
            return Some("the scheme has no labels at all".into());
        }
        None
    }

    /// Number of levels of the scale, 0 without a scale.
    pub fn level_count(&self) -> usize {
        self.scale.as_ref().map_or(0, |scale| scale.levels.len())
    }
}

/// Probability of one topic, and the decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopicScore<'a> {
    /// Name of the topic.
    pub name: &'a str,
    /// Calibrated probability, in [0, 1].
    pub probability: f32,
    /// Whether the topic applies: the probability reaches the topic's threshold, of one label of many it is the decided
    /// one, and the paragraph is not boilerplate.
    pub applies: bool,
}

/// One level of the scale, as a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level<'a> {
    /// The code (-2 … 2).
    pub code: i32,
    /// The name.
    pub name: &'a str,
}

/// What a classifier says of one text: a probability for every label, and the decisions.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    scheme: Arc<Scheme>,
    parts: PredictionParts,
}

/// The numbers of a [`Prediction`], in the order of its scheme.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PredictionParts {
    /// Calibrated probability of each topic, in [0, 1].
    pub topic_probabilities: Vec<f32>,
    /// Whether each topic applies by the calibration's decision.
    pub topic_applies: Vec<bool>,
    /// Calibrated probability of each level, summing to 1; empty without a scale.
    pub level_probabilities: Vec<f32>,
    /// Index of the decided level in the scale; ignored without a scale.
    pub level: usize,
    /// Calibrated probability of boilerplate, `None` if the scheme has no such flag.
    pub boilerplate_probability: Option<f32>,
    /// Whether that probability reaches its threshold.
    pub is_boilerplate: bool,
    /// Windows the text was cut into.
    pub windows: usize,
    /// Tokens that the text has, special tokens not counted.
    pub tokens: usize,
}

impl Prediction {
    /// Puts a prediction together. A boilerplate text has no topics, and its level is the one nearest to 0.
    ///
    /// # Panics
    /// If a list has another length than the scheme asks for.
    pub fn from_parts(scheme: Arc<Scheme>, mut parts: PredictionParts) -> Self {
        assert_eq!(parts.topic_probabilities.len(), scheme.topics.len(), "one probability a topic");
        assert_eq!(parts.topic_applies.len(), scheme.topics.len(), "one decision a topic");
        assert_eq!(parts.level_probabilities.len(), scheme.level_count(), "one probability a level");
        assert!(parts.level < scheme.level_count().max(1), "the level is one of the scale");
        assert_eq!(parts.boilerplate_probability.is_some(), scheme.boilerplate, "boilerplate as the scheme says");
        if parts.is_boilerplate {
            parts.topic_applies.fill(false);
            if let Some(scale) = &scheme.scale {
                parts.level = scale.neutral();
            }
        }
        Self { scheme, parts }
    }

    /// The scheme that the numbers belong to.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.scheme
    }

    /// Every topic of the scheme, in its order, whether it applies or not.
    pub fn topics(&self) -> impl Iterator<Item = TopicScore<'_>> {
        let numbers = self.parts.topic_probabilities.iter().zip(&self.parts.topic_applies);
        self.scheme.topics.iter().zip(numbers).map(|(topic, (&probability, &applies))| TopicScore {
            name: &topic.name,
            probability,
            applies,
        })
    }

    /// The decided level, `None` if the scheme has no scale. Of a boilerplate text: the level nearest to 0.
    /// The decision rule is [`crate::calibration::Decision`]'s.
    pub fn escalation(&self) -> Option<Level<'_>> {
        let scale = self.scheme.scale.as_ref()?;
        let level = &scale.levels[self.parts.level];
        Some(Level { code: level.code, name: &level.name })
    }

    /// Probability of each level in the order of the scale, summing to 1; empty if the scheme has no scale.
    /// Not touched by the boilerplate decision.
    pub fn escalation_probabilities(&self) -> &[f32] {
        &self.parts.level_probabilities
    }

    /// Mean code under [`Self::escalation_probabilities`], in [-2, 2] for the shipped scheme; `None` without a scale.
    pub fn expected_escalation(&self) -> Option<f32> {
        let scale = self.scheme.scale.as_ref()?;
        Some(
            scale
                .levels
                .iter()
                .zip(&self.parts.level_probabilities)
                .map(|(level, &probability)| level.code as f32 * probability)
                .sum(),
        )
    }

    /// Probability that the text is boilerplate, in [0, 1]; `None` if the scheme has no such flag.
    pub fn boilerplate(&self) -> Option<f32> {
        self.parts.boilerplate_probability
    }

    /// Whether the text is taken for boilerplate; `false` if the scheme has no such flag.
    pub fn is_boilerplate(&self) -> bool {
        self.parts.is_boilerplate
    }

    /// Number of windows that the text was cut into; more than 1 for a text longer than the bundle's `max_length`.
    pub fn windows(&self) -> usize {
        self.parts.windows
    }

    /// Number of tokens of the text, without special tokens and without those that windows repeat.
    pub fn tokens(&self) -> usize {
        self.parts.tokens
    }
}
