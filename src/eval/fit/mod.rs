//! Fitting: heads for a label scheme, learnt from labelled items on the frozen vectors of an encoder.
//!
//! In: a [`FitSample`], gold and the vectors of its texts. Out: a [`Fitted`]: heads, their calibration, and figures by
//! cross-validation in which clusters (groups, documents) stay whole.
//!
//! Every label is a cumulative-link regression of its own; what applies or does not is one of two levels. The L2 penalty is chosen
//! by cross-validation, and what the heads without an item's fold say of that item is what the calibration
//! is fitted on, by [`crate::eval::tune()`]'s code. A label that is not known teaches nothing.

mod card;
mod choose;
mod descent;
mod examples;
mod folds;
mod matrix;
mod regression;
mod scheme;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rayon::prelude::*;

use crate::calibration::{Calibration, Decision, FlagCalibration, ScaleCalibration, TopicCalibration, TopicDecision};
use crate::error::Result;
use crate::eval::baseline::majority;
use crate::eval::figure::{Metric, Scope};
use crate::eval::fit::choose::{Chosen, Form, choose};
use crate::eval::fit::examples::{Class, Label, classes, few};
use crate::eval::fit::folds::{Folds, deal};
use crate::eval::fit::matrix::Matrix;
use crate::eval::fit::regression::Regression;
use crate::eval::gold::GoldItem;
use crate::eval::predicted::Predicted;
use crate::eval::report::{Report, ReportOptions, System, SystemKind, score};
use crate::eval::tune::{self, FOLDS, KeptLabel, Method, TuneSample};
use crate::head::{HeadRow, HeadRows, Logits, ScaleHead, TextVectors};
use crate::label::{Scheme, Topic};

pub use crate::eval::fit::card::{Origin, languages};
pub use crate::eval::fit::examples::{FEWEST_EXAMPLES, check_examples};
pub use crate::eval::fit::scheme::{DataScheme, SchemeSource, read_scheme_of_data};

/// The heads in cross-validation: each item by heads and a calibration that were fitted without it.
pub const CROSS_VALIDATED: &str = "cross-validated";

/// Slope of a calibration that says the label's share and nothing else, 1 / temperature of a scale; the format wants it above 0.
const FLAT: f32 = 1e-4;

/// What each item counts while a head is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClassWeights {
    /// As much as every other.
    Equal,
    /// The less, the more items have the same label: every level of a label, and its yes and no, weigh the same together.
    #[default]
    Balanced,
}

/// What heads are fitted on.
#[derive(Debug, Clone, Copy)]
pub struct FitSample<'a> {
    /// The labels.
    pub scheme: &'a Arc<Scheme>,
    /// The items.
    pub gold: &'a [GoldItem],
    /// The vectors of each item's text.
    pub vectors: &'a [TextVectors],
    /// For each item whether the bundle that the heads are added to calls it boilerplate, which has no topics. `None` if they
    /// are added to none, or it has no such flag.
    pub boilerplate_of_base: Option<&'a [bool]>,
}

/// How heads are fitted.
#[derive(Debug, Clone, Default)]
pub struct FitOptions {
    /// What items count.
    pub class_weights: ClassWeights,
    /// How the figures are made; its seed also deals the folds.
    pub report: ReportOptions,
}

/// Fitted heads, and how they do.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// One row a logit; the scale's are cumulative.
    pub heads: HeadRows,
    /// Fitted on what the heads say of items that they were not fitted on.
    pub calibration: Calibration,
    /// One for each label, in the order of the scheme: topics, scale, boilerplate.
    pub labels: Vec<FittedLabel>,
    /// Parts of the items in cross-validation.
    pub folds: usize,
    /// The systems `majority` and [`CROSS_VALIDATED`].
    pub report: Report,
    /// What makes the heads doubtful, in words.
    pub warnings: Vec<String>,
}

/// One label of a [`Fitted`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedLabel {
    /// Its name.
    pub name: String,
    /// Each of its classes (`no` and `yes`, or the codes of the levels) and the number of examples.
    pub examples: Vec<(String, usize)>,
    /// L2 penalty, on vectors centred and divided so that their mean squared length is 1; C of scikit-learn is 1 / penalty.
    pub penalty: f64,
    /// Of a scale with more than two levels: whether each boundary has a direction of its own.
    pub direction_each: Option<bool>,
}

