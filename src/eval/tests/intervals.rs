//! Intervals where the bootstrap alone would say too much: small errors of calibration, shares of 0 and 1.

use super::*;
use crate::eval::metrics::calibration::BINS;
use crate::eval::report::Figure;

#[test]
fn the_interval_of_calibration_error_allows_for_noise() {
    let gaps = |first: f64, second: f64| std::array::from_fn(|bin| [first, second].get(bin).copied().unwrap_or(0.0));
    // Gaps of one sign, far from 0: noise moves the error as it moves the gaps, so the interval is that of their sum.
    let noise = (0..=1000).map(|place| f64::from(place - 500) / 50_000.0);
    let replicates: Vec<_> = noise.clone().map(|noise| gaps(0.2 + noise, 0.1)).collect();
    let [low, high] = inversion::interval(&gaps(0.2, 0.1), &replicates).unwrap();
    assert!((low - 0.29025).abs() < 2e-4 && (high - 0.30975).abs() < 2e-4, "{low} to {high}");
    // All of the error is noise: no error at all is within the interval, though every replicate is above half of the observed one.
    let replicates: Vec<_> =
        (0..1000).map(|place| if place % 2 == 0 { gaps(0.06, 0.0) } else { gaps(-0.02, 0.0) }).collect();
    assert_eq!(inversion::interval(&gaps(0.02, 0.0), &replicates).unwrap()[0], 0.0);
    assert_eq!(inversion::interval(&gaps(0.1, 0.0), &[]), None);
    assert_eq!(inversion::interval(&gaps(0.1, 0.0), &[gaps(f64::NAN, 0.0), gaps(0.1, 0.1)]), None);
}

/// Gap of one bin of so many items with probability .5, `hits` of which come true, and its replicates.
fn one_bin(items: usize, hits: usize, random: &mut Random) -> ([f64; BINS], Vec<[f64; BINS]>) {
    let gap = |hits: usize| {
        let mut gaps = [0.0; BINS];
        gaps[5] = hits as f64 / items as f64 - 0.5;
        gaps
    };
    let replicates = (0..400).map(|_| gap((0..items).filter(|_| random.below(items) < hits).count())).collect();
    (gap(hits), replicates)
}

#[test]
fn a_calibration_error_that_is_small_by_luck_is_not_certain() {
    let mut random = Random::new(1, 0);
    // Twice the standard error, 2 * .0289, is about what one cannot see.
    for hits in [149, 150, 151] {
        let (observed, replicates) = one_bin(300, hits, &mut random);
        let [low, high] = inversion::interval(&observed, &replicates).unwrap();
        assert!(low == 0.0 && (0.055..0.075).contains(&high), "{hits}: {low} to {high}");
    }
    let (observed, replicates) = one_bin(300, 0, &mut random);
    let [low, high] = inversion::interval(&observed, &replicates).unwrap();
    assert!((low - 0.5).abs() < 1e-9 && (high - 0.5).abs() < 1e-9, "no noise: {low} to {high}");
    let rounding = std::array::from_fn(|_| 1e-12);
    assert_eq!(inversion::interval(&rounding, &[rounding; 9]), Some([0.0, 0.0]));

    // Items that come true 53 times in 100: the intervals hold the true error, .03, as often as they say.
    let covered = (0..300).filter(|_| {
        let hits = (0..300).filter(|_| random.below(100) < 53).count();
        let (observed, replicates) = one_bin(300, hits, &mut random);
        let [low, high] = inversion::interval(&observed, &replicates).unwrap();
        low <= 0.03 && 0.03 <= high
    });
    let covered = covered.count();
    assert!(covered >= 282, "{covered} of 300");
}

#[test]
fn perfect_proportions_have_an_interval() {
    let (world, gold, _) = report(&[], 60);
    let predicted = gold.iter().map(|item| Predicted::from_labels(item.labels.clone())).collect();
    let system = System { name: "gold itself".into(), kind: SystemKind::Predictions, predicted };
    let report = score(&world.scheme, &gold, &[system], &ReportOptions::default());
    let figures = &report.slices[0].systems[0].figures;
    let subset = figures.iter().find(|figure| figure.name == "topics.subset_accuracy").unwrap();
    assert_eq!((subset.value, subset.high), (Some(1.0), Some(1.0)));
    // 60 clusters: 0.025^(1/60)
    assert!((subset.low.unwrap() - 0.940_4).abs() < 1e-4, "{:?}", subset.low);
}

