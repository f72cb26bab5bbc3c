//! The report: every figure of every system with support and interval, for all items and for slices of them.
//!
//! In: gold, [`System`]s with a prediction for each gold item, [`ReportOptions`]. Out: a [`Report`], which serializes as JSON
//! (specified in `eval/README.md`) and is rendered as text or Markdown by [`crate::eval::render`].

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::eval::abstention::Abstention;
use crate::eval::behaviour::BehaviourReport;
use crate::eval::bootstrap::{BootstrapOptions, Replicate, bootstrap, exact_extreme, percentile_interval};
use crate::eval::compare::{Comparison, McNemar, compare, correct};
use crate::eval::faithfulness::Faithfulness;
use crate::eval::figure::{Better, Metric, Scope, Value};
use crate::eval::gold::GoldItem;
use crate::eval::inversion::{self, Gaps};
use crate::eval::metrics::calibration::Bin;
use crate::eval::predicted::Predicted;
use crate::eval::tally::{Sample, Tally};
use crate::label::Scheme;

/// Version of the JSON report. It grows when a field changes its name, type or meaning; added fields do not count.
pub const REPORT_SCHEMA: u32 = 1;

/// Below so many clusters a slice gets a warning and no test: an interval of a share is then up to ±0.18 wide.
pub const FEWEST_CLUSTERS: usize = 30;

/// A system to score.
#[derive(Debug, Clone)]
pub struct System {
    /// Name in the report.
    pub name: String,
    /// What it is.
    pub kind: SystemKind,
    /// One for each gold item, in the order of the gold.
    pub predicted: Vec<Predicted>,
}

/// What a system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemKind {
    /// A bundle that this program ran.
    Bundle,
    /// A file of predictions.
    Predictions,
    /// One of the built-in baselines.
    Baseline,
}

/// What slices are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// The field `lang`.
    Lang,
    /// The field `source`.
    Source,
    /// The field `genre`.
    Genre,
    /// Characters of the text: below 100, 300, 600, and above.
    Length,
}

/// Upper ends of the length slices, in characters.
const LENGTHS: [(usize, &str); 3] = [(100, "under 100"), (300, "100 to 299"), (600, "300 to 599")];

impl Dimension {
    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Lang => "lang",
            Dimension::Source => "source",
            Dimension::Genre => "genre",
            Dimension::Length => "length",
        }
    }

    /// Place in the order of the slices, and the slice's name.
    fn value(self, item: &GoldItem) -> (usize, String) {
        let field = match self {
            Dimension::Lang => &item.lang,
            Dimension::Source => &item.source,
            Dimension::Genre => &item.genre,
            Dimension::Length => {
                let length = item.text.chars().count();
                let place = LENGTHS.iter().position(|(end, _)| length < *end).unwrap_or(LENGTHS.len());
                let name = LENGTHS.get(place).map_or("600 and over", |(_, name)| name);
                return (place, format!("{name} characters"));
            }
        };
        field.as_ref().map_or_else(|| (1, "not stated".into()), |value| (0, value.clone()))
    }
}

/// What to report.
#[derive(Debug, Clone, Default)]
pub struct ReportOptions {
    /// How intervals are made.
    pub bootstrap: BootstrapOptions,
    /// Slices, beside all items together.
    pub by: Vec<Dimension>,
    /// The gold files, as they are to be named.
    pub files: Vec<String>,
}

/// Figures of systems against gold.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`REPORT_SCHEMA`].
    pub schema: u32,
    /// What was scored against.
    pub gold: GoldInfo,
    /// How intervals were made.
    pub bootstrap: BootstrapInfo,
    /// The systems.
    pub systems: Vec<SystemInfo>,
    /// All items first, then the slices of each dimension; empty without gold.
    pub slices: Vec<Slice>,
    /// What thresholds reach a wanted precision; null where none is wanted. [`score`] leaves it to
    /// [`crate::eval::abstention()`].
    pub abstention: Option<Abstention>,
    /// Rates on minimal pairs, if there were any.
    pub behaviour: Option<BehaviourReport>,
    /// How faithful explanations are; null where that was not asked for. [`score`] leaves it to
    /// [`crate::eval::faithfulness()`].
    pub faithfulness: Option<Faithfulness>,
}

/// The gold of a report.
#[derive(Debug, Clone, Serialize)]
pub struct GoldInfo {
    /// The files.
    pub files: Vec<String>,
    /// Who coded, and how many items.
    pub coders: Vec<Coder>,
    /// Who coded second.
    pub second_coders: Vec<Coder>,
}