/// Fits heads and their calibration, and scores them.
///
/// # Errors
/// [`crate::Error::TooFewExamples`], as [`check_examples`].
///
/// # Panics
/// If there are not as many vectors as items, or boilerplate decisions, where there are any.
pub fn fit(sample: &FitSample<'_>, options: &FitOptions) -> Result<Fitted> {
    assert_eq!(sample.gold.len(), sample.vectors.len(), "the vectors of each item");
    let decisions = sample.boilerplate_of_base.map_or(sample.gold.len(), <[bool]>::len);
    assert_eq!(sample.gold.len(), decisions, "a boilerplate decision for each item");
    let classes = classes(sample.scheme, sample.gold);
    let count = check_examples(sample.scheme, sample.gold)?;
    let folds = deal(sample.gold, sample.scheme, count, options.report.bootstrap.seed);
    let matrix = Matrix::new(sample.vectors);
    let labels = Label::all(sample.scheme);
    let chosen: Vec<Chosen> = labels
        .par_iter()
        .map(|label| choose(&label.examples(sample, &matrix, options.class_weights), &folds))
        .collect();
    let whole = rows(&labels, &matrix, |label| &chosen[label].whole);
    let logits = held_out_logits(sample, &labels, &chosen, &folds, &matrix);

    let current = flat(sample);
    let tune_sample = TuneSample {
        scheme: sample.scheme,
        head: ScaleHead::Cumulative,
        current: &current,
        gold: sample.gold,
        logits: &logits,
    };
    let all: Vec<usize> = (0..sample.gold.len()).collect();
    let (calibration, kept) = tune::fit(&tune_sample, Method::Platt, &all);
    let crossed = tune::cross_fitted(&tune_sample, Method::Platt, options.report.bootstrap.seed);
    let is_crossed = crossed.is_some();
    let mut predicted = crossed
        .map(|crossed| crossed.predicted)
        .unwrap_or_else(|| all.iter().map(|&item| tune_sample.predict(&calibration, item)).collect());
    clear_topics_of_boilerplate(&mut predicted, sample);
    let systems = [
        System { name: "majority".into(), kind: SystemKind::Baseline, predicted: majority(sample.scheme, sample.gold) },
        System { name: CROSS_VALIDATED.into(), kind: SystemKind::Bundle, predicted },
    ];
    let report = score(sample.scheme, sample.gold, &systems, &options.report);
    let mut warnings = warnings(&classes, count, kept, is_crossed, &report);
    warnings.extend(topics_of_boilerplate(sample));
    let labels = labels.iter().zip(&chosen).map(|(label, chosen)| FittedLabel {
        name: label.name(sample.scheme),
        examples: classes
            .iter()
            .filter(|class| class.label == *label)
            .map(|class| (class.short.clone(), class.examples))
            .collect(),
        penalty: chosen.penalty,
        direction_each: (*label == Label::Scale && sample.scheme.level_count() > 2)
            .then_some(chosen.form == Form::DirectionEach),
    });
    Ok(Fitted { heads: whole, calibration, labels: labels.collect(), folds: count, report, warnings })
}

/// The rows of all labels; `model` gives the regressions of the label at a place.
fn rows<'m>(labels: &[Label], matrix: &Matrix, model: impl Fn(usize) -> &'m [Regression]) -> HeadRows {
    let mut heads = HeadRows::default();
    for (place, label) in labels.iter().enumerate() {
        let of = |regression: &Regression| {
            let row = |&intercept: &f64| matrix.head(&regression.slopes, intercept);
            regression.intercepts.iter().map(row).collect::<Vec<HeadRow>>()
        };
        let mut rows: Vec<HeadRow> = model(place).iter().flat_map(of).collect();
        match label {
            Label::Topic(_) => heads.topics.append(&mut rows),
            Label::Scale => heads.scale = rows,
            Label::Boilerplate => heads.boilerplate = rows.pop(),
        }
    }
    heads
}

/// What heads without an item's fold say of the item.
fn held_out_logits(
    sample: &FitSample<'_>,
    labels: &[Label],
    chosen: &[Chosen],
    folds: &Folds,
    matrix: &Matrix,
) -> Vec<Logits> {
    let heads: Vec<HeadRows> =
        (0..folds.count).map(|fold| rows(labels, matrix, |label| &chosen[label].without[fold])).collect();
    folds.of.iter().zip(sample.vectors).map(|(&fold, vectors)| heads[fold].logits(vectors)).collect()
}

/// As the bundle does that the heads are added to.
fn clear_topics_of_boilerplate(predicted: &mut [Predicted], sample: &FitSample<'_>) {
    for (predicted, is_boilerplate) in predicted.iter_mut().zip(sample.boilerplate_of_base.unwrap_or_default()) {
        if let (Some(topics), true) = (&mut predicted.labels.topics, *is_boilerplate) {
            topics.fill(false);
        }
    }
}

