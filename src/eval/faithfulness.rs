//! Faithfulness: whether the words that an explanation names are those that a bundle's labels hang on.
//!
//! In: a [`Classifier`] and gold items, of which the texts alone are used. Out: for each label, how far its number falls when the
//! most important words are deleted, against as many words at random, which becomes part of a [`crate::eval::Report`].
//!
//! The idea is that of deletion curves (Samek et al. 2017; "comprehensiveness" in DeYoung et al., "ERASER", ACL 2020). Here the area is
//! that between the two curves, since the number falls also when any words are deleted.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::classifier::Classifier;
use crate::error::Result;
use crate::eval::bootstrap::{BootstrapOptions, Random, percentile_interval};
use crate::eval::figure::Scope;
use crate::eval::gold::GoldItem;
use crate::eval::report::{FEWEST_CLUSTERS, defined, rounded};
use crate::explain::{ExplainOptions, Explanation, Target, explain, without, words};
use crate::label::{Prediction, Scheme};

/// Most words that are deleted.
const STEPS: usize = 5;
/// Words that a text needs, so that half of it is left.
const FEWEST_WORDS: usize = 2 * STEPS;
/// Random deletions that are averaged for each text.
const DRAWS: usize = 4;
/// The stream of random numbers that items are drawn from; those below are the items' own.
const ITEM_STREAM: u64 = u64::MAX;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct FaithfulnessOptions {
    /// Texts to explain, drawn at random from those of at least ten words.
    pub items: usize,
    /// How they are explained.
    pub explain: ExplainOptions,
    /// How intervals are made, and where all draws begin.
    pub bootstrap: BootstrapOptions,
}

/// Deletion curves of all bundles.
#[derive(Debug, Clone, Serialize)]
pub struct Faithfulness {
    /// Texts that were explained.
    pub items: usize,
    /// Texts of too few words.
    pub too_short: usize,
    /// The bundles.
    pub systems: Vec<SystemFaithfulness>,
}

/// Deletion curves of one bundle.
#[derive(Debug, Clone, Serialize)]
pub struct SystemFaithfulness {
    /// Name of the system.
    pub system: String,
    /// The labels that it gives.
    pub labels: Vec<LabelFaithfulness>,
}

/// Deletion curves of one label, over the texts that were given it.
#[derive(Debug, Clone, Serialize)]
pub struct LabelFaithfulness {
    /// `topics.military`, `escalation`, `boilerplate`. For a topic or boilerplate, texts with that label, and its probability;
    /// for the scale, texts on a level other than 0, and the expected level, counted away from 0.
    pub of: String,
    /// Texts.
    pub items: usize,
    /// Clusters of them, over which the bootstrap draws.
    pub clusters: usize,
    /// What to beware of.
    pub warning: Option<String>,
    /// Mean number of the whole texts.
    #[serde(serialize_with = "rounded")]
    pub start: Option<f64>,
    /// The mean number after so many deletions.
    pub points: Vec<DeletionPoint>,
    /// Area between the curves: `random` minus `important`, mean over the points. 0 if the explanation is no better than chance.
    #[serde(serialize_with = "rounded")]
    pub area: Option<f64>,
    /// Lower end of its 95 % interval.
    #[serde(serialize_with = "rounded")]
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    #[serde(serialize_with = "rounded")]
    pub high: Option<f64>,
}

/// The two curves at one place.
#[derive(Debug, Clone, Serialize)]
pub struct DeletionPoint {
    /// Words deleted.
    pub words: usize,
    /// Mean number without the most important words.
    #[serde(serialize_with = "rounded")]
    pub important: Option<f64>,
    /// Mean number without as many random words.
    #[serde(serialize_with = "rounded")]
    pub random: Option<f64>,
}

/// Explains texts of the gold by each of the bundles and deletes words from them. The same texts and the same random words for all.
///
/// # Errors
/// As [`Classifier::classify_batch`].
pub fn faithfulness(
    scheme: &Scheme,
    gold: &[GoldItem],
    bundles: &[(String, Classifier)],
    options: &FaithfulnessOptions,
) -> Result<Faithfulness> {
    let long: Vec<usize> = (0..gold.len()).filter(|&place| words(&gold[place].text).len() >= FEWEST_WORDS).collect();
    let too_short = gold.len() - long.len();
    let mut drawn = draw(long, options.items, Random::new(options.bootstrap.seed, ITEM_STREAM));
    drawn.sort_unstable();
    let system = |(name, classifier): &(String, Classifier)| {
        let mut curves = Vec::new();
        for &place in &drawn {
            curves.extend(item_curves(classifier, &gold[place], place, options)?);
        }
        let labels = Target::all(scheme).into_iter().filter_map(|target| label(scheme, target, &curves, options));
        Ok(SystemFaithfulness { system: name.clone(), labels: labels.collect() })
    };
    let systems = bundles.iter().map(system).collect::<Result<_>>()?;
    Ok(Faithfulness { items: drawn.len(), too_short, systems })
}