/// Who gave labels, as the gold names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coder {
    /// The field `annotator`; null if the gold does not say.
    pub name: Option<String>,
    /// Items of this coder.
    pub items: usize,
}

/// The bootstrap of a report.
#[derive(Debug, Clone, Serialize)]
pub struct BootstrapInfo {
    /// Replicates.
    pub replicates: usize,
    /// Seed.
    pub seed: u64,
    /// Coverage that intervals aim at.
    pub level: f64,
}

/// A system of a report.
#[derive(Debug, Clone, Serialize)]
pub struct SystemInfo {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: SystemKind,
}

/// Some of the items.
#[derive(Debug, Clone, Serialize)]
pub struct Slice {
    /// What the slice is made by; null for all items.
    pub by: Option<Dimension>,
    /// Which slice it is; null for all items.
    pub value: Option<String>,
    /// Gold items.
    pub items: usize,
    /// Clusters of items, over which the bootstrap draws.
    pub clusters: usize,
    /// What to beware of.
    pub warning: Option<String>,
    /// The figures of each system, in the order of the report's systems.
    pub systems: Vec<Scores>,
    /// Each pair of systems on these items, but for pairs of baselines.
    pub comparisons: Vec<Comparison>,
}

/// One system on one slice.
#[derive(Debug, Clone, Serialize)]
pub struct Scores {
    /// Name of the system.
    pub system: String,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Items by gold level (rows) and predicted level (columns); empty without a scale.
    pub confusion: Vec<Vec<u64>>,
    /// Curves of the labels that have probabilities.
    pub reliability: Vec<Curve>,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// `topics.military.f1`.
    pub name: String,
    /// What it is about.
    #[serde(skip)]
    pub scope: Scope,
    /// Which kind it is.
    #[serde(skip)]
    pub metric: Metric,
    /// The value; null where it is not defined.
    #[serde(serialize_with = "rounded")]
    pub value: Option<f64>,
    /// Lower end of the 95 % interval; null where there is none: a single cluster, a figure that is not defined in many
    /// replicates, or one that is perfect in all of them and no proportion.
    #[serde(serialize_with = "rounded")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    #[serde(serialize_with = "rounded")]
    pub high: Option<f64>,
    /// Gold items it rests on: of a figure of one label those with the label, else those that are scored.
    pub support: u64,
}

/// A reliability curve.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// `topics.military`.
    pub of: String,
    /// One bin a tenth.
    pub bins: Vec<CurveBin>,
}

/// A bin of a [`Curve`].
#[derive(Debug, Clone, Serialize)]
pub struct CurveBin {
    /// Items.
    pub items: u64,
    /// Mean probability; null in an empty bin.
    #[serde(serialize_with = "rounded")]
    pub mean_probability: Option<f64>,
    /// Share that came true.
    #[serde(serialize_with = "rounded")]
    pub hit_rate: Option<f64>,
}

/// Six decimals: finer than any interval, and equal on machines whose sums differ in the last bits.
pub(crate) fn rounded<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| (value * 1e6).round() / 1e6 + 0.0).serialize(serializer)
}

