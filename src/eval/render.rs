//! Reports for people: the same tables as aligned text for a terminal and as Markdown for a README.
//!
//! In: a [`Report`] or an [`AgreementReport`]. Out: a string.

mod abstention;
mod faithfulness;
mod fitting;
mod tuning;

use unicode_width::UnicodeWidthStr;

use crate::eval::abstention::Abstention;
use crate::eval::agreement::{AgreementReport, AgreementSlice};
use crate::eval::behaviour;
use crate::eval::compare::{Comparison, McNemar, p_in_words};
use crate::eval::faithfulness::Faithfulness;
use crate::eval::figure::{Metric, Scope};
use crate::eval::report::{BootstrapInfo, Coder, Dimension, Figure, GoldInfo, Report, Slice};

/// How tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Columns aligned by spaces.
    Text,
    /// Pipe tables of GitHub-flavoured Markdown.
    Markdown,
}

/// Figures that a slice's row shows.
pub(crate) const HEADLINES: [(Scope, Metric); 4] = [
    (Scope::Topics, Metric::MacroF1),
    (Scope::Scale, Metric::QuadraticWeightedKappa),
    (Scope::Scale, Metric::MacroMeanAbsoluteError),
    (Scope::Boilerplate, Metric::F1),
];

/// A heading, notes, a table, and what follows from the table.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) title: String,
    pub(crate) notes: Vec<String>,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) findings: Vec<String>,
}

/// Lines by style.
fn write(blocks: &[Block], style: Style) -> String {
    let mut out = String::new();
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match style {
            Style::Text => block.write_text(&mut out),
            Style::Markdown => block.write_markdown(&mut out),
        }
    }
    out
}

impl Block {
    fn write_text(&self, out: &mut String) {
        out.push_str(&self.title);
        out.push('\n');
        for note in &self.notes {
            *out += &format!("  {note}\n");
        }
        let rows: Vec<&Vec<String>> = std::iter::once(&self.header).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..self.header.len()).map(|column| width(column).unwrap_or(0)).collect();
        for row in rows.iter().filter(|row| !row.is_empty()) {
            let mut line = String::from("  ");
            for (cell, width) in row.iter().zip(&widths) {
                line += &format!("{cell}{}  ", " ".repeat(width - cell.width()));
            }
            *out += line.trim_end();
            out.push('\n');
        }
        for finding in &self.findings {
            *out += &format!("  {finding}\n");
        }
    }

    fn write_markdown(&self, out: &mut String) {
        *out += &format!("### {}\n\n", self.title);
        for note in &self.notes {
            *out += &format!("- {note}\n");
        }
        if self.header.is_empty() {
            return;
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        *out += &line(&self.header);
        *out += &line(&vec!["---".to_owned(); self.header.len()]);
        for row in &self.rows {
            *out += &line(row);
        }
        if !self.findings.is_empty() {
            out.push('\n');
        }
        for finding in &self.findings {
            *out += &format!("- {finding}\n");
        }
    }
}

impl Report {
    /// The report for people.
    pub fn render(&self, style: Style) -> String {
        let unit = if self.slices.is_empty() { "pairs" } else { "clusters" };
        let mut blocks = vec![head("Evaluation", &self.gold, &self.bootstrap, unit)];
        let behaviour = self.behaviour.as_ref().map_or_else(Vec::new, behaviour::blocks);
        let Some((all, slices)) = self.slices.split_first() else {
            blocks.extend(behaviour);
            return write(&blocks, style);
        };
        blocks[0].notes.insert(1, size(all.items, all.clusters, all.warning.as_deref()));
        blocks.extend(self.figures(all));
        blocks.extend(all.comparisons.iter().map(|comparison| {
            let mut notes: Vec<String> = comparison.differences.iter().map(|found| found.words.clone()).collect();
            notes.extend(comparison.mcnemar.iter().map(|test| mcnemar_words(comparison, test)));
            let title = format!("{} and {} compared on the same items", comparison.first, comparison.second);
            Block { title, notes, ..Block::default() }
        }));
        blocks.extend(all.systems.iter().filter(|scores| !scores.confusion.is_empty()).map(|scores| {
            let codes: Vec<String> = level_codes(all, &scores.system);
            let header = std::iter::once("gold / predicted".to_owned()).chain(codes.iter().cloned()).collect();
            let row = |(code, cells): (&String, &Vec<u64>)| {
                std::iter::once(code.clone()).chain(cells.iter().map(u64::to_string)).collect()
            };
            let rows = codes.iter().zip(&scores.confusion).map(row).collect();
            Block { title: format!("Levels, {}", scores.system), header, rows, ..Block::default() }
        }));
        blocks.extend(self.abstention.iter().flat_map(Abstention::blocks));
        for dimension in [Dimension::Lang, Dimension::Source, Dimension::Genre, Dimension::Length] {
            let part: Vec<&Slice> = slices.iter().filter(|slice| slice.by == Some(dimension)).collect();
            if !part.is_empty() {
                blocks.push(sliced(dimension, &part));
            }
        }
        blocks.extend(behaviour);
        blocks.extend(self.faithfulness.iter().flat_map(Faithfulness::blocks));
        write(&blocks, style)
    }

