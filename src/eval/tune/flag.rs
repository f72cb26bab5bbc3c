//! One label that applies or does not: from logits and gold to a calibration and a threshold.
//!
//! In: the logit of each item of which the label is known, and whether it holds. Out: parameters in `f64`.

use crate::calibration::Isotonic;
use crate::eval::metrics::topics::BinaryCounts;

/// Newton's method ends when the slope of the mean loss is below this, or after so many steps; five to ten are usual.
const SLOPE: f64 = 1e-10;
const STEPS: usize = 100;
/// Thresholds that are tried: those of `scripts/train/calibrate.py`.
const THRESHOLDS: std::ops::RangeInclusive<u8> = 20..=80;
/// Neighbouring thresholds averaged, so that no single lucky item decides.
const SMOOTHING: usize = 7;

/// A logit and whether the label holds.
pub(crate) type Example = (f64, bool);

/// Whether a calibration can be fitted: both answers occur, and more than one logit.
pub(crate) fn is_informative(examples: &[Example]) -> bool {
    examples.iter().any(|&(_, holds)| holds)
        && examples.iter().any(|&(_, holds)| !holds)
        && examples.iter().any(|&(logit, _)| logit != examples[0].0)
}

/// Scale and offset of p = sigmoid(scale · logit + offset) (Platt 1999, "Probabilistic outputs for support vector machines"),
/// by Newton's method with halved steps (Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs"). The targets are Platt's
/// (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) in place of 1 and 0, so that labels which the logit separates do not drive the scale
/// to infinity. The examples are [informative](is_informative).
pub(crate) fn platt(examples: &[Example]) -> [f64; 2] {
    newton(examples, true)
}

/// The scale alone (temperature scaling, Guo et al. 2017, of a single logit: temperature is 1 / scale), fitted as [`platt`] is.
pub(crate) fn temperature(examples: &[Example]) -> f64 {
    newton(examples, false)[0]
}

fn newton(examples: &[Example], with_offset: bool) -> [f64; 2] {
    let count = examples.len() as f64;
    let positives = examples.iter().filter(|(_, holds)| *holds).count() as f64;
    let negatives = count - positives;
    let targets = [1.0 / (negatives + 2.0), (positives + 1.0) / (positives + 2.0)];
    let target = |holds: bool| targets[usize::from(holds)];
    // Mean of −t ln p − (1 − t) ln (1 − p), written so that no large logit overflows.
    let loss = |[scale, offset]: [f64; 2]| {
        let one = |&(logit, holds): &Example| {
            let z = scale * logit + offset;
            z.max(0.0) + (-z.abs()).exp().ln_1p() - target(holds) * z
        };
        examples.iter().map(one).sum::<f64>() / count
    };
    let start = if with_offset { ((positives + 1.0) / (negatives + 1.0)).ln() } else { 0.0 };
    let mut found = [0.0, start];
    let mut lowest = loss(found);
    for _ in 0..STEPS {
        let (mut slope, mut curve) = ([0.0; 2], [0.0; 3]);
        for &(logit, holds) in examples {
            let p = 1.0 / (1.0 + (-(found[0] * logit + found[1])).exp());
            let (error, weight) = ((p - target(holds)) / count, p * (1.0 - p) / count);
            slope[0] += error * logit;
            slope[1] += error;
            curve[0] += weight * logit * logit;
            curve[1] += weight * logit;
            curve[2] += weight;
        }
        if !with_offset {
            (slope[1], curve[1], curve[2]) = (0.0, 0.0, 1.0);
        }
        if slope.iter().all(|slope| slope.abs() < SLOPE) {
            break;
        }
        let determinant = curve[0] * curve[2] - curve[1] * curve[1];
        let step = [
            (curve[2] * slope[0] - curve[1] * slope[1]) / determinant,
            (curve[0] * slope[1] - curve[1] * slope[0]) / determinant,
        ];
        let mut share = 1.0;
        let (next, value) = loop {
            let next = [found[0] - share * step[0], found[1] - share * step[1]];
            let value = loss(next);
            // Below this share the loss is flat to the last bit.
            if value < lowest || share < 1e-10 {
                break (next, value);
            }
            share /= 2.0;
        };
        // A loss that is no number is no better one: logits whose squares overflow.
        if value.is_nan() || value >= lowest {
            break;
        }
        (found, lowest) = (next, value);
    }
    found
}

