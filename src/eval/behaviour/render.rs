//! Rates as tables for people.

use crate::eval::behaviour::rates::{BehaviourReport, BehaviourSlice, Rate, rate_words};
use crate::eval::render::{Block, interval, named};

/// One table of all behaviours, and one by language if there are languages.
pub(crate) fn blocks(report: &BehaviourReport) -> Vec<Block> {
    let (all, parts): (Vec<_>, Vec<_>) = report.slices.iter().partition(|slice| slice.by.is_none());
    let mut notes = vec![
        format!("pairs: {}", report.files.join(", ")),
        format!("labels of their texts by {}", named(&report.coders)),
        "pass: the labels change, or stay, as the pair demands; right: those of both texts are also those of the gold"
            .into(),
    ];
    notes.extend(all.iter().filter_map(|slice| Some(format!("{}: {}", slice.behaviour, slice.warning.as_ref()?))));
    let mut header = vec!["behaviour".to_owned(), "figure".into(), "n".into()];
    header.extend(systems(&all));
    let rows = all.iter().flat_map(|slice| {
        let figures = slice.systems.first().map_or(&[][..], |scores| &scores.figures);
        figures.iter().enumerate().map(|(index, figure)| {
            let mut row = vec![slice.behaviour.clone(), rate_words(&figure.name), support(slice, index).to_string()];
            row.extend(slice.systems.iter().map(|scores| cell(&scores.figures[index])));
            row
        })
    });
    let rows = rows.collect();
    let mut blocks = vec![Block { title: "Behaviour".into(), notes, header, rows, ..Block::default() }];
    if !parts.is_empty() {
        let mut header = vec!["lang".to_owned(), "behaviour".into(), "n".into()];
        header.extend(systems(&parts));
        let row = |slice: &&BehaviourSlice| {
            let mut row =
                vec![slice.value.clone().unwrap_or_default(), slice.behaviour.clone(), support(slice, 0).to_string()];
            row.extend(slice.systems.iter().filter_map(|scores| scores.figures.first()).map(cell));
            row
        };
        let rows = parts.iter().map(row).collect();
        let notes = vec!["share of pairs that pass; intervals say how little few pairs show".to_owned()];
        blocks.push(Block { title: "Behaviour by lang: pass".into(), notes, header, rows, ..Block::default() });
    }
    blocks
}

fn systems<'a>(slices: &[&'a BehaviourSlice]) -> impl Iterator<Item = String> + use<'a> {
    slices.first().map_or(&[][..], |slice| &slice.systems).iter().map(|scores| scores.system.clone())
}

/// Pairs that any system is scored on.
fn support(slice: &BehaviourSlice, figure: usize) -> u64 {
    slice.systems.iter().map(|scores| scores.figures[figure].support).max().unwrap_or(0)
}

fn cell(rate: &Rate) -> String {
    interval(rate.value, rate.low, rate.high)
}
