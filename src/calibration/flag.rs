//! Labels that apply or do not: one logit to one probability, and the threshold.

use serde::{Deserialize, Serialize};

use crate::calibration::isotonic::Isotonic;
use crate::calibration::sigmoid;

/// Platt scaling of one topic's logit (Platt 1999): p = sigmoid(scale · logit + offset), or breakpoints instead; the topic
/// applies if p ≥ threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicCalibration {
    /// Name of the topic.
    pub name: String,
    /// Slope, above 0; 1 beside `isotonic`.
    pub scale: f32,
    /// Offset, in logits; 0 beside `isotonic`.
    pub offset: f32,
    /// Least probability at which the topic applies, in [0, 1].
    pub threshold: f32,
    /// In place of scale and offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isotonic: Option<Isotonic>,
}

/// Platt scaling of the boilerplate logit, or breakpoints instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagCalibration {
    /// Slope, above 0; 1 beside `isotonic`.
    pub scale: f32,
    /// Offset, in logits; 0 beside `isotonic`.
    pub offset: f32,
    /// Least probability at which the text is boilerplate, in [0, 1].
    pub threshold: f32,
    /// In place of scale and offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isotonic: Option<Isotonic>,
}

impl TopicCalibration {
    /// The calibration without the name.
    pub(crate) fn flag(&self) -> FlagCalibration {
        let Self { scale, offset, threshold, ref isotonic, .. } = *self;
        FlagCalibration { scale, offset, threshold, isotonic: isotonic.clone() }
    }

    /// The calibration of the topic `name`.
    pub(crate) fn of(name: &str, flag: FlagCalibration) -> Self {
        let FlagCalibration { scale, offset, threshold, isotonic } = flag;
        Self { name: name.into(), scale, offset, threshold, isotonic }
    }

    pub(crate) fn probability(&self, logit: f32) -> f32 {
        probability(self.scale, self.offset, self.isotonic.as_ref(), logit)
    }
}

impl FlagCalibration {
    pub(crate) fn probability(&self, logit: f32) -> f32 {
        probability(self.scale, self.offset, self.isotonic.as_ref(), logit)
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let Self { scale, offset, threshold, isotonic } = self;
        if !(scale.is_finite() && *scale > 0.0 && offset.is_finite() && (0.0..=1.0).contains(threshold)) {
            return Some(format!(
                "scale {scale} must be above 0, offset {offset} finite, threshold {threshold} between 0 and 1"
            ));
        }
        let isotonic = isotonic.as_ref()?;
        if (*scale, *offset) != (1.0, 0.0) {
            return Some(format!(
                "isotonic stands in place of scale and offset, which must be 1 and 0 beside it, not {scale} and {offset}"
            ));
        }
        isotonic.problem()
    }
}

fn probability(scale: f32, offset: f32, isotonic: Option<&Isotonic>, logit: f32) -> f32 {
    isotonic.map_or_else(|| sigmoid(scale * logit + offset), |isotonic| isotonic.probability(logit))
}
