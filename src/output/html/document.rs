//! What stands above the text of a document: its name, the strip chart, its figures.

use maud::{Markup, html};

use crate::output::html::paragraph::language_name;
use crate::output::html::strip::{self, Bar};
use crate::output::html::{colour_class, typeset, visible};
use crate::output::number::{signed_code, signed_mean};
use crate::output::{DocumentRecord, Summary};

/// What closes [`opening`].
pub(crate) const CLOSING: &str = "</div></article>\n";

/// Everything from the start of a document to its first paragraph.
pub(crate) fn opening(record: &DocumentRecord<'_>, document: usize, bars: &[Bar]) -> String {
    let summary = record.summary;
    let content = html! {
        header {
            h2 { bdi { (visible(record.document.id())) } }
            p.about { (about(record)) }
            @if let (Some(scale), false) = (&summary.scheme().scale, bars.is_empty()) {
                (strip::strip(scale, summary, bars, document))
            }
            @if summary.content() > 0 {
                div.facts {
                    (figures(summary, document))
                    (levels(summary))
                    (topics(summary))
                }
            }
            @if !record.document.fields().is_empty() {
                details.fields {
                    summary { "Other fields" }
                    dl {
                        @for (name, value) in record.document.fields() {
                            dt { (visible(name)) }
                            dd dir="auto" { (field(value)) }
                        }
                    }
                }
            }
        }
    };
    format!("<article class=\"document\" id=\"d{document}\">{}<div class=\"body\">\n", content.into_string())
}

fn about(record: &DocumentRecord<'_>) -> Markup {
    let summary = record.summary;
    html! {
        @match summary.paragraphs() {
            0 => "no paragraphs",
            1 => "1 paragraph",
            count => { (count) " paragraphs" },
        }
        @if let (true, Some(share)) = (summary.boilerplate() > 0, summary.boilerplate_share()) {
            ", " (summary.boilerplate()) " of them boilerplate (" (format!("{:.0}", share * 100.0)) " %)"
        }
        @if summary.paragraphs() > 0 {
            " · " (language_name(summary.language()))
        }
        " · " bdi { (visible(record.bundle)) }
    }
}

fn figures(summary: &Summary, document: usize) -> Markup {
    let (Some(scale), Some(peak)) = (&summary.scheme().scale, summary.escalation_peak()) else {
        return html! {};
    };
    let figure = |value: Option<f64>| typeset(&signed_mean(value));
    html! {
        div.figures {
            h3 { "Expected " (visible(&scale.name)) }
            dl {
                div { dt { "mean" } dd { (figure(summary.escalation_mean())) } }
                div {
                    dt { "peak" }
                    dd {
                        a href=(format!("#d{document}p{}", peak.paragraph)) { (figure(Some(peak.expected.into()))) }
                    }
                }
                div.range {
                    dt { "range" }
                    dd {
                        (figure(summary.escalation_min().map(f64::from)))
                        " … "
                        (figure(summary.escalation_max().map(f64::from)))
                    }
                }
            }
        }
    }
}

/// Paragraphs by level, highest on top, as on the chart.
fn levels(summary: &Summary) -> Markup {
    let Some(scale) = &summary.scheme().scale else {
        return html! {};
    };
    let most = summary.levels().map(|(_, count)| count).max().unwrap_or(0);
    let mut rows: Vec<_> = scale.levels.iter().zip(summary.levels()).collect();
    rows.reverse();
    html! {
        div.counts {
            h3 { "Paragraphs by level" }
            dl {
                @for (level, (code, count)) in rows {
                    @let name = format!("{} {}", typeset(&signed_code(code)), level.name);
                    (count_row(&name, &colour_class(scale, code.into()), count, most))
                }
            }
        }
    }
}

fn topics(summary: &Summary) -> Markup {
    if summary.scheme().topics.is_empty() {
        return html! {};
    }
    html! {
        div.counts {
            h3 { "Paragraphs by topic" }
            dl {
                @for (name, count) in summary.topics() {
                    (count_row(name, "topic", count, summary.content()))
                }
            }
        }
    }
}

fn count_row(name: &str, class: &str, count: usize, of: usize) -> Markup {
    let share = count as f64 / of.max(1) as f64 * 100.0;
    html! {
        div.row {
            dt { (visible(name)) }
            dd {
                span.track aria-hidden="true" { span.fill.(class) style=(format!("width:{share:.1}%")) {} }
                (count)
            }
        }
    }
}

fn field(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => visible(text).into_owned(),
        other => visible(&other.to_string()).into_owned(),
    }
}