    /// One table for each scope, systems side by side.
    fn figures(&self, slice: &Slice) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let names: Vec<(&str, Scope, Metric)> = union(slice);
        for (name, _, _) in names {
            let (scope, metric) = name.rsplit_once('.').unwrap_or(("", name));
            if blocks.last().is_none_or(|block| block.title != scope) {
                let header = ["figure".to_owned(), "n".to_owned()].into_iter();
                let header = header.chain(self.systems.iter().map(|system| system.name.clone())).collect();
                blocks.push(Block { title: scope.to_owned(), header, ..Block::default() });
            }
            let found: Vec<Option<&Figure>> =
                slice.systems.iter().map(|scores| scores.figures.iter().find(|figure| figure.name == name)).collect();
            let support = found.iter().flatten().map(|figure| figure.support).max().unwrap_or(0);
            let mut row = vec![metric.replace('_', " "), support.to_string()];
            row.extend(found.into_iter().map(cell));
            if let Some(block) = blocks.last_mut() {
                block.rows.push(row);
            }
        }
        blocks
    }
}

/// McNemar's test in words.
pub(crate) fn mcnemar_words(comparison: &Comparison, test: &McNemar) -> String {
    let p = test.p.map_or_else(|| "not tested".into(), p_in_words);
    let [one, other] = [test.only_first_right, test.only_second_right];
    format!(
        "{}: items that only {} got right: {one}, only {}: {other} (McNemar, items as if independent, {p})",
        test.of, comparison.first, comparison.second
    )
}

/// The figures that any system has, in the order of a report.
pub(crate) fn union(slice: &Slice) -> Vec<(&str, Scope, Metric)> {
    let figures = merged(slice.systems.iter().map(|scores| scores.figures.as_slice()));
    figures.into_iter().map(|figure| (figure.name.as_str(), figure.scope, figure.metric)).collect()
}

/// The figures of all lists, the first of each name, each behind what stands before it in its list.
fn merged<'a>(lists: impl Iterator<Item = &'a [Figure]>) -> Vec<&'a Figure> {
    let mut all: Vec<&Figure> = Vec::new();
    for list in lists {
        let mut place = 0;
        for figure in list {
            match all.iter().position(|other| other.name == figure.name) {
                Some(known) => place = known + 1,
                None => {
                    all.insert(place, figure);
                    place += 1;
                }
            }
        }
    }
    all
}

/// The codes of the levels, from the names of the levels' figures.
fn level_codes(slice: &Slice, system: &str) -> Vec<String> {
    let scores = slice.systems.iter().filter(|scores| scores.system == system);
    let figures = scores.flat_map(|scores| &scores.figures);
    let levels =
        figures.filter(|figure| matches!(figure.scope, Scope::Level(_)) && figure.metric == Metric::PrevalenceError);
    levels.map(|figure| figure.name.split('.').nth(1).unwrap_or_default().to_owned()).collect()
}

/// The first block; `unit` is what the bootstrap draws.
fn head(title: &str, gold: &GoldInfo, bootstrap: &BootstrapInfo, unit: &str) -> Block {
    let mut notes = Vec::new();
    if !gold.files.is_empty() || !gold.coders.is_empty() {
        notes = vec![format!("gold: {}", gold.files.join(", ")), format!("coded by {}", named(&gold.coders))];
    }
    if !gold.second_coders.is_empty() {
        notes.push(format!("second coder: {}", named(&gold.second_coders)));
    }
    let BootstrapInfo { replicates, seed, level } = bootstrap;
    let percent = level * 100.0;
    notes.push(format!(
        "in brackets: {percent} % bootstrap intervals over {unit}, {replicates} replicates, seed {seed}"
    ));
    notes.push("–: not defined (nothing of that kind in gold or predictions)".into());
    Block { title: title.into(), notes, ..Block::default() }
}

pub(crate) fn named(coders: &[Coder]) -> String {
    let coder = |coder: &Coder| {
        format!("{} ({} items)", coder.name.as_deref().unwrap_or("a coder whom the gold does not name"), coder.items)
    };
    coders.iter().map(coder).collect::<Vec<_>>().join(", ")
}

fn size(items: usize, clusters: usize, warning: Option<&str>) -> String {
    warning.map_or_else(|| format!("{items} items in {clusters} clusters"), ToOwned::to_owned)
}

fn cell(figure: Option<&Figure>) -> String {
    figure.map_or_else(|| "–".into(), |figure| interval(figure.value, figure.low, figure.high))
}

/// `0.790 [0.760, 0.820]`; `–` where there is no value.
pub(crate) fn interval(value: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    match (value, low, high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{} [{}, {}]", decimals(value), decimals(low), decimals(high))
        }
        (Some(value), ..) => decimals(value),
        (None, ..) => "–".into(),
    }
}

