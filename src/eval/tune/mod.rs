//! Tuning: a bundle's calibration and decisions, fitted anew on labelled items.
//!
//! In: a [`TuneSample`], gold and the logits of its items. Out: a [`Tuned`]: the calibration, what of it could not be fitted, and
//! figures before and after, on the same items and by cross-fitting on others.
//!
//! Each label is fitted on its own, on the items of which it is known. Thresholds and the rule for levels are chosen
//! before a boilerplate decision takes a paragraph's topics and level away; the figures are those after it.

mod flag;
mod minimum;
mod scale;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::calibration::{Calibration, FlagCalibration, Isotonic, TopicCalibration};
use crate::eval::bootstrap::Random;
use crate::eval::gold::GoldItem;
use crate::eval::predicted::Predicted;
use crate::eval::report::{Report, ReportOptions, System, SystemKind, score};
use crate::eval::tune::flag::{Example, best_threshold};
use crate::eval::tune::scale::LevelExample;
use crate::head::{Logits, ScaleHead};
use crate::label::Scheme;

/// Parts of the items that cross-fitting leaves out in turn.
pub const FOLDS: usize = 5;

/// How the probabilities of topics and boilerplate are made from their logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Scale and offset (Platt 1999).
    Platt,
    /// The scale alone (Guo et al. 2017).
    Temperature,
    /// Breakpoints (Zadrozny and Elkan 2002).
    Isotonic,
}

impl Method {
    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Platt => "platt",
            Self::Temperature => "temperature",
            Self::Isotonic => "isotonic",
        }
    }
}

/// What a calibration is fitted on.
#[derive(Debug, Clone, Copy)]
pub struct TuneSample<'a> {
    /// Labels of the bundle.
    pub scheme: &'a Arc<Scheme>,
    /// What the logits of its scale mean.
    pub head: ScaleHead,
    /// Its calibration so far; stands for a label that cannot be fitted.
    pub current: &'a Calibration,
    /// The items.
    pub gold: &'a [GoldItem],
    /// What the bundle's heads say of each item.
    pub logits: &'a [Logits],
}

/// A label that was left as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLabel {
    /// A topic, the scale, or `boilerplate`.
    pub label: String,
    /// Why.
    pub reason: String,
}

/// A fitted calibration, and how it does.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// The calibration; `fitted_on` is still that of the old one.
    pub calibration: Calibration,
    /// Labels that were left as they were.
    pub kept: Vec<KeptLabel>,
    /// Labels that were fitted on all items but could not be without some fold, and the number of such folds: in those
    /// [`CROSS_FITTED`] has the old calibration.
    pub kept_in_folds: BTreeMap<String, usize>,
    /// The systems [`BEFORE`], [`AFTER`] and, where there are clusters enough, [`CROSS_FITTED`] on the items.
    pub report: Report,
}

/// The old calibration.
pub const BEFORE: &str = "before";
/// The new calibration, on the items that it was fitted on.
pub const AFTER: &str = "same items";
/// Each item under a calibration that was fitted without its fold.
pub const CROSS_FITTED: &str = "out of sample";

/// Fits a calibration and scores it.
///
/// # Panics
/// If there is not one set of logits for each item.
pub fn tune(sample: &TuneSample<'_>, method: Method, options: &ReportOptions) -> Tuned {
    assert_eq!(sample.gold.len(), sample.logits.len(), "one set of logits for each item");
    let all: Vec<usize> = (0..sample.gold.len()).collect();
    let (calibration, kept) = fit(sample, method, &all);
    let predict = |calibration: &Calibration| all.iter().map(|&item| sample.predict(calibration, item)).collect();
    let system = |name: &str, predicted| System { name: name.into(), kind: SystemKind::Bundle, predicted };
    let mut systems = vec![system(BEFORE, predict(sample.current)), system(AFTER, predict(&calibration))];
    let mut kept_in_folds = BTreeMap::new();
    if let Some(crossed) = cross_fitted(sample, method, options.bootstrap.seed) {
        systems.push(system(CROSS_FITTED, crossed.predicted));
        kept_in_folds = crossed.kept;
        kept_in_folds.retain(|label, _| kept.iter().all(|kept| kept.label != *label));
    }
    let report = score(sample.scheme, sample.gold, &systems, options);
    Tuned { calibration, kept, kept_in_folds, report }
}

impl Tuned {
    /// Whether every label was left as it was.
    pub fn is_as_before(&self) -> bool {
        let Calibration { topics, scale, boilerplate, .. } = &self.calibration;
        self.kept.len() == topics.len() + usize::from(scale.is_some()) + usize::from(boilerplate.is_some())
    }
}

impl TuneSample<'_> {
    pub(crate) fn predict(&self, calibration: &Calibration, item: usize) -> Predicted {
        let calibrated = calibration.apply(&self.logits[item], self.scheme, self.head);
        Predicted::from(&calibrated.into_prediction(self.scheme, 1, 0))
    }

    /// Logit and label of a topic, or (after the topics) of boilerplate, where it is known.
    fn examples(&self, flag: usize, items: &[usize]) -> Vec<Example> {
        let example = |&item: &usize| {
            let (labels, logits) = (&self.gold[item].labels, &self.logits[item]);
            let topic = || Some((f64::from(logits.topics[flag]), labels.topics.as_ref()?[flag]));
            if flag < self.scheme.topics.len() {
                topic()
            } else {
                Some((f64::from(logits.boilerplate?), labels.boilerplate?))
            }
        };
        items.iter().filter_map(example).collect()
    }

    fn level_examples(&self, items: &[usize]) -> Vec<LevelExample<'_>> {
        let example = |&item: &usize| Some((self.logits[item].scale.as_slice(), self.gold[item].labels.level?));
        items.iter().filter_map(example).collect()
    }
}

