//! The figures against scikit-learn, scipy and krippendorff: `tests/fixtures/metrics.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::eval::metrics::agreement::{Distance, cohen_kappa, krippendorff_alpha};
use crate::eval::metrics::calibration::{self, BINS, Bin, expected_calibration_error};
use crate::eval::metrics::ordinal::Confusion;
use crate::eval::metrics::prevalence::{adjusted_count, count_error, prediction_powered};
use crate::eval::metrics::rank::rank_correlations;
use crate::eval::metrics::ratio;
use crate::eval::metrics::significance::{holm, mcnemar};
use crate::eval::metrics::topics::{BinaryCounts, average_precision, macro_f1, micro_f1};

/// Sums are taken in another order than numpy's; 1e-9 leaves no room for another definition.
const TOLERANCE: f64 = 1e-9;
const CODES: [i32; 5] = [-2, -1, 0, 1, 2];

#[derive(Deserialize)]
struct Fixture {
    binary: Vec<Binary>,
    multilabel: Vec<Multilabel>,
    ordinal: Vec<Ordinal>,
    prevalence: Vec<Prevalence>,
    mcnemar: Vec<McNemar>,
    holm: Holm,
}

#[derive(Deserialize)]
struct Binary {
    name: String,
    gold: Vec<bool>,
    predicted: Vec<bool>,
    probability: Vec<f64>,
    expected: Map<String, Value>,
}

#[derive(Deserialize)]
struct Multilabel {
    name: String,
    gold: Vec<Vec<bool>>,
    predicted: Vec<Vec<bool>>,
    expected: Map<String, Value>,
}

#[derive(Deserialize)]
struct Ordinal {
    name: String,
    gold: Vec<usize>,
    predicted: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    scores: Vec<f64>,
    confusion: Vec<Vec<f64>>,
    expected: Map<String, Value>,
}

#[derive(Deserialize)]
struct Prevalence {
    name: String,
    labelled: [Vec<bool>; 2],
    target: [Vec<bool>; 2],
    expected: Map<String, Value>,
}

#[derive(Deserialize)]
struct McNemar {
    first: u64,
    second: u64,
    p: f64,
}