/// `None` for NaN.
pub(crate) fn defined(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

/// Scores systems against gold.
///
/// ```
/// use detente::eval::{ReportOptions, System, SystemKind, read_gold, read_predictions, score};
/// use detente::label::{Scheme, Topic};
///
/// let topics = vec![Topic { name: "military".into(), description: String::new() }];
/// let scheme = Scheme { topics, scale: None, boilerplate: false };
/// let gold = "id,text,topics\n1,Troops crossed the river.,military\n2,Rain is expected.,\n";
/// let gold = read_gold("gold.csv", gold.as_bytes(), &scheme)?;
/// let predicted = read_predictions("other.csv", "id,topics\n1,military\n2,military\n".as_bytes(), &scheme, &gold)?;
///
/// let system = System { name: "other".into(), kind: SystemKind::Predictions, predicted };
/// let report = score(&scheme, &gold, &[system], &ReportOptions::default());
/// let figures = &report.slices[0].systems[0].figures;
/// let precision = figures.iter().find(|figure| figure.name == "topics.military.precision");
/// assert_eq!(precision.and_then(|figure| figure.value), Some(0.5));
/// # Ok::<(), detente::Error>(())
/// ```
///
/// # Panics
/// If a system does not have one prediction for each gold item.
pub fn score(scheme: &Scheme, gold: &[GoldItem], systems: &[System], options: &ReportOptions) -> Report {
    for system in systems {
        assert_eq!(system.predicted.len(), gold.len(), "one prediction for each gold item from {}", system.name);
    }
    let everything: Vec<usize> = (0..gold.len()).collect();
    let mut slices = vec![score_slice(scheme, gold, systems, options, None, &everything)];
    for &dimension in &options.by {
        for ((_, value), places) in split(gold, dimension) {
            slices.push(score_slice(scheme, gold, systems, options, Some((dimension, value)), &places));
        }
    }
    correct(&mut slices);
    Report {
        schema: REPORT_SCHEMA,
        gold: GoldInfo::new(gold, options),
        bootstrap: BootstrapInfo::new(options),
        systems: systems.iter().map(|system| SystemInfo { name: system.name.clone(), kind: system.kind }).collect(),
        slices,
        abstention: None,
        behaviour: None,
        faithfulness: None,
    }
}

impl Report {
    /// Adds rates on minimal pairs. Without gold there are no slices then, rather than slices of nothing.
    pub fn set_behaviour(&mut self, behaviour: BehaviourReport) {
        self.slices.retain(|slice| slice.items > 0);
        self.behaviour = Some(behaviour);
    }
}

/// The places of the items of each slice.
pub(crate) fn split(gold: &[GoldItem], dimension: Dimension) -> BTreeMap<(usize, String), Vec<usize>> {
    let mut slices: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
    for (place, item) in gold.iter().enumerate() {
        slices.entry(dimension.value(item)).or_default().push(place);
    }
    slices
}

impl GoldInfo {
    pub(crate) fn new(gold: &[GoldItem], options: &ReportOptions) -> Self {
        let second = gold.iter().filter(|item| item.second.is_some());
        Self {
            files: options.files.clone(),
            coders: coders(gold.iter().map(|item| &item.annotator)),
            second_coders: coders(second.map(|item| &item.second_annotator)),
        }
    }
}

pub(crate) fn coders<'a>(names: impl Iterator<Item = &'a Option<String>>) -> Vec<Coder> {
    let mut counts: BTreeMap<&Option<String>, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().map(|(name, items)| Coder { name: name.clone(), items }).collect()
}

impl BootstrapInfo {
    pub(crate) fn new(options: &ReportOptions) -> Self {
        let BootstrapOptions { replicates, seed } = options.bootstrap;
        Self { replicates, seed, level: 0.95 }
    }
}

fn score_slice(
    scheme: &Scheme,
    gold: &[GoldItem],
    systems: &[System],
    options: &ReportOptions,
    part: Option<(Dimension, String)>,
    places: &[usize],
) -> Slice {
    let sample = Sample::new(gold, places);
    let predicted: Vec<&[Predicted]> = systems.iter().map(|system| system.predicted.as_slice()).collect();
    let measured = measure(scheme, gold, &predicted, &sample, options);
    let mut comparisons = Vec::new();
    let is_baseline = |system: usize| systems[system].kind == SystemKind::Baseline;
    for (second, other) in measured.iter().enumerate() {
        for (first, one) in measured[..second].iter().enumerate() {
            if is_baseline(first) && is_baseline(second) {
                continue;
            }
            let mcnemar = McNemar::all(scheme, gold, [predicted[first], predicted[second]], sample.items());
            let names = [systems[first].name.clone(), systems[second].name.clone()];
            comparisons.push(compare(scheme, names, [one, other], mcnemar, sample.clusters()));
        }
    }
    let scores = systems.iter().zip(measured).map(|(system, measured)| Scores {
        system: system.name.clone(),
        figures: measured.figures(scheme),
        confusion: measured.confusion(),
        reliability: measured.curves(scheme),
    });
    let (by, value) = part.map_or((None, None), |(by, value)| (Some(by), Some(value)));
    Slice {
        by,
        value,
        items: sample.items().len(),
        clusters: sample.clusters(),
        warning: warning(&sample),
        systems: scores.collect(),
        comparisons,
    }
}

pub(crate) fn warning(sample: &Sample) -> Option<String> {
    let clusters = sample.clusters();
    (clusters < FEWEST_CLUSTERS).then(|| {
        let items = sample.items().len();
        format!(
            "only {items} items in {clusters} clusters: too few to say anything; intervals need {FEWEST_CLUSTERS} clusters"
        )
    })
}

/// One system on one sample: values and replicates.
pub(crate) struct Measured {
    tally: Tally,
    totals: crate::eval::tally::Totals,
    pub(crate) values: Vec<Value>,
    pub(crate) replicates: Vec<Replicate>,
}

