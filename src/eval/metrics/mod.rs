//! The figures: pure functions from counts, sums and sorted scores to one number each.
//!
//! In: sufficient statistics, so that the bootstrap evaluates the very functions that the tests hold against
//! scikit-learn, scipy and krippendorff (`scripts/eval/reference_metrics.py`). Out: `f64`.
//!
//! **A figure that is not defined is NaN**, and null in a report: precision where nothing was predicted, recall where
//! nothing was there, a kappa where both sides know one label only. An average over labels is over those of them whose figure
//! is defined. This is scikit-learn's `zero_division=np.nan`; its default (0 with a warning) would punish a system for a
//! topic that a slice does not hold. Average precision without positives is 0 in scikit-learn, NaN here.
//!
//! Gold always comes first: rows of a confusion are gold, columns predicted.

pub mod agreement;
pub mod calibration;
pub mod ordinal;
pub mod prevalence;
pub mod rank;
pub mod significance;
#[cfg(test)]
mod tests;
pub mod topics;

/// `part / whole`; NaN if `whole` is 0.
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { f64::NAN } else { part / whole }
}

/// Mean of those values that are defined; NaN if none is.
pub(crate) fn mean_defined(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) =
        values.filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    ratio(sum, count)
}

/// Adds lane by lane.
#[inline]
pub(crate) fn add_lanes<const L: usize>(sums: &mut [f64; L], values: &[f64; L]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
