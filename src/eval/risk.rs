//! Abstention: how often the decisions are wrong that are left when the least probable ones go to a person.
//!
//! In: gold and one system's predictions. Out: [`RiskPoint`]s, from the most probable decisions alone to all of them.

use crate::eval::figure::Scope;
use crate::eval::gold::GoldItem;
use crate::eval::metrics::ratio;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;

/// One decision of a system on one item whose gold label is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decision {
    /// A topic, the scale or boilerplate.
    pub(crate) scope: Scope,
    /// Whether it is not that of the gold.
    pub(crate) is_wrong: bool,
    /// The probability that the system gives to what it decided, be that a yes or a no; `None` without probabilities.
    pub(crate) probability: Option<f64>,
}

/// The decisions on one item: topics, scale, boilerplate.
pub(crate) fn decisions(gold: &Labels, predicted: &Predicted) -> Vec<Decision> {
    let mut found = Vec::new();
    let flag = |scope, gold: bool, decided: bool, probability: Option<f64>| Decision {
        scope,
        is_wrong: gold != decided,
        probability: probability.map(|probability| if decided { probability } else { 1.0 - probability }),
    };
    if let (Some(gold), Some(decided)) = (&gold.topics, &predicted.labels.topics) {
        for (topic, (&gold, &decided)) in gold.iter().zip(decided).enumerate() {
            let probability = predicted.topic_probabilities.as_ref().map(|all| all[topic]);
            found.push(flag(Scope::Topic(topic), gold, decided, probability));
        }
    }
    if let (Some(gold), Some(decided)) = (gold.level, predicted.labels.level) {
        let probability = predicted.level_probabilities.as_ref().map(|all| all[decided]);
        found.push(Decision { scope: Scope::Scale, is_wrong: gold != decided, probability });
    }
    if let (Some(gold), Some(decided)) = (gold.boilerplate, predicted.labels.boilerplate) {
        found.push(flag(Scope::Boilerplate, gold, decided, predicted.boilerplate_probability));
    }
    found
}

/// Where a system stands that keeps the decisions of at least some probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiskPoint {
    /// The probability from which on a decision is kept.
    pub threshold: f64,
    /// Decisions that are kept.
    pub kept: usize,
    /// Share of the decisions that are kept, in (0, 1].
    pub coverage: f64,
    /// Share of wrong decisions among those kept.
    pub risk: f64,
}

/// What the sweep needs to know of a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sure {
    pub(crate) probability: f64,
    pub(crate) is_wrong: bool,
    /// Whether a level has the sign opposite to gold.
    pub(crate) is_opposite: bool,
}

/// Counts of what is kept at one threshold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) threshold: f64,
    pub(crate) kept: usize,
    pub(crate) wrong: usize,
    pub(crate) opposite: usize,
}

/// One step for each different probability, from high to low. Decisions of equal probability stay together, since no threshold tells
/// them apart; the last step keeps all.
pub(crate) fn sweep(mut decisions: Vec<Sure>) -> Vec<Step> {
    decisions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let mut step = Step { threshold: 0.0, kept: 0, wrong: 0, opposite: 0 };
    let equals = decisions.chunk_by(|a, b| a.probability == b.probability);
    let next = |equals: &[Sure]| {
        step.threshold = equals[0].probability;
        step.kept += equals.len();
        step.wrong += equals.iter().filter(|sure| sure.is_wrong).count();
        step.opposite += equals.iter().filter(|sure| sure.is_opposite).count();
        step
    };
    equals.map(next).collect()
}

/// The place of the first point that keeps at least this share of the decisions; of a share above all, the last. From the coverage of each
/// point, which rises.
pub(crate) fn at_coverage<P>(points: &[P], coverage_of: impl Fn(&P) -> f64, coverage: f64) -> usize {
    // A share such as 0.3 may lie a bit above 3 / 10.
    points.partition_point(|point| coverage_of(point) < coverage - 1e-12).min(points.len().saturating_sub(1))
}

