//! The interval of expected calibration error.
//!
//! In: the gap of every bin, observed and in bootstrap replicates. Out: an interval of the sum of their sizes.
//!
//! The error is a sum of absolute values, so noise only ever adds to it: a perfectly calibrated system of 300 items shows .05, its
//! replicates more still, and a percentile interval of them lies above the truth. Instead a test is inverted (Carpenter 1999): replicates
//! minus observation are the noise of the gaps; a true error of `s` times the observed one, spread over the bins as observed, is
//! kept if noise added to it brings the observed error or more, and also that or less, in a share [`TAIL`] of replicates at least. The
//! ends are the smallest and the largest error kept, widened to the observed one. Where that one is small by luck, no multiple of it says how
//! large the true one may be: the upper end is the noise of a single bin at least.

use crate::eval::bootstrap::{LEAST_DEFINED, quantile};
use crate::eval::metrics::calibration::BINS;

/// Gap of every bin: (hits − sum of probabilities) / items of all bins. Expected calibration error is the sum of their sizes.
pub(crate) type Gaps = [f64; BINS];

/// Least share of replicates on either side for an error that is kept. Half of what 95 % would ask for: how the error spreads over the
/// bins is itself estimated, and with .025 as few as 90 % of the intervals hold the truth (`scripts/eval/coverage.sh`).
const TAIL: f64 = 0.0125;

/// Multiples of the observed error that are tried first: steps of 1 / [`STEPS`] up to [`LARGEST`].
const STEPS: u32 = 20;
const LARGEST: u32 = 4;

/// Halvings of the step that holds an end.
const HALVINGS: u32 = 8;

/// An error below this is rounding; it gives no direction, so that no multiple of it is tried.
const ROUNDING: f64 = 1e-9;

/// The 95 % interval. `None` if there are no replicates, or if the error is not defined in more than a tenth of them.
pub(crate) fn interval(observed: &Gaps, replicates: &[Gaps]) -> Option<[f64; 2]> {
    let noise: Vec<Gaps> = replicates
        .iter()
        .filter(|gaps| gaps.iter().all(|gap| gap.is_finite()))
        .map(|gaps| std::array::from_fn(|bin| gaps[bin] - observed[bin]))
        .collect();
    let error = size(observed);
    if noise.is_empty() || (noise.len() as f64) < LEAST_DEFINED * replicates.len() as f64 || error.is_nan() {
        return None;
    }
    let least = noise_of_one_bin(&noise);
    if error < ROUNDING {
        return Some([0.0, least]);
    }
    let kept = |multiple: f64| {
        let sizes = noise
            .iter()
            .map(|noise| -> f64 { (0..BINS).map(|bin| (multiple * observed[bin] + noise[bin]).abs()).sum() });
        let (mut reach, mut stay) = (0_usize, 0_usize);
        for size in sizes {
            reach += usize::from(size >= error);
            stay += usize::from(size <= error);
        }
        let share = |count: usize| count as f64 / noise.len() as f64;
        [share(reach) >= TAIL, share(stay) >= TAIL]
    };
    let multiples: Vec<f64> = (0..=LARGEST * STEPS).map(|step| f64::from(step) / f64::from(STEPS)).collect();
    let verdicts: Vec<[bool; 2]> = multiples.iter().map(|&multiple| kept(multiple)).collect();
    let refine = |mut outside: f64, mut inside: f64, side: usize| {
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(outside, inside);
            *(if kept(middle)[side] { &mut inside } else { &mut outside }) = middle;
        }
        inside
    };
    let low = match verdicts.iter().position(|verdict| verdict[0]) {
        None => 1.0,
        Some(0) => 0.0,
        Some(first) => refine(multiples[first - 1], multiples[first], 0),
    };
    let high = match verdicts.iter().rposition(|verdict| verdict[1]) {
        None => 1.0,
        Some(last) if last + 1 == multiples.len() => multiples[last],
        Some(last) => refine(multiples[last + 1], multiples[last], 1),
    };
    Some([low.min(1.0) * error, (high.max(1.0) * error).max(least)])
}

/// The size of gap that noise alone reaches in the noisiest bin, but for a share [`TAIL`] of replicates on either side.
fn noise_of_one_bin(noise: &[Gaps]) -> f64 {
    let of = |bin: usize| {
        let mut sizes: Vec<f64> = noise.iter().map(|noise| noise[bin].abs()).collect();
        sizes.sort_by(f64::total_cmp);
        quantile(&sizes, 1.0 - 2.0 * TAIL)
    };
    (0..BINS).map(of).fold(0.0, f64::max)
}

/// Sum of the sizes of the gaps: expected calibration error.
fn size(gaps: &Gaps) -> f64 {
    gaps.iter().map(|gap| gap.abs()).sum()
}
