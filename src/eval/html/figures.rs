//! The tables of figures: the headline, everything, and what the comparisons say in words.

use maud::{Markup, html};

use crate::eval::figure::{Better, Metric, Scope};
use crate::eval::html::{series, words};
use crate::eval::render::{HEADLINES, interval, mcnemar_words, union};
use crate::eval::report::{Figure, Report, Slice};
use crate::output::html::{typeset, visible};

/// Figures that the headline table shows, beside the F1 of each topic.
const FIRST: [(Scope, Metric); 10] = [
    (Scope::Topics, Metric::MacroF1),
    (Scope::Topics, Metric::MicroF1),
    (Scope::Topics, Metric::SubsetAccuracy),
    (Scope::Topics, Metric::FalseAlarmRate),
    (Scope::Scale, Metric::QuadraticWeightedKappa),
    (Scope::Scale, Metric::MacroMeanAbsoluteError),
    (Scope::Scale, Metric::SignAccuracy),
    (Scope::Scale, Metric::OppositeSignShare),
    (Scope::Scale, Metric::RankedProbabilityScore),
    (Scope::Boilerplate, Metric::F1),
];

/// The headline figures of all items, systems side by side.
pub(crate) fn headline(all: &Slice) -> Markup {
    let is_shown = |scope: Scope, metric: Metric| {
        FIRST.contains(&(scope, metric)) || matches!((scope, metric), (Scope::Topic(_), Metric::F1))
    };
    table(all, &union(all).into_iter().filter(|(_, scope, metric)| is_shown(*scope, *metric)).collect::<Vec<_>>())
}

/// Every figure of all items.
pub(crate) fn everything(all: &Slice) -> Markup {
    table(all, &union(all))
}

fn table(slice: &Slice, names: &[(&str, Scope, Metric)]) -> Markup {
    html! {
        div.scroll { table.figures {
            thead {
                tr {
                    th scope="col" { "figure" }
                    th.number scope="col" { "n" }
                    @for (index, scores) in slice.systems.iter().enumerate() {
                        th.value scope="col" { span.swatch.(series(index)) aria-hidden="true" {} (visible(&scores.system)) }
                    }
                }
            }
            tbody {
                @for (name, _, metric) in names {
                    @let found: Vec<Option<&Figure>> = slice.systems.iter()
                        .map(|scores| scores.figures.iter().find(|figure| figure.name == *name)).collect();
                    tr {
                        th scope="row" { (visible(&words(name))) " " span.direction { (direction(*metric)) } }
                        td.number { (found.iter().flatten().map(|figure| figure.support).max().unwrap_or(0)) }
                        @for figure in found { (cell(figure)) }
                    }
                }
            }
        } }
    }
}

fn direction(metric: Metric) -> &'static str {
    match metric.better() {
        Better::Higher => "",
        Better::Lower => "lower is better",
        Better::NearZero => "best at 0",
    }
}

fn cell(figure: Option<&Figure>) -> Markup {
    let shown = figure.map_or_else(|| "–".into(), |figure| interval(figure.value, figure.low, figure.high));
    value_cell(&shown)
}

/// A value, and its interval in small print.
pub(crate) fn value_cell(shown: &str) -> Markup {
    let shown = typeset(shown);
    let (value, interval) = shown.split_once(' ').unwrap_or((&shown, ""));
    html! { td.value { (value) @if !interval.is_empty() { " " small { (interval) } } } }
}

/// The headline figures of each slice of one dimension.
pub(crate) fn by_slice(all: &Slice, parts: &[&Slice]) -> Markup {
    let names: Vec<_> =
        union(all).into_iter().filter(|(_, scope, metric)| HEADLINES.contains(&(*scope, *metric))).collect();
    html! {
        div.scroll { table.figures {
            thead { tr {
                th scope="col" { "slice" } th.number scope="col" { "items" } th scope="col" { "system" }
                @for (name, _, _) in &names { th.value scope="col" { (visible(&words(name))) } }
            } }
            tbody {
                @for slice in parts {
                    @for scores in &slice.systems {
                        tr {
                            th scope="row" { (visible(slice.value.as_deref().unwrap_or_default())) }
                            td.number { (slice.items) }
                            td { (visible(&scores.system)) }
                            @for (_, scope, metric) in &names {
                                (cell(scores.figures.iter().find(|figure| figure.scope == *scope && figure.metric == *metric)))
                            }
                        }
                    }
                }
            }
        } }
        @let warnings: Vec<_> = parts.iter().filter_map(|slice| Some((slice.value.as_deref()?, slice.warning.as_deref()?))).collect();
        @if !warnings.is_empty() {
            ul.notes { @for (value, warning) in warnings { li { (visible(value)) ": " (warning) } } }
        }
    }
}

/// What the comparisons say; of slices only what is established.
pub(crate) fn comparisons(report: &Report, all: &Slice) -> Markup {
    html! {
        @for comparison in &all.comparisons {
            h3 { (visible(&comparison.first)) " and " (visible(&comparison.second)) }
            ul.notes {
                @for difference in &comparison.differences {
                    li.established[difference.established] { (visible(&difference.words)) }
                }
                @for test in &comparison.mcnemar { li { (visible(&mcnemar_words(comparison, test))) } }
            }
            @let established = report.slices.iter().filter(|slice| slice.by.is_some()).flat_map(|slice| {
                let same = slice.comparisons.iter()
                    .filter(|other| other.first == comparison.first && other.second == comparison.second);
                let found = same.flat_map(|other| &other.differences).filter(|difference| difference.established);
                found.map(|difference| (slice.value.as_deref().unwrap_or_default(), &difference.words))
            }).collect::<Vec<_>>();
            @if !established.is_empty() {
                p { "Established in slices, corrected over those of a dimension:" }
                ul.notes { @for (value, words) in established { li.established { (visible(value)) ": " (visible(words)) } } }
            }
        }
    }
}
