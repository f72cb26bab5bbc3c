//! Fits against scikit-learn and scipy (`tests/fixtures/tuning.json`), and what tuning promises.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::calibration::{Calibration, Decision};
use crate::eval::bootstrap::{BootstrapOptions, Random};
use crate::eval::gold::GoldItem;
use crate::eval::render::Style;
use crate::eval::report::ReportOptions;
use crate::eval::tests::World;
use crate::eval::tune::flag::{best_threshold, isotonic, platt, smoothed, temperature};
use crate::eval::tune::scale::{fit_cutpoints, fit_decision, fit_temperature, loss};
use crate::eval::tune::{AFTER, BEFORE, CROSS_FITTED, KeptLabel, Method, TuneSample, Tuned, fit, tune};
use crate::head::{Logits, ScaleHead};
use crate::label::Scheme;

/// scipy stops where the slope is 1e-13; with flat losses (one item with the label) that leaves some 1e-8 of the parameters.
const FIT_TOLERANCE: f64 = 1e-6;
/// Probabilities of breakpoints are f32.
const PROBABILITY_TOLERANCE: f32 = 1e-6;
/// Parameters of the scale have four decimals, and its probabilities are f32.
const LOSS_TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Fixture {
    flags: Vec<FlagCase>,
    scales: Vec<ScaleCase>,
}

#[derive(Deserialize)]
struct FlagCase {
    name: String,
    logits: Vec<f64>,
    holds: Vec<bool>,
    platt: [f64; 2],
    temperature: f64,
    grid: Vec<f32>,
    isotonic: Vec<f32>,
}

