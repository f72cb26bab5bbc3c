//! Reliability diagrams and risk–coverage curves, systems over one another, with the same numbers in tables.

use maud::{Markup, html};

use crate::eval::figure::Scope;
use crate::eval::html::chart::{Axis, Plot};
use crate::eval::html::{Evaluation, series};
use crate::eval::render::decimals;
use crate::eval::report::{Curve, Slice};
use crate::eval::risk::{RiskPoint, at_coverage, curve};
use crate::output::html::{coordinate, visible};

/// Coverages that the table shows.
const COVERAGES: [f64; 6] = [1.0, 0.95, 0.9, 0.8, 0.65, 0.5];
/// Points that one line is drawn with, at most: more than the plot has pixels.
const POINTS: usize = 300;
/// Below so many decisions a point of the curve is not drawn: it would swing between 0 and 1.
const FEWEST_KEPT: f64 = 10.0;

/// One diagram for each label that any system gives probabilities for.
pub(crate) fn reliability(evaluation: &Evaluation<'_>, all: &Slice) -> Markup {
    let names: Vec<(usize, String)> =
        scopes(evaluation).into_iter().map(|scope| scope.name(evaluation.scheme)).enumerate().collect();
    let of = |name: &str| -> Vec<(usize, &str, &Curve)> {
        let found = all.systems.iter().enumerate().map(|(index, scores)| {
            let curve = scores.reliability.iter().find(|curve| curve.of == name)?;
            Some((index, scores.system.as_str(), curve))
        });
        found.flatten().collect()
    };
    html! {
        @for (number, name) in &names {
            @let curves = of(name);
            @if !curves.is_empty() {
                div.with-table {
                    (diagram(*number, name, &curves))
                    details {
                        summary { "as a table" }
                        div.scroll { table {
                            thead { tr {
                                th scope="col" { "system" } th scope="col" { "bin" } th.number scope="col" { "items" }
                                th.number scope="col" { "mean probability" } th.number scope="col" { "came true" }
                            } }
                            tbody {
                                @for (_, system, curve) in &curves {
                                    @for (bin, found) in curve.bins.iter().enumerate().filter(|(_, found)| found.items > 0) {
                                        tr {
                                            th scope="row" { (visible(system)) }
                                            td { (format!("{:.1} to {:.1}", bin as f64 / 10.0, (bin + 1) as f64 / 10.0)) }
                                            td.number { (found.items) }
                                            td.number { (found.mean_probability.map_or("–".into(), decimals)) }
                                            td.number { (found.hit_rate.map_or("–".into(), decimals)) }
                                        }
                                    }
                                }
                            }
                        } }
                    }
                }
            }
        }
    }
}

fn diagram(number: usize, name: &str, curves: &[(usize, &str, &Curve)]) -> Markup {
    let of: Vec<String> = curves.iter().map(|(_, system, _)| (*system).to_owned()).collect();
    let plot = Plot {
        id: format!("reliability-{number}"),
        title: short(name).to_owned(),
        description: format!(
            "Reliability of the probabilities for {name} of {}: mean probability against the share that came true, in ten bins. \
             On the diagonal both are equal.",
            of.join(", ")
        ),
        x: Axis::share("probability"),
        y: Axis::share("came true"),
    };
    let most = curves.iter().flat_map(|(_, _, curve)| &curve.bins).map(|bin| bin.items).max().unwrap_or(1).max(1);
    let content = html! {
        (plot.line("ideal", &[(0.0, 0.0), (1.0, 1.0)]))
        @for (index, system, curve) in curves {
            @let points: Vec<(f64, f64, u64)> = curve.bins.iter()
                .filter_map(|bin| Some((bin.mean_probability?, bin.hit_rate?, bin.items))).collect();
            (plot.line(&series(*index), &points.iter().map(|&(x, y, _)| (x, y)).collect::<Vec<_>>()))
            @for (x, y, items) in points {
                // Area by items, so that a bin of one does not look like a bin of hundreds.
                @let radius = 2.0 + 5.0 * (items as f64 / most as f64).sqrt();
                circle.dot.(series(*index)) cx=(coordinate(plot.x(x))) cy=(coordinate(plot.y(y))) r=(coordinate(radius)) {
                    title { (visible(&format!("{system}: mean probability {x:.2}, {y:.2} came true, {items} items"))) }
                }
            }
        }
    };
    plot.draw(&content)
}

