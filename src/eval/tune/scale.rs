//! The scale: temperature and offsets of its logits, then the rule by which one level is chosen.
//!
//! In: the scale's logits of each item whose level is known, and that level. Out: a [`ScaleCalibration`].

use crate::calibration::{Decision, ScaleCalibration};
use crate::eval::metrics::ordinal::Confusion;
use crate::eval::metrics::rank::rank_correlations;
use crate::eval::tune::flag::{first_highest, smoothed};
use crate::eval::tune::minimum::minimum;
use crate::head::ScaleHead;

/// Weight of the squared parameters in the loss: decides where the data do not (a common shift of softmax logits).
const RIDGE: f64 = 1e-4;
/// Least probability in the loss, so that one certain error is not infinite.
const LEAST_PROBABILITY: f64 = 1e-6;
/// Kappa that the rule with fitted cut points must give beyond the simpler ones.
const RULE_MARGIN: f64 = 0.005;
/// Passes over the cut points, steps between those that are tried, and how near two may be, in distances of neighbouring codes.
const PASSES: usize = 4;
const CUT_STEP: f64 = 0.05;
const CUT_DISTANCE: f64 = 0.1;

/// Logits of the scale and the index of the gold level.
pub(crate) type LevelExample<'a> = (&'a [f32], usize);

