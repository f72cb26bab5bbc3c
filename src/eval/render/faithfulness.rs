//! Deletion curves for people.

use crate::eval::faithfulness::{Faithfulness, LabelFaithfulness};
use crate::eval::render::{Block, decimals, interval};

impl Faithfulness {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        vec![Block {
            title: "Faithfulness of explanations".into(),
            notes: self.notes(),
            header: self.header(),
            rows: self.rows(),
            ..Block::default()
        }]
    }

    /// What the table shows, and what to beware of.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            format!("{} texts explained; {} of the gold are too short", self.items, self.too_short),
            "a label's probability (of the scale: expected level, away from 0) on texts that were given the label: whole, and without \
             the words that an explanation says matter most / without as many random words"
                .into(),
            "area: random minus important, mean over the deletions; 0 if the explanation is no better than chance".into(),
        ];
        for system in &self.systems {
            let warned = system.labels.iter().filter_map(|label| Some((label, label.warning.as_ref()?)));
            notes.extend(warned.map(|(label, warning)| format!("{}, {}: {warning}", label.of, system.system)));
        }
        notes
    }

    pub(crate) fn header(&self) -> Vec<String> {
        let mut header: Vec<String> = ["label", "system", "n", "whole"].map(str::to_owned).to_vec();
        let longest = self.systems.iter().flat_map(|system| &system.labels).next();
        let points = longest.map_or(&[][..], |label| &label.points);
        header.extend(points.iter().map(|point| format!("−{}", point.words)));
        header.push("area".into());
        header
    }

    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let of = |system: &str, label: &LabelFaithfulness| {
            let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), decimals);
            let mut row = vec![label.of.clone(), system.to_owned(), label.items.to_string(), number(label.start)];
            let pair =
                label.points.iter().map(|point| format!("{} / {}", number(point.important), number(point.random)));
            row.extend(pair);
            row.push(interval(label.area, label.low, label.high));
            row
        };
        let rows = self.systems.iter().map(|system| (&system.system, &system.labels));
        rows.flat_map(|(name, labels)| labels.iter().map(move |label| of(name, label))).collect()
    }
}