/// One plot for each label that any system gives probabilities for.
pub(crate) fn risk_coverage(evaluation: &Evaluation<'_>) -> Markup {
    let curves = |scope: Scope| -> Vec<(usize, &str, Vec<RiskPoint>)> {
        let of = evaluation
            .systems
            .iter()
            .enumerate()
            .map(|(index, system)| (index, system.name.as_str(), curve(scope, evaluation.gold, &system.predicted)));
        // A system that gives every item the same probability has one point and no order to abstain by.
        of.filter(|(_, _, points)| points.len() > 1).collect()
    };
    html! {
        @for (number, scope) in scopes(evaluation).into_iter().enumerate() {
            @let curves = curves(scope);
            @if !curves.is_empty() {
                div.with-table {
                    (risk_plot(number, &scope.name(evaluation.scheme), &curves, evaluation.gold.len()))
                    details {
                        summary { "as a table" }
                        div.scroll { table {
                            thead { tr {
                                th scope="col" { "coverage up to" }
                                @for (_, system, _) in &curves {
                                    th.number scope="col" { (visible(system)) ", wrong" } th.number scope="col" { "threshold" }
                                }
                            } }
                            tbody {
                                @for coverage in COVERAGES {
                                    tr {
                                        th scope="row" { (format!("{:.0} %", coverage * 100.0)) }
                                        @for (_, _, points) in &curves {
                                            @match at_coverage(points, coverage) {
                                                Some(point) => {
                                                    td.number { (decimals(point.risk)) }
                                                    td.number { (decimals(point.threshold)) }
                                                }
                                                None => { td.number { "–" } td.number { "–" } }
                                            }
                                        }
                                    }
                                }
                            }
                        } }
                    }
                }
            }
        }
    }
}

fn risk_plot(number: usize, name: &str, curves: &[(usize, &str, Vec<RiskPoint>)], items: usize) -> Markup {
    let fewest = FEWEST_KEPT / (items as f64).max(FEWEST_KEPT);
    let drawn = |points: &[RiskPoint]| -> Vec<(f64, f64)> {
        let kept: Vec<&RiskPoint> = points.iter().filter(|point| point.coverage >= fewest).collect();
        let step = kept.len().div_ceil(POINTS).max(1);
        let last = kept.len().saturating_sub(1);
        let chosen = kept.iter().enumerate().filter(|(place, _)| place % step == 0 || *place == last);
        chosen.map(|(_, point)| (point.coverage, point.risk)).collect()
    };
    let lines: Vec<(usize, Vec<(f64, f64)>)> =
        curves.iter().map(|(index, _, points)| (*index, drawn(points))).collect();
    let most = lines.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(0.0, f64::max);
    let of: Vec<String> = curves
        .iter()
        .map(|(_, system, points)| {
            let at =
                |coverage| at_coverage(points, coverage).map_or("not defined".into(), |point| decimals(point.risk));
            format!("{system}: {} wrong when all are kept, {} when the half is", at(1.0), at(0.5))
        })
        .collect();
    let plot = Plot {
        id: format!("risk-{number}"),
        title: short(name).to_owned(),
        description: format!("Share of wrong decisions on {name} against the share that is kept. {}.", of.join("; ")),
        x: Axis::share("share of decisions kept"),
        y: Axis::up_to("wrong among them", most),
    };
    let content = html! {
        @for (index, points) in &lines { (plot.line(&series(*index), points)) }
    };
    plot.draw(&content)
}

/// Topics, scale, boilerplate.
fn scopes(evaluation: &Evaluation<'_>) -> Vec<Scope> {
    let scheme = evaluation.scheme;
    let topics = (0..scheme.topics.len()).map(Scope::Topic);
    let scale = scheme.scale.is_some().then_some(Scope::Scale);
    topics.chain(scale).chain(scheme.boilerplate.then_some(Scope::Boilerplate)).collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("topics.").unwrap_or(name)
}
