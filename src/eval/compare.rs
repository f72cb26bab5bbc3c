//! Two systems on the same items: is a difference established?
//!
//! In: the paired replicates of both. Out: a [`Comparison`], which says so in words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::eval::bootstrap::{difference_p, percentile_interval};
use crate::eval::figure::{Better, Metric, Scope};
use crate::eval::gold::GoldItem;
use crate::eval::metrics::significance::{holm, mcnemar};
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::eval::report::{Dimension, FEWEST_CLUSTERS, Measured, Slice, defined, rounded};
use crate::label::Scheme;

/// A difference is established if its corrected p-value is below this and its interval leaves out 0.
pub const SIGNIFICANCE: f64 = 0.05;

/// A difference of a figure that rests on fewer gold items is not tested: with so few, replicates hardly differ.
pub const FEWEST_SUPPORT: f64 = 10.0;

/// The figures that are compared.
const COMPARED: [(Scope, Metric); 4] = [
    (Scope::Topics, Metric::MacroF1),
    (Scope::Scale, Metric::QuadraticWeightedKappa),
    (Scope::Scale, Metric::MacroMeanAbsoluteError),
    (Scope::Boilerplate, Metric::F1),
];

/// Two systems on one slice.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The one.
    pub first: String,
    /// The other.
    pub second: String,
    /// Differences of figures.
    pub differences: Vec<Difference>,
    /// McNemar's test of the decisions.
    pub mcnemar: Vec<McNemar>,
}

/// A difference of one figure: first minus second.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// `topics.macro_f1`.
    pub figure: String,
    /// Of the first system.
    #[serde(serialize_with = "rounded")]
    pub first: Option<f64>,
    /// Of the second system.
    #[serde(serialize_with = "rounded")]
    pub second: Option<f64>,
    /// First minus second.
    #[serde(serialize_with = "rounded")]
    pub difference: Option<f64>,
    /// Lower end of the 95 % interval of the difference.
    #[serde(serialize_with = "rounded")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(serialize_with = "rounded")]
    pub high: Option<f64>,
    /// Two-sided p-value of the paired bootstrap; null where nothing is tested: too few clusters or gold items with the
    /// label, or not defined in too many replicates.
    #[serde(serialize_with = "rounded")]
    pub p: Option<f64>,
    /// The same after Holm's correction over the slices of the dimension.
    #[serde(serialize_with = "rounded")]
    pub p_corrected: Option<f64>,
    /// Whether the difference is established.
    pub established: bool,
    /// The same in words.
    pub words: String,
    /// Why nothing is tested, where nothing is.
    #[serde(skip)]
    untested: &'static str,
    #[serde(skip)]
    better: Better,
}

/// Decisions that only one of two systems got right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct McNemar {
    /// `topics` (all of an item's), the scale's name, `boilerplate`.
    pub of: String,
    /// Items that only the first system got right.
    pub only_first_right: u64,
    /// Items that only the second system got right.
    pub only_second_right: u64,
    /// Exact two-sided p-value; items count as independent.
    #[serde(serialize_with = "rounded")]
    pub p: Option<f64>,
}

impl McNemar {
    pub(crate) fn all(scheme: &Scheme, gold: &[GoldItem], systems: [&[Predicted]; 2], items: &[usize]) -> Vec<McNemar> {
        let test = |of: &str, right: &dyn Fn(&Labels, &Labels) -> Option<bool>| {
            let mut only = [0, 0];
            let mut known = false;
            for &item in items {
                let verdict = |system: &[Predicted]| right(&gold[item].labels, &system[item].labels);
                if let (Some(first), Some(second)) = (verdict(systems[0]), verdict(systems[1])) {
                    known = true;
                    only[0] += u64::from(first && !second);
                    only[1] += u64::from(second && !first);
                }
            }
            let [only_first_right, only_second_right] = only;
            let p = Some(mcnemar(only_first_right, only_second_right));
            known.then(|| McNemar { of: of.into(), only_first_right, only_second_right, p })
        };
        let scale = scheme.scale.as_ref().map_or("", |scale| &scale.name);
        let tests = [
            test("topics", &|gold, predicted| Some(gold.topics.as_ref()? == predicted.topics.as_ref()?)),
            test(scale, &|gold, predicted| Some(gold.level? == predicted.level?)),
            test("boilerplate", &|gold, predicted| Some(gold.boilerplate? == predicted.boilerplate?)),
        ];
        tests.into_iter().flatten().collect()
    }
}

