//! How strongly a head is held back, and its form: by cross-validation.
//!
//! In: the examples of one label and their folds. Out: a [`Chosen`]: the heads without each fold, and that of all examples.

use rayon::prelude::*;

use crate::eval::fit::folds::Folds;
use crate::eval::fit::regression::{Examples, Regression, regress};

/// L2 penalties that are tried, strongest first, on vectors of mean squared length 1; C of scikit-learn is 1 / penalty.
const PENALTIES: [f64; 9] = [10.0, 3.2, 1.0, 0.32, 0.1, 0.032, 0.01, 0.0032, 0.001];
/// Weaker penalties are not tried after so many in a row that did worse than the best: early stop.
const PATIENCE: usize = 2;
/// Least probability in the loss, so that one certain error is not infinite.
const LEAST_PROBABILITY: f64 = 1e-6;

/// What a scale's boundaries have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One direction, on which the boundaries are points: proportional odds (McCullagh 1980).
    OneDirection,
    /// A direction of its own for each boundary: logistic regressions of level > k.
    DirectionEach,
}

/// One regression ([`Form::OneDirection`]) or one for each boundary.
pub(crate) type Model = Vec<Regression>;

/// A label's heads.
pub(crate) struct Chosen {
    pub(crate) form: Form,
    pub(crate) penalty: f64,
    /// Fitted without each fold.
    pub(crate) without: Vec<Model>,
    /// Fitted on everything.
    pub(crate) whole: Model,
}

/// Results for one penalty.
struct Tried {
    penalty: f64,
    /// Sum over each cluster of the weighted losses of its examples, each by the model without its fold.
    losses: Vec<f64>,
    without: Vec<Model>,
}

/// Tries every penalty and, for more than two levels, both forms. The strongest penalty wins whose loss is not worse than the best by
/// more than one standard error (Breiman et al. 1984, sec. 3.4.3), the simpler form likewise: with few examples, where
/// the losses say little, both keep the head plain.
pub(crate) fn choose(examples: &Examples<'_>, folds: &Folds) -> Chosen {
    let plain = path(examples, folds, Form::OneDirection);
    let (form, tried) = if examples.level_count > 2 {
        let free = path(examples, folds, Form::DirectionEach);
        if is_no_worse(&plain.losses, &free.losses) { (Form::OneDirection, plain) } else { (Form::DirectionEach, free) }
    } else {
        (Form::OneDirection, plain)
    };
    let all: Vec<usize> = (0..examples.rows.len()).collect();
    let whole = model(examples, &all, tried.penalty, form, None);
    Chosen { form, penalty: tried.penalty, without: tried.without, whole }
}

fn path(examples: &Examples<'_>, folds: &Folds, form: Form) -> Tried {
    let fold_of: Vec<usize> = examples.rows.iter().map(|&row| folds.of[row]).collect();
    let size = folds.clusters.iter().max().map_or(0, |last| last + 1);
    let parts: Vec<[Vec<usize>; 2]> = (0..folds.count)
        .map(|fold| (0..fold_of.len()).partition::<Vec<usize>, _>(|&place| fold_of[place] != fold).into())
        .collect();
    let mut tried: Vec<Tried> = Vec::new();
    let mut best = 0;
    for penalty in PENALTIES {
        let start = tried.last().map(|last| &last.without);
        let fitted: Vec<(Model, Vec<f64>)> = parts
            .par_iter()
            .enumerate()
            .map(|(fold, [others, left_out])| {
                let start = start.map(|models| models[fold].as_slice());
                let model = model(examples, others, penalty, form, start);
                let losses = left_out.iter().map(|&place| loss(examples, &model, place)).collect();
                (model, losses)
            })
            .collect();
        let mut losses = vec![0.0; size];
        for ([_, left_out], (_, found)) in parts.iter().zip(&fitted) {
            for (&place, loss) in left_out.iter().zip(found) {
                losses[folds.clusters[examples.rows[place]]] += loss;
            }
        }
        let without = fitted.into_iter().map(|(model, _)| model).collect();
        tried.push(Tried { penalty, losses, without });
        let last = tried.len() - 1;
        if sum(&tried[last].losses) < sum(&tried[best].losses) {
            best = last;
        } else if last - best >= PATIENCE {
            break;
        }
    }
    let chosen = (0..=best).find(|&place| is_no_worse(&tried[place].losses, &tried[best].losses));
    tried.swap_remove(chosen.unwrap_or(best))
}

fn sum(losses: &[f64]) -> f64 {
    losses.iter().sum()
}

/// Whether the first losses exceed the second by no more than one standard error of the difference between clusters.
fn is_no_worse(these: &[f64], best: &[f64]) -> bool {
    let count = these.len() as f64;
    let differences = || these.iter().zip(best).map(|(this, best)| this - best);
    let mean = differences().sum::<f64>() / count;
    let variance = differences().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    mean <= (variance / count).sqrt()
}

fn model(examples: &Examples<'_>, part: &[usize], penalty: f64, form: Form, start: Option<&[Regression]>) -> Model {
    match form {
        Form::OneDirection => vec![regress(examples, part, penalty, start.and_then(<[_]>::first))],
        Form::DirectionEach => (0..examples.level_count - 1)
            .map(|step| {
                let above = Examples {
                    matrix: examples.matrix,
                    level_count: 2,
                    rows: examples.rows.clone(),
                    levels: examples.levels.iter().map(|&level| usize::from(level > step)).collect(),
                    weights: examples.weights.clone(),
                };
                regress(&above, part, penalty, start.and_then(|start| start.get(step)))
            })
            .collect(),
    }
}

/// Weight · −ln P(level) of one example, the way [`crate::calibration`] makes levels of logits.
fn loss(examples: &Examples<'_>, model: &[Regression], place: usize) -> f64 {
    let row = examples.matrix.row(examples.rows[place]);
    let level = examples.levels[place];
    let mut above = 1.0_f64;
    let mut probability = 0.0;
    for (step, logit) in model.iter().flat_map(|regression| regression.logits(row)).enumerate() {
        let next = (1.0 / (1.0 + (-logit).exp())).min(above);
        if step == level {
            probability = above - next;
        }
        above = next;
    }
    if level + 1 == examples.level_count {
        probability = above;
    }
    -probability.max(LEAST_PROBABILITY).ln() * examples.weights[place]
}