/// A warning for each topic that items have which are boilerplate to the bundle that the heads are added to.
fn topics_of_boilerplate(sample: &FitSample<'_>) -> Vec<String> {
    let flags = sample.boilerplate_of_base.unwrap_or_default();
    let warning = |(index, topic): (usize, &Topic)| {
        let has = |item: &GoldItem| item.labels.topics.as_ref().is_some_and(|topics| topics[index]);
        let items = sample.gold.iter().filter(|item| has(item)).count();
        let lost = sample.gold.iter().zip(flags).filter(|(item, flag)| **flag && has(item)).count();
        (lost > 0).then(|| {
            format!(
                "the bundle calls {lost} of the {items} items with {} boilerplate, and so never gives them the topic",
                topic.name
            )
        })
    };
    sample.scheme.topics.iter().enumerate().filter_map(warning).collect()
}

/// A calibration that knows the labels' shares alone; it stays where the logits of a label say nothing.
fn flat(sample: &FitSample<'_>) -> Calibration {
    let flag = |label: Label| {
        let known: Vec<usize> = sample.gold.iter().filter_map(|item| label.level(&item.labels)).collect();
        let holds = known.iter().filter(|level| **level == 1).count() as f32;
        let offset = ((holds + 1.0) / (known.len() as f32 - holds + 1.0)).ln();
        FlagCalibration { scale: FLAT, offset, threshold: 0.5, isotonic: None }
    };
    let scale = |levels: usize| {
        let known: Vec<usize> = sample.gold.iter().filter_map(|item| item.labels.level).collect();
        let offset = |boundary: usize| {
            let above = known.iter().filter(|level| **level > boundary).count() as f32;
            ((above + 1.0) / (known.len() as f32 - above + 1.0)).ln() / FLAT
        };
        let offsets = (0..ScaleHead::Cumulative.logits(levels)).map(offset).collect();
        ScaleCalibration { temperature: 1.0 / FLAT, offsets, decision: Decision::Mode }
    };
    let topics = sample.scheme.topics.iter().enumerate();
    Calibration {
        topics: topics.map(|(index, topic)| TopicCalibration::of(&topic.name, flag(Label::Topic(index)))).collect(),
        topic_decision: TopicDecision::Thresholds,
        scale: sample.scheme.scale.as_ref().map(|declared| scale(declared.levels.len())),
        boilerplate: sample.scheme.boilerplate.then(|| flag(Label::Boilerplate)),
        fitted_on: String::new(),
    }
}

fn warnings(classes: &[Class], folds: usize, kept: Vec<KeptLabel>, is_crossed: bool, report: &Report) -> Vec<String> {
    let mut warnings: Vec<String> = few(classes).into_iter().collect();
    if folds < FOLDS {
        warnings.push(format!(
            "cross-validation has {folds} parts instead of {FOLDS}: some class is in no more documents or groups than that"
        ));
    }
    if !is_crossed {
        warnings.push(
            "too few documents or groups to fit the calibration out of sample: thresholds and probabilities look better than they are"
                .into(),
        );
    }
    let nothing = "its probability is the label's share, whatever the text";
    warnings.extend(
        kept.into_iter()
            .map(|KeptLabel { label, reason }| format!("nothing was learnt of {label}: {reason}; {nothing}")),
    );
    let scores = report.slices.first().and_then(|all| all.systems.iter().find(|s| s.system == CROSS_VALIDATED));
    let figures = scores.into_iter().flat_map(|scores| &scores.figures);
    let is_kappa = |scope: Scope, metric: Metric| scope == Scope::Scale && metric == Metric::QuadraticWeightedKappa;
    let kappa = figures.into_iter().find(|figure| is_kappa(figure.scope, figure.metric));
    let doubt = kappa.and_then(|kappa| chance(kappa.value, kappa.low));
    warnings.extend(doubt.map(|doubt| format!("the levels cannot be told from chance: {doubt}; label more items")));
    warnings
}

/// Why kappa may be that of chance, from its value and the lower end of its interval. A perfect one has no interval.
fn chance(value: Option<f64>, low: Option<f64>) -> Option<&'static str> {
    match low {
        Some(low) => (low <= 0.0).then_some("the interval of kappa reaches 0"),
        None => (value != Some(1.0)).then_some("kappa has no interval"),
    }
}