/// Isotonic regression of the label on the logit (Zadrozny and Elkan 2002): the non-decreasing map with the least squared
/// error, by pool adjacent violators (Ayer et al. 1955). As in scikit-learn's `IsotonicRegression` items of one logit
/// are taken together first, and lines join the blocks. Probabilities are kept between 1 / (n + 2) and (n + 1) / (n + 2)
/// (Laplace's rule of succession): `n` items in a row without the label do not make it impossible.
pub(crate) fn isotonic(examples: &[Example]) -> Isotonic {
    let mut sorted = examples.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Blocks of items: first and last logit, hits, items.
    let mut blocks: Vec<(f64, f64, f64, f64)> = Vec::new();
    for (logit, holds) in sorted {
        let hit = f64::from(u8::from(holds));
        match blocks.last_mut() {
            Some((_, last, hits, items)) if *last == logit => (*hits, *items) = (*hits + hit, *items + 1.0),
            _ => blocks.push((logit, logit, hit, 1.0)),
        }
    }
    let mut pooled: Vec<(f64, f64, f64, f64)> = Vec::new();
    for mut block in blocks {
        while let Some(&(first, _, hits, items)) = pooled.last()
            && hits / items >= block.2 / block.3
        {
            block = (first, block.1, hits + block.2, items + block.3);
            pooled.pop();
        }
        pooled.push(block);
    }
    let count = examples.len() as f64;
    let (least, most) = (1.0 / (count + 2.0), (count + 1.0) / (count + 2.0));
    let mut map = Isotonic { logits: Vec::new(), probabilities: Vec::new() };
    for (first, last, hits, items) in pooled {
        let probability = (hits / items).clamp(least, most) as f32;
        for logit in if first == last { vec![first] } else { vec![first, last] } {
            map.logits.push(logit as f32);
            map.probabilities.push(probability);
        }
    }
    map
}

/// The threshold of the best F1 among 0.20, 0.21 … 0.80, after F1 was averaged over seven neighbouring thresholds; of equals
/// the lowest. From (probability, whether the label holds).
pub(crate) fn best_threshold(examples: &[(f32, bool)]) -> f32 {
    let thresholds: Vec<f32> = THRESHOLDS.map(|percent| f32::from(percent) / 100.0).collect();
    let f1 = |threshold: &f32| {
        let mut counts = BinaryCounts::default();
        for &(probability, holds) in examples {
            match (holds, probability >= *threshold) {
                (true, true) => counts.both += 1.0,
                (false, true) => counts.predicted_only += 1.0,
                (true, false) => counts.gold_only += 1.0,
                (false, false) => {}
            }
        }
        counts.f1().max(0.0)
    };
    let smooth = smoothed(&thresholds.iter().map(f1).collect::<Vec<_>>(), SMOOTHING);
    thresholds[first_highest(&smooth)]
}

/// The mean of each value and its neighbours, `width` in all; beyond the ends the end value stands.
pub(crate) fn smoothed(values: &[f64], width: usize) -> Vec<f64> {
    let half = width / 2;
    let mean = |place: usize| {
        let window = (place..place + width).map(|shifted| values[shifted.saturating_sub(half).min(values.len() - 1)]);
        window.sum::<f64>() / width as f64
    };
    (0..values.len()).map(mean).collect()
}

/// Place of the highest value; of equals the first. 0 without any.
pub(crate) fn first_highest(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
