//! Abstention: how far a system's errors fall when it keeps only what it is surest of and leaves the rest to a person.
//!
//! In: gold, [`System`]s, the precision that is wanted. Out: for each label the risk–coverage curve (El-Yaniv and Wiener 2010;
//! Geifman and El-Yaniv 2017, "Selective classification for deep neural networks") and the threshold that reaches the precision.
//!
//! Of a topic or boilerplate the kept items are those whose probability of the label reaches the threshold, and the risk is
//! the share of them without the label: 1 − precision. Of the scale they are those whose decided level has at least that
//! probability, and the risk is the share of wrong levels. A threshold that was chosen on the gold does a little
//! better there than elsewhere.

use serde::{Serialize, Serializer};

use crate::eval::figure::Scope;
use crate::eval::gold::GoldItem;
use crate::eval::predicted::Predicted;
use crate::eval::report::{System, defined, rounded};
use crate::eval::risk::{Step, Sure, at_coverage, sweep};
use crate::label::Scheme;

/// Points of a curve in a report, at most: one at each hundredth of coverage, and the first.
const MOST_POINTS: usize = 101;

/// Every system's curves and thresholds.
#[derive(Debug, Clone, Serialize)]
pub struct Abstention {
    /// The precision that thresholds are to reach; of the scale, the share of right levels.
    pub target_precision: f64,
    /// In the order of the report's systems.
    pub systems: Vec<SystemAbstention>,
}

/// One system's curves.
#[derive(Debug, Clone, Serialize)]
pub struct SystemAbstention {
    /// Name of the system.
    pub system: String,
    /// Of each label that the system gives probabilities for, and that the gold knows; empty for a system of labels alone.
    pub curves: Vec<AbstentionCurve>,
}

/// The risk–coverage curve of one label.
#[derive(Debug, Clone, Serialize)]
pub struct AbstentionCurve {
    /// `topics.military`, `escalation`, `boilerplate`.
    pub of: String,
    /// Gold items that the label is known of.
    pub items: usize,
    /// Area under the curve (AURC, Geifman, Uziel and El-Yaniv 2019): mean risk over the coverages 1/n … n/n, items of one
    /// probability taken in random order. The lower the better; null without items.
    #[serde(serialize_with = "rounded")]
    pub area: Option<f64>,
    /// The point of the smallest threshold that reaches the precision; null if none does.
    pub chosen: Option<AbstentionPoint>,
    /// The curve from the highest threshold to the lowest, thinned to 101 points.
    pub points: Vec<AbstentionPoint>,
}

/// What one threshold gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AbstentionPoint {
    /// Least probability that is kept. In full, since a rounded one could leave out the item that it comes from.
    pub threshold: f64,
    /// Share of the items that are kept.
    #[serde(serialize_with = "rounded_number")]
    pub coverage: f64,
    /// Share of the kept items that are wrong.
    #[serde(serialize_with = "rounded_number")]
    pub risk: f64,
    /// Share of the items with the label that are kept; null of a scale, and without any.
    #[serde(serialize_with = "rounded")]
    pub recall: Option<f64>,
    /// Share of the kept items whose level has the sign opposite to gold; null of topics and boilerplate.
    #[serde(serialize_with = "rounded")]
    pub opposite_sign: Option<f64>,
}

fn rounded_number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    rounded(&Some(*value), serializer)
}

/// The curves of systems against gold.
///
/// # Panics
/// If a system does not have one prediction for each gold item.
pub fn abstention(scheme: &Scheme, gold: &[GoldItem], systems: &[System], target_precision: f64) -> Abstention {
    let of_system = |system: &System| {
        assert_eq!(system.predicted.len(), gold.len(), "one prediction for each gold item from {}", system.name);
        let pairs = || gold.iter().zip(&system.predicted);
        let topics = (0..scheme.topics.len()).map(|topic| {
            let sure = pairs().filter_map(|(gold, predicted)| {
                flag(predicted.topic_probabilities.as_ref()?[topic], gold.labels.topics.as_ref()?[topic])
            });
            (Scope::Topic(topic), sure.collect::<Vec<_>>())
        });
        let levels = pairs().filter_map(|(gold, predicted)| level(scheme, gold, predicted)).collect();
        let boilerplate =
            pairs().filter_map(|(gold, predicted)| flag(predicted.boilerplate_probability?, gold.labels.boilerplate?));
        let labels = topics.chain([(Scope::Scale, levels), (Scope::Boilerplate, boilerplate.collect())]);
        let curves = labels.filter(|(_, sure)| !sure.is_empty());
        let curve = |(scope, sure): (Scope, Vec<Sure>)| curve(scheme, scope, sure, target_precision);
        SystemAbstention { system: system.name.clone(), curves: curves.map(curve).collect() }
    };
    Abstention { target_precision, systems: systems.iter().map(of_system).collect() }
}

