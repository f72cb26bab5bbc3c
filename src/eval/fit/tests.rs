//! Regressions against scikit-learn and scipy (`tests/fixtures/fit.json`), and what fitting promises.

use std::path::Path;
use std::sync::Arc;

use rayon::ThreadPoolBuilder;
use serde::Deserialize;

use crate::calibration::Calibration;
use crate::eval::bootstrap::{BootstrapOptions, Random};
use crate::eval::figure::{Metric, Scope};
use crate::eval::fit::examples::Label;
use crate::eval::fit::folds::deal;
use crate::eval::fit::matrix::Matrix;
use crate::eval::fit::regression::{Examples, regress};
use crate::eval::fit::{
    CROSS_VALIDATED, ClassWeights, FitOptions, FitSample, Fitted, SchemeSource, chance, check_examples, fit, languages,
    read_scheme_of_data,
};
use crate::eval::gold::GoldItem;
use crate::eval::record::Labels;
use crate::eval::report::ReportOptions;
use crate::eval::tests::scheme;
use crate::head::{HeadRows, ScaleHead, TextVectors};
use crate::label::{Scale, ScaleLevel, Scheme, Topic};

/// Both searches end at a slope of about 1e-6; the weakest penalty bends the loss by some 1e-4 a unit.
const PARAMETER_TOLERANCE: f64 = 1e-2;
/// Wanted of cross-validated macro F1, against scikit-learn's on the same vectors.
const F1_TOLERANCE: f64 = 0.02;

#[derive(Deserialize)]
struct Fixture {
    vectors: Vec<Vec<f32>>,
    topics: Vec<Vec<bool>>,
    levels: Vec<usize>,
    groups: Vec<usize>,
    cases: Vec<Case>,
    macro_f1: f64,
}

#[derive(Deserialize)]
struct Case {
    label: String,
    penalty: f64,
    weights: String,
    slopes: Vec<f64>,
    intercepts: Vec<f64>,
}

/// Gold with vectors under a scheme.
struct World {
    scheme: Arc<Scheme>,
    gold: Vec<GoldItem>,
    vectors: Vec<TextVectors>,
}

impl World {
    fn fixture() -> (Fixture, Self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fit.json");
        let fixture: Fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let topic = |name: &str| Topic { name: name.into(), description: String::new() };
        let level = |code: i32| ScaleLevel { code, name: format!("level {code}") };
        let scale = Scale { name: "stance".into(), levels: (0..4).map(level).collect() };
        let topics = vec![topic("topic 0"), topic("topic 1")];
        let scheme = Arc::new(Scheme { topics, scale: Some(scale), boilerplate: false });
        let gold = (0..fixture.levels.len()).map(|row| GoldItem {
            group: Some(fixture.groups[row].to_string()),
            ..item(row, Some(fixture.topics[row].clone()), Some(fixture.levels[row]))
        });
        let gold = gold.collect();
        let vectors = fixture.vectors.iter().map(|vector| TextVectors::of_one_window(vector.clone())).collect();
        (fixture, Self { scheme, gold, vectors })
    }

    /// The first of the items.
    fn first(mut self, count: usize) -> Self {
        self.gold.truncate(count);
        self.vectors.truncate(count);
        self
    }

    fn sample(&self) -> FitSample<'_> {
        FitSample { scheme: &self.scheme, gold: &self.gold, vectors: &self.vectors, boilerplate_of_base: None }
    }

    fn fit(&self) -> Fitted {
        fit_sample(&self.sample())
    }
}

fn fit_sample(sample: &FitSample<'_>) -> Fitted {
    let bootstrap = BootstrapOptions { replicates: 100, seed: 1 };
    let report = ReportOptions { bootstrap, ..ReportOptions::default() };
    fit(sample, &FitOptions { report, ..FitOptions::default() }).unwrap()
}

#[test]
fn languages_are_counted_without_their_regions() {
    let tags = ["de-AT", "DE", "fr"];
    let gold: Vec<GoldItem> =
        (0..45).map(|row| GoldItem { lang: Some(tags[row % 3].into()), ..item(row, None, None) }).collect();
    assert_eq!(languages(&gold), ["de"]);
}

fn item(number: usize, topics: Option<Vec<bool>>, level: Option<usize>) -> GoldItem {
    GoldItem {
        id: number.to_string(),
        text: "x".into(),
        labels: Labels { topics, level, boilerplate: None },
        second: None,
        annotator: None,
        second_annotator: None,
        confidence: None,
        document: None,
        group: None,
        lang: Some("de".into()),
        source: None,
        genre: None,
        split: None,
    }
}