/// Compares two systems whose replicates were drawn together. p-values are not corrected yet: see [`correct`].
pub(crate) fn compare(
    scheme: &Scheme,
    [first, second]: [String; 2],
    measured: [&Measured; 2],
    mcnemar: Vec<McNemar>,
    clusters: usize,
) -> Comparison {
    let mut differences = Vec::new();
    for (scope, metric) in COMPARED {
        let place = |measured: &Measured| {
            measured.values.iter().position(|value| value.scope == scope && value.metric == metric)
        };
        let [Some(one), Some(other)] = measured.map(place) else { continue };
        let replicates: Vec<f64> = measured[0]
            .replicates
            .iter()
            .zip(&measured[1].replicates)
            .map(|(first, second)| first.figures[one] - second.figures[other])
            .collect();
        let values = [measured[0].values[one].value, measured[1].values[other].value];
        if values.iter().all(|value| value.is_nan()) {
            continue;
        }
        let interval = percentile_interval(replicates.iter().copied());
        let untested = untested(measured, scope, measured[0].values[one].support, clusters);
        let p = if untested.is_none() { difference_p(&replicates) } else { f64::NAN };
        differences.push(Difference {
            figure: format!("{}.{}", scope.name(scheme), metric.name()),
            first: defined(values[0]),
            second: defined(values[1]),
            difference: defined(values[0] - values[1]),
            low: interval.map(|interval| interval[0]),
            high: interval.map(|interval| interval[1]),
            p: defined(p),
            p_corrected: None,
            established: false,
            words: String::new(),
            untested: untested.unwrap_or("not defined in too many replicates"),
            better: metric.better(),
        });
    }
    Comparison { first, second, differences, mcnemar }
}

/// Why a figure of two systems is not tested; `None` if it is. A mean over topics rests on the items that have one, and says nothing
/// where the two means are over different topics, since one system predicts a topic that the gold has not and the other does not.
fn untested(measured: [&Measured; 2], scope: Scope, support: f64, clusters: usize) -> Option<&'static str> {
    let value = |system: &Measured, scope, metric| {
        system
            .values
            .iter()
            .find(|value| value.scope == scope && value.metric == metric)
            .map(|value| (value.value, value.support))
    };
    let mut support = support;
    if scope == Scope::Topics {
        support -= value(measured[0], scope, Metric::FalseAlarmRate).map_or(0.0, |(_, without_topic)| without_topic);
        let topics =
            measured[0].values.iter().map(|value| value.scope).filter(|scope| matches!(scope, Scope::Topic(_)));
        let counts = |system, topic| value(system, topic, Metric::F1).is_some_and(|(f1, _)| !f1.is_nan());
        if topics.into_iter().any(|topic| counts(measured[0], topic) != counts(measured[1], topic)) {
            return Some(
                "the means are over different topics: one of the systems predicts a topic that the gold has not",
            );
        }
    }
    (clusters < FEWEST_CLUSTERS || support < FEWEST_SUPPORT).then_some("too few items")
}

/// What is corrected together: name of the dimension, number of the comparison, name of the figure.
type Family = (Option<&'static str>, usize, String);

/// Corrects the p-values of each figure and pair of systems over the slices of one dimension (all items stand alone), and puts
/// the outcome into words.
pub(crate) fn correct(slices: &mut [Slice]) {
    let mut families: BTreeMap<Family, Vec<[usize; 3]>> = BTreeMap::new();
    for (slice, part) in slices.iter().enumerate() {
        for (comparison, pair) in part.comparisons.iter().enumerate() {
            for (difference, found) in pair.differences.iter().enumerate() {
                let key = (part.by.map(Dimension::name), comparison, found.figure.clone());
                families.entry(key).or_default().push([slice, comparison, difference]);
            }
        }
    }
    for places in families.into_values() {
        let p = places.iter().map(|&[slice, comparison, difference]| {
            slices[slice].comparisons[comparison].differences[difference].p.unwrap_or(f64::NAN)
        });
        for ([slice, comparison, place], p) in places.iter().copied().zip(holm(&p.collect::<Vec<_>>())) {
            let Comparison { first, second, differences, .. } = &mut slices[slice].comparisons[comparison];
            let difference = &mut differences[place];
            difference.p_corrected = defined(p);
            let apart = matches!((difference.low, difference.high), (Some(low), Some(high)) if low > 0.0 || high < 0.0);
            difference.established = apart && p < SIGNIFICANCE;
            difference.words = difference.in_words(first, second);
        }
    }
}

impl Difference {
    fn in_words(&self, first: &str, second: &str) -> String {
        let figure = &self.figure;
        let (Some(one), Some(other), Some(difference)) = (self.first, self.second, self.difference) else {
            return format!("{figure}: not defined for both systems");
        };
        let mut numbers = format!("{one:.3} against {other:.3}, difference {difference:+.3}");
        if let (Some(low), Some(high)) = (self.low, self.high) {
            numbers += &format!(" [{low:+.3}, {high:+.3}]");
        }
        let Some(p) = self.p_corrected else {
            return format!("{figure}: {numbers}; not tested, {}", self.untested);
        };
        if !self.established {
            let p = p_in_words(p);
            return format!("{figure}: no difference between {first} and {second} is established ({numbers}, {p})");
        }
        let first_is_better = match self.better {
            Better::Higher => difference > 0.0,
            Better::Lower => difference < 0.0,
            Better::NearZero => one.abs() < other.abs(),
        };
        let (better, worse) = if first_is_better { (first, second) } else { (second, first) };
        let p = p_in_words(p);
        format!("{figure}: {better} is better than {worse}, the difference is established ({numbers}, {p})")
    }
}

/// `p = 0.012`, `p < 0.001`.
pub(crate) fn p_in_words(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") }
}