/// Fits everything; the method is that of `scripts/train/calibrate.py`, but for cut points that are equally good.
///
/// # Errors
/// In words, if the examples do not say how: one level alone occurs, or the expected code does not rise with the level.
pub(crate) fn fit_scale(
    examples: &[LevelExample<'_>],
    head: ScaleHead,
    codes: &[i32],
) -> Result<ScaleCalibration, String> {
    if examples.iter().all(|(_, level)| *level == examples[0].1) {
        return Err(format!("{} items, and never two levels", examples.len()));
    }
    let mut calibration = fit_temperature(examples, head, codes.len());
    let chances: Vec<(Vec<f32>, usize)> =
        examples.iter().map(|&(logits, level)| (calibration.probabilities(logits, head), level)).collect();
    if !rises(&chances, codes) {
        return Err("the level is not higher where its expected code is".into());
    }
    calibration.decision = fit_decision(&chances, codes);
    Ok(calibration)
}

/// Whether the expected code tends to be higher where the gold level is, by ranks.
fn rises(chances: &[(Vec<f32>, usize)], codes: &[i32]) -> bool {
    let levels: Vec<usize> = chances.iter().map(|(_, gold)| *gold).collect();
    let expected: Vec<f64> = chances.iter().map(|(probabilities, _)| expected_code(probabilities, codes)).collect();
    rank_correlations(&levels, &expected, codes.len()).spearman > 0.0
}

/// As the decision computes it, in f32.
fn expected_code(probabilities: &[f32], codes: &[i32]) -> f64 {
    let mean: f32 = probabilities.iter().zip(codes).map(|(p, &code)| p * code as f32).sum();
    f64::from(mean)
}

/// Temperature and offsets of (logit + offset) / temperature (Guo et al. 2017, sec. 4.2: temperature scaling, here with a bias)
/// by least mean negative log-likelihood, plus [`RIDGE`] times the squares of ln(temperature) and of the offsets.
pub(crate) fn fit_temperature(examples: &[LevelExample<'_>], head: ScaleHead, levels: usize) -> ScaleCalibration {
    let start = vec![0.0; 1 + head.logits(levels)];
    let mut found = calibration(&minimum(&start, |parameters| loss(examples, head, parameters)));
    // Four decimals, as in a bundle by hand; the loss is flat below that.
    let round = |value: &mut f32| *value = (*value * 1e4).round() / 1e4;
    round(&mut found.temperature);
    found.temperature = found.temperature.max(1e-4);
    found.offsets.iter_mut().for_each(round);
    found
}

fn calibration(parameters: &[f64]) -> ScaleCalibration {
    ScaleCalibration {
        temperature: parameters[0].exp() as f32,
        offsets: parameters[1..].iter().map(|&offset| offset as f32).collect(),
        decision: Decision::Mode,
    }
}

/// What [`fit_temperature`] makes small, of ln(temperature) and the offsets.
pub(crate) fn loss(examples: &[LevelExample<'_>], head: ScaleHead, parameters: &[f64]) -> f64 {
    let calibration = calibration(parameters);
    let of_gold = |&(logits, level): &LevelExample<'_>| f64::from(calibration.probabilities(logits, head)[level]);
    let sum: f64 = examples.iter().map(|example| -of_gold(example).max(LEAST_PROBABILITY).ln()).sum();
    sum / examples.len() as f64 + RIDGE * parameters.iter().map(|parameter| parameter * parameter).sum::<f64>()
}

/// The rule with the best quadratic-weighted kappa; fitted cut points must be better by [`RULE_MARGIN`].
pub(crate) fn fit_decision(chances: &[(Vec<f32>, usize)], codes: &[i32]) -> Decision {
    let cutpoints = Decision::Cutpoints { cutpoints: fit_cutpoints(chances, codes) };
    let kappa = |rule: &Decision| {
        let decided = chances.iter().map(|(probabilities, gold)| (*gold, rule.level(probabilities, codes)));
        kappa(decided, codes.len())
    };
    let rules = [Decision::Mode, Decision::Median, cutpoints];
    let scores = [kappa(&rules[0]), kappa(&rules[1]), kappa(&rules[2]) - RULE_MARGIN];
    let [mode, median, cutpoints] = rules;
    match first_highest(&scores) {
        0 => mode,
        1 => median,
        _ => cutpoints,
    }
}

/// Coordinate ascent of kappa over cut points on the expected code, from the middles between the codes. Each kappa is averaged
/// with those of the two neighbouring places; of equals the place nearest to the middle is taken. Cut points move on a line on
/// which neighbouring codes are 1 apart, so that no more of them are tried where codes are far apart.
pub(crate) fn fit_cutpoints(chances: &[(Vec<f32>, usize)], codes: &[i32]) -> Vec<f32> {
    let expected: Vec<(f64, usize)> = chances
        .iter()
        .map(|(probabilities, gold)| (place_of(expected_code(probabilities, codes), codes), *gold))
        .collect();
    let last = (codes.len() - 1) as f64;
    let mut cuts: Vec<f64> = (1..codes.len()).map(|upper| upper as f64 - 0.5).collect();
    for _ in 0..PASSES {
        for index in 0..cuts.len() {
            let low = if index == 0 { CUT_STEP } else { cuts[index - 1] + CUT_DISTANCE };
            let high = cuts.get(index + 1).map_or(last - CUT_STEP, |next| next - CUT_DISTANCE);
            let steps = ((high - low) / CUT_STEP + 1e-9).floor();
            if steps < 0.0 {
                continue;
            }
            let rounded = |place: f64| (place * 1e3).round() / 1e3;
            let candidates: Vec<f64> = (0..=steps as usize).map(|step| rounded(low + CUT_STEP * step as f64)).collect();
            let scores: Vec<f64> = candidates
                .iter()
                .map(|&candidate| {
                    cuts[index] = candidate;
                    let level = |mean: f64| cuts.iter().filter(|&&cut| cut < mean).count();
                    kappa(expected.iter().map(|&(mean, gold)| (gold, level(mean))), codes.len())
                })
                .collect();
            let middle = index as f64 + 0.5;
            let nearness: Vec<f64> = candidates.iter().map(|candidate| -(candidate - middle).abs()).collect();
            cuts[index] = candidates[best(&smoothed(&scores, 3), &nearness)];
        }
    }
    cuts.into_iter().map(|cut| code_at(cut, codes) as f32).collect()
}

/// Place of the highest score; of equals that of the highest nearness, then the first.
fn best(scores: &[f64], nearness: &[f64]) -> usize {
    let order =
        |&a: &usize, &b: &usize| scores[a].total_cmp(&scores[b]).then_with(|| nearness[a].total_cmp(&nearness[b]));
    (0..scores.len()).rev().max_by(order).unwrap_or(0)
}

/// Where a value among the codes lies on the line on which the codes are 0, 1, 2 …
fn place_of(value: f64, codes: &[i32]) -> f64 {
    let below = codes[1..codes.len() - 1].iter().filter(|&&code| f64::from(code) <= value).count();
    let (code, next) = (f64::from(codes[below]), f64::from(codes[below + 1]));
    below as f64 + (value - code) / (next - code)
}

/// The inverse of [`place_of`].
fn code_at(place: f64, codes: &[i32]) -> f64 {
    let below = (place as usize).min(codes.len() - 2);
    let (code, next) = (f64::from(codes[below]), f64::from(codes[below + 1]));
    code + (place - below as f64) * (next - code)
}

/// Quadratic-weighted kappa of (gold, decided) levels, 0 where it is not defined.
fn kappa(pairs: impl Iterator<Item = (usize, usize)>, levels: usize) -> f64 {
    let mut cells = vec![0.0; levels * levels];
    for (gold, decided) in pairs {
        cells[gold * levels + decided] += 1.0;
    }
    let kappa = Confusion::new(&cells, levels).quadratic_weighted_kappa();
    if kappa.is_nan() { 0.0 } else { kappa }
}
