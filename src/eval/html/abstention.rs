//! The thresholds that reach a wanted precision: the tables of the printed report.

use maud::{Markup, html};

use crate::eval::abstention::Abstention;
use crate::output::html::visible;

/// The whole section.
pub(crate) fn section(abstention: &Abstention) -> Markup {
    html! {
        @for block in abstention.blocks() {
            h3 { (visible(&block.title)) }
            ul.notes { @for note in &block.notes { li { (visible(note)) } } }
            div.scroll { table.figures {
                thead { tr { @for name in &block.header { th scope="col" { (visible(name)) } } } }
                tbody {
                    @for row in &block.rows {
                        tr {
                            @for (place, cell) in row.iter().enumerate() {
                                @if place == 0 { th scope="row" { (visible(cell)) } } @else { td { (visible(cell)) } }
                            }
                        }
                    }
                }
            } }
            @if !block.findings.is_empty() {
                ul.notes { @for finding in &block.findings { li { (visible(finding)) } } }
            }
        }
    }
}
