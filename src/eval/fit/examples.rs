//! What there is to learn of each label: its classes, how many examples they have, and whether that is enough.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::eval::fit::folds::clusters;
use crate::eval::fit::matrix::Matrix;
use crate::eval::fit::regression::Examples;
use crate::eval::fit::{ClassWeights, FitSample};
use crate::eval::gold::GoldItem;
use crate::eval::record::Labels;
use crate::eval::tune::FOLDS;
use crate::label::Scheme;

/// Examples that each class needs: with fewer, a part of the cross-validation has none to learn from or none to be tried on.
pub const FEWEST_EXAMPLES: usize = 5;
/// Documents or groups that the examples of a class come from, at least.
const FEWEST_CLUSTERS: usize = 2;
/// Below so many examples of a class there is a warning.
const FEW_EXAMPLES: usize = 32;

/// One label of a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// By its place in the scheme.
    Topic(usize),
    Scale,
    Boilerplate,
}

/// A level of a label, or its yes or no.
pub(crate) struct Class {
    pub(crate) label: Label,
    /// In words.
    pub(crate) name: String,
    /// `no`, `yes`, or the code of the level.
    pub(crate) short: String,
    pub(crate) examples: usize,
    /// Documents or groups that they come from.
    pub(crate) clusters: usize,
    /// Items of which the label is known.
    pub(crate) known: usize,
}

impl Label {
    /// Topics, scale, boilerplate.
    pub(crate) fn all(scheme: &Scheme) -> Vec<Self> {
        let scale = scheme.scale.iter().map(|_| Self::Scale);
        let boilerplate = scheme.boilerplate.then_some(Self::Boilerplate);
        (0..scheme.topics.len()).map(Self::Topic).chain(scale).chain(boilerplate).collect()
    }

    pub(crate) fn name(self, scheme: &Scheme) -> String {
        match self {
            Self::Topic(topic) => scheme.topics[topic].name.clone(),
            Self::Scale => scheme.scale.as_ref().map(|scale| scale.name.clone()).unwrap_or_default(),
            Self::Boilerplate => "boilerplate".into(),
        }
    }

    /// The level of an item, 0 and 1 for no and yes; `None` if it is not known.
    pub(crate) fn level(self, labels: &Labels) -> Option<usize> {
        match self {
            Self::Topic(topic) => labels.topics.as_ref().map(|topics| usize::from(topics[topic])),
            Self::Scale => labels.level,
            Self::Boilerplate => labels.boilerplate.map(usize::from),
        }
    }

    /// Each class in words, and short.
    fn class_names(self, scheme: &Scheme) -> Vec<(String, String)> {
        let flag = |no: String, yes: String| vec![(no, "no".to_owned()), (yes, "yes".to_owned())];
        match (self, &scheme.scale) {
            (Self::Topic(topic), _) => {
                let name = &scheme.topics[topic].name;
                flag(format!("items without the topic {name:?}"), format!("topic {name:?}"))
            }
            (Self::Scale, Some(scale)) => {
                let name = |code: i32| (format!("level {code} of {:?}", scale.name), code.to_string());
                scale.levels.iter().map(|level| name(level.code)).collect()
            }
            (Self::Scale, None) => Vec::new(),
            (Self::Boilerplate, _) => flag("items that are no boilerplate".into(), "boilerplate".into()),
        }
    }

    /// The items of which the label is known, with their weights.
    pub(crate) fn examples<'m>(
        self,
        sample: &FitSample<'_>,
        matrix: &'m Matrix,
        class_weights: ClassWeights,
    ) -> Examples<'m> {
        let known = sample.gold.iter().enumerate().filter_map(|(row, item)| Some((row, self.level(&item.labels)?)));
        let (rows, levels): (Vec<usize>, Vec<usize>) = known.unzip();
        let level_count = if self == Self::Scale { sample.scheme.level_count() } else { 2 };
        let mut counts = vec![0.0; level_count];
        levels.iter().for_each(|&level| counts[level] += 1.0);
        let weight = |&level: &usize| match class_weights {
            ClassWeights::Equal => 1.0,
            ClassWeights::Balanced => levels.len() as f64 / (level_count as f64 * counts[level]),
        };
        let weights = levels.iter().map(weight).collect();
        Examples { matrix, level_count, rows, levels, weights }
    }
}

/// The classes of all labels, in the order of the scheme.
pub(crate) fn classes(scheme: &Scheme, gold: &[GoldItem]) -> Vec<Class> {
    let clusters = clusters(gold);
    let mut classes = Vec::new();
    for label in Label::all(scheme) {
        let levels: Vec<Option<usize>> = gold.iter().map(|item| label.level(&item.labels)).collect();
        let known = levels.iter().flatten().count();
        for (level, (name, short)) in label.class_names(scheme).into_iter().enumerate() {
            let of: Vec<usize> =
                levels.iter().zip(&clusters).filter(|(found, _)| **found == Some(level)).map(|(_, &c)| c).collect();
            let examples = of.len();
            let clusters = of.into_iter().collect::<BTreeSet<_>>().len();
            classes.push(Class { label, name, short, examples, clusters, known });
        }
    }
    classes
}

/// Whether every class of every label has examples enough: the number of parts that cross-validation can have.
///
/// # Errors
/// [`Error::TooFewExamples`] names the first class that has too few, or all from one document or group.
pub fn check_examples(scheme: &Scheme, gold: &[GoldItem]) -> Result<usize> {
    let mut folds = FOLDS;
    for class in classes(scheme, gold) {
        let remedy = |more: &str| match class.label {
            Label::Topic(_) => format!("{more}, or leave the topic out by a scheme without it (--scheme)"),
            Label::Scale => format!("{more}, or join levels, or leave the scale out by a scheme without it (--scheme)"),
            Label::Boilerplate => format!("{more}, or leave the flag out by a scheme without it (--scheme)"),
        };
        let fault = |found, unit, needed, remedy| {
            Err(Error::TooFewExamples { label: class.name.clone(), found, unit, items: class.known, needed, remedy })
        };
        if class.examples < FEWEST_EXAMPLES {
            return fault(class.examples, "examples", FEWEST_EXAMPLES, remedy("label more of them"));
        }
        if class.clusters < FEWEST_CLUSTERS {
            let remedy = remedy("label some from other documents");
            return fault(class.clusters, "document or group", FEWEST_CLUSTERS, remedy);
        }
        folds = folds.min(class.clusters);
    }
    Ok(folds)
}

/// A warning that names the classes with few examples.
pub(crate) fn few(classes: &[Class]) -> Option<String> {
    let few: Vec<String> = classes
        .iter()
        .filter(|class| class.examples < FEW_EXAMPLES)
        .map(|class| format!("{} ({})", class.name, class.examples))
        .collect();
    (!few.is_empty()).then(|| {
        format!(
            "fewer than {FEW_EXAMPLES} examples: {}; their labels will waver, and the figures are rough",
            few.join(", ")
        )
    })
}