/// The risk–coverage curve (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017) of decisions given as probability of the decision and
/// whether it is wrong: one point for each different probability, from high to low. Decisions of equal probability stay together, since no
/// threshold tells them apart; the last point keeps all.
///
/// ```
/// use detente::eval::risk_coverage;
///
/// let points = risk_coverage(&[(0.9, false), (0.6, true), (0.8, false), (0.6, false)]);
/// let shown: Vec<_> = points.iter().map(|point| (point.threshold, point.kept, point.coverage, point.risk)).collect();
/// assert_eq!(shown, [(0.9, 1, 0.25, 0.0), (0.8, 2, 0.5, 0.0), (0.6, 4, 1.0, 0.25)]);
/// ```
pub fn risk_coverage(decisions: &[(f64, bool)]) -> Vec<RiskPoint> {
    let sure = |&(probability, is_wrong): &(f64, bool)| Sure { probability, is_wrong, is_opposite: false };
    let point = |Step { threshold, kept, wrong, .. }: Step| RiskPoint {
        threshold,
        kept,
        coverage: ratio(kept as f64, decisions.len() as f64),
        risk: ratio(wrong as f64, kept as f64),
    };
    sweep(decisions.iter().map(sure).collect()).into_iter().map(point).collect()
}

/// The curve of one topic, of the scale or of boilerplate; empty without probabilities.
pub(crate) fn curve(scope: Scope, gold: &[GoldItem], predicted: &[Predicted]) -> Vec<RiskPoint> {
    let of_item = |(item, predicted): (&GoldItem, &Predicted)| {
        let found = decisions(&item.labels, predicted).into_iter().find(|decision| decision.scope == scope)?;
        Some((found.probability?, found.is_wrong))
    };
    risk_coverage(&gold.iter().zip(predicted).filter_map(of_item).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_has_the_probability_of_its_own_side() {
        let gold = Labels { topics: Some(vec![true, false]), level: Some(0), boilerplate: None };
        let predicted = Predicted {
            labels: Labels { topics: Some(vec![false, false]), level: Some(2), boilerplate: Some(false) },
            topic_probabilities: Some(vec![0.25, 0.125]),
            level_probabilities: Some(vec![0.5, 0.25, 0.25]),
            boilerplate_probability: Some(0.0),
        };
        let found: Vec<_> = decisions(&gold, &predicted)
            .iter()
            .map(|decision| (decision.scope, decision.is_wrong, decision.probability))
            .collect();
        let expected = [
            (Scope::Topic(0), true, Some(0.75)),
            (Scope::Topic(1), false, Some(0.875)),
            (Scope::Scale, true, Some(0.25)),
        ];
        assert_eq!(found, expected, "a label that the gold does not know is left out");
    }

    #[test]
    fn equals_stay_together_and_nothing_is_nothing() {
        let points = risk_coverage(&[(0.5, true), (0.5, false), (0.5, true)]);
        assert_eq!(points, [RiskPoint { threshold: 0.5, kept: 3, coverage: 1.0, risk: 2.0 / 3.0 }]);
        assert_eq!(risk_coverage(&[]), []);
        let points = risk_coverage(&[(0.9, true), (0.8, false), (0.7, false), (0.6, false)]);
        let at = |coverage| points[at_coverage(&points, |point: &RiskPoint| point.coverage, coverage)].threshold;
        assert_eq!([0.1, 0.5, 0.51, 0.75, 0.8, 1.0].map(at), [0.9, 0.8, 0.7, 0.7, 0.6, 0.6], "at least so many");
    }

    #[test]
    fn without_probabilities_there_is_no_curve() {
        let labels = Labels { topics: None, level: Some(1), boilerplate: None };
        assert_eq!(decisions(&labels, &Predicted::from_labels(labels.clone()))[0].probability, None);
    }
}