fn figure(fitted: &Fitted, system: &str, scope: Scope, metric: Metric) -> f64 {
    let scores = fitted.report.slices[0].systems.iter().find(|scores| scores.system == system).unwrap();
    let found = scores.figures.iter().find(|figure| figure.scope == scope && figure.metric == metric);
    found.and_then(|figure| figure.value).unwrap()
}

#[test]
fn regressions_are_those_of_the_libraries() {
    let (fixture, world) = World::fixture();
    let matrix = Matrix::new(&world.vectors);
    for case in fixture.cases {
        let label = match case.label.as_str() {
            "topic 0" => Label::Topic(0),
            "topic 1" => Label::Topic(1),
            _ => Label::Scale,
        };
        let weights = if case.weights == "equal" { ClassWeights::Equal } else { ClassWeights::Balanced };
        let examples: Examples<'_> = label.examples(&world.sample(), &matrix, weights);
        let all: Vec<usize> = (0..examples.rows.len()).collect();
        let found = regress(&examples, &all, case.penalty, None);
        let name = format!("{}, penalty {}, {} weights", case.label, case.penalty, case.weights);
        let found: Vec<f64> = found.slopes.into_iter().chain(found.intercepts).collect();
        let expected: Vec<f64> = case.slopes.into_iter().chain(case.intercepts).collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let close = (found - expected).abs() <= PARAMETER_TOLERANCE * expected.abs().max(1.0);
            assert!(close, "{name}: parameter {place} is {found}, the library's {expected}");
        }
    }
}

#[test]
fn cross_validation_does_as_well_as_scikit_learn_and_better_than_majority() {
    let (fixture, world) = World::fixture();
    let fitted = world.fit();
    let found = figure(&fitted, CROSS_VALIDATED, Scope::Topics, Metric::MacroF1);
    assert!(found >= fixture.macro_f1 - F1_TOLERANCE, "macro F1 {found}, scikit-learn {}", fixture.macro_f1);
    assert!(found > figure(&fitted, "majority", Scope::Topics, Metric::MacroF1) + 0.1, "{found}");
    let kappa = figure(&fitted, CROSS_VALIDATED, Scope::Scale, Metric::QuadraticWeightedKappa);
    assert!(kappa > 0.4, "{kappa}");
    assert_eq!(fitted.folds, 5);
    assert!(fitted.warnings.is_empty(), "{:?}", fitted.warnings);
    // The levels were drawn along one direction.
    assert_eq!(fitted.labels[2].direction_each, Some(false));
    assert_eq!(fitted.heads.scale.len(), 3);
}