fn flag(probability: f64, gold: bool) -> Option<Sure> {
    Some(Sure { probability, is_wrong: !gold, is_opposite: false })
}

fn level(scheme: &Scheme, gold: &GoldItem, predicted: &Predicted) -> Option<Sure> {
    let levels = &scheme.scale.as_ref()?.levels;
    let (gold, decided) = (gold.labels.level?, predicted.labels.level?);
    let probability = predicted.level_probabilities.as_ref()?[decided];
    let is_opposite = levels[gold].code.signum() * levels[decided].code.signum() < 0;
    Some(Sure { probability, is_wrong: gold != decided, is_opposite })
}

fn curve(scheme: &Scheme, scope: Scope, sure: Vec<Sure>, target_precision: f64) -> AbstentionCurve {
    let items = sure.len();
    let positives = sure.iter().filter(|sure| !sure.is_wrong).count() as f64;
    let is_scale = scope == Scope::Scale;
    let steps = sweep(sure);
    let point = |step: &Step| {
        let kept = step.kept as f64;
        AbstentionPoint {
            threshold: step.threshold,
            coverage: kept / items as f64,
            risk: step.wrong as f64 / kept,
            recall: if is_scale { None } else { defined((step.kept - step.wrong) as f64 / positives) },
            opposite_sign: is_scale.then_some(step.opposite as f64 / kept),
        }
    };
    let points: Vec<AbstentionPoint> = steps.iter().map(point).collect();
    // With a tolerance, as `1 − target` may lie a bit below a risk that reaches it exactly.
    let reaches = |point: &&AbstentionPoint| point.risk <= 1.0 - target_precision + 1e-12;
    let chosen = points.iter().rev().find(reaches).copied();
    AbstentionCurve {
        of: scope.name(scheme),
        items,
        area: defined(area(&steps) / items as f64),
        chosen,
        points: thinned(points),
    }
}

/// Sum of the risks at each number of items kept; where items have one probability, the mean over their orders.
fn area(steps: &[Step]) -> f64 {
    let (mut kept, mut wrong, mut area) = (0, 0, 0.0);
    for step in steps {
        let tied = step.kept - kept;
        let share = (step.wrong - wrong) as f64 / tied as f64;
        for place in 1..=tied {
            area += (wrong as f64 + share * place as f64) / (kept + place) as f64;
        }
        (kept, wrong) = (step.kept, step.wrong);
    }
    area
}

