//! Rates on minimal pairs: the table, the bars, and the pairs that do not pass.

use maud::{Markup, html};

use crate::eval::behaviour::{BehaviourReport, rate_words};
use crate::eval::html::figures::value_cell;
use crate::eval::html::{Evaluation, bars, errors, series};
use crate::eval::render::{interval, named};
use crate::output::html::visible;

/// The whole section.
pub(crate) fn section(evaluation: &Evaluation<'_>, report: &BehaviourReport) -> Markup {
    let systems: Vec<String> = evaluation.on_pairs.iter().map(|system| system.name.clone()).collect();
    let warnings = report.slices.iter().filter(|slice| slice.by.is_none());
    let warnings: Vec<_> = warnings.filter_map(|slice| Some((&slice.behaviour, slice.warning.as_ref()?))).collect();
    html! {
        p {
            "Minimal pairs from " (visible(&report.files.join(", "))) "; labels of their texts by " (visible(&named(&report.coders)))
            ". A pair passes if the labels change, or stay, as it demands; it is right if those of both texts are also those of the gold."
        }
        @if !warnings.is_empty() {
            ul.notes { @for (name, warning) in warnings { li { (visible(name)) ": " (warning) } } }
        }
        (table(report))
        div.plots { (bars::behaviours(report, &systems)) }
        (errors::failing_pairs(evaluation))
    }
}

fn table(report: &BehaviourReport) -> Markup {
    let all: Vec<_> = report.slices.iter().filter(|slice| slice.by.is_none()).collect();
    html! {
        div.scroll { table.figures {
            thead { tr {
                th scope="col" { "behaviour" } th scope="col" { "pairs that" } th.number scope="col" { "n" }
                @for (index, scores) in all.first().map_or(&[][..], |slice| &slice.systems).iter().enumerate() {
                    th.value scope="col" { span.swatch.(series(index)) aria-hidden="true" {} (visible(&scores.system)) }
                }
            } }
            tbody {
                @for slice in all {
                    @let figures = slice.systems.first().map_or(&[][..], |scores| &scores.figures);
                    @for (index, figure) in figures.iter().enumerate() {
                        tr {
                            th scope="row" { (visible(&slice.behaviour)) }
                            td { (rate_words(&figure.name)) }
                            td.number { (slice.systems.iter().map(|scores| scores.figures[index].support).max().unwrap_or(0)) }
                            @for scores in &slice.systems {
                                @let rate = &scores.figures[index];
                                (value_cell(&interval(rate.value, rate.low, rate.high)))
                            }
                        }
                    }
                }
            }
        } }
    }
}
