//! Deletion curves: a table, as in the report for a terminal.

use maud::{Markup, html};

use crate::eval::faithfulness::Faithfulness;
use crate::output::html::visible;

/// The whole section.
pub(crate) fn section(found: &Faithfulness) -> Markup {
    html! {
        ul.notes { @for note in found.notes() { li { (visible(&note)) } } }
        div.scroll { table.figures {
            thead { tr { @for name in found.header() { th scope="col" { (visible(&name)) } } } }
            tbody {
                @for row in found.rows() {
                    tr {
                        @for (column, cell) in row.iter().enumerate() {
                            @if column == 0 { th scope="row" { (visible(cell)) } } @else { td { (visible(cell)) } }
                        }
                    }
                }
            }
        } }
    }
}
