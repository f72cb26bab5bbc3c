//! Fitting for people: what cross-validation says of the new heads.

use crate::eval::fit::{CROSS_VALIDATED, Fitted};
use crate::eval::render::tuning::table;
use crate::eval::render::{Style, head, size, write};

impl Fitted {
    /// The figures for people.
    pub fn render(&self, style: Style) -> String {
        let mut block = head("Fitting", &self.report.gold, &self.report.bootstrap, "clusters");
        let Some(all) = self.report.slices.first() else { return write(&[block], style) };
        block.notes.insert(1, size(all.items, all.clusters, all.warning.as_deref()));
        block.notes.push(format!(
            "{CROSS_VALIDATED:?}: each item by heads fitted on the other {} of {} parts of the clusters",
            self.folds - 1,
            self.folds
        ));
        block.notes.push("\"majority\": the same answer for every item, what most of the gold has".into());
        table(&mut block, &self.report);
        write(&[block], style)
    }
}
