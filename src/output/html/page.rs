//! What surrounds the documents: head, masthead with legend, overview, footer.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::label::Scheme;
use crate::output::html::strip::{self, Bar};
use crate::output::html::{colour_class, typeset, visible};
use crate::output::number::{signed_code, signed_mean};
use crate::output::{By, DocumentRecord, SCHEMA};

/// Colours that all pages have in common, light and dark.
pub(crate) const PALETTE: &str = include_str!("palette.css");
/// The style sheet, inlined.
const STYLE: &str = include_str!("style.css");
/// No script, no request: whatever an input smuggles in stays text.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The head of a page that stands alone: `policy` says what the browser may run and ask for, `style` comes after [`PALETTE`].
pub(crate) fn head(title: &str, policy: &str, style: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="referrer" content="no-referrer";
            meta name="color-scheme" content="light dark";
            meta name="generator" content=(concat!("detente ", env!("CARGO_PKG_VERSION")));
            title { (title) }
            style { (PreEscaped(PALETTE)) (PreEscaped(style)) }
        }
    }
}

/// Everything up to the first document.
pub(crate) fn opening(scheme: &Scheme, by: By, title: Option<&str>) -> String {
    let title = title.map_or_else(|| default_title(scheme), |title| visible(title).into_owned());
    let masthead = html! {
        svg.definitions width="0" height="0" aria-hidden="true" {
            defs {
                pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line x1="0" y1="0" x2="0" y2="7" {}
                }
            }
        }
        header.masthead {
            h1 { (title) }
            a.skip href="#overview" { "Overview" }
            (legend(scheme))
        }
    };
    let rows = if by == By::Document { overview_head(scheme).into_string() } else { String::new() };
    format!(
        "{}<html lang=\"en\">{}<body>{}<main>{rows}\n",
        DOCTYPE.into_string(),
        head(&title, POLICY, STYLE).into_string(),
        masthead.into_string()
    )
}

/// Everything after the last document.
pub(crate) fn closing(scheme: &Scheme, by: By, documents: usize, overview: &[String], bundle: &str) -> String {
    let mut page = String::from(if by == By::Document { "</tbody></table></main>" } else { "</main>" });
    if by == By::Paragraph && documents > 1 {
        page.push_str("<nav id=\"overview\" aria-label=\"Documents\">");
        page.push_str(&overview_head(scheme).into_string());
        page.extend(overview.iter().map(String::as_str));
        page.push_str("</tbody></table>");
        if documents > overview.len() {
            page.push_str(&html! { p { "and " (documents - overview.len()) " more documents below" } }.into_string());
        }
        page.push_str("</nav>");
    }
    let footer = html! {
        footer {
            p {
                "Labels are estimates of a model"
                @if !bundle.is_empty() { ", " bdi { (visible(bundle)) } }
                "; every one has its probability. Read the text before you cite a label."
            }
            p { "detente " (env!("CARGO_PKG_VERSION")) ", record schema " (SCHEMA) }
        }
    };
    page.push_str(&footer.into_string());
    page.push_str("</body></html>\n");
    page
}

/// One document of the overview; its name is a link if `anchor` says which document of the page it is.
pub(crate) fn overview_row(record: &DocumentRecord<'_>, anchor: Option<usize>, bars: &[Bar]) -> String {
    let summary = record.summary;
    let scheme = summary.scheme();
    let name = visible(record.document.id());
    let row = html! {
        tr {
            th scope="row" {
                @match anchor {
                    Some(document) => a href=(format!("#d{document}")) { bdi { (name) } },
                    None => bdi { (name) },
                }
            }
            @if let Some(scale) = &scheme.scale {
                td.strip { (strip::small_strip(scale, bars)) }
                @let peak = summary.escalation_peak().map(|peak| f64::from(peak.expected));
                @for value in [summary.escalation_mean(), peak] {
                    td.number { (typeset(&signed_mean(value))) }
                }
            }
            @for (_, count) in summary.topics() {
                td.number.minor { (count) }
            }
            td.number.minor { (summary.paragraphs()) }
            @if scheme.boilerplate {
                td.number.minor {
                    (summary.boilerplate_share().map_or("–".to_owned(), |share| format!("{:.0} %", share * 100.0)))
                }
            }
            td.minor { (summary.language().code()) }
        }
    };
    row.into_string() + "\n"
}

fn overview_head(scheme: &Scheme) -> Markup {
    let head = html! {
        thead {
            tr {
                th scope="col" { "document" }
                @if let Some(scale) = &scheme.scale {
                    th scope="col" { (visible(&scale.name)) }
                    th.number scope="col" { "mean" }
                    th.number scope="col" { "peak" }
                }
                @for topic in &scheme.topics {
                    th.number.minor scope="col" { (visible(&topic.name)) }
                }
                th.number.minor scope="col" { "paragraphs" }
                @if scheme.boilerplate {
                    th.number.minor scope="col" { "boilerplate" }
                }
                th.minor scope="col" { "language" }
            }
        }
    };
    PreEscaped(format!("<table class=\"overview\">{}<tbody>\n", head.into_string()))
}

/// The colours, and what they and the picture mean.
fn legend(scheme: &Scheme) -> Markup {
    html! {
        @if let Some(scale) = &scheme.scale {
            ul.legend aria-label=(format!("Colours of {}", visible(&scale.name))) {
                @for level in &scale.levels {
                    li {
                        span.swatch.(colour_class(scale, level.code.into())) {}
                        (typeset(&signed_code(level.code))) " " (visible(&level.name))
                    }
                }
                @if scheme.boilerplate {
                    li { span.swatch.hatched {} "boilerplate" }
                }
            }
        }
        details.help {
            summary { "How to read this page" }
            @if let Some(scale) = &scheme.scale {
                p {
                    "Every paragraph is rated on its own. Its colour shows the expected " (visible(&scale.name))
                    ": the mean of the levels, weighted by their probabilities. The strip above a text shows it from the "
                    "first paragraph to the last: a bar is as wide as its paragraph is long, and rises or falls with the "
                    "expected value; the dashed line is the mean, in which every paragraph counts once. The number at a "
                    "bar is the peak, the value farthest from 0. Click on a bar to go to its paragraph."
                }
            }
            p {
                "The note beside a paragraph unfolds into all probabilities. Where words are underlined, they moved the number that the "
                "colour shows: it would be lower without those with a solid line, higher without those with a dotted one, and the thicker, the more."
            }
            @if scheme.boilerplate {
                p { "Boilerplate is text that is no part of what the article says; it is left out of all counts and means." }
            }
            @if !scheme.topics.is_empty() {
                dl {
                    @for topic in &scheme.topics {
                        dt { span.chip { (visible(&topic.name)) } }
                        dd { (visible(&topic.description)) }
                    }
                }
            }
        }
    }
}

fn default_title(scheme: &Scheme) -> String {
    let scale = scheme.scale.as_ref().map(|scale| visible(&scale.name));
    match (scheme.topics.is_empty(), scale) {
        (false, Some(scale)) => format!("Topics and {scale} by paragraph"),
        (true, Some(scale)) => format!("{scale} by paragraph"),
        (false, None) => "Topics by paragraph".to_owned(),
        (true, None) => "Boilerplate by paragraph".to_owned(),
    }
}
