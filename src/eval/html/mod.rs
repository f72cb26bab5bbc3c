//! The report as one self-contained page: figures, plots, and the errors with their texts.
//!
//! In: an [`Evaluation`]. Out: a string of HTML that asks for nothing from anywhere. Its one script is inline and only filters lists;
//! without it everything is there and readable. Equal inputs make equal bytes.

mod abstention;
mod bars;
mod behaviour;
mod chart;
mod confusion;
mod curves;
mod errors;
mod faithfulness;
mod figures;
mod page;

use crate::eval::behaviour::BehaviourPairs;
use crate::eval::gold::GoldItem;
use crate::eval::report::{Report, System};
use crate::label::Scheme;

/// A report with what it was made of, which the page shows the errors from.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// The labels.
    pub scheme: &'a Scheme,
    /// The figures.
    pub report: &'a Report,
    /// The gold; may be empty.
    pub gold: &'a [GoldItem],
    /// The systems of the report, on the gold.
    pub systems: &'a [System],
    /// The minimal pairs; may be empty.
    pub pairs: &'a BehaviourPairs,
    /// The same systems on the members of the pairs.
    pub on_pairs: &'a [System],
}

/// Writes the page.
pub fn html_page(evaluation: &Evaluation<'_>) -> String {
    page::page(evaluation)
}

/// `topics.military.average_precision` as people say it.
fn words(figure: &str) -> String {
    let (scope, metric) = figure.rsplit_once('.').unwrap_or(("", figure));
    let metric = metric.replace('_', " ").replace("f1", "F1");
    let scope = scope.strip_prefix("topics.").unwrap_or(scope);
    if scope.is_empty() { metric } else { format!("{scope}, {metric}") }
}

/// The class that colours a system, by its place in the report.
fn series(system: usize) -> String {
    /// Colours that the style sheet has.
    const COLOURS: usize = 6;
    format!("s{}", system % COLOURS)
}

#[cfg(test)]
mod tests;
