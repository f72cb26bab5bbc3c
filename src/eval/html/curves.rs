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
const FEWEST_KEPT: usize = 10;

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
                    (risk_plot(number, &scope.name(evaluation.scheme), &curves))
                    details {
                        summary { "as a table" }
                        div.scroll { table {
                            thead { tr {
                                th scope="col" { "coverage at least" }
                                @for (_, system, _) in &curves {
                                    th.number scope="col" { (visible(system)) ", wrong" } th.number scope="col" { "threshold" }
                                }
                            } }
                            tbody {
                                @for coverage in COVERAGES {
                                    tr {
                                        th scope="row" { (format!("{:.0} %", coverage * 100.0)) }
                                        @for (_, _, points) in &curves {
                                            @let point = at(points, coverage);
                                            td.number { (decimals(point.risk)) }
                                            td.number { (decimals(point.threshold)) }
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

fn risk_plot(number: usize, name: &str, curves: &[(usize, &str, Vec<RiskPoint>)]) -> Markup {
    let lines: Vec<(usize, Vec<(f64, f64)>)> =
        curves.iter().map(|(index, _, points)| (*index, drawn(points))).collect();
    let most = lines.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(0.0, f64::max);
    let of: Vec<String> = curves
        .iter()
        .map(|(_, system, points)| {
            let risk = |coverage| decimals(at(points, coverage).risk);
            format!("{system}: {} wrong when all are kept, {} when at least half is", risk(1.0), risk(0.5))
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

/// Coverage and risk of the points that a line is drawn through.
fn drawn(points: &[RiskPoint]) -> Vec<(f64, f64)> {
    let fewest = points.last().map_or(0, |all| all.kept.min(FEWEST_KEPT));
    let kept: Vec<&RiskPoint> = points.iter().filter(|point| point.kept >= fewest).collect();
    let step = kept.len().div_ceil(POINTS).max(1);
    let last = kept.len().saturating_sub(1);
    let chosen = kept.iter().enumerate().filter(|(place, _)| place % step == 0 || *place == last);
    chosen.map(|(_, point)| (point.coverage, point.risk)).collect()
}

/// The point of a curve that keeps at least this share; curves have points.
fn at(points: &[RiskPoint], coverage: f64) -> &RiskPoint {
    &points[at_coverage(points, |point: &RiskPoint| point.coverage, coverage)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::risk::risk_coverage;

    #[test]
    fn lines_begin_at_the_tenth_known_decision() {
        let decisions: Vec<(f64, bool)> = (0..40).map(|item| (1.0 - f64::from(item) / 100.0, item == 0)).collect();
        assert_eq!(drawn(&risk_coverage(&decisions))[0], (0.25, 0.1));
        assert_eq!(drawn(&risk_coverage(&decisions[..5])), [(1.0, 0.2)], "fewer than ten: all of them alone");
        assert_eq!(drawn(&[]), []);
    }
}