/// `count` of the `elements`, all of them if there are fewer.
fn draw(mut elements: Vec<usize>, count: usize, mut random: Random) -> Vec<usize> {
    let count = count.min(elements.len());
    for place in 0..count {
        let other = place + random.below(elements.len() - place);
        elements.swap(place, other);
    }
    elements.truncate(count);
    elements
}

/// One label of one text.
struct Curve<'g> {
    target: Target,
    cluster: &'g str,
    start: f64,
    important: Vec<f64>,
    random: Vec<f64>,
}

impl Curve<'_> {
    fn area(&self) -> f64 {
        let between = self.random.iter().zip(&self.important).map(|(random, important)| random - important);
        between.sum::<f64>() / STEPS as f64
    }
}

fn item_curves<'g>(
    classifier: &Classifier,
    item: &'g GoldItem,
    place: usize,
    options: &FaithfulnessOptions,
) -> Result<Vec<Curve<'g>>> {
    let text = item.text.as_str();
    let explanation = explain(classifier, text, &options.explain)?;
    let words = words(text);
    // The text without the first word of `order`, without the first two, and so on.
    let deletions = |order: &[usize]| -> Vec<String> {
        let deletion = |count: usize| {
            let mut deleted = order[..count].to_vec();
            deleted.sort_unstable();
            without(text, deleted.into_iter().map(|word| words[word].clone()))
        };
        (1..=STEPS).map(deletion).collect()
    };
    let targets: Vec<(Target, f32)> = Target::decided(explanation.prediction())
        .into_iter()
        .map(|target| (target, direction(target, explanation.prediction())))
        .filter(|(_, direction)| *direction != 0.0)
        .collect();
    let mut texts = Vec::new();
    for &(target, direction) in &targets {
        texts.extend(deletions(&by_importance(&explanation, target, direction)));
    }
    for draw_index in 0..DRAWS {
        let stream = (place * DRAWS + draw_index) as u64;
        let random = Random::new(options.bootstrap.seed, stream);
        texts.extend(deletions(&draw((0..words.len()).collect(), STEPS, random)));
    }
    let read = classifier.classify_batch(&texts)?;
    let (important, random) = read.split_at(targets.len() * STEPS);
    let curve = |(&(target, direction), important): (&(Target, f32), &[Prediction])| {
        let value = |prediction: &Prediction| f64::from(direction * target.value(prediction));
        let mean = |step: usize| random.iter().skip(step).step_by(STEPS).map(value).sum::<f64>() / DRAWS as f64;
        Curve {
            target,
            cluster: item.cluster(),
            start: value(explanation.prediction()),
            important: important.iter().map(value).collect(),
            random: (0..STEPS).map(mean).collect(),
        }
    };
    Ok(targets.iter().zip(important.chunks_exact(STEPS)).map(curve).collect())
}

/// Where the number goes if the decision is right: up for topics and boilerplate, away from 0 for the scale, nowhere if its
/// level is 0.
fn direction(target: Target, prediction: &Prediction) -> f32 {
    match (target, prediction.escalation()) {
        (Target::Scale, Some(level)) => level.code.signum() as f32,
        _ => 1.0,
    }
}

/// The words of the text, those first that hold the label most; a word of a phrase has an equal share of its weight.
fn by_importance(explanation: &Explanation, target: Target, direction: f32) -> Vec<usize> {
    let shares = explanation.parts().iter().flat_map(|part| {
        let share = direction * explanation.weight(part, target) / part.words() as f32;
        std::iter::repeat_n(share, part.words())
    });
    let mut order: Vec<(usize, f32)> = shares.enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    order.into_iter().map(|(word, _)| word).collect()
}

