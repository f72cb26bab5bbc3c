//! Made-up gold and systems, and what they show about tallies and bootstrap.
//!
//! The two ignored tests are measurements: `scripts/eval/coverage.sh` and `scripts/eval/million.sh` run them.

use std::collections::BTreeSet;
use std::time::Instant;

use rayon::ThreadPoolBuilder;

use crate::eval::abstention::abstention;
use crate::eval::agreement::{FIRST_CODER, SECOND_CODER, agreement};
use crate::eval::behaviour::{read_behaviour, score_behaviour};
use crate::eval::bootstrap::{
    BootstrapOptions, Random, Replicate, bootstrap, difference_p, exact_extreme, percentile_interval,
};
use crate::eval::faithfulness::{DeletionPoint, Faithfulness, LabelFaithfulness, SystemFaithfulness};
use crate::eval::figure::{Metric, Scope, Value};
use crate::eval::gold::GoldItem;
use crate::eval::inversion;
use crate::eval::metrics::rank::rank_correlations;
use crate::eval::metrics::topics::average_precision;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::eval::render::Style;
use crate::eval::report::{Dimension, Report, ReportOptions, System, SystemKind, score};
use crate::eval::tally::{Sample, Tally};
use crate::label::{Scale, ScaleLevel, Scheme, Topic};

mod intervals;

/// Two topics, three levels, boilerplate.
pub(crate) fn scheme() -> Scheme {
    scheme_of(&["a", "b"], &[-1, 0, 1])
}

fn scheme_of(topics: &[&str], codes: &[i32]) -> Scheme {
    let topic = |name: &&str| Topic { name: (*name).into(), description: String::new() };
    let level = |&code: &i32| ScaleLevel { code, name: format!("level {code}") };
    let scale = Some(Scale { name: "stance".into(), levels: codes.iter().map(level).collect() });
    Scheme { topics: topics.iter().map(topic).collect(), scale, boilerplate: true }
}