/// Values and replicates of systems on one sample, drawn together.
pub(crate) fn measure(
    scheme: &Scheme,
    gold: &[GoldItem],
    systems: &[&[Predicted]],
    sample: &Sample,
    options: &ReportOptions,
) -> Vec<Measured> {
    let tallies: Vec<Tally> = systems.iter().map(|predicted| Tally::new(scheme, gold, predicted, sample)).collect();
    // A single cluster drawn again and again has no scatter.
    let replicates = if sample.clusters() < 2 { 0 } else { options.bootstrap.replicates };
    let drawn = bootstrap(&tallies, sample.clusters(), BootstrapOptions { replicates, ..options.bootstrap });
    tallies
        .into_iter()
        .zip(drawn)
        .map(|(tally, replicates)| {
            let totals = tally.unweighted();
            Measured { values: tally.values(&totals), tally, totals, replicates }
        })
        .collect()
}

impl Measured {
    pub(crate) fn figures(&self, scheme: &Scheme) -> Vec<Figure> {
        let mut errors = self.calibration_intervals().into_iter();
        let figure = |(index, value): (usize, &Value)| {
            let own = (value.metric == Metric::ExpectedCalibrationError).then(|| errors.next().flatten()).flatten();
            let percentile = || percentile_interval(self.replicates.iter().map(|replicate| replicate.figures[index]));
            let interval = match (own.or_else(percentile), value.trials) {
                (Some([low, high]), Some(trials)) if low == high && (low == 0.0 || low == 1.0) => {
                    Some(self.exact(value, low, trials))
                }
                // A perfect kappa, say, is not certain either, but nothing exact is known of it.
                (Some(interval), None) if is_perfect(value.metric, interval) => None,
                (interval, _) => interval,
            };
            Figure {
                name: format!("{}.{}", value.scope.name(scheme), value.metric.name()),
                scope: value.scope,
                metric: value.metric,
                value: defined(value.value),
                low: interval.map(|interval| interval[0]),
                high: interval.map(|interval| interval[1]),
                support: value.support as u64,
            }
        };
        self.values.iter().enumerate().map(figure).collect()
    }

    /// The interval of a proportion, or F1, of 0 or 1 in all replicates.
    fn exact(&self, value: &Value, extreme: f64, trials: f64) -> [f64; 2] {
        let clusters = self.tally.clusters_with(&self.tally.trial_columns(value.scope, value.metric));
        let interval = exact_extreme(extreme, trials, clusters);
        match value.metric {
            Metric::F1 => interval.map(f1_of_jaccard),
            _ => interval,
        }
    }

    /// The intervals of expected calibration error, in the order of the values.
    fn calibration_intervals(&self) -> Vec<Option<[f64; 2]>> {
        let observed = self.tally.gaps(&self.totals);
        let of =
            |curve: usize| -> Vec<Gaps> { self.replicates.iter().map(|replicate| replicate.gaps[curve]).collect() };
        observed.iter().enumerate().map(|(curve, observed)| inversion::interval(observed, &of(curve))).collect()
    }

    fn confusion(&self) -> Vec<Vec<u64>> {
        let cells: Vec<u64> = self.tally.level_table(&self.totals).iter().map(|&cell| cell as u64).collect();
        cells.chunks(self.tally.layout.levels.max(1)).map(<[u64]>::to_vec).collect()
    }

    fn curves(&self, scheme: &Scheme) -> Vec<Curve> {
        let bin = |bin: &Bin| CurveBin {
            items: bin.items as u64,
            mean_probability: defined(bin.mean_probability()),
            hit_rate: defined(bin.hit_rate()),
        };
        let curve =
            |(scope, bins): &(Scope, Vec<Bin>)| Curve { of: scope.name(scheme), bins: bins.iter().map(bin).collect() };
        self.tally.curves(&self.totals).iter().map(curve).collect()
    }
}

/// Whether both ends are the best value there is, but for rounding.
fn is_perfect(metric: Metric, interval: [f64; 2]) -> bool {
    let best = match metric.better() {
        Better::Higher => 1.0,
        Better::Lower | Better::NearZero => 0.0,
    };
    interval.iter().all(|end| (end - best).abs() < 1e-9)
}

/// F1 is no proportion but grows with one, Jaccard's index J = TP / (TP + FP + FN): F1 = 2 J / (1 + J).
fn f1_of_jaccard(jaccard: f64) -> f64 {
    2.0 * jaccard / (1.0 + jaccard)
}
