//! Pairs and predictions to rates with their uncertainty.
//!
//! Intervals are 95 % percentile bootstrap intervals over pairs, as those of [`crate::eval::bootstrap`]; a rate of 0 or 1 gets the
//! exact one.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::eval::behaviour::pairs::{BehaviourPairs, Expect, differ, sign};
use crate::eval::bootstrap::{BootstrapOptions, Random, exact_extreme, percentile_interval};
use crate::eval::metrics::ratio;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::eval::report::{Coder, Dimension, FEWEST_CLUSTERS, ReportOptions, System, coders, defined, rounded};
use crate::label::Scheme;

/// Rates of all systems on pairs.
#[derive(Debug, Clone, Serialize)]
pub struct BehaviourReport {
    /// The files.
    pub files: Vec<String>,
    /// Who set the labels of the members, and of how many.
    pub coders: Vec<Coder>,
    /// Each behaviour on all its pairs; then, if languages are asked for, each language.
    pub slices: Vec<BehaviourSlice>,
}

/// One behaviour on some of its pairs.
#[derive(Debug, Clone, Serialize)]
pub struct BehaviourSlice {
    /// The field `behaviour`.
    pub behaviour: String,
    /// What the slice is made by; null for all pairs.
    pub by: Option<Dimension>,
    /// Which slice it is; null for all pairs. A pair in two languages counts in both.
    pub value: Option<String>,
    /// Pairs.
    pub pairs: usize,
    /// What to beware of.
    pub warning: Option<String>,
    /// The rates of each system, in the order of the report's systems.
    pub systems: Vec<BehaviourSystem>,
}

/// One system on one slice.
#[derive(Debug, Clone, Serialize)]
pub struct BehaviourSystem {
    /// Name of the system.
    pub system: String,
    /// The rates.
    pub figures: Vec<Rate>,
}

/// A share of pairs.
#[derive(Debug, Clone, Serialize)]
pub struct Rate {
    /// `behaviour.negation.pass`; the names are specified in `eval/README.md`.
    pub name: String,
    /// The share; null where the system says nothing of the labels that are needed.
    #[serde(serialize_with = "rounded")]
    pub value: Option<f64>,
    /// Lower end of the 95 % interval; null where it is not defined in many replicates.
    #[serde(serialize_with = "rounded")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    #[serde(serialize_with = "rounded")]
    pub high: Option<f64>,
    /// Pairs that it is a share of.
    pub support: u64,
}

/// What is counted of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Pass,
    Right,
    Changed,
    SameTopics,
    SameSign,
    SameLevel,
}

impl Count {
    const ALL: [Count; 6] =
        [Count::Pass, Count::Right, Count::Changed, Count::SameTopics, Count::SameSign, Count::SameLevel];

    fn name(self) -> &'static str {
        match self {
            Count::Pass => "pass",
            Count::Right => "right",
            Count::Changed => "changed",
            Count::SameTopics => "same_topics",
            Count::SameSign => "same_sign",
            Count::SameLevel => "same_level",
        }
    }
}

/// The last part of a rate's name, for people.
pub(crate) fn rate_words(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).replace('_', " ")
}

/// Scores systems on pairs: `systems` have one prediction for each of the members.
///
/// # Panics
/// If a system does not have one prediction for each member.
pub fn score_behaviour(
    scheme: &Scheme,
    behaviour: &BehaviourPairs,
    systems: &[System],
    files: &[String],
    options: &ReportOptions,
) -> BehaviourReport {
    for system in systems {
        let members = behaviour.members.len();
        assert_eq!(system.predicted.len(), members, "one prediction for each member from {}", system.name);
    }
    let mut parts: BTreeMap<(Option<&str>, &str), Vec<usize>> = BTreeMap::new();
    for (place, pair) in behaviour.pairs.iter().enumerate() {
        parts.entry((None, &pair.behaviour)).or_default().push(place);
        if options.by.contains(&Dimension::Lang) {
            for lang in [&pair.lang, &pair.second_lang].into_iter().flatten() {
                parts.entry((Some(lang), &pair.behaviour)).or_default().push(place);
            }
        }
    }
    let slices = parts.into_iter().map(|((lang, name), places)| BehaviourSlice {
        behaviour: name.to_owned(),
        by: lang.map(|_| Dimension::Lang),
        value: lang.map(str::to_owned),
        pairs: places.len(),
        warning: warning(places.len()),
        systems: systems
            .iter()
            .map(|system| BehaviourSystem {
                system: system.name.clone(),
                figures: rates(scheme, behaviour, &system.predicted, name, &places, options.bootstrap),
            })
            .collect(),
    });
    BehaviourReport {
        slices: slices.collect(),
        files: files.to_vec(),
        coders: coders(behaviour.members.iter().map(|member| &member.annotator)),
    }
}

fn warning(pairs: usize) -> Option<String> {
    let noun = if pairs == 1 { "pair" } else { "pairs" };
    (pairs < FEWEST_CLUSTERS)
        .then(|| format!("only {pairs} {noun}: too few to say anything; give at least {FEWEST_CLUSTERS}"))
}

