//! Shares of labels: what a newsroom's chart shows, and what correcting it by a labelled sample gives.

use crate::eval::metrics::ratio;
use crate::eval::metrics::topics::BinaryCounts;

/// Predicted share minus gold share: the error of counting predictions ("classify and count", Forman 2008).
pub fn count_error(target: &BinaryCounts) -> f64 {
    ratio(target.predicted() - target.support(), target.items())
}

/// Adjusted count (Gart and Buck 1966; Forman 2008): (predicted share − FPR) / (TPR − FPR), kept in [0, 1]. The rates are
/// those of `labelled`, the predicted share is that of `target`. NaN if the classifier does no better than chance on
/// the labelled sample, or the sample lacks positives or negatives.
pub fn adjusted_count(labelled: &BinaryCounts, target: &BinaryCounts) -> f64 {
    let hits = labelled.recall();
    let alarms = ratio(labelled.predicted_only, labelled.predicted_only + labelled.neither);
    let share = ratio(target.predicted(), target.items());
    // The comparison is false for NaN as well.
    if hits > alarms { ((share - alarms) / (hits - alarms)).clamp(0.0, 1.0) } else { f64::NAN }
}

/// Prediction-powered estimate of a mean (Angelopoulos et al. 2023, "Prediction-powered inference", Science 382): the
/// predicted share of `target`, plus gold share minus predicted share of `labelled`. Not kept in [0, 1]: unbiased
/// whatever the classifier.
pub fn prediction_powered(labelled: &BinaryCounts, target: &BinaryCounts) -> f64 {
    ratio(target.predicted(), target.items()) + ratio(labelled.support() - labelled.predicted(), labelled.items())
}

/// Gold share of a label.
pub fn gold_share(target: &BinaryCounts) -> f64 {
    ratio(target.support(), target.items())
}