/// A made-up world: items in clusters of one to three that have luck in common, and systems of two skills.
pub(crate) struct World {
    pub(crate) scheme: Scheme,
    random: Random,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self { scheme: scheme_of(&["a", "b", "c"], &[-2, -1, 0, 1, 2]), random: Random::new(seed, 7) }
    }

    fn uniform(&mut self) -> f64 {
        (self.random.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Gold items in so many clusters.
    pub(crate) fn gold(&mut self, clusters: usize) -> Vec<GoldItem> {
        let mut items = Vec::new();
        for cluster in 0..clusters {
            let warlike = self.uniform();
            for member in 0..=self.random.below(3) {
                let topics = [0.5, 0.3, 0.2].map(|share| self.uniform() < 1.6 * share * warlike);
                let boilerplate = self.uniform() < 0.15;
                let level = [0.08, 0.2, 0.3 + 0.4 * (1.0 - warlike), 0.9, 1.0];
                let drawn = self.uniform();
                let level = level.iter().position(|&end| drawn < end).unwrap();
                let labels = if boilerplate {
                    Labels { topics: Some(vec![false; 3]), level: Some(2), boilerplate: Some(true) }
                } else {
                    Labels { topics: Some(topics.to_vec()), level: Some(level), boilerplate: Some(false) }
                };
                items.push(GoldItem {
                    id: format!("{cluster}.{member}"),
                    text: "x".repeat(50 + 100 * (cluster % 4)),
                    labels,
                    second: None,
                    annotator: None,
                    second_annotator: None,
                    confidence: None,
                    document: Some(cluster.to_string()),
                    group: None,
                    lang: Some(["de", "en", "tr"][cluster % 3].into()),
                    source: None,
                    genre: None,
                    split: None,
                });
            }
        }
        items
    }

    /// A system's word on the items; skill 0 knows nothing, 1 nearly everything. Members of a cluster share their luck.
    pub(crate) fn system(&mut self, gold: &[GoldItem], skill: f64) -> Vec<Predicted> {
        let mut luck = (String::new(), 0.0);
        let mut predicted = Vec::new();
        for item in gold {
            if luck.0 != item.cluster() {
                luck = (item.cluster().into(), 0.3 * (self.uniform() - 0.5));
            }
            let strength = (0.9 * skill + luck.1).clamp(0.0, 0.95);
            let mut probability = |holds: bool| {
                let target = if holds { 1.0 } else { 0.0 };
                0.02 + 0.96 * (strength * target + (1.0 - strength) * self.uniform().powf(1.3))
            };
            let gold = &item.labels;
            let topics: Vec<f64> = gold.topics.iter().flatten().map(|&holds| probability(holds)).collect();
            let boilerplate = probability(gold.boilerplate.unwrap());
            let mut levels: Vec<f64> = (0..5).map(|level| probability(gold.level == Some(level))).collect();
            let sum: f64 = levels.iter().sum();
            levels.iter_mut().for_each(|level| *level /= sum);
            let level = (0..5).max_by(|&a, &b| levels[a].total_cmp(&levels[b])).unwrap();
            predicted.push(Predicted {
                labels: Labels {
                    topics: Some(topics.iter().map(|&p| p >= 0.5).collect()),
                    level: Some(level),
                    boilerplate: Some(boilerplate >= 0.5),
                },
                topic_probabilities: Some(topics),
                level_probabilities: Some(levels),
                boilerplate_probability: Some(boilerplate),
            });
        }
        predicted
    }
}

fn sample(gold: &[GoldItem]) -> Sample {
    Sample::new(gold, &(0..gold.len()).collect::<Vec<_>>())
}

fn find(values: &[Value], scope: Scope, metric: Metric) -> Value {
    *values.iter().find(|value| value.scope == scope && value.metric == metric).unwrap()
}

fn same(a: &Value, b: &Value, tolerance: f64) -> bool {
    (a.value - b.value).abs() < tolerance || a.value.is_nan() && b.value.is_nan()
}

#[test]
fn a_tally_says_what_the_functions_say() {
    let mut world = World::new(3);
    let gold = world.gold(200);
    let predicted = world.system(&gold, 0.5);
    let tally = Tally::new(&world.scheme, &gold, &predicted, &sample(&gold));
    let values = tally.values(&tally.unweighted());
    for topic in 0..3 {
        let holds: Vec<bool> = gold.iter().map(|item| item.labels.topics.as_ref().unwrap()[topic]).collect();
        let p: Vec<f64> = predicted.iter().map(|item| item.topic_probabilities.as_ref().unwrap()[topic]).collect();
        let found = find(&values, Scope::Topic(topic), Metric::AveragePrecision);
        assert!((found.value - average_precision(&holds, &p)).abs() < 1e-12);
        assert_eq!(found.support, holds.iter().filter(|holds| **holds).count() as f64);
        let hits = holds.iter().zip(&p).filter(|(holds, p)| **holds && **p >= 0.5).count() as f64;
        assert_eq!(find(&values, Scope::Topic(topic), Metric::Recall).value, hits / found.support);
    }
    let levels: Vec<usize> = gold.iter().map(|item| item.labels.level.unwrap()).collect();
    let mean = |p: &Vec<f64>| p.iter().zip(-2..).map(|(p, code)| p * f64::from(code)).sum::<f64>();
    let scores: Vec<f64> = predicted.iter().map(|item| mean(item.level_probabilities.as_ref().unwrap())).collect();
    let ranks = rank_correlations(&levels, &scores, 5);
    assert!((find(&values, Scope::Scale, Metric::SpearmanExpected).value - ranks.spearman).abs() < 1e-12);
    assert!((find(&values, Scope::Scale, Metric::KendallTauBExpected).value - ranks.kendall_tau_b).abs() < 1e-12);
}

#[test]
fn a_replicate_is_the_sample_with_clusters_repeated() {
    let mut world = World::new(4);
    let gold = world.gold(40);
    let predicted = world.system(&gold, 0.5);
    let tally = Tally::new(&world.scheme, &gold, &predicted, &sample(&gold));
    let clusters = sample(&gold).clusters();
    let weights: Vec<_> = (0..clusters).map(|cluster| [(cluster % 4) as u8; 16]).collect();
    let weighted = tally.values(&tally.pass(&weights)[5]);

    let (mut more_gold, mut more_predicted) = (Vec::new(), Vec::new());
    for (item, predicted) in gold.iter().zip(&predicted) {
        for copy in 0..item.cluster().parse::<usize>().unwrap() % 4 {
            let id = format!("{} copy {copy}", item.id);
            more_gold.push(GoldItem { id, ..item.clone() });
            more_predicted.push(predicted.clone());
        }
    }
    let tally = Tally::new(&world.scheme, &more_gold, &more_predicted, &sample(&more_gold));
    let repeated = tally.values(&tally.unweighted());
    assert_eq!(weighted.len(), repeated.len());
    for (weighted, repeated) in weighted.iter().zip(&repeated) {
        assert!(same(weighted, repeated, 1e-9), "{weighted:?} {repeated:?}");
        assert_eq!(weighted.support, repeated.support, "{weighted:?}");
    }
}

#[test]
fn unknown_labels_are_left_out() {
    let mut world = World::new(5);
    let mut gold = world.gold(50);
    let predicted = world.system(&gold, 0.5);
    let places: Vec<usize> = (0..gold.len()).step_by(2).collect();
    let half = Tally::new(&world.scheme, &gold, &predicted, &Sample::new(&gold, &places));
    for item in gold.iter_mut().skip(1).step_by(2) {
        item.labels = Labels::default();
    }
    let all = Tally::new(&world.scheme, &gold, &predicted, &sample(&gold));
    let (half, all) = (half.values(&half.unweighted()), all.values(&all.unweighted()));
    for (half, all) in half.iter().zip(&all) {
        assert!(same(half, all, 1e-12), "{half:?} {all:?}");
        assert_eq!(half.support, all.support);
    }
}

#[test]
fn replicates_do_not_depend_on_the_threads() {
    let mut world = World::new(6);
    let gold = world.gold(60);
    let systems = [0.3, 0.7].map(|skill| world.system(&gold, skill));
    let sample = sample(&gold);
    let tallies = systems.map(|system| Tally::new(&world.scheme, &gold, &system, &sample));
    let run = |threads, replicates| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = BootstrapOptions { replicates, seed: 9 };
        pool.install(|| bootstrap(&tallies, sample.clusters(), options))
    };
    let bits = |replicates: &[Replicate]| {
        let values =
            replicates.iter().flat_map(|replicate| replicate.figures.iter().chain(replicate.gaps.as_flattened()));
        values.map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let (one, three, fewer) = (run(1, 50), run(3, 50), run(2, 20));
    for system in 0..2 {
        assert_eq!(bits(&one[system]), bits(&three[system]));
        assert_eq!(bits(&one[system][..20]), bits(&fewer[system]));
        assert_ne!(bits(&one[system][..1]), bits(&one[system][1..2]));
    }
}

#[test]
fn intervals_of_plain_cases() {
    assert_eq!(percentile_interval((0..=1000).map(f64::from)), Some([25.0, 975.0]));
    assert_eq!(percentile_interval([f64::NAN; 5].into_iter()), None);
    assert_eq!(percentile_interval((0..100).map(|i| if i < 20 { f64::NAN } else { 1.0 })), None);
    assert_eq!(percentile_interval(std::iter::empty()), None);
    // scipy.stats.binomtest(20, 20).proportion_ci(method="exact"): 0.8315665
    let [low, high] = exact_extreme(1.0, 20.0, 50);
    assert!((low - 0.831_566_5).abs() < 1e-6 && high == 1.0);
    assert_eq!(exact_extreme(0.0, 20.0, 50), [0.0, 1.0 - low]);
    assert_eq!(difference_p(&[0.0; 99]), 1.0);
    assert!((difference_p(&[1.0; 99]) - 0.02).abs() < 1e-12);
}

/// Coverage of the intervals, and of those of a paired difference, over draws from a world whose figures are known
/// from a very large draw.
#[test]
#[ignore = "a simulation: scripts/eval/coverage.sh runs it"]
fn intervals_cover_the_truth() {
    const SIMULATIONS: u64 = 1000;
    const CLUSTERS: usize = 300;
    let evaluate = |seed: u64, clusters: usize, replicates: usize| {
        let mut world = World::new(seed);
        let gold = world.gold(clusters);
        let systems = [0.35, 0.5].map(|skill| world.system(&gold, skill));
        let sample = sample(&gold);
        let tallies = systems.map(|system| Tally::new(&world.scheme, &gold, &system, &sample));
        let points = tallies.iter().map(|tally| tally.values(&tally.unweighted())).collect::<Vec<_>>();
        let gaps = tallies[0].gaps(&tallies[0].unweighted());
        let drawn = bootstrap(&tallies, clusters, BootstrapOptions { replicates, seed });
        (world.scheme, points, gaps, drawn)
    };
    let (scheme, truth, ..) = evaluate(0, 400_000, 0);
    let figures = truth[0].len();
    let mut covered = vec![[0_u64; 2]; figures];
    for simulation in 1..=SIMULATIONS {
        let (_, _, gaps, drawn) = evaluate(simulation, CLUSTERS, 400);
        let mut errors = gaps.iter().enumerate().map(|(curve, gaps)| {
            let replicates: Vec<_> = drawn[0].iter().map(|replicate: &Replicate| replicate.gaps[curve]).collect();
            inversion::interval(gaps, &replicates)
        });
        for (figure, covered) in covered.iter_mut().enumerate() {
            let of = |system: usize| drawn[system].iter().map(move |replicate: &Replicate| replicate.figures[figure]);
            let holds = |interval: Option<[f64; 2]>, truth: f64| {
                u64::from(interval.is_some_and(|[low, high]| low <= truth && truth <= high))
            };
            let interval = if truth[0][figure].metric == Metric::ExpectedCalibrationError {
                errors.next().expect("a curve for every error")
            } else {
                percentile_interval(of(0))
            };
            covered[0] += holds(interval, truth[0][figure].value);
            let difference = truth[1][figure].value - truth[0][figure].value;
            covered[1] += holds(percentile_interval(of(1).zip(of(0)).map(|(b, a)| b - a)), difference);
        }
    }
    let mut bad = Vec::new();
    for (covered, value) in covered.iter().zip(&truth[0]) {
        let shares = covered.map(|count| count as f64 / SIMULATIONS as f64);
        let name = format!("{}.{}", value.scope.name(&scheme), value.metric.name());
        println!("{name:<50} {:.3} interval {:.3} difference {:.3}", value.value, shares[0], shares[1]);
        // No report compares calibration errors.
        let claimed = if value.metric == Metric::ExpectedCalibrationError { &shares[..1] } else { &shares };
        if claimed.iter().any(|share| !(0.92..=0.98).contains(share)) {
            bad.push(name);
        }
    }
    assert!(bad.is_empty(), "outside 92 to 98 %: {bad:?}");
}

/// A million rows, a thousand replicates, every figure.
#[test]
#[ignore = "a measurement: scripts/eval/million.sh runs it"]
fn a_million_rows() {
    let mut world = World::new(1);
    let mut gold = world.gold(510_000);
    gold.truncate(1_000_000);
    let predicted = world.system(&gold, 0.5);
    assert_eq!(gold.len(), 1_000_000);
    for (name, clustered) in [("clusters of one to three", true), ("every item by itself", false)] {
        for item in gold.iter_mut().filter(|_| !clustered) {
            item.document = None;
        }
        let start = Instant::now();
        let sample = sample(&gold);
        let tallies = [Tally::new(&world.scheme, &gold, &predicted, &sample)];
        let tallied = start.elapsed();
        let drawn = bootstrap(&tallies, sample.clusters(), BootstrapOptions::default());
        let figures = drawn[0][0].figures.len();
        println!("{name}: {figures} figures, 1000 replicates, {tallied:.1?} to tally, {:.1?} in all", start.elapsed());
    }
}

fn report(skills: &[f64], clusters: usize) -> (World, Vec<GoldItem>, Report) {
    let mut world = World::new(8);
    let gold = world.gold(clusters);
    let kinds = [SystemKind::Bundle, SystemKind::Baseline];
    let systems: Vec<System> = skills
        .iter()
        .zip(kinds)
        .map(|(&skill, kind)| System { name: format!("skill {skill}"), kind, predicted: world.system(&gold, skill) })
        .collect();
    let options = ReportOptions {
        bootstrap: BootstrapOptions { replicates: 400, seed: 1 },
        by: vec![Dimension::Lang, Dimension::Length],
        files: vec!["made-up.jsonl".into()],
    };
    let report = score(&world.scheme, &gold, &systems, &options);
    (world, gold, report)
}

/// The paths of all fields, lists standing for their elements.
fn paths(value: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                paths(value, &format!("{path}.{name}"), found);
            }
        }
        serde_json::Value::Array(values) if values.iter().any(|value| value.is_object()) => {
            values.iter().for_each(|value| paths(value, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.trim_start_matches('.').to_owned());
        }
    }
}

