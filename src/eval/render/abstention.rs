//! Abstention for people: the thresholds that reach the wanted precision, and the risk at each tenth of coverage.

use crate::eval::abstention::{Abstention, AbstentionCurve, AbstentionPoint, SystemAbstention};
use crate::eval::render::{Block, decimals};
use crate::eval::risk::at_coverage;

/// Rows of the table of risks: coverage from all down to a tenth.
const TENTHS: std::ops::RangeInclusive<u8> = 1..=10;

impl Abstention {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = vec![self.thresholds()];
        blocks.extend(self.systems.iter().filter(|system| !system.curves.is_empty()).map(risks));
        blocks
    }

    fn thresholds(&self) -> Block {
        let notes = vec![
            "the smallest threshold on the probability whose precision (of a scale: share of right levels) reaches this on the \
             gold; what is below it goes to a person"
                .into(),
            "chosen on these very items: on others the precision will be a little lower".into(),
        ];
        let header = ["label", "system", "n", "threshold", "kept", "precision", "recall", "opposite sign", "area"];
        let mut rows = Vec::new();
        let mut findings = Vec::new();
        for SystemAbstention { system, curves } in &self.systems {
            if curves.is_empty() {
                findings.push(format!("{system} gives no probabilities: it cannot say what it is unsure of"));
            }
            for curve in curves {
                rows.push(row(system, curve));
                if curve.chosen.is_none() {
                    findings.push(format!("{system}, {}: no threshold reaches the precision", curve.of));
                }
            }
        }
        findings.push("area: mean risk over all coverages (AURC), the lower the better".into());
        Block {
            title: format!("Abstention at precision {}", decimals(self.target_precision)),
            notes,
            header: header.map(str::to_owned).to_vec(),
            rows,
            findings,
        }
    }
}

fn row(system: &str, curve: &AbstentionCurve) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "–".into(), decimals);
    let chosen = curve.chosen;
    vec![
        curve.of.clone(),
        system.to_owned(),
        curve.items.to_string(),
        // In full: a rounded threshold keeps other items, and has another precision.
        chosen.map_or_else(|| "–".into(), |point| point.threshold.to_string()),
        number(chosen.map(|point| point.coverage)),
        number(chosen.map(|point| 1.0 - point.risk)),
        number(chosen.and_then(|point| point.recall)),
        number(chosen.and_then(|point| point.opposite_sign)),
        number(curve.area),
    ]
}

/// Risk at each tenth of coverage, a column a label.
fn risks(SystemAbstention { system, curves }: &SystemAbstention) -> Block {
    let mut header = vec!["kept".to_owned()];
    for curve in curves {
        header.push(curve.of.clone());
        if curve.points.iter().any(|point| point.opposite_sign.is_some()) {
            header.push(format!("{}, opposite sign", curve.of));
        }
    }
    let row = |tenth: u8| {
        let coverage = f64::from(tenth) / 10.0;
        let mut row = vec![format!("{coverage:.1}")];
        for curve in curves {
            let point = curve.points[at_coverage(&curve.points, |point: &AbstentionPoint| point.coverage, coverage)];
            row.push(decimals(point.risk));
            row.extend(point.opposite_sign.map(decimals));
        }
        row
    };
    let notes = vec![
        "share of wrong ones among the surest items, at each share of items kept (the least that is as much, where several \
         have one probability)"
            .into(),
    ];
    Block {
        title: format!("Risk by coverage, {system}"),
        notes,
        header,
        rows: TENTHS.rev().map(row).collect(),
        ..Block::default()
    }
}