#[derive(Deserialize)]
struct Holm {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metrics.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn agree(case: &str, expected: &Map<String, Value>, found: &[(&str, f64)]) {
    for (name, _) in expected {
        assert!(found.iter().any(|(found, _)| found == name), "{case}: {name} is not tested");
    }
    for (name, found) in found {
        match expected[*name].as_f64() {
            Some(expected) => {
                let difference = (found - expected).abs();
                assert!(difference <= TOLERANCE, "{case}: {name} is {found}, the reference says {expected}");
            }
            None => assert!(found.is_nan(), "{case}: {name} is {found}, the reference has no value"),
        }
    }
}

fn counts(gold: &[bool], predicted: &[bool]) -> BinaryCounts {
    let mut counts = BinaryCounts::default();
    for pair in gold.iter().zip(predicted) {
        *match pair {
            (true, true) => &mut counts.both,
            (false, true) => &mut counts.predicted_only,
            (true, false) => &mut counts.gold_only,
            (false, false) => &mut counts.neither,
        } += 1.0;
    }
    counts
}

fn bins(probabilities: &[f64], hits: &[bool]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for (&probability, &hit) in probabilities.iter().zip(hits) {
        let bin = &mut bins[calibration::bin(probability)];
        bin.items += 1.0;
        bin.probability_sum += probability;
        bin.hits += f64::from(u8::from(hit));
    }
    bins
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    ratio(values.iter().sum(), values.len() as f64)
}

#[test]
fn binary_labels() {
    for case in fixture().binary {
        let counts = counts(&case.gold, &case.predicted);
        let cells = counts.cells();
        let table = Confusion::new(&cells, 2);
        let items = || case.probability.iter().zip(&case.gold);
        let found = [
            ("precision", counts.precision()),
            ("recall", counts.recall()),
            ("f1", counts.f1()),
            ("average_precision", average_precision(&case.gold, &case.probability)),
            ("kappa", cohen_kappa(&table)),
            ("alpha", krippendorff_alpha(&table, Distance::Nominal)),
            ("brier", mean(items().map(|(&p, &gold)| calibration::brier(p, gold)))),
            ("log_loss", mean(items().map(|(&p, &gold)| calibration::log_loss(if gold { p } else { 1.0 - p })))),
            ("ece", expected_calibration_error(&bins(&case.probability, &case.gold))),
        ];
        agree(&case.name, &case.expected, &found);
    }
}

#[test]
fn several_labels() {
    for case in fixture().multilabel {
        let column = |rows: &[Vec<bool>], label: usize| rows.iter().map(|row| row[label]).collect::<Vec<_>>();
        let labels: Vec<BinaryCounts> =
            (0..3).map(|label| counts(&column(&case.gold, label), &column(&case.predicted, label))).collect();
        let pairs = || case.gold.iter().zip(&case.predicted);
        let without = pairs().filter(|(gold, _)| !gold.contains(&true));
        let found = [
            ("macro_f1", macro_f1(&labels)),
            ("micro_f1", micro_f1(&labels)),
            ("subset_accuracy", mean(pairs().map(|(gold, predicted)| f64::from(u8::from(gold == predicted))))),
            ("false_alarm_rate", mean(without.map(|(_, predicted)| f64::from(u8::from(predicted.contains(&true)))))),
        ];
        agree(&case.name, &case.expected, &found);
    }
}

#[test]
fn ordered_levels() {
    for case in fixture().ordinal {
        let mut cells = vec![0.0; 25];
        for (gold, predicted) in case.gold.iter().zip(&case.predicted) {
            cells[gold * 5 + predicted] += 1.0;
        }
        assert_eq!(cells, case.confusion.concat(), "{}", case.name);
        let table = Confusion::new(&cells, 5);
        let signs = table.signs(&CODES);
        let scores = rank_correlations(&case.gold, &case.scores, 5);
        let items = || case.probabilities.iter().zip(&case.gold);
        let modes = items().map(|(p, &gold)| (calibration::most_probable(p), gold));
        let (tops, hits): (Vec<f64>, Vec<bool>) =
            modes.zip(&case.probabilities).map(|((mode, gold), p)| (p[mode], mode == gold)).unzip();
        let found = [
            ("accuracy", table.accuracy()),
            ("macro_f1", table.macro_f1()),
            ("kappa", cohen_kappa(&table)),
            ("quadratic_weighted_kappa", table.quadratic_weighted_kappa()),
            ("mean_absolute_error", table.mean_absolute_error()),
            ("macro_mean_absolute_error", table.macro_mean_absolute_error()),
            ("spearman", table.ranks().spearman),
            ("kendall_tau_b", table.ranks().kendall_tau_b),
            ("score_spearman", scores.spearman),
            ("score_kendall_tau_b", scores.kendall_tau_b),
            ("sign_accuracy", signs.accuracy()),
            ("opposite_share", signs.opposite_share()),
            ("alpha_nominal", krippendorff_alpha(&table, Distance::Nominal)),
            ("alpha_ordinal", krippendorff_alpha(&table, Distance::Ordinal)),
            (
                "ranked_probability_score",
                mean(items().map(|(p, &gold)| calibration::ranked_probability_score(p, gold))),
            ),
            ("brier", mean(items().map(|(p, &gold)| calibration::brier_distribution(p, gold)))),
            ("log_loss", mean(items().map(|(p, &gold)| calibration::log_loss(p[gold])))),
            ("ece", expected_calibration_error(&bins(&tops, &hits))),
        ];
        agree(&case.name, &case.expected, &found);
    }
}

#[test]
fn shares_of_labels() {
    for case in fixture().prevalence {
        let labelled = counts(&case.labelled[0], &case.labelled[1]);
        let target = counts(&case.target[0], &case.target[1]);
        let found = [
            ("count_error", count_error(&target)),
            ("adjusted_count", adjusted_count(&labelled, &target)),
            ("prediction_powered", prediction_powered(&labelled, &target)),
        ];
        agree(&case.name, &case.expected, &found);
    }
}

#[test]
fn tests_of_a_difference() {
    let fixture = fixture();
    for case in fixture.mcnemar {
        let found = mcnemar(case.first, case.second);
        assert!((found - case.p).abs() <= TOLERANCE, "{} {}: {found}, scipy {}", case.first, case.second, case.p);
    }
    let corrected = holm(&fixture.holm.p);
    for (found, expected) in corrected.iter().zip(&fixture.holm.corrected) {
        assert!((found - expected).abs() <= TOLERANCE, "{corrected:?}");
    }
    let corrected = holm(&[0.02, f64::NAN, 0.03]);
    assert!(corrected[1].is_nan());
    assert_eq!((corrected[0], corrected[2]), (0.04, 0.04));
}
