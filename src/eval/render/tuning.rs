//! Tuning for people: figures before and after, and what may be concluded from them.

use crate::eval::figure::{Metric, Scope};
use crate::eval::render::{Block, Style, cell, head, size, union, write};
use crate::eval::report::Report;
use crate::eval::tune::{AFTER, BEFORE, CROSS_FITTED, FOLDS, Tuned};

/// Figures that tuning moves.
fn is_shown(scope: Scope, metric: Metric) -> bool {
    use Metric::{
        ExpectedCalibrationError, F1, LogLoss, MacroF1, MacroMeanAbsoluteError, OppositeSignShare,
        QuadraticWeightedKappa,
    };
    match scope {
        Scope::Topics => metric == MacroF1,
        Scope::Topic(_) | Scope::Boilerplate => matches!(metric, F1 | ExpectedCalibrationError | LogLoss),
        Scope::Scale => matches!(
            metric,
            QuadraticWeightedKappa | MacroMeanAbsoluteError | OppositeSignShare | ExpectedCalibrationError | LogLoss
        ),
        Scope::Level(_) => false,
    }
}

impl Tuned {
    /// The figures for people.
    pub fn render(&self, style: Style) -> String {
        let mut block = head("Tuning", &self.report.gold, &self.report.bootstrap, "clusters");
        let Some(all) = self.report.slices.first() else { return write(&[block], style) };
        block.notes.insert(1, size(all.items, all.clusters, all.warning.as_deref()));
        block.notes.extend(self.kept.iter().map(|kept| format!("left as it was: {}: {}", kept.label, kept.reason)));
        block.notes.push(format!("{AFTER:?}: the new calibration on the items that it was fitted on, so too good"));
        let crossed = all.systems.iter().any(|scores| scores.system == CROSS_FITTED);
        block.notes.push(if crossed {
            format!("{CROSS_FITTED:?}: each item by a new calibration fitted on the other {} of {FOLDS} parts of the clusters", FOLDS - 1)
        } else {
            format!("figures out of sample need at least {FOLDS} clusters")
        });
        block.notes.extend(self.kept_in_folds.iter().map(|(label, folds)| {
            format!("{CROSS_FITTED:?}: {label} has the old calibration in {folds} of {FOLDS} parts, as it could not be fitted on the others")
        }));
        table(&mut block, &self.report);
        let compared = all.comparisons.iter().find(|pair| pair.first == BEFORE && pair.second == CROSS_FITTED);
        block.findings.extend(compared.iter().flat_map(|pair| &pair.differences).map(|found| found.words.clone()));
        write(&[block], style)
    }
}

/// A row for each figure that fitting and tuning move, a column for each system.
pub(crate) fn table(block: &mut Block, report: &Report) {
    let Some(all) = report.slices.first() else { return };
    block.header = ["figure", "n"].map(str::to_owned).to_vec();
    block.header.extend(report.systems.iter().map(|system| system.name.clone()));
    for (name, _, _) in union(all).into_iter().filter(|(_, scope, metric)| is_shown(*scope, *metric)) {
        let found: Vec<_> =
            all.systems.iter().map(|scores| scores.figures.iter().find(|figure| figure.name == name)).collect();
        let support = found.iter().flatten().map(|figure| figure.support).max().unwrap_or(0);
        let mut row = vec![name.replace('_', " "), support.to_string()];
        row.extend(found.into_iter().map(cell));
        block.rows.push(row);
    }
}