/// The calibration of some of the items, and what was kept of the old one.
pub(crate) fn fit(sample: &TuneSample<'_>, method: Method, items: &[usize]) -> (Calibration, Vec<KeptLabel>) {
    let mut calibration = sample.current.clone();
    let mut kept = Vec::new();
    let mut keep = |label: &str, reason| kept.push(KeptLabel { label: label.to_owned(), reason });
    for (index, topic) in calibration.topics.iter_mut().enumerate() {
        match fit_flag(&sample.examples(index, items), method) {
            Ok(flag) => *topic = TopicCalibration::of(&topic.name, flag),
            Err(reason) => keep(&topic.name, reason),
        }
    }
    if let Some(boilerplate) = &mut calibration.boilerplate {
        match fit_flag(&sample.examples(sample.scheme.topics.len(), items), method) {
            Ok(flag) => *boilerplate = flag,
            Err(reason) => keep("boilerplate", reason),
        }
    }
    if let (Some(fitted), Some(scale)) = (&mut calibration.scale, &sample.scheme.scale) {
        let examples = sample.level_examples(items);
        let codes: Vec<i32> = scale.levels.iter().map(|level| level.code).collect();
        match scale::fit_scale(&examples, sample.head, &codes) {
            Ok(new) => *fitted = new,
            Err(reason) => keep(&scale.name, reason),
        }
    }
    (calibration, kept)
}

fn fit_flag(examples: &[Example], method: Method) -> Result<FlagCalibration, String> {
    if !flag::is_informative(examples) {
        let positives = examples.iter().filter(|(_, holds)| *holds).count();
        return Err(format!("{positives} items with the label and {} without", examples.len() - positives));
    }
    // Four decimals, as in a bundle by hand; far below what any number of items can tell.
    let rounded = |value: f64| ((value * 1e4).round() / 1e4) as f32;
    let plain = FlagCalibration { scale: 1.0, offset: 0.0, threshold: 0.5, isotonic: None };
    let wrong_way = || "the label is not more frequent where its logit is higher".to_owned();
    let mut fitted = match method {
        Method::Platt => {
            let [scale, offset] = flag::platt(examples).map(rounded);
            FlagCalibration { scale, offset, ..plain }
        }
        Method::Temperature => FlagCalibration { scale: rounded(flag::temperature(examples)), ..plain },
        // A map that may not fall makes of a logit that points the wrong way a level line, but for a lucky item at an end.
        Method::Isotonic if flag::platt(examples)[0] <= 0.0 => return Err(wrong_way()),
        Method::Isotonic => FlagCalibration { isotonic: Some(flag::isotonic(examples)), ..plain },
    };
    let is_level = |map: &Isotonic| map.probabilities.first() == map.probabilities.last();
    if fitted.scale <= 0.0 || fitted.isotonic.as_ref().is_some_and(is_level) {
        return Err(wrong_way());
    }
    let probable: Vec<(f32, bool)> =
        examples.iter().map(|&(logit, holds)| (fitted.probability(logit as f32), holds)).collect();
    fitted.threshold = best_threshold(&probable);
    Ok(fitted)
}

/// Each item by the calibration that was fitted without its fold.
pub(crate) struct CrossFitted {
    pub(crate) predicted: Vec<Predicted>,
    /// Labels that could not be fitted without a fold, and how many folds.
    pub(crate) kept: BTreeMap<String, usize>,
}

/// What calibrations fitted on the other folds say of each item (cross-validation by groups: Stone 1974; Roberts et al. 2017).
/// `None` with fewer clusters than folds. Clusters are shuffled by the seed and dealt to the folds in turn. A label that cannot
/// be fitted without a fold has the old calibration there, and is counted.
pub(crate) fn cross_fitted(sample: &TuneSample<'_>, method: Method, seed: u64) -> Option<CrossFitted> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for item in sample.gold {
        let next = numbers.len();
        numbers.entry(item.cluster()).or_insert(next);
    }
    if numbers.len() < FOLDS {
        return None;
    }
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    let mut random = Random::new(seed, 0);
    for place in (1..order.len()).rev() {
        order.swap(place, random.below(place + 1));
    }
    let fold = |item: &GoldItem| order[numbers[item.cluster()]] % FOLDS;
    let folds: Vec<usize> = sample.gold.iter().map(fold).collect();
    let mut predicted = vec![Predicted::default(); folds.len()];
    let mut kept_in_folds = BTreeMap::new();
    for left_out in 0..FOLDS {
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..folds.len()).partition(|&item| folds[item] == left_out);
        let (calibration, kept) = fit(sample, method, &outside);
        for KeptLabel { label, .. } in kept {
            *kept_in_folds.entry(label).or_insert(0) += 1;
        }
        for item in inside {
            predicted[item] = sample.predict(&calibration, item);
        }
    }
    Some(CrossFitted { predicted, kept: kept_in_folds })
}