/// The figures of items of a cluster, a gold and a predicted label each.
fn figures_of(items: Vec<(String, Labels, Labels)>) -> Vec<Figure> {
    let mut world = World::new(1);
    let item = world.gold(1).swap_remove(0);
    let (gold, predicted): (Vec<_>, _) = items
        .into_iter()
        .map(|(cluster, labels, said)| {
            (GoldItem { labels, document: Some(cluster), ..item.clone() }, Predicted::from_labels(said))
        })
        .unzip();
    let system = System { name: "s".into(), kind: SystemKind::Predictions, predicted };
    let mut report = score(&world.scheme, &gold, &[system], &ReportOptions::default());
    report.slices.swap_remove(0).systems.swap_remove(0).figures
}

fn interval_of(figures: &[Figure], name: &str) -> Option<[f64; 2]> {
    let figure = figures.iter().find(|figure| figure.name == name).unwrap();
    figure.low.zip(figure.high).map(|(low, high)| [low, high])
}

fn is_near(interval: Option<[f64; 2]>, expected: [f64; 2]) -> bool {
    interval.is_some_and(|interval| interval.iter().zip(expected).all(|(end, other)| (end - other).abs() < 1e-3))
}

fn topic(holds: bool) -> Labels {
    Labels { topics: Some(vec![holds, false, false]), ..Labels::default() }
}

#[test]
fn exact_intervals_count_the_clusters_that_hold_a_trial() {
    let groups = (0..40).map(|item| (format!("group {}", item % 4), topic(true), topic(true)));
    let single = (0..60).map(|item| (format!("single {item}"), topic(false), topic(false)));
    let figures = figures_of(groups.chain(single).collect());
    // 0.025^(1/4), 0.025^(1/60), 0.025^(1/64)
    for (name, expected) in [
        ("topics.a.precision", [0.398, 1.0]),
        ("topics.a.recall", [0.398, 1.0]),
        ("topics.a.f1", [0.569, 1.0]),
        ("topics.false_alarm_rate", [0.0, 0.060]),
        ("topics.subset_accuracy", [0.944, 1.0]),
    ] {
        let interval = interval_of(&figures, name);
        assert!(is_near(interval, expected), "{name} {interval:?}");
    }

    // Of fifteen clusters, five have a sign.
    let level = |level| Labels { level: Some(level), ..Labels::default() };
    let neutral = (0..10).map(|item| (format!("neutral {item}"), level(2), level(2)));
    let signed = (0..5).map(|item| (format!("signed {item}"), level(0), level(1)));
    let figures = figures_of(neutral.chain(signed).collect());
    let interval = interval_of(&figures, "stance.sign_accuracy");
    assert!(is_near(interval, [0.478, 1.0]), "{interval:?}");
}

#[test]
fn the_exact_interval_of_f1_is_that_of_f1() {
    let missed = (0..29).map(|item| (format!("missed {item}"), topic(true), topic(false)));
    let others = (0..71).map(|item| (format!("other {item}"), topic(false), topic(false)));
    let figures = figures_of(missed.chain(others).collect());
    assert!(is_near(interval_of(&figures, "topics.a.recall"), [0.0, 0.119]));
    assert!(is_near(interval_of(&figures, "topics.a.f1"), [0.0, 0.213]));
}

#[test]
fn only_a_perfect_figure_has_no_interval() {
    let level = |level| Labels { level: Some(level), ..topic(level == 0) };
    let perfect = figures_of((0..50).map(|item| (item.to_string(), level(item % 4), level(item % 4))).collect());
    for name in [
        "stance.mean_absolute_error",
        "stance.macro_mean_absolute_error",
        "stance.quadratic_weighted_kappa",
        "topics.a.prevalence_error",
        "topics.a.prevalence_error_adjusted",
    ] {
        assert_eq!(interval_of(&perfect, name), None, "{name}");
    }
    let off = figures_of((0..50).map(|item| (item.to_string(), level(item % 4), level(item % 4 + 1))).collect());
    assert_eq!(interval_of(&off, "stance.mean_absolute_error"), Some([1.0, 1.0]));
}
