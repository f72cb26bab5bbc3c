//! Labels that apply or do not: topics, boilerplate, one level against the rest.

use crate::eval::metrics::{add_lanes, mean_defined, ratio};

/// How gold and predictions of one label meet, in items (or in the weights of a bootstrap replicate).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BinaryCounts {
    /// Gold and predicted.
    pub both: f64,
    /// Predicted, not gold: false alarms.
    pub predicted_only: f64,
    /// Gold, not predicted: misses.
    pub gold_only: f64,
    /// Neither.
    pub neither: f64,
}

impl BinaryCounts {
    /// Items of which the label is known.
    pub fn items(&self) -> f64 {
        self.both + self.predicted_only + self.gold_only + self.neither
    }

    /// Gold items with the label.
    pub fn support(&self) -> f64 {
        self.both + self.gold_only
    }

    /// Items that are predicted to have the label.
    pub fn predicted(&self) -> f64 {
        self.both + self.predicted_only
    }

    /// Share of the predicted items that have the label: TP / (TP + FP) (van Rijsbergen 1979, ch. 7).
    pub fn precision(&self) -> f64 {
        ratio(self.both, self.predicted())
    }

    /// Share of the items with the label that are predicted: TP / (TP + FN) (van Rijsbergen 1979, ch. 7).
    pub fn recall(&self) -> f64 {
        ratio(self.both, self.support())
    }

    /// Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN) (van Rijsbergen 1979, ch. 7, with beta 1).
    pub fn f1(&self) -> f64 {
        ratio(2.0 * self.both, 2.0 * self.both + self.predicted_only + self.gold_only)
    }

    /// The cells as a confusion: [neither, predicted only, gold only, both].
    pub fn cells(&self) -> [f64; 4] {
        [self.neither, self.predicted_only, self.gold_only, self.both]
    }

    /// Counts of two disjoint sets of items together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            both: self.both + other.both,
            predicted_only: self.predicted_only + other.predicted_only,
            gold_only: self.gold_only + other.gold_only,
            neither: self.neither + other.neither,
        }
    }
}

/// Mean of the labels' F1 (Yang 1999; not the F1 of mean precision and mean recall, see Opitz and Burst 2019). Labels
/// that are neither in gold nor predicted are left out.
pub fn macro_f1(labels: &[BinaryCounts]) -> f64 {
    mean_defined(labels.iter().map(BinaryCounts::f1))
}

/// F1 of the summed counts of all labels (Yang 1999).
pub fn micro_f1(labels: &[BinaryCounts]) -> f64 {
    labels.iter().fold(BinaryCounts::default(), |sum, label| sum.plus(label)).f1()
}

/// Average precision, taken step by step over `L` weightings of the same items at once.
///
/// AP = Σ (R_n − R_{n−1}) P_n over the distinct probabilities from high to low (Zhu 2004; scikit-learn's
/// `average_precision_score`, without interpolation). Items of the same probability are one step. NaN without positives.
#[derive(Debug, Clone)]
pub(crate) struct PrecisionSums<const L: usize> {
    positives: [f64; L],
    items: [f64; L],
    step: [f64; L],
    area: [f64; L],
}

impl<const L: usize> PrecisionSums<L> {
    pub(crate) fn new() -> Self {
        Self { positives: [0.0; L], items: [0.0; L], step: [0.0; L], area: [0.0; L] }
    }

    /// One item of the current step.
    #[inline]
    pub(crate) fn add(&mut self, positive: bool, weights: &[f64; L]) {
        add_lanes(&mut self.items, weights);
        if positive {
            add_lanes(&mut self.step, weights);
        }
    }

    /// Ends the step: the next item has a lower probability.
    #[inline]
    pub(crate) fn close(&mut self) {
        if self.step.iter().all(|&weight| weight == 0.0) {
            return;
        }
        for lane in 0..L {
            self.positives[lane] += self.step[lane];
            self.area[lane] += self.step[lane] * self.positives[lane] / self.items[lane].max(1.0);
            self.step[lane] = 0.0;
        }
    }

    pub(crate) fn finish(&self) -> [f64; L] {
        std::array::from_fn(|lane| ratio(self.area[lane], self.positives[lane]))
    }
}

/// Average precision of probabilities against gold (see Zhu 2004): Σ (R_n − R_{n−1}) P_n over the distinct probabilities
/// from high to low. NaN without a positive.
pub fn average_precision(gold: &[bool], probabilities: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..gold.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let mut sums = PrecisionSums::<1>::new();
    for (place, &item) in order.iter().enumerate() {
        sums.add(gold[item], &[1.0]);
        if order.get(place + 1).is_none_or(|&next| probabilities[next] != probabilities[item]) {
            sums.close();
        }
    }
    sums.finish()[0]
}