#[test]
fn the_json_report_is_frozen() {
    let (world, gold, mut report) = report(&[0.9, 0.2], 100);
    assert_eq!(serde_json::to_value(&report).unwrap()["abstention"], serde_json::Value::Null);
    let system = System { name: "one".into(), kind: SystemKind::Bundle, predicted: World::new(1).system(&gold, 0.9) };
    report.abstention = Some(abstention(&world.scheme, &gold, &[system], 0.9));
    assert_eq!(serde_json::to_value(&report).unwrap()["faithfulness"], serde_json::Value::Null);
    let point = DeletionPoint { words: 1, important: Some(0.25), random: Some(0.5) };
    let label = LabelFaithfulness {
        of: "stance".into(),
        items: 1,
        clusters: 1,
        warning: None,
        start: Some(0.75),
        points: vec![point],
        area: Some(0.25),
        low: None,
        high: None,
    };
    let system = SystemFaithfulness { system: "one".into(), labels: vec![label] };
    report.faithfulness = Some(Faithfulness { items: 1, too_short: 0, systems: vec![system] });
    let json = serde_json::to_value(&report).unwrap();
    let mut found = BTreeSet::new();
    paths(&json, "", &mut found);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let expected = "abstention.systems[].curves[].area abstention.systems[].curves[].chosen.coverage \
        abstention.systems[].curves[].chosen.opposite_sign abstention.systems[].curves[].chosen.recall \
        abstention.systems[].curves[].chosen.risk abstention.systems[].curves[].chosen.threshold \
        abstention.systems[].curves[].items abstention.systems[].curves[].of \
        abstention.systems[].curves[].points[].coverage abstention.systems[].curves[].points[].opposite_sign \
        abstention.systems[].curves[].points[].recall abstention.systems[].curves[].points[].risk \
        abstention.systems[].curves[].points[].threshold abstention.systems[].system abstention.target_precision behaviour \
        bootstrap.level bootstrap.replicates bootstrap.seed faithfulness.items faithfulness.systems[].labels[].area \
        faithfulness.systems[].labels[].clusters faithfulness.systems[].labels[].high \
        faithfulness.systems[].labels[].items faithfulness.systems[].labels[].low faithfulness.systems[].labels[].of \
        faithfulness.systems[].labels[].points[].important faithfulness.systems[].labels[].points[].random \
        faithfulness.systems[].labels[].points[].words faithfulness.systems[].labels[].start \
        faithfulness.systems[].labels[].warning faithfulness.systems[].system faithfulness.too_short gold.coders[].items gold.coders[].name gold.files \
        gold.second_coders schema slices[].by slices[].clusters slices[].comparisons[].differences[].difference \
        slices[].comparisons[].differences[].established slices[].comparisons[].differences[].figure \
        slices[].comparisons[].differences[].first slices[].comparisons[].differences[].high \
        slices[].comparisons[].differences[].low slices[].comparisons[].differences[].p \
        slices[].comparisons[].differences[].p_corrected slices[].comparisons[].differences[].second \
        slices[].comparisons[].differences[].words slices[].comparisons[].first \
        slices[].comparisons[].mcnemar[].of slices[].comparisons[].mcnemar[].only_first_right \
        slices[].comparisons[].mcnemar[].only_second_right slices[].comparisons[].mcnemar[].p \
        slices[].comparisons[].second slices[].items slices[].systems[].confusion slices[].systems[].figures[].high \
        slices[].systems[].figures[].low slices[].systems[].figures[].name slices[].systems[].figures[].support \
        slices[].systems[].figures[].value slices[].systems[].reliability[].bins[].hit_rate \
        slices[].systems[].reliability[].bins[].items slices[].systems[].reliability[].bins[].mean_probability \
        slices[].systems[].reliability[].of slices[].systems[].system slices[].value slices[].warning systems[].kind \
        systems[].name";
    assert_eq!(found, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(json["schema"], 1);
    let figures = json["slices"][0]["systems"][0]["figures"].as_array().unwrap();
    let names: Vec<&str> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    for name in ["topics.macro_f1", "topics.a.average_precision", "stance.quadratic_weighted_kappa", "boilerplate.f1"] {
        assert!(names.contains(&name), "{name} {names:?}");
    }
    assert_eq!(json["slices"].as_array().unwrap().len(), 1 + 3 + 3);
    assert_eq!(json["slices"][1]["value"], "de");
    assert_eq!(json["slices"][4]["value"], "under 100 characters");
}

#[test]
fn the_json_of_behaviour_is_frozen() {
    let (world, _, mut report) = report(&[0.9, 0.2], 40);
    let line = r#"{"id":"1","behaviour":"actor","lang":"de","expect":"same","a":{"text":"x","stance":1},"b":{"text":"y","stance":1}}"#;
    let pairs = read_behaviour("pairs.jsonl", line.as_bytes(), &world.scheme).unwrap();
    let said = Predicted::from_labels(pairs.members[0].labels.clone());
    let system = System { name: "s".into(), kind: SystemKind::Bundle, predicted: vec![said; 2] };
    let options = ReportOptions { by: vec![Dimension::Lang], ..ReportOptions::default() };
    let files = ["pairs.jsonl".to_owned()];
    report.set_behaviour(score_behaviour(&world.scheme, &pairs, &[system], &files, &options));
    let json = serde_json::to_value(&report).unwrap();
    let mut found = BTreeSet::new();
    paths(&json["behaviour"], "", &mut found);
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let expected = "coders[].items coders[].name files slices[].behaviour slices[].by slices[].pairs \
        slices[].systems[].figures[].high slices[].systems[].figures[].low slices[].systems[].figures[].name \
        slices[].systems[].figures[].support slices[].systems[].figures[].value slices[].systems[].system slices[].value \
        slices[].warning";
    assert_eq!(found, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(json["behaviour"]["slices"][1]["value"], "de");
    let names: Vec<_> = json["behaviour"]["slices"][0]["systems"][0]["figures"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    let expected = ["pass", "right", "same_sign", "same_level"].map(|name| format!("behaviour.actor.{name}"));
    assert_eq!(names, expected, "no topics in the gold, so nothing of topics");
    assert_eq!(json["slices"].as_array().unwrap().len(), 1 + 3 + 3);
}

#[test]
fn words_say_whether_a_difference_is_established() {
    let (_, _, far) = report(&[0.9, 0.2], 150);
    let words = |report: &Report, slice: usize| {
        let comparison = &report.slices[slice].comparisons[0];
        comparison.differences.iter().map(|difference| difference.words.clone()).collect::<Vec<_>>()
    };
    let all = words(&far, 0);
    assert!(all[0].starts_with("topics.macro_f1: skill 0.9 is better than skill 0.2, the difference is established"));
    assert!(all[2].starts_with("stance.macro_mean_absolute_error: skill 0.9 is better than skill 0.2"), "{}", all[2]);
    assert!(far.slices[0].comparisons[0].mcnemar.iter().all(|test| test.p.unwrap() < 0.001));
    let slices = &far.slices[1..4];
    for slice in slices {
        let difference = &slice.comparisons[0].differences[0];
        assert!(difference.p_corrected >= difference.p && difference.established);
    }

    let (world, gold, _) = report(&[], 150);
    let system = |name: &str| System { name: name.into(), kind: SystemKind::Predictions, predicted: vec![] };
    let predicted = World::new(1).system(&gold, 0.5);
    let same = ["one", "other"].map(|name| System { predicted: predicted.clone(), ..system(name) });
    let same = score(&world.scheme, &gold, &same, &ReportOptions::default());
    for words in words(&same, 0) {
        assert!(words.contains("no difference between one and other is established"), "{words}");
        assert!(words.contains("difference +0.000 [+0.000, +0.000], p = 1.000"), "{words}");
    }
}

#[test]
fn small_slices_are_warned_of_and_not_tested() {
    let (_, _, report) = report(&[0.9, 0.2], 45);
    let slice = &report.slices[1];
    assert!(slice.warning.as_ref().unwrap().contains("in 15 clusters: too few to say anything"));
    assert!(
        slice.comparisons[0].differences.iter().all(|difference| difference.p.is_none() && !difference.established)
    );
    assert!(slice.comparisons[0].differences[0].words.ends_with("not tested, too few items"));
}

#[test]
fn means_over_different_topics_are_not_compared() {
    let (world, mut gold, _) = report(&[], 60);
    for item in &mut gold {
        item.labels.topics = item.labels.topics.as_ref().map(|topics| vec![topics[0], topics[1], false]);
    }
    let perfect: Vec<_> = gold.iter().map(|item| Predicted::from_labels(item.labels.clone())).collect();
    let mut alarmed = perfect.clone();
    alarmed[0].labels.topics.as_mut().unwrap()[2] = true;
    let mut blind = perfect.clone();
    blind.iter_mut().for_each(|predicted| predicted.labels.topics.as_mut().unwrap()[0] = false);
    let words = |other: &[Predicted], gold: &[GoldItem]| {
        let system = |name: &str, predicted: &[Predicted]| System {
            name: name.into(),
            kind: SystemKind::Predictions,
            predicted: predicted.to_vec(),
        };
        let systems = [system("perfect", &perfect), system("other", other)];
        let report = score(&world.scheme, gold, &systems, &ReportOptions::default());
        report.slices[0].comparisons[0].differences[0].words.clone()
    };
    assert!(
        words(&alarmed, &gold).contains("not tested, the means are over different topics"),
        "{}",
        words(&alarmed, &gold)
    );
    assert!(words(&blind, &gold).contains("is established"), "{}", words(&blind, &gold));
    let mut rare = gold.clone();
    for item in
        rare.iter_mut().filter(|item| item.labels.topics.as_ref().is_some_and(|topics| topics.contains(&true))).skip(9)
    {
        item.labels.topics = Some(vec![false; 3]);
    }
    assert!(words(&blind, &rare).ends_with("not tested, too few items"), "{}", words(&blind, &rare));
}

#[test]
fn degenerate_gold_gives_no_figure_rather_than_a_wrong_one() {
    let (world, mut gold, _) = report(&[], 40);
    let predicted = World::new(1).system(&gold, 0.5);
    for item in &mut gold {
        item.labels.topics = item.labels.topics.as_ref().map(|topics| vec![topics[0], topics[1], false]);
        item.document = Some("one document".into());
    }
    let system = System { name: "s".into(), kind: SystemKind::Bundle, predicted };
    let one = score(&world.scheme, &gold, std::slice::from_ref(&system), &ReportOptions::default());
    let figures = &one.slices[0].systems[0].figures;
    let figure = |name: &str| figures.iter().find(|figure| figure.name == name).unwrap();
    assert_eq!((figure("topics.c.recall").value, figure("topics.c.average_precision").value), (None, None));
    assert_eq!(figure("topics.c.precision").value, Some(0.0));
    assert!(figures.iter().all(|figure| figure.low.is_none()), "one cluster has no scatter");

    gold.clear();
    let none = score(&world.scheme, &gold, &[System { predicted: vec![], ..system }], &ReportOptions::default());
    assert!(none.slices[0].systems[0].figures.iter().all(|figure| figure.value.is_none()));
}

#[test]
fn tables_for_people() {
    let (_, _, report) = report(&[0.9, 0.2], 100);
    let text = report.render(Style::Text);
    for line in [
        "gold: made-up.jsonl",
        "coded by a coder whom the gold does not name",
        "By lang",
        "topics.macro f1",
        "skill 0.9 and skill 0.2 compared on the same items",
        "Levels, skill 0.9",
        "gold / predicted",
        "en: topics.macro_f1: skill 0.9 is better than skill 0.2",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("human"), "{text}");
    let markdown = report.render(Style::Markdown);
    assert!(markdown.contains("\n| figure | n | skill 0.9 | skill 0.2 |\n| --- | --- | --- | --- |\n| macro f1 |"));
}

#[test]
fn coders_are_the_ceiling() {
    let mut world = World::new(11);
    let mut gold = world.gold(120);
    let second = world.system(&gold, 0.95);
    for (item, second) in gold.iter_mut().zip(second).skip(20) {
        item.second = Some(second.labels);
        item.annotator = Some("language model".into());
    }
    let system = System { name: "ours".into(), kind: SystemKind::Bundle, predicted: world.system(&gold, 0.5) };
    let options = ReportOptions { by: vec![Dimension::Lang], ..ReportOptions::default() };
    let report = agreement(&world.scheme, &gold, &[system], &options);
    let all = &report.slices[0];
    assert_eq!(all.items, gold.len() - 20);
    let sides: Vec<_> = all.pairs.iter().map(|pair| (pair.one.as_str(), pair.other.as_str())).collect();
    assert_eq!(sides, [(FIRST_CODER, SECOND_CODER), (FIRST_CODER, "ours"), (SECOND_CODER, "ours")]);
    let alpha = all
        .pairs
        .iter()
        .map(|pair| pair.figures.iter().find(|figure| figure.name == "stance.alpha_ordinal").unwrap().value.unwrap());
    let alpha: Vec<f64> = alpha.collect();
    assert!(alpha[0] > alpha[1] && alpha[0] > alpha[2], "{alpha:?}");
    let text = report.render(Style::Text);
    assert!(text.contains(&format!("coded by language model ({} items)", all.items)), "{text}");
    assert!(text.contains("first coder – second coder") && !text.contains("human"), "{text}");
}
