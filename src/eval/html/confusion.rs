//! Gold against predicted levels, as a table whose cells are the darker the larger their share of the row.

use maud::{Markup, html};

use crate::eval::html::{Evaluation, series};
use crate::eval::metrics::ratio;
use crate::eval::report::Slice;
use crate::label::ScaleLevel;
use crate::output::html::{typeset, visible};
use crate::output::number::signed_code;

/// One table a system; nothing without a scale.
pub(crate) fn tables(evaluation: &Evaluation<'_>, all: &Slice) -> Markup {
    let levels = evaluation.scheme.scale.as_ref().map_or(&[][..], |scale| &scale.levels);
    html! {
        @for (index, scores) in all.systems.iter().enumerate().filter(|(_, scores)| !scores.confusion.is_empty()) {
            figure.confusion {
                figcaption { span.swatch.(series(index)) aria-hidden="true" {} (visible(&scores.system)) }
                div.scroll { (table(levels, &scores.confusion)) }
            }
        }
    }
}

fn table(levels: &[ScaleLevel], counts: &[Vec<u64>]) -> Markup {
    html! {
        table.heat {
            thead {
                tr {
                    th scope="col" { "gold ╲ predicted" }
                    @for level in levels {
                        th.number scope="col" title=(visible(&level.name)) { (typeset(&signed_code(level.code))) }
                    }
                    th.number scope="col" { "n" }
                }
            }
            tbody {
                @for (row, (level, counts)) in levels.iter().zip(counts).enumerate() {
                    @let sum: u64 = counts.iter().sum();
                    tr {
                        th scope="row" { b { (typeset(&signed_code(level.code))) } " " span.level { (visible(&level.name)) } }
                        @for (column, &count) in counts.iter().enumerate() {
                            @let share = if sum == 0 { 0.0 } else { ratio(count as f64, sum as f64) };
                            td.cell.right[row == column] style=(format!("--share:{share:.3}")) {
                                (count) " " small { (format!("{:.0} %", share * 100.0)) }
                            }
                        }
                        td.number { (sum) }
                    }
                }
            }
        }
    }
}
