//! Probabilities: do they come true?

use crate::eval::metrics::ratio;

/// Bins of equal width that expected calibration error and reliability curve use: [0, 0.1), [0.1, 0.2) … [0.9, 1].
pub const BINS: usize = 10;

/// The bin of a probability.
pub fn bin(probability: f64) -> usize {
    ((probability * BINS as f64) as usize).min(BINS - 1)
}

/// One bin of the reliability curve (DeGroot and Fienberg 1983): items, the sum of their probabilities, and how many of
/// them came true.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Items with a probability in the bin.
    pub items: f64,
    /// Sum of their probabilities.
    pub probability_sum: f64,
    /// Those of which the label holds.
    pub hits: f64,
}

impl Bin {
    /// Mean probability: the curve's x.
    pub fn mean_probability(&self) -> f64 {
        ratio(self.probability_sum, self.items)
    }

    /// Share that came true: the curve's y.
    pub fn hit_rate(&self) -> f64 {
        ratio(self.hits, self.items)
    }
}

/// Expected calibration error: mean over the items of |share that came true − mean probability| of the item's bin (Naeini,
/// Cooper and Hauskrecht 2015; Guo et al. 2017), over [`BINS`] bins of equal width. For a topic or boilerplate the
/// probability is that of the label (not of the likelier side), for a scale that of its most probable level.
pub fn expected_calibration_error(bins: &[Bin]) -> f64 {
    let items = bins.iter().map(|bin| bin.items).sum();
    ratio(bins.iter().map(|bin| (bin.hits - bin.probability_sum).abs()).sum(), items)
}

/// Squared error of one probability (Brier 1950, halved as usual for two outcomes): (p − o)². In [0, 1].
pub fn brier(probability: f64, holds: bool) -> f64 {
    (probability - f64::from(u8::from(holds))).powi(2)
}

/// Brier score of one distribution (Brier 1950, as printed there): Σ (p_k − o_k)². In [0, 2].
pub fn brier_distribution(probabilities: &[f64], gold: usize) -> f64 {
    probabilities.iter().enumerate().map(|(label, &probability)| brier(probability, label == gold)).sum()
}

/// Negative natural logarithm of the probability that was given to what came true (Good 1952). As in scikit-learn,
/// the probability is kept between `f64::EPSILON` and 1 − `f64::EPSILON`, so that one certain error is not infinite.
pub fn log_loss(probability_of_gold: f64) -> f64 {
    -probability_of_gold.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Ranked probability score of one distribution over ordered levels (Epstein 1969; Murphy 1971):
/// Σ_k (P(level ≤ k) − [gold ≤ k])² / (levels − 1). In [0, 1]; 0 is certain and right.
pub fn ranked_probability_score(probabilities: &[f64], gold: usize) -> f64 {
    let steps = probabilities.len().saturating_sub(1);
    let mut cumulated = 0.0;
    let mut sum = 0.0;
    for (level, probability) in probabilities.iter().enumerate().take(steps) {
        cumulated += probability;
        sum += brier(cumulated, gold <= level);
    }
    ratio(sum, steps as f64)
}

/// The most probable label; of equals the first.
pub fn most_probable(probabilities: &[f64]) -> usize {
    (0..probabilities.len()).rev().max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0)
}