/// Of many points, for each hundredth of coverage the first that reaches it.
fn thinned(points: Vec<AbstentionPoint>) -> Vec<AbstentionPoint> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    let steps = MOST_POINTS - 1;
    let at = |step| at_coverage(&points, |point: &AbstentionPoint| point.coverage, step as f64 / steps as f64);
    let mut places: Vec<usize> = (0..=steps).map(at).collect();
    places.dedup();
    places.into_iter().map(|place| points[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::record::Labels;
    use crate::eval::report::{ReportOptions, SystemKind, score};
    use crate::eval::tests::{World, scheme};
    use crate::eval::{Style, read_gold};

    /// Of (probability, right, opposite sign).
    fn curve_of(scope: Scope, items: &[(f64, bool, bool)], target: f64) -> AbstentionCurve {
        let sure = |&(probability, right, is_opposite): &(f64, bool, bool)| Sure {
            probability,
            is_wrong: !right,
            is_opposite,
        };
        let sure = items.iter().map(sure);
        curve(&scheme(), scope, sure.collect(), target)
    }

    #[test]
    fn a_curve_by_hand() {
        let items =
            [(0.9, true, false), (0.8, false, false), (0.7, true, false), (0.6, true, false), (0.1, false, false)];
        let curve = curve_of(Scope::Topic(1), &items, 0.75);
        assert_eq!((curve.of.as_str(), curve.items), ("topics.b", 5));
        // Precision 1, 1/2, 2/3, 3/4, 3/5: the smallest threshold that reaches 3/4 is not the first that does.
        let chosen = curve.chosen.unwrap();
        assert_eq!((chosen.threshold, chosen.coverage, chosen.recall), (0.6, 0.8, Some(1.0)));
        assert_eq!((chosen.risk, chosen.opposite_sign), (0.25, None));
        let area = (0.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0 + 2.0 / 5.0) / 5.0;
        assert!((curve.area.unwrap() - area).abs() < 1e-12);
        assert_eq!(curve_of(Scope::Topic(1), &items, 1.0).chosen.unwrap().recall, Some(1.0 / 3.0));
        assert_eq!(curve_of(Scope::Topic(1), &items, 0.6).chosen.unwrap().coverage, 1.0);
        assert_eq!(curve_of(Scope::Topic(1), &items[1..2], 0.1).chosen, None);
    }

    #[test]
    fn items_of_one_probability_are_kept_or_left_together() {
        let curve = curve_of(Scope::Scale, &[(0.5, true, false), (0.5, false, true), (0.9, false, false)], 0.5);
        assert_eq!(curve.points.len(), 2);
        let last = curve.points[1];
        assert_eq!((last.coverage, last.risk, last.recall), (1.0, 2.0 / 3.0, None));
        assert_eq!(last.opposite_sign, Some(1.0 / 3.0));
        assert_eq!(curve.chosen, None);
        // 1, then the mean over both orders of the tied pair: (1.5 / 2 + 2 / 3).
        assert!((curve.area.unwrap() - (1.0 + 0.75 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn long_curves_are_thinned_and_the_threshold_is_not() {
        let items: Vec<_> = (0..5000).map(|item| (1.0 - f64::from(item) / 5000.0, item != 4000, false)).collect();
        let curve = curve_of(Scope::Boilerplate, &items, 1.0);
        assert_eq!(curve.points.len(), MOST_POINTS);
        assert_eq!(curve.points[100].coverage, 1.0);
        let at = at_coverage(&curve.points, |point: &AbstentionPoint| point.coverage, 0.3);
        assert_eq!(curve.points[at].coverage, 0.3);
        assert_eq!(curve.chosen.unwrap().coverage, 4000.0 / 5000.0);
        let chosen = curve_of(Scope::Boilerplate, &items[..4003], 1.0).chosen.unwrap();
        assert_eq!(chosen.coverage, 4000.0 / 4003.0, "between two points of the thinned curve");
    }

    #[test]
    fn unknown_gold_and_systems_without_probabilities() {
        let gold = "id,text,topics,stance\n1,x,null,1\n2,y,a,-1\n3,z,,\n";
        let gold = read_gold("gold.csv", gold.as_bytes(), &scheme()).unwrap();
        let labels = Labels { topics: Some(vec![true, false]), level: Some(2), boilerplate: Some(false) };
        let plain = Predicted::from_labels(labels);
        let sure = Predicted {
            topic_probabilities: Some(vec![0.9, 0.2]),
            level_probabilities: Some(vec![0.1, 0.2, 0.7]),
            boilerplate_probability: Some(0.1),
            ..plain.clone()
        };
        let system = |name: &str, predicted: &Predicted| System {
            name: name.into(),
            kind: SystemKind::Predictions,
            predicted: vec![predicted.clone(); 3],
        };
        let systems = [system("sure", &sure), system("plain", &plain)];
        let found = abstention(&scheme(), &gold, &systems, 0.5);
        let of: Vec<(&str, usize)> =
            found.systems[0].curves.iter().map(|curve| (curve.of.as_str(), curve.items)).collect();
        assert_eq!(of, [("topics.a", 2), ("topics.b", 2), ("stance", 2)]);
        assert_eq!(found.systems[0].curves[2].points[0].opposite_sign, Some(0.5));
        assert!(found.systems[1].curves.is_empty());

        let mut report = score(&scheme(), &gold, &systems, &ReportOptions::default());
        assert!(!report.render(Style::Text).contains("Abstention"));
        report.abstention = Some(found);
        let text = report.render(Style::Text);
        for line in [
            "Abstention at precision 0.500\n",
            "topics.a  sure    2  0.9        1.000  0.500",
            "sure, topics.b: no threshold reaches the precision",
            "plain gives no probabilities: it cannot say what it is unsure of",
            "Risk by coverage, sure\n",
            "kept  topics.a  topics.b  stance  stance, opposite sign",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(report.render(Style::Markdown).contains("| label | system | n | threshold | kept |"));
    }

    #[test]
    fn a_printed_threshold_reaches_the_printed_precision() {
        // Three decimals would keep the wrong one as well.
        let items = [(0.9876, true, false), (0.9872, false, false)];
        let curves = vec![curve_of(Scope::Topic(0), &items, 1.0)];
        let systems = vec![SystemAbstention { system: "s".into(), curves }];
        let blocks = Abstention { target_precision: 1.0, systems }.blocks();
        assert_eq!(blocks[0].rows[0][3..6], ["0.9876", "0.500", "1.000"]);
    }

    #[test]
    fn who_is_surer_is_more_often_right() {
        let mut world = World::new(2);
        let gold = world.gold(300);
        let [better, worse] = [0.8, 0.2].map(|skill| System {
            name: format!("skill {skill}"),
            kind: SystemKind::Bundle,
            predicted: world.system(&gold, skill),
        });
        let found = abstention(&world.scheme, &gold, &[better, worse], 0.9);
        for (better, worse) in found.systems[0].curves.iter().zip(&found.systems[1].curves) {
            assert!(better.area < worse.area, "{}: {:?} {:?}", better.of, better.area, worse.area);
            assert!(better.points[0].risk <= better.points[better.points.len() - 1].risk, "{}", better.of);
        }
    }
}
