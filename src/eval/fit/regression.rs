//! Cumulative-link regression of an ordinal label on vectors; with two levels it is logistic regression.
//!
//! In: [`Examples`] and an L2 penalty. Out: a [`Regression`]: P(level > k | x) = sigmoid(slopes · x + intercept[k]).

use crate::eval::fit::descent::lowest;
use crate::eval::fit::matrix::{Matrix, product};

/// Rows of a matrix with the level of each. A label that applies or does not has two levels, no and yes.
pub(crate) struct Examples<'a> {
    pub(crate) matrix: &'a Matrix,
    pub(crate) level_count: usize,
    pub(crate) rows: Vec<usize>,
    pub(crate) levels: Vec<usize>,
    /// What each example counts; 1 in the mean.
    pub(crate) weights: Vec<f64>,
}

/// One direction in the space of vectors, and where the levels part along it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Regression {
    /// (H)
    pub(crate) slopes: Vec<f64>,
    /// One a step between levels, descending where the levels occur.
    pub(crate) intercepts: Vec<f64>,
}

impl Regression {
    /// The logits of P(level > k) for a row of the matrix.
    pub(crate) fn logits(&self, row: &[f32]) -> Vec<f64> {
        let score = product(&self.slopes, row);
        self.intercepts.iter().map(|intercept| score + intercept).collect()
    }
}

/// The proportional-odds model (McCullagh 1980) of the examples at the places `part`, with least
/// Σ weight · −ln P(level | x) + penalty / 2 · |slopes|². With two levels this is scikit-learn's `LogisticRegression` with
/// C = 1 / penalty. Intercepts are free. The search begins at `start`, or without slopes and at the levels' shares.
pub(crate) fn regress(examples: &Examples<'_>, part: &[usize], penalty: f64, start: Option<&Regression>) -> Regression {
    let columns = examples.matrix.columns();
    let steps = examples.level_count - 1;
    let total: f64 = part.iter().map(|&place| examples.weights[place]).sum::<f64>().max(f64::MIN_POSITIVE);
    let begin = match start {
        Some(start) => start.slopes.iter().chain(&start.intercepts).copied().collect(),
        None => [vec![0.0; columns], shares(examples, part)].concat(),
    };
    let found = lowest(begin, |parameters, slope| {
        let (slopes, intercepts) = parameters.split_at(columns);
        slope.fill(0.0);
        let (of_slopes, of_intercepts) = slope.split_at_mut(columns);
        let mut value = 0.0;
        for &place in part {
            let row = examples.matrix.row(examples.rows[place]);
            let (level, weight) = (examples.levels[place], examples.weights[place] / total);
            let score = product(slopes, row);
            let below = level.checked_sub(1).map(|step| score + intercepts[step]);
            let above = (level < steps).then(|| score + intercepts[level]);
            let [loss, by_below, by_above] = surprise(below, above);
            value += weight * loss;
            if let Some(step) = level.checked_sub(1) {
                of_intercepts[step] += weight * by_below;
            }
            if level < steps {
                of_intercepts[level] += weight * by_above;
            }
            let by_score = weight * (by_below + by_above);
            of_slopes.iter_mut().zip(row).for_each(|(slope, &x)| *slope += by_score * f64::from(x));
        }
        for (of_slope, slope) in of_slopes.iter_mut().zip(slopes) {
            value += penalty / total * slope * slope / 2.0;
            *of_slope += penalty / total * slope;
        }
        value
    });
    let (slopes, intercepts) = found.split_at(columns);
    Regression { slopes: slopes.to_vec(), intercepts: intercepts.to_vec() }
}

/// The logits of the levels' shares, each count raised by one so that none is infinite.
fn shares(examples: &Examples<'_>, part: &[usize]) -> Vec<f64> {
    let mut counts = vec![1.0; examples.level_count];
    for &place in part {
        counts[examples.levels[place]] += examples.weights[place];
    }
    let all: f64 = counts.iter().sum();
    let mut upto = 0.0;
    let logit = |count: &f64| {
        upto += count;
        ((all - upto) / upto).ln()
    };
    counts[..examples.level_count - 1].iter().map(logit).collect()
}

/// −ln P(level) and its slopes by the logits of P(level > the one below) and P(level > this one): P is the difference of
/// their sigmoids, 1 and 0 at the ends. Infinite where the logits cross. Written so that no logit overflows.
fn surprise(below: Option<f64>, above: Option<f64>) -> [f64; 3] {
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    match (below, above) {
        (None, None) => [0.0; 3],
        (Some(below), None) => [softplus(-below), -sigmoid(-below), 0.0],
        (None, Some(above)) => [softplus(above), 0.0, sigmoid(above)],
        (Some(below), Some(above)) if below <= above => [f64::INFINITY, 0.0, 0.0],
        (Some(below), Some(above)) => {
            let gap = below - above;
            // 1 / (e^gap − 1)
            let push = 1.0 / gap.exp_m1();
            let loss = softplus(-below) + softplus(above) - (-(-gap).exp_m1()).ln();
            [loss, -sigmoid(-below) - push, sigmoid(above) + push]
        }
    }
}