fn rates(
    scheme: &Scheme,
    behaviour: &BehaviourPairs,
    predicted: &[Predicted],
    name: &str,
    places: &[usize],
    options: BootstrapOptions,
) -> Vec<Rate> {
    let verdicts: Vec<[Option<bool>; 6]> =
        places.iter().map(|&pair| verdicts(scheme, behaviour, predicted, pair)).collect();
    let mut replicates = vec![Vec::with_capacity(options.replicates); Count::ALL.len()];
    let drawn = if places.len() < 2 { 0 } else { options.replicates };
    for replicate in 0..drawn {
        let mut random = Random::new(options.seed, replicate as u64);
        let mut counts = [[0_u32; 2]; 6];
        for _ in 0..places.len() {
            for (count, verdict) in counts.iter_mut().zip(verdicts[random.below(places.len())]) {
                if let Some(passes) = verdict {
                    count[0] += u32::from(passes);
                    count[1] += 1;
                }
            }
        }
        for (shares, [passes, pairs]) in replicates.iter_mut().zip(counts) {
            shares.push(ratio(passes.into(), pairs.into()));
        }
    }
    let rate = |(index, count): (usize, Count)| {
        let asks = |&pair: &usize| asks(scheme, behaviour, pair, count);
        if !places.iter().any(asks) {
            return None;
        }
        let known: Vec<bool> = verdicts.iter().filter_map(|verdict| verdict[index]).collect();
        let support = known.len();
        let value = ratio(known.iter().filter(|passes| **passes).count() as f64, support as f64);
        let interval = if value == 0.0 || value == 1.0 {
            Some(exact_extreme(value, support as f64, support))
        } else {
            percentile_interval(replicates[index].iter().copied())
        };
        Some(Rate {
            name: format!("behaviour.{name}.{}", count.name()),
            value: defined(value),
            low: interval.map(|interval| interval[0]),
            high: interval.map(|interval| interval[1]),
            support: support as u64,
        })
    };
    Count::ALL.into_iter().enumerate().filter_map(rate).collect()
}

/// Whether the pair counts, by its gold labels alone.
fn asks(scheme: &Scheme, behaviour: &BehaviourPairs, pair: usize, count: Count) -> bool {
    let expect = behaviour.pairs[pair].expect;
    let [a, b] = behaviour.labels(pair);
    let pushes = || sign(scheme, a).is_some_and(|sign| sign != 0) && b.level.is_some();
    match count {
        Count::Pass => true,
        Count::Right => !a.is_empty() && !b.is_empty(),
        Count::Changed => expect == Expect::Change && !is_of_boilerplate(a, b),
        Count::SameTopics => {
            let names_one = |labels: &Labels| labels.topics.as_ref().is_some_and(|topics| topics.contains(&true));
            expect == Expect::Same && (names_one(a) || names_one(b))
        }
        Count::SameSign | Count::SameLevel => expect == Expect::Same && pushes(),
    }
}

fn is_of_boilerplate(a: &Labels, b: &Labels) -> bool {
    differ(&a.boilerplate, &b.boilerplate)
}

/// What a system's labels make of a pair, in the order of [`Count::ALL`]; `None`: the pair does not count, because of its gold labels or
/// because the system says nothing of a label that is needed. The definitions are those of `eval/README.md`.
pub(crate) fn verdicts(
    scheme: &Scheme,
    behaviour: &BehaviourPairs,
    predicted: &[Predicted],
    pair: usize,
) -> [Option<bool>; 6] {
    let gold = behaviour.labels(pair);
    let said = [&predicted[2 * pair].labels, &predicted[2 * pair + 1].labels];
    let signs = said.map(|labels| sign(scheme, labels));
    let gold_signs = gold.map(|labels| sign(scheme, labels));
    let same_topics = || Some(said[0].topics.as_ref()? == said[1].topics.as_ref()?);
    let same_sign = || Some(signs[0]? == signs[1]?);
    let same_level = || Some(said[0].level? == said[1].level?);
    let same_flag = || Some(said[0].boilerplate? == said[1].boilerplate?);
    let right_sign = |member: usize| Some(signs[member]? == gold_signs[member]?);
    let right_flag = |member: usize| Some(said[member].boilerplate? == gold[member].boilerplate?);
    Count::ALL.map(|count| {
        if !asks(scheme, behaviour, pair, count) {
            return None;
        }
        match (count, behaviour.pairs[pair].expect) {
            (Count::Pass, Expect::Change) if is_of_boilerplate(gold[0], gold[1]) => {
                Some(right_flag(0)? && right_flag(1)?)
            }
            (Count::Pass, Expect::Change) => Some(right_sign(0)? && right_sign(1)?),
            (Count::Pass, Expect::Same) => all(&[
                (!scheme.topics.is_empty()).then(same_topics),
                scheme.scale.is_some().then(same_sign),
                scheme.boilerplate.then(same_flag),
            ]),
            (Count::Right, _) => all(&[0, 1].map(|member| {
                let known = gold[member];
                Some(all(&[
                    known.topics.as_ref().map(|topics| Some(said[member].topics.as_ref()? == topics)),
                    known.level.map(|_| right_sign(member)),
                    known.boilerplate.map(|_| right_flag(member)),
                ]))
            })),
            (Count::Changed, _) => {
                let direction = |[from, to]: [Option<i32>; 2]| Some((to? - from?).signum());
                Some(direction(signs)? == direction(gold_signs)?)
            }
            (Count::SameTopics, _) => same_topics(),
            (Count::SameSign, _) => same_sign(),
            (Count::SameLevel, _) => same_level(),
        }
    })
}

/// Whether all that is asked (`Some`) holds; `None` if one of it is not known.
fn all(asked: &[Option<Option<bool>>]) -> Option<bool> {
    asked.iter().flatten().try_fold(true, |holds, &one| Some(holds & one?))
}
