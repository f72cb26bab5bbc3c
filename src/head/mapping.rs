//! The outputs of a checkpoint's head to the logits of a scheme.
//!
//! A softmax head gives one distribution over its labels. Here each topic becomes the log-odds of the labels that stand for
//! it, log(p / (1 - p)), so that the sigmoid of the calibration gives back exactly the softmax probability, and calibration,
//! thresholds and tuning work on such a head as on any other. The distribution is one judgement on the text as a whole,
//! so it is computed once, like a level; the labels of a sigmoid head are each said by a window, and the largest counts.

use crate::head::{Logits, SequenceHead, TextVectors, highest};

/// What keeps a logit finite where a probability is 0 or 1 in f32: sigmoid(30) is 1 - 1e-13.
const LARGEST: f32 = 30.0;

/// A head, and what its outputs say under a scheme.
pub(crate) struct MappedHead {
    pub(crate) head: SequenceHead,
    pub(crate) mapping: Mapping,
}

/// Which outputs stand for what.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mapping {
    pub(crate) values: Values,
    /// For each topic of the scheme the outputs that stand for it.
    pub(crate) topics: Vec<Vec<usize>>,
    /// For each level of the scale the outputs that stand for it, maybe none; empty without a scale.
    pub(crate) levels: Vec<Vec<usize>>,
    /// The outputs that stand for boilerplate; empty without the flag.
    pub(crate) boilerplate: Vec<usize>,
}

/// What the outputs of a head are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Values {
    /// Logits of a softmax: one label of many.
    #[default]
    Softmax,
    /// Logits of a sigmoid each.
    Sigmoid,
    /// One number; a level stands for each of these, which ascend or descend.
    Number(Vec<f32>),
}

impl MappedHead {
    /// The logits of a text.
    pub(crate) fn apply(&self, vectors: &TextVectors) -> Logits {
        let whole = self.head.outputs(&vectors.whole);
        let mapping = &self.mapping;
        let boilerplate = (!mapping.boilerplate.is_empty()).then(|| mapping.flag(&whole, &mapping.boilerplate));
        let topics = |outputs: &[f32]| mapping.topics.iter().map(|labels| mapping.flag(outputs, labels)).collect();
        let topics = match mapping.values {
            Values::Sigmoid if !vectors.windows.is_empty() => {
                highest(vectors.windows.iter().map(|vector| topics(&self.head.outputs(vector))))
            }
            _ => topics(&whole),
        };
        Logits { topics, scale: mapping.scale(&whole), boilerplate }
    }
}

impl Mapping {
    /// The logit of that one of these labels applies.
    fn flag(&self, outputs: &[f32], labels: &[usize]) -> f32 {
        let of = |index: &usize| outputs[*index];
        match self.values {
            Values::Softmax => {
                let others = (0..outputs.len()).filter(|index| !labels.contains(index));
                let odds = log_sum(labels.iter().map(of)) - log_sum(others.map(|index| outputs[index]));
                odds.clamp(-LARGEST, LARGEST)
            }
            Values::Sigmoid | Values::Number(_) => labels.iter().map(of).fold(f32::NEG_INFINITY, f32::max),
        }
    }

    /// Of a softmax, one logit a level: probabilities over the labels that stand for levels. Of a number, logits of
    /// P(level > k): the levels on both sides of the number share it so that their mean is the number.
    fn scale(&self, outputs: &[f32]) -> Vec<f32> {
        match &self.values {
            Values::Softmax | Values::Sigmoid => {
                let logit = |labels: &Vec<usize>| log_sum(labels.iter().map(|&index| outputs[index]));
                let logits: Vec<f32> = self.levels.iter().map(logit).collect();
                let least = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max) - 2.0 * LARGEST;
                logits.into_iter().map(|logit| logit.max(least)).collect()
            }
            Values::Number(points) => {
                let above = |pair: &[f32]| {
                    let share = ((outputs[0] - pair[0]) / (pair[1] - pair[0])).clamp(0.0, 1.0);
                    (share / (1.0 - share)).ln().clamp(-LARGEST, LARGEST)
                };
                points.windows(2).map(above).collect()
            }
        }
    }
}

/// log Σ exp(x), without overflow; -∞ of nothing.
fn log_sum(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let largest = values.clone().fold(f32::NEG_INFINITY, f32::max);
    if largest == f32::NEG_INFINITY {
        return largest;
    }
    largest + values.map(|value| (value - largest).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounding of exponentials and their sums in f32.
    const TOLERANCE: f32 = 1e-6;

    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + (-x).exp())
    }

    fn softmax(values: &[f32]) -> Vec<f32> {
        let sum: f32 = values.iter().map(|value| value.exp()).sum();
        values.iter().map(|value| value.exp() / sum).collect()
    }

    #[test]
    fn the_sigmoid_of_log_odds_is_the_softmax() {
        let mapping = Mapping { topics: vec![vec![0], vec![1, 3], vec![0, 1, 2, 3]], ..Mapping::default() };
        for outputs in [[0.0, 0.0, 0.0, 0.0], [1.5, -2.0, 0.25, 3.0], [9.0, -9.0, 0.0, 1.0]] {
            let p = softmax(&outputs);
            let expected = [p[0], p[1] + p[3], 1.0];
            for (labels, expected) in mapping.topics.iter().zip(expected) {
                let found = sigmoid(mapping.flag(&outputs, labels));
                assert!((found - expected).abs() < TOLERANCE, "{outputs:?} {labels:?}: {found}, not {expected}");
            }
        }
        assert!(mapping.flag(&[900.0, -900.0, 0.0, 0.0], &[1]).is_finite());
    }

    #[test]
    fn levels_share_the_probability_of_the_labels_that_stand_for_levels() {
        let mapping = Mapping { levels: vec![vec![2], vec![0, 3]], ..Mapping::default() };
        let outputs = [1.0, 5.0, -0.5, 0.25];
        let (p, found) = (softmax(&outputs), softmax(&mapping.scale(&outputs)));
        let expected = p[2] / (p[0] + p[2] + p[3]);
        assert!((found[0] - expected).abs() < TOLERANCE, "{found:?}, not {expected}");
    }

    #[test]
    fn a_number_lies_between_the_levels_around_it() {
        for (points, codes) in [([-1.0, 0.0, 3.0], [-1.0, 0.0, 1.0]), ([1.0, 0.5, 0.0], [-1.0, 0.0, 1.0])] {
            let mapping = Mapping { values: Values::Number(points.to_vec()), ..Mapping::default() };
            let mean = |output: f32| {
                let above: Vec<f32> = mapping.scale(&[output]).into_iter().map(sigmoid).collect();
                let p = [1.0 - above[0], above[0] - above[1], above[1]];
                assert!(p.iter().all(|p| *p > -TOLERANCE), "{output}: {p:?}");
                p.iter().zip(codes).map(|(p, code)| p * code).sum::<f32>()
            };
            for (point, code) in points.into_iter().zip(codes) {
                assert!((mean(point) - code).abs() < TOLERANCE, "{points:?} at {point}: {}", mean(point));
            }
            let middle = f32::midpoint(points[1], points[2]);
            assert!((mean(middle) - 0.5).abs() < TOLERANCE, "{}", mean(middle));
            assert!((mean(2.0 * points[2] - points[1]) - 1.0).abs() < TOLERANCE);
        }
    }
}
