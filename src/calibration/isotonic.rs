//! A calibration without a formula: breakpoints, straight lines between them.

use serde::{Deserialize, Serialize};

/// Isotonic calibration of a logit (Zadrozny and Elkan 2002): the probability at each breakpoint, linear between two of
/// them, constant beyond the first and the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isotonic {
    /// Ascending, each its own.
    pub logits: Vec<f32>,
    /// One for each logit, never falling, in [0, 1].
    pub probabilities: Vec<f32>,
}

impl Isotonic {
    /// What is wrong with the breakpoints, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let (logits, probabilities) = (self.logits.len(), self.probabilities.len());
        if logits == 0 || logits != probabilities {
            return Some(format!(
                "isotonic has {logits} logits and {probabilities} probabilities; it needs at least one, and as many of each"
            ));
        }
        if !self.logits.iter().all(|logit| logit.is_finite()) || self.logits.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Some("isotonic logits must be finite and ascend, none of them twice".into());
        }
        let falls = self.probabilities.windows(2).any(|pair| pair[0] > pair[1]);
        if falls || !self.probabilities.iter().all(|probability| (0.0..=1.0).contains(probability)) {
            return Some("isotonic probabilities must be between 0 and 1 and never fall".into());
        }
        None
    }

    /// The probability at a logit. `logits` and `probabilities` were checked when the bundle was opened.
    pub(crate) fn probability(&self, logit: f32) -> f32 {
        let above = self.logits.partition_point(|&breakpoint| breakpoint <= logit);
        match (above.checked_sub(1), self.logits.get(above)) {
            (None, _) => self.probabilities[0],
            (Some(last), None) => self.probabilities[last],
            (Some(below), Some(right)) => {
                let (left, low, high) = (self.logits[below], self.probabilities[below], self.probabilities[above]);
                let share = f64::from(logit - left) / f64::from(right - left);
                // Rounding must not leave the two ends, or a higher logit could get a lower probability.
                ((f64::from(low) + share * f64::from(high - low)) as f32).clamp(low, high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isotonic(logits: &[f32], probabilities: &[f32]) -> Isotonic {
        Isotonic { logits: logits.to_vec(), probabilities: probabilities.to_vec() }
    }

    #[test]
    fn lines_between_breakpoints_and_constant_beyond() {
        let map = isotonic(&[-1.0, 1.0, 1.5], &[0.1, 0.5, 0.9]);
        for (logit, probability) in
            [(f32::NEG_INFINITY, 0.1), (-1.0, 0.1), (0.0, 0.3), (1.0, 0.5), (1.25, 0.7), (1.5, 0.9), (1e30, 0.9)]
        {
            assert!((map.probability(logit) - probability).abs() < 1e-6, "{logit}: {}", map.probability(logit));
        }
        assert_eq!(isotonic(&[0.0], &[0.4]).probability(-7.0), 0.4);
    }

    #[test]
    fn a_higher_logit_never_has_a_lower_probability() {
        let map = isotonic(&[-3.0, -0.3, 0.1, 0.100_000_01, 7.0], &[0.0, 1.0 / 3.0, 1.0 / 3.0, 0.7, 0.700_000_1]);
        let mut last = 0.0;
        for step in 0..=20_000 {
            let probability = map.probability(-4.0 + 12.0 * step as f32 / 20_000.0);
            assert!(probability >= last, "step {step}: {probability} after {last}");
            last = probability;
        }
    }

    #[test]
    fn bad_breakpoints_are_named() {
        for (logits, probabilities, message) in [
            (&[][..], &[][..], "at least one"),
            (&[0.0], &[0.1, 0.2], "1 logits and 2 probabilities"),
            (&[1.0, 1.0], &[0.1, 0.2], "none of them twice"),
            (&[2.0, 1.0], &[0.1, 0.2], "ascend"),
            (&[f32::NAN], &[0.1], "finite"),
            (&[0.0, 1.0], &[0.3, 0.2], "never fall"),
            (&[0.0, 1.0], &[0.3, 1.2], "between 0 and 1"),
            (&[0.0, 1.0], &[f32::NAN, 0.2], "between 0 and 1"),
        ] {
            let problem = isotonic(logits, probabilities).problem().unwrap();
            assert!(problem.contains(message), "{logits:?} {probabilities:?}: {problem}");
        }
        assert_eq!(isotonic(&[0.0, 1.0], &[0.3, 0.3]).problem(), None);
    }
}
