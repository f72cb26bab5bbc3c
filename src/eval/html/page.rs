//! The order of the page, its head, and what frames the parts.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::eval::html::{
    Evaluation, abstention, bars, behaviour, confusion, curves, errors, faithfulness, figures, series,
};
use crate::eval::render::named;
use crate::eval::report::{Dimension, GoldInfo, REPORT_SCHEMA, Report, Slice, SystemKind};
use crate::output::html::page::head;
use crate::output::html::visible;

/// The style sheet, inlined after the colours of all pages.
const STYLE: &str = include_str!("report.css");
/// The script, inlined: it filters the list of errors.
pub(crate) const SCRIPT: &str = include_str!("report.js");
/// No request, and no script but [`SCRIPT`], by its hash: whatever a text smuggles in stays text.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'sha256-PsSH32n1nytz6QuzVpIKCDjSr8X7CWAFIkaRkHJP23w='; base-uri 'none'; form-action 'none'";

/// A part of the page: anchor, name in the table of contents, content.
type Part = (&'static str, String, Markup);

/// Everything.
pub(crate) fn page(evaluation: &Evaluation<'_>) -> String {
    let parts = parts(evaluation);
    let title = "Evaluation";
    let body = html! {
        header.masthead {
            h1 { (title) }
            (about(evaluation.report))
            (legend(evaluation.report))
            nav aria-label="Parts of the page" {
                ul { @for (anchor, name, _) in &parts { li { a href=(format!("#{anchor}")) { (name) } } } }
            }
        }
        main {
            @for (anchor, name, content) in &parts {
                section id=(anchor) { h2 { (name) } (content) }
            }
        }
        footer {
            p { "Brackets hold 95 % bootstrap intervals. – means that a figure is not defined: nothing of that kind in gold or predictions." }
            p { "detente " (env!("CARGO_PKG_VERSION")) ", report schema " (REPORT_SCHEMA) "; every figure is defined in eval/README.md" }
        }
        script { (PreEscaped(SCRIPT)) }
    };
    format!(
        "{}<html lang=\"en\">{}<body class=\"report\">{}</body></html>\n",
        DOCTYPE.into_string(),
        head(title, POLICY, STYLE).into_string(),
        body.into_string()
    )
}

fn parts(evaluation: &Evaluation<'_>) -> Vec<Part> {
    let report = evaluation.report;
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |anchor: &'static str, name: &str, content: Markup| {
        if !content.0.is_empty() {
            parts.push((anchor, name.to_owned(), content));
        }
    };
    if let Some((all, slices)) = report.slices.split_first() {
        add(
            "figures",
            "Figures",
            html! {
                (figures::headline(all))
                details { summary { "every figure" } (figures::everything(all)) }
            },
        );
        if !all.comparisons.is_empty() {
            add("comparisons", "Comparisons", figures::comparisons(report, all));
        }
        add("levels", "Gold and predicted levels", framed("confusions", "", confusion::tables(evaluation, all)));
        let note = "Do the probabilities come true? On the diagonal they do; below it the system claims too much, above it too little. \
            The larger a dot, the more items it stands for.";
        add("reliability", "Reliability", framed("plots", note, curves::reliability(evaluation, all)));
        let note = "How often is the system wrong on what is left when its least probable decisions go to a person? For each label, decisions \
            are kept in the order of their probability, yes and no alike.";
        add("risk", "Risk and coverage", framed("plots", note, curves::risk_coverage(evaluation)));
        if let Some(found) = &report.abstention {
            add("abstention", "Abstention", abstention::section(found));
        }
        for dimension in [Dimension::Lang, Dimension::Source, Dimension::Genre, Dimension::Length] {
            let found: Vec<&Slice> = slices.iter().filter(|slice| slice.by == Some(dimension)).collect();
            if !found.is_empty() {
                let (anchor, name) = named_dimension(dimension);
                add(anchor, name, by(dimension, report, all, &found));
            }
        }
    }
    if let Some(found) = &report.behaviour {
        add("behaviour", "Behaviour", behaviour::section(evaluation, found));
    }
    if let Some(found) = &report.faithfulness {
        add("faithfulness", "Faithfulness of explanations", faithfulness::section(found));
    }
    if !evaluation.gold.is_empty() {
        add("errors", "Errors", errors::list(evaluation));
    }
    parts
}

fn named_dimension(dimension: Dimension) -> (&'static str, &'static str) {
    match dimension {
        Dimension::Lang => ("by-lang", "By language"),
        Dimension::Source => ("by-source", "By source"),
        Dimension::Genre => ("by-genre", "By genre"),
        Dimension::Length => ("by-length", "By length"),
    }
}

fn framed(class: &str, note: &str, content: Markup) -> Markup {
    if content.0.is_empty() {
        return content;
    }
    html! { @if !note.is_empty() { p { (note) } } div.(class) { (content) } }
}

fn by(dimension: Dimension, report: &Report, all: &Slice, parts: &[&Slice]) -> Markup {
    let systems: Vec<String> = report.systems.iter().map(|system| system.name.clone()).collect();
    html! {
        p { "Beside each name stands n, the gold items that the figure rests on. Pale: too few items to say anything." }
        div.plots { (bars::slices(dimension, &systems, all, parts)) }
        details { summary { "as a table" } (figures::by_slice(all, parts)) }
    }
}

fn about(report: &Report) -> Markup {
    let GoldInfo { files, coders, second_coders } = &report.gold;
    html! {
        @if let Some(all) = report.slices.first() {
            p { (all.items) " items in " (all.clusters) " clusters of " (visible(&files.join(", "))) }
            p { "Gold by " (visible(&named(coders))) @if !second_coders.is_empty() { "; second coder: " (visible(&named(second_coders))) } }
            @if let Some(warning) = &all.warning { p.warning { (warning) } }
        }
        p.quiet { (report.bootstrap.replicates) " bootstrap replicates, seed " (report.bootstrap.seed) }
    }
}

fn legend(report: &Report) -> Markup {
    let kind = |kind: SystemKind| match kind {
        SystemKind::Bundle => "bundle",
        SystemKind::Predictions => "predictions from a file",
        SystemKind::Baseline => "baseline",
    };
    html! {
        ul.legend aria-label="Systems" {
            @for (index, system) in report.systems.iter().enumerate() {
                li {
                    svg.key width="28" height="10" aria-hidden="true" { line.curve.(series(index)) x1="1" x2="27" y1="5" y2="5" {} }
                    (visible(&system.name)) " " span.quiet { "(" (kind(system.kind)) ")" }
                }
            }
        }
    }
}