#[derive(Deserialize)]
struct ScaleCase {
    name: String,
    head: ScaleHead,
    logits: Vec<Vec<f32>>,
    levels: Vec<usize>,
    before: f64,
    loss: f64,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tuning.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn flags_are_fitted_as_the_libraries_fit_them() {
    for case in fixture().flags {
        let examples: Vec<(f64, bool)> = case.logits.iter().copied().zip(case.holds.iter().copied()).collect();
        let found = platt(&examples);
        for (found, expected) in found.iter().zip(case.platt) {
            let close = (found - expected).abs() <= FIT_TOLERANCE * expected.abs().max(1.0);
            assert!(close, "{}: {found:?}, scipy {:?}", case.name, case.platt);
        }
        let found = temperature(&examples);
        let close = (found - case.temperature).abs() <= FIT_TOLERANCE * case.temperature.abs();
        assert!(close, "{}: {found}, scipy {}", case.name, case.temperature);
        let map = isotonic(&examples);
        assert_eq!(map.problem(), None, "{}", case.name);
        for (&logit, &expected) in case.grid.iter().zip(&case.isotonic) {
            let found = map.probability(logit);
            let close = (found - expected).abs() <= PROBABILITY_TOLERANCE;
            assert!(close, "{} at {logit}: {found}, scikit-learn {expected}", case.name);
        }
    }
}

#[test]
fn the_scale_is_fitted_as_well_as_scipy_fits_it() {
    for case in fixture().scales {
        let examples: Vec<(&[f32], usize)> =
            case.logits.iter().map(Vec::as_slice).zip(case.levels.iter().copied()).collect();
        let parameters = |temperature: f32, offsets: &[f32]| {
            let offsets = offsets.iter().map(|&offset| f64::from(offset));
            std::iter::once(f64::from(temperature).ln()).chain(offsets).collect::<Vec<f64>>()
        };
        let before = loss(&examples, case.head, &vec![0.0; 1 + case.logits[0].len()]);
        assert!((before - case.before).abs() < 1e-5, "{}: another loss, {before}, {}", case.name, case.before);
        let found = fit_temperature(&examples, case.head, 5);
        let found = loss(&examples, case.head, &parameters(found.temperature, &found.offsets));
        assert!(found <= case.loss + LOSS_TOLERANCE, "{}: loss {found}, scipy {}", case.name, case.loss);
    }
}

#[test]
fn thresholds_lie_where_f1_is_best_around_them() {
    // Separable at 0.6: every threshold from 0.31 to 0.60 is perfect, those with perfect neighbours begin three later.
    let separable: Vec<(f32, bool)> = [(0.1, false), (0.3, false), (0.6, true), (0.9, true)].to_vec();
    assert_eq!(best_threshold(&separable), 0.34);
    // One lucky item at 0.5 does not pull the threshold away from the many at 0.7.
    let mut many = vec![(0.7, true); 50];
    many.extend(vec![(0.2, false); 50]);
    assert!((0.24..=0.7).contains(&best_threshold(&many)));
    assert_eq!(best_threshold(&[(0.5, false)]), 0.2);
    assert_eq!(smoothed(&[0.0, 3.0, 0.0, 0.0], 3), [1.0, 1.0, 1.0, 0.0]);
}

#[test]
fn the_rule_is_the_simplest_that_is_as_good() {
    let codes = [-1, 0, 1];
    let certain = |level: usize| {
        let mut probabilities = vec![0.0; 3];
        probabilities[level] = 1.0;
        (probabilities, level)
    };
    let clear: Vec<(Vec<f32>, usize)> = (0..30).map(|item| certain(item % 3)).collect();
    assert_eq!(fit_decision(&clear, &codes), Decision::Mode);
    // The mode is always 0; the expected code tells the levels apart, but only with cut points nearer to 0.
    let timid: Vec<(Vec<f32>, usize)> = (0..60)
        .map(|item| match item % 3 {
            0 => (vec![0.3, 0.7, 0.0], 0),
            1 => (vec![0.05, 0.9, 0.05], 1),
            _ => (vec![0.0, 0.7, 0.3], 2),
        })
        .collect();
    match fit_decision(&timid, &codes) {
        Decision::Cutpoints { cutpoints } => {
            assert!(
                cutpoints[0] > -0.3 && cutpoints[0] < 0.0 && cutpoints[1] >= 0.0 && cutpoints[1] < 0.3,
                "{cutpoints:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Items of the made-up world with logits that are over-confident and shifted.
struct Made {
    scheme: Arc<Scheme>,
    gold: Vec<GoldItem>,
    logits: Vec<Logits>,
    current: Calibration,
}

impl Made {
    fn new(clusters: usize) -> Self {
        let mut world = World::new(21);
        let gold = world.gold(clusters);
        let logit = |p: f64| (p / (1.0 - p)).ln() as f32;
        let logits = world.system(&gold, 0.5).into_iter().map(|predicted| Logits {
            topics: predicted.topic_probabilities.unwrap().into_iter().map(|p| 3.0 * logit(p) + 2.0).collect(),
            scale: predicted.level_probabilities.unwrap().into_iter().map(|p| 4.0 * p.ln() as f32).collect(),
            boilerplate: predicted.boilerplate_probability.map(|p| 2.0 * logit(p) - 1.0),
        });
        let topics = world
            .scheme
            .topics
            .iter()
            .map(|topic| format!(r#"{{"name": "{}", "scale": 1, "offset": 0, "threshold": 0.5}}"#, topic.name));
        let json = format!(
            r#"{{"topics": [{}], "scale": {{"temperature": 1, "offsets": [0, 0, 0, 0, 0], "decision": {{"rule": "mode"}}}},
                "boilerplate": {{"scale": 1, "offset": 0, "threshold": 0.5}}, "fitted_on": "nothing"}}"#,
            topics.collect::<Vec<_>>().join(",")
        );
        let current = Calibration::read(json.as_bytes(), &world.scheme, ScaleHead::Softmax).unwrap();
        Self { logits: logits.collect(), scheme: Arc::new(world.scheme), gold, current }
    }

    fn sample(&self) -> TuneSample<'_> {
        let Self { scheme, gold, logits, current } = self;
        TuneSample { scheme, head: ScaleHead::Softmax, current, gold, logits }
    }

    fn tune(&self, method: Method) -> Tuned {
        let bootstrap = BootstrapOptions { replicates: 100, seed: 3 };
        tune(&self.sample(), method, &ReportOptions { bootstrap, ..ReportOptions::default() })
    }
}

fn figure(tuned: &Tuned, system: &str, name: &str) -> f64 {
    let scores = tuned.report.slices[0].systems.iter().find(|scores| scores.system == system).unwrap();
    scores.figures.iter().find(|figure| figure.name == name).unwrap().value.unwrap()
}

#[test]
fn bad_calibration_gets_better_on_items_it_has_not_seen() {
    let made = Made::new(300);
    for method in [Method::Platt, Method::Temperature, Method::Isotonic] {
        let tuned = made.tune(method);
        assert!(tuned.kept.is_empty(), "{:?}", tuned.kept);
        let json = serde_json::to_vec(&tuned.calibration).unwrap();
        assert_eq!(Calibration::read(&json, &made.scheme, ScaleHead::Softmax).unwrap(), tuned.calibration);
        for name in ["topics.a.expected_calibration_error", "stance.log_loss", "boilerplate.log_loss"] {
            let [before, after, unseen] = [BEFORE, AFTER, CROSS_FITTED].map(|system| figure(&tuned, system, name));
            assert!(after < before && unseen < before, "{method:?} {name}: {before}, {after}, {unseen}");
        }
        let [after, unseen] = [AFTER, CROSS_FITTED].map(|system| figure(&tuned, system, "stance.log_loss"));
        assert!(unseen > after, "{method:?}: no worse on unseen items, so they were seen");
    }
}

#[test]
fn cross_fitting_finds_nothing_where_there_is_nothing() {
    let mut made = Made::new(300);
    let mut random = Random::new(5, 0);
    let mut labels: Vec<_> = made.gold.iter().map(|item| item.labels.clone()).collect();
    for place in (1..labels.len()).rev() {
        labels.swap(place, random.below(place + 1));
    }
    for (item, labels) in made.gold.iter_mut().zip(labels) {
        item.labels = labels;
    }
    let tuned = made.tune(Method::Isotonic);
    let kappa = figure(&tuned, CROSS_FITTED, "stance.quadratic_weighted_kappa");
    assert!(kappa.abs() < 0.1, "labels are drawn by chance, kappa out of sample is {kappa}");
}

#[test]
fn unknown_labels_teach_nothing() {
    let made = Made::new(120);
    let (whole, _) = fit(&made.sample(), Method::Platt, &(0..100).collect::<Vec<_>>());
    let mut more = Made { gold: made.gold.clone(), logits: made.logits.clone(), ..Made::new(1) };
    for item in more.gold.iter_mut().skip(100) {
        item.labels = Default::default();
    }
    let all: Vec<usize> = (0..more.gold.len()).collect();
    assert_eq!(fit(&more.sample(), Method::Platt, &all).0, whole);
}

#[test]
fn a_label_that_cannot_be_fitted_stays_as_it_was() {
    let mut made = Made::new(60);
    for (item, logits) in made.gold.iter_mut().zip(&mut made.logits) {
        let topics = item.labels.topics.as_mut().unwrap();
        topics[0] = true;
        logits.topics[1] = if topics[1] { -1.0 } else { 1.0 };
        item.labels.level = Some(2);
    }
    let tuned = made.tune(Method::Platt);
    assert_eq!(tuned.calibration.topics[..2], made.current.topics[..2]);
    assert_ne!(tuned.calibration.topics[2], made.current.topics[2]);
    assert_eq!(tuned.calibration.scale, made.current.scale);
    let expected = [
        ("a", format!("{} items with the label and 0 without", made.gold.len())),
        ("b", "the label is not more frequent where its logit is higher".into()),
        ("stance", format!("{} items, and never two levels", made.gold.len())),
    ];
    let expected = expected.map(|(label, reason)| KeptLabel { label: label.into(), reason });
    assert_eq!(tuned.kept, expected);
    assert!(!tuned.is_as_before());
    assert!(tuned.render(Style::Text).contains("left as it was: b: the label is not more frequent"));
}

#[test]
fn a_logit_that_points_the_wrong_way_is_left_by_every_method() {
    let mut made = Made::new(60);
    for (index, (item, logits)) in made.gold.iter_mut().zip(&mut made.logits).enumerate() {
        let holds = index % 2 == 0;
        item.labels.topics.as_mut().unwrap()[0] = holds;
        item.labels.topics.as_mut().unwrap()[1] = holds;
        logits.topics[0] = if holds { -1.0 } else { 1.0 };
        // One item with the label stands highest: breakpoints alone would rise there.
        logits.topics[1] = if index == 0 { 1.5 } else { logits.topics[0] };
    }
    for method in [Method::Platt, Method::Temperature, Method::Isotonic] {
        let tuned = made.tune(method);
        let kept: Vec<&str> = tuned.kept.iter().map(|kept| kept.label.as_str()).collect();
        assert_eq!(kept, ["a", "b"], "{method:?}");
        assert_eq!(tuned.calibration.topics[..2], made.current.topics[..2], "{method:?}");
        assert!(tuned.kept.iter().all(|kept| kept.reason.contains("not more frequent where its logit is higher")));
    }
}

#[test]
fn a_scale_that_points_the_wrong_way_stays_as_it_was() {
    let mut made = Made::new(60);
    for (index, (item, logits)) in made.gold.iter_mut().zip(&mut made.logits).enumerate() {
        item.labels.level = Some(index % 5);
        logits.scale = (0..5).map(|level| if level == 4 - index % 5 { 2.0 } else { -0.01 * index as f32 }).collect();
    }
    let tuned = made.tune(Method::Platt);
    assert_eq!(tuned.calibration.scale, made.current.scale);
    let kept: Vec<&KeptLabel> = tuned.kept.iter().filter(|kept| kept.label == "stance").collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].reason, "the level is not higher where its expected code is");
}

#[test]
fn equally_good_cut_points_lie_near_the_middle() {
    // The mode is always the middle level; all cut points between -0.4 and 0.4 are perfect.
    let chances: Vec<(Vec<f32>, usize)> = (0..40)
        .map(|item| if item % 2 == 0 { (vec![0.45, 0.5, 0.05], 0) } else { (vec![0.05, 0.5, 0.45], 2) })
        .collect();
    let Decision::Cutpoints { cutpoints } = fit_decision(&chances, &[-1, 0, 1]) else { panic!("no cut points") };
    assert!(cutpoints[0] < -0.2 && cutpoints[1] > 0.2, "{cutpoints:?}");
    // Nothing tells the levels apart: every cut point is as good as every other.
    let level = vec![(vec![0.2, 0.6, 0.2], 0), (vec![0.2, 0.6, 0.2], 2)];
    assert_eq!(fit_cutpoints(&level, &[-1, 0, 1]), [-0.5, 0.5]);
}

#[test]
fn cut_points_cost_no_more_where_codes_are_far_apart() {
    let chances = |low: usize, high: usize| -> Vec<(Vec<f32>, usize)> {
        let one = |level: usize| {
            let mut probabilities = vec![0.0; 3];
            (probabilities[low], probabilities[high]) = if level == low { (0.92, 0.08) } else { (0.58, 0.42) };
            (probabilities, level)
        };
        (0..40).map(|item| one(if item % 2 == 0 { low } else { high })).collect()
    };
    let near = fit_cutpoints(&chances(0, 1), &[0, 1, 2]);
    let far = fit_cutpoints(&chances(0, 1), &[0, 2_000_000_000, i32::MAX]);
    assert!(near[0] > 0.1 && near[0] < 0.4, "{near:?}");
    assert!((far[0] / 2e9 - near[0]).abs() < 1e-3, "{far:?}, {near:?}");
    assert!(far.is_sorted(), "{far:?}");
}

#[test]
fn steps_into_the_infinite_are_not_taken() {
    let examples = [(1e200, true), (-1e200, false), (1.0, true), (0.0, false)];
    assert!(platt(&examples).iter().all(|value| value.is_finite()), "{:?}", platt(&examples));
}

#[test]
fn folds_without_a_label_are_told() {
    let mut made = Made::new(60);
    let cluster = made.gold[0].cluster().to_owned();
    for (item, logits) in made.gold.iter_mut().zip(&mut made.logits) {
        let holds = item.cluster() == cluster;
        item.labels.topics.as_mut().unwrap()[0] = holds;
        logits.topics[0] = if holds { 1.0 } else { -1.0 };
    }
    let tuned = made.tune(Method::Platt);
    assert!(tuned.kept.is_empty(), "{:?}", tuned.kept);
    assert_eq!(tuned.kept_in_folds.iter().collect::<Vec<_>>(), [(&"a".to_owned(), &1)]);
    let text = tuned.render(Style::Text);
    assert!(text.contains("\"out of sample\": a has the old calibration in 1 of 5 parts"), "{text}");
}

#[test]
fn the_table_says_what_was_fitted_on_what() {
    let text = Made::new(80).tune(Method::Platt).render(Style::Text);
    for line in [
        "\"same items\": the new calibration on the items that it was fitted on, so too good",
        "\"out of sample\": each item by a new calibration fitted on the other 4 of 5 parts of the clusters",
        "figure                                  n    before",
        "stance.quadratic weighted kappa",
        "topics.a.expected calibration error",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let few = Made::new(4).tune(Method::Platt);
    assert_eq!(few.report.systems.len(), 2);
    assert!(few.render(Style::Text).contains("figures out of sample need at least 5 clusters"));
}