#[test]
fn the_same_data_give_the_same_heads_on_any_number_of_threads() {
    let (_, world) = World::fixture();
    let run = |threads: usize| -> (HeadRows, Calibration) {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let fitted = pool.install(|| world.fit());
        (fitted.heads, fitted.calibration)
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_head_undoes_centre_and_divisor() {
    let (_, world) = World::fixture();
    let matrix = Matrix::new(&world.vectors);
    let slopes: Vec<f64> = (0..12).map(|place| f64::from(place) - 4.5).collect();
    let head = matrix.head(&slopes, 0.25);
    let rows = HeadRows { topics: vec![head], ..HeadRows::default() };
    for (row, vector) in world.vectors.iter().enumerate() {
        let inside: f64 = slopes.iter().zip(matrix.row(row)).map(|(slope, &x)| slope * f64::from(x)).sum();
        let found = f64::from(rows.logits(vector).topics[0]);
        assert!((found - inside - 0.25).abs() < 1e-4, "row {row}: {found}, {}", inside + 0.25);
    }
}

#[test]
fn folds_keep_clusters_whole_and_spread_rare_labels() {
    let mut gold: Vec<GoldItem> = (0..200).map(|n| item(n, Some(vec![n % 20 == 0, n % 2 == 0]), Some(n % 3))).collect();
    for (number, item) in gold.iter_mut().enumerate() {
        item.document = Some((number / 4).to_string());
    }
    for seed in 1..5 {
        let folds = deal(&gold, &scheme(), 5, seed);
        assert!((0..200).all(|n| folds.of[n] == folds.of[n / 4 * 4]), "seed {seed}");
        for fold in 0..5 {
            let inside: Vec<usize> = (0..200).filter(|&n| folds.of[n] == fold).collect();
            let rare = inside.iter().filter(|&&n| n % 20 == 0).count();
            assert!((36..=44).contains(&inside.len()) && rare == 2, "seed {seed}: {} items, {rare} rare", inside.len());
        }
    }
}

#[test]
fn few_examples_are_held_back_and_warned_of() {
    let (_, world) = World::fixture();
    let world = world.first(60);
    let fitted = world.fit();
    assert!(
        fitted
            .warnings
            .iter()
            .any(|warning| warning.contains("topic \"topic 1\" (") && warning.starts_with("fewer than 32 examples: "))
    );
    for label in &fitted.labels {
        assert!(label.penalty >= 0.1, "{label:?}");
    }
    assert!(figure(&fitted, CROSS_VALIDATED, Scope::Topics, Metric::MacroF1) > 0.3);
}

#[test]
fn labels_that_are_not_known_teach_nothing() {
    let (_, mut world) = World::fixture();
    for item in world.gold.iter_mut().skip(1).step_by(2) {
        item.labels = Labels { topics: None, ..item.labels.clone() };
    }
    let fitted = world.fit();
    let count = |label: usize| fitted.labels[label].examples.iter().map(|(_, count)| count).sum::<usize>();
    assert_eq!((count(0), count(2)), (120, 240));
    let matrix = Matrix::new(&world.vectors);
    let examples = Label::Topic(1).examples(&world.sample(), &matrix, ClassWeights::Balanced);
    assert!(examples.rows.iter().eq((0..240).step_by(2).collect::<Vec<_>>().iter()), "{:?}", examples.rows);
    let mean = examples.weights.iter().sum::<f64>() / 120.0;
    assert!((mean - 1.0).abs() < 1e-12, "{mean}");
}

#[test]
fn a_label_that_vectors_do_not_tell_gets_its_share() {
    let mut random = Random::new(3, 0);
    let gold: Vec<GoldItem> = (0..80).map(|n| item(n, Some(vec![n % 4 == 0, n % 2 == 0]), None)).collect();
    let vectors = (0..80).map(|_| TextVectors::of_one_window(vec![random.below(1) as f32; 3])).collect();
    let scheme = Arc::new(Scheme { scale: None, boilerplate: false, ..scheme() });
    let fitted = World { scheme, gold, vectors }.fit();
    assert!(
        fitted.warnings.iter().any(|warning| warning.starts_with("nothing was learnt of a: ")),
        "{:?}",
        fitted.warnings
    );
    let probability = fitted.calibration.topics[0].probability(0.0);
    assert!((probability - 0.25).abs() < 0.02, "{probability}");
}

#[test]
fn levels_that_vectors_do_not_tell_get_their_shares() {
    let gold: Vec<GoldItem> = (0..80).map(|n| item(n, None, Some([0, 1, 1, 2][n % 4]))).collect();
    let vectors = (0..80).map(|_| TextVectors::of_one_window(vec![0.0; 3])).collect();
    let scheme = Arc::new(Scheme { topics: Vec::new(), boilerplate: false, ..scheme() });
    let fitted = World { scheme, gold, vectors }.fit();
    let learnt = "nothing was learnt of stance: the level is not higher where its expected code is; ";
    assert!(fitted.warnings.iter().any(|warning| warning.starts_with(learnt)), "{:?}", fitted.warnings);
    let probabilities = fitted.calibration.scale.unwrap().probabilities(&[1.0, -1.0], ScaleHead::Cumulative);
    for (found, share) in probabilities.iter().zip([0.25, 0.5, 0.25]) {
        assert!((found - share).abs() < 0.02, "{probabilities:?}");
    }
}

#[test]
fn boilerplate_of_the_base_bundle_has_no_new_topics_in_the_figures() {
    let (_, world) = World::fixture();
    let flags: Vec<bool> = world.gold.iter().map(|item| item.labels.topics.as_ref().unwrap()[0]).collect();
    let count = flags.iter().filter(|flag| **flag).count();
    let fitted = fit_sample(&FitSample { boilerplate_of_base: Some(&flags), ..world.sample() });
    assert_eq!(figure(&fitted, CROSS_VALIDATED, Scope::Topic(0), Metric::F1), 0.0);
    assert!(figure(&world.fit(), CROSS_VALIDATED, Scope::Topic(0), Metric::F1) > 0.3);
    let warning = format!("the bundle calls {count} of the {count} items with topic 0 boilerplate");
    assert!(fitted.warnings.iter().any(|found| found.starts_with(&warning)), "{:?}", fitted.warnings);
}

#[test]
fn kappa_is_doubted_where_chance_would_do_as_well() {
    assert_eq!(chance(Some(0.5), Some(0.1)), None);
    assert_eq!(chance(Some(0.5), Some(0.0)), Some("the interval of kappa reaches 0"));
    assert_eq!(chance(Some(0.5), None), Some("kappa has no interval"));
    assert_eq!(chance(None, None), Some("kappa has no interval"));
    assert_eq!(chance(Some(1.0), None), None);
}

#[test]
fn perfect_levels_are_not_doubted() {
    let gold: Vec<GoldItem> = (0..120).map(|n| item(n, None, Some(n % 3))).collect();
    let vectors = (0..120).map(|n| TextVectors::of_one_window(vec![(n % 3) as f32 * 4.0, 1.0]));
    let scheme = Arc::new(Scheme { topics: Vec::new(), boilerplate: false, ..scheme() });
    let fitted = World { scheme, gold, vectors: vectors.collect() }.fit();
    assert_eq!(figure(&fitted, CROSS_VALIDATED, Scope::Scale, Metric::QuadraticWeightedKappa), 1.0);
    assert!(fitted.warnings.is_empty(), "{:?}", fitted.warnings);
}

#[test]
fn fewer_parts_are_explained() {
    let gold = (0..120).map(|n| GoldItem { document: Some((n % 4).to_string()), ..item(n, None, Some(n % 3)) });
    let vectors = (0..120).map(|n| TextVectors::of_one_window(vec![(n % 3) as f32 * 4.0, 1.0]));
    let scheme = Arc::new(Scheme { topics: Vec::new(), boilerplate: false, ..scheme() });
    let fitted = World { scheme, gold: gold.collect(), vectors: vectors.collect() }.fit();
    let parts = "cross-validation has 4 parts instead of 5: some class is in no more documents or groups than that";
    assert!(fitted.warnings.iter().any(|warning| warning == parts), "{:?}", fitted.warnings);
}

#[test]
fn too_few_examples_are_named_with_a_remedy() {
    let gold: Vec<GoldItem> = (0..40).map(|n| item(n, Some(vec![n < 4, n % 2 == 0]), Some(n % 3))).collect();
    let scheme = Scheme { boilerplate: false, ..scheme() };
    let message = check_examples(&scheme, &gold).unwrap_err().to_string();
    assert_eq!(
        message,
        "topic \"a\": 4 examples of 40 labelled items, a head is fitted on 5 or more; label more of them, or leave the topic \
         out by a scheme without it (--scheme)"
    );
    let one = |n: usize| GoldItem { document: Some((n % 20).min(10).to_string()), ..item(n, None, Some(n / 14)) };
    let gold: Vec<GoldItem> =
        (0..40).map(|n| if n < 14 { GoldItem { document: Some("d".into()), ..one(n) } } else { one(n) }).collect();
    let scale = Scheme { topics: Vec::new(), ..scheme };
    let message = check_examples(&scale, &gold).unwrap_err().to_string();
    assert!(message.starts_with("level -1 of \"stance\": 1 document or group of 40 labelled items"), "{message}");
    let gold: Vec<GoldItem> = gold
        .into_iter()
        .enumerate()
        .map(|(n, item)| GoldItem { document: Some((n % 3).to_string()), ..item })
        .collect();
    assert_eq!(check_examples(&scale, &gold).unwrap(), 3);
}

#[test]
fn the_scheme_comes_from_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let lines = write(
        "a.jsonl",
        "{\"id\":1,\"topics\":[\"energy\",\"b\"],\"stance\":1,\"boilerplate\":false}\n{\"id\":2,\"topics\":null,\"split\":\"x\",\"stance\":7}\n",
    );
    let table = write("b.csv", "id,topics,stance,boilerplate\n3,water;energy,-3,\n4,,1,\n");
    let known = scheme();
    let source = SchemeSource { split: None, scale: "stance", known: &known };
    let found = read_scheme_of_data(&[&lines, &table], &source).unwrap();
    let names: Vec<&str> = found.scheme.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["energy", "b", "water"]);
    let levels = found.scheme.scale.unwrap().levels;
    let levels: Vec<(i32, &str)> = levels.iter().map(|level| (level.code, level.name.as_str())).collect();
    assert_eq!(levels, [(-3, "level -3"), (1, "level 1"), (7, "level 7")]);
    assert!(!found.scheme.boilerplate);
    assert_eq!(found.notes, ["\"boilerplate\" is always false: there is no flag to fit"]);
    let split = SchemeSource { split: Some("x"), ..source };
    let error = read_scheme_of_data(&[&lines], &split).unwrap_err().to_string();
    assert!(error.contains("no labels at all; the scheme was made of the labels in the fields"), "{error}");
    let many: String = (0..30).map(|n| format!("{{\"id\":{n},\"stance\":{n}}}\n")).collect();
    let error = read_scheme_of_data(&[write("c.jsonl", &many)], &source).unwrap_err().to_string();
    assert!(error.contains("c.jsonl:21: the field \"stance\" holds 20, the 21th different level"), "{error}");
}