/// `None` if no text has the label.
fn label(
    scheme: &Scheme,
    target: Target,
    curves: &[Curve<'_>],
    options: &FaithfulnessOptions,
) -> Option<LabelFaithfulness> {
    let curves: Vec<&Curve<'_>> = curves.iter().filter(|curve| curve.target == target).collect();
    if curves.is_empty() {
        return None;
    }
    let mut clusters: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for curve in &curves {
        let (sum, count) = clusters.entry(curve.cluster).or_default();
        *sum += curve.area();
        *count += 1.0;
    }
    let clusters: Vec<(f64, f64)> = clusters.into_values().collect();
    let interval = interval(&clusters, options.bootstrap);
    let mean = |of: &dyn Fn(&Curve<'_>) -> f64| {
        defined(curves.iter().map(|curve| of(curve)).sum::<f64>() / curves.len() as f64)
    };
    let point = |step: usize| DeletionPoint {
        words: step + 1,
        important: mean(&|curve| curve.important[step]),
        random: mean(&|curve| curve.random[step]),
    };
    let scope = match target {
        Target::Topic(topic) => Scope::Topic(topic),
        Target::Scale => Scope::Scale,
        Target::Boilerplate => Scope::Boilerplate,
    };
    Some(LabelFaithfulness {
        of: scope.name(scheme),
        items: curves.len(),
        clusters: clusters.len(),
        warning: warning(clusters.len()),
        start: mean(&|curve| curve.start),
        points: (0..STEPS).map(point).collect(),
        area: mean(&|curve| curve.area()),
        low: interval.map(|interval| interval[0]),
        high: interval.map(|interval| interval[1]),
    })
}

fn warning(clusters: usize) -> Option<String> {
    (clusters < FEWEST_CLUSTERS).then(|| {
        let noun = if clusters == 1 { "cluster" } else { "clusters" };
        format!("only {clusters} {noun} with this label: too few to say anything; explain more texts")
    })
}

/// The 95 % percentile interval of the mean over clusters, each a sum and a count, drawn with replacement.
fn interval(clusters: &[(f64, f64)], options: BootstrapOptions) -> Option<[f64; 2]> {
    // A single cluster drawn again and again has no scatter.
    let replicates = if clusters.len() < 2 { 0 } else { options.replicates };
    percentile_interval((0..replicates).map(|replicate| {
        let mut random = Random::new(options.seed, replicate as u64);
        let drawn = (0..clusters.len()).map(|_| clusters[random.below(clusters.len())]);
        let (sum, count) = drawn.fold((0.0, 0.0), |(sum, count), (more, one)| (sum + more, count + one));
        sum / count
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::eval::gold::read_gold;

    fn options(items: usize) -> FaithfulnessOptions {
        let bootstrap = BootstrapOptions { replicates: 200, seed: 1 };
        FaithfulnessOptions { items, explain: ExplainOptions::default(), bootstrap }
    }

    /// The fake bundle labels by a hash of the tokens, so that every word counts, and by chance.
    fn measured(items: usize) -> Faithfulness {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake");
        let classifier = Classifier::open(folder).unwrap();
        let scheme = classifier.info().scheme.clone();
        let line = |number: usize| {
            let words: Vec<String> = (0..8 + number % 7).map(|word| format!("word{}", word * 31 + number)).collect();
            format!("{{\"id\":\"{number}\",\"text\":\"{}.\",\"boilerplate\":false}}\n", words.join(" "))
        };
        let gold: String = (0..60).map(line).collect();
        let gold = read_gold("gold.jsonl", gold.as_bytes(), &scheme).unwrap();
        faithfulness(&scheme, &gold, &[("fake".into(), classifier)], &options(items)).unwrap()
    }

    #[test]
    fn important_words_count_more_than_random_ones() {
        let found = measured(1000);
        let long = (0..60).filter(|number| 8 + number % 7 >= FEWEST_WORDS).count();
        assert_eq!((found.items, found.too_short), (long, 60 - long));
        let labels = &found.systems[0].labels;
        assert!(labels.len() >= 2, "{labels:?}");
        for label in labels {
            let points = &label.points;
            assert_eq!(points.len(), STEPS);
            // The first deletion is that of the word with the largest weight, which was measured by this very deletion.
            assert!(points[0].important < points[0].random, "{label:?}");
            assert!(points[0].important < label.start, "{label:?}");
            let mean: f64 = points.iter().map(|point| point.random.unwrap() - point.important.unwrap()).sum();
            assert!((label.area.unwrap() - mean / STEPS as f64).abs() < 1e-9, "{label:?}");
            assert!(label.clusters < 2 || label.low <= label.area && label.area <= label.high, "{label:?}");
        }
    }

    #[test]
    fn as_many_texts_as_were_asked_for_and_always_the_same() {
        let found = measured(7);
        assert_eq!(found.items, 7);
        let json = |found: &Faithfulness| serde_json::to_string(found).unwrap();
        assert_eq!(json(&found), json(&measured(7)));
    }

    #[test]
    fn an_interval_of_known_scatter() {
        let clusters: Vec<(f64, f64)> = (0..100).map(|number| (f64::from(number % 2), 1.0)).collect();
        let [low, high] = interval(&clusters, BootstrapOptions::default()).unwrap();
        // A share of one half among 100: 0.5 ± 1.96 × 0.05.
        assert!((low - 0.402).abs() < 0.03 && (high - 0.598).abs() < 0.03, "{low} {high}");
        assert_eq!(interval(&clusters[..1], BootstrapOptions::default()), None);
    }

    #[test]
    fn draws_are_without_repetition() {
        for count in [0, 1, 5, 9, 20] {
            let mut drawn = draw((0..9).collect(), count, Random::new(1, 2));
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), count.min(9), "{count}");
        }
    }
}