/// Three decimals, never `-0.000`.
pub(crate) fn decimals(value: f64) -> String {
    format!("{:.3}", (value * 1e3).round() / 1e3 + 0.0)
}

/// One row a slice and system, with the headline figures; then what the comparisons say.
fn sliced(dimension: Dimension, slices: &[&Slice]) -> Block {
    let mut block = Block { title: format!("By {}", dimension.name()), ..Block::default() };
    let shown: Vec<(Scope, Metric, String)> = slices
        .iter()
        .flat_map(|slice| union(slice))
        .filter(|(_, scope, metric)| HEADLINES.contains(&(*scope, *metric)))
        .map(|(name, scope, metric)| (scope, metric, name.replace('_', " ")))
        .fold(Vec::new(), |mut shown, figure| {
            if !shown.contains(&figure) {
                shown.push(figure);
            }
            shown
        });
    block.header = [dimension.name(), "n", "system"].map(str::to_owned).to_vec();
    block.header.extend(shown.iter().map(|(_, _, name)| name.clone()));
    for slice in slices {
        let value = slice.value.clone().unwrap_or_default();
        if let Some(warning) = &slice.warning {
            block.notes.push(format!("{value}: {warning}"));
        }
        for scores in &slice.systems {
            let figure = |scope: Scope, metric: Metric| {
                scores.figures.iter().find(|figure| figure.scope == scope && figure.metric == metric)
            };
            let mut row = vec![value.clone(), slice.items.to_string(), scores.system.clone()];
            row.extend(shown.iter().map(|(scope, metric, _)| cell(figure(*scope, *metric))));
            block.rows.push(row);
        }
    }
    let mut open = 0;
    for slice in slices {
        let value = slice.value.as_deref().unwrap_or_default();
        for difference in slice.comparisons.iter().flat_map(|comparison| &comparison.differences) {
            match (difference.established, difference.p) {
                (true, _) => block.findings.push(format!("{value}: {}", difference.words)),
                (false, Some(_)) => open += 1,
                (false, None) => {}
            }
        }
    }
    if open > 0 {
        block.findings.push(format!("{open} more differences were tested and are not established"));
    }
    block
}

impl AgreementReport {
    /// The report for people.
    pub fn render(&self, style: Style) -> String {
        let mut blocks = vec![head("Agreement", &self.gold, &self.bootstrap, "clusters")];
        blocks[0].notes.push(
            "two coders with one another are the ceiling: a system that agrees with a coder as much as the other coder does \
             cannot be told from a coder by these labels"
                .into(),
        );
        blocks.extend(self.slices.iter().map(pairs));
        write(&blocks, style)
    }
}

fn pairs(slice: &AgreementSlice) -> Block {
    let title = match (slice.by, &slice.value) {
        (Some(by), Some(value)) => format!("{} {value}", by.name()),
        _ => "All items".into(),
    };
    let notes = vec![size(slice.items, slice.clusters, slice.warning.as_deref())];
    let mut header = vec!["figure".to_owned(), "n".to_owned()];
    header.extend(slice.pairs.iter().map(|pair| format!("{} – {}", pair.one, pair.other)));
    let row = |figure: &Figure| {
        let mut row = vec![figure.name.replace('_', " "), figure.support.to_string()];
        let same = slice.pairs.iter().map(|pair| pair.figures.iter().find(|other| other.name == figure.name));
        row.extend(same.map(cell));
        row
    };
    let rows = merged(slice.pairs.iter().map(|pair| pair.figures.as_slice())).into_iter().map(row).collect();
    Block { title, notes, header, rows, ..Block::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::eval::report::{ReportOptions, Scores, System, SystemKind, score};
    use crate::eval::tests::World;

    #[test]
    fn figures_of_either_system_are_shown() {
        let mut world = World::new(8);
        let gold = world.gold(60);
        let mut systems = [0.9, 0.5].map(|skill| System {
            name: format!("skill {skill}"),
            kind: SystemKind::Predictions,
            predicted: world.system(&gold, skill),
        });
        systems[0].predicted.iter_mut().for_each(|predicted| predicted.level_probabilities = None);
        systems[1].predicted.iter_mut().for_each(|predicted| predicted.topic_probabilities = None);
        let report = score(&world.scheme, &gold, &systems, &ReportOptions::default());
        let slice = &report.slices[0];
        let names = |scores: &Scores| scores.figures.iter().map(|figure| figure.name.clone()).collect::<BTreeSet<_>>();
        let [one, other] = [names(&slice.systems[0]), names(&slice.systems[1])];
        assert!(!one.is_subset(&other) && !other.is_subset(&one));
        let shown: BTreeSet<String> = union(slice).into_iter().map(|(name, ..)| name.to_owned()).collect();
        assert_eq!(shown, &one | &other);
    }
}
