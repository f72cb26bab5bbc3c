//! Bars with intervals: the headline figures by slice, and the pass rates by behaviour.

use maud::{Markup, html};

use crate::eval::behaviour::{BehaviourReport, BehaviourSlice};
use crate::eval::compare::FEWEST_SUPPORT;
use crate::eval::figure::{Metric, Scope};
use crate::eval::html::chart::{Axis, WIDTH, tick};
use crate::eval::html::{series, words};
use crate::eval::render::{HEADLINES, decimals, interval, union};
use crate::eval::report::{Dimension, Figure, Slice};
use crate::output::html::{coordinate, typeset, visible};

/// Units left of the bars: the name of the group and its n.
const LABELS: f64 = 112.0;
/// Units right of the bars: the value.
const VALUES: f64 = 40.0;
/// Units from bar to bar.
const ROW: f64 = 15.0;
/// Units between groups.
const GAP: f64 = 8.0;
/// Characters of a group's name that fit beside its n.
const NAME: usize = 14;

/// A value with its interval.
#[derive(Debug, Clone, Copy, Default)]
struct Bar {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

/// Bars of all systems for one slice.
#[derive(Debug)]
struct Group {
    name: String,
    support: u64,
    /// Too few items to say anything.
    is_small: bool,
    bars: Vec<Bar>,
}

/// One chart for each headline figure: all items, then each slice of the dimension.
pub(crate) fn slices(dimension: Dimension, systems: &[String], all: &Slice, parts: &[&Slice]) -> Markup {
    let figures = union(all).into_iter().filter(|(_, scope, metric)| HEADLINES.contains(&(*scope, *metric)));
    html! {
        @for (number, (name, scope, metric)) in figures.enumerate() {
            @let group = |(slice, label): (&Slice, String)| group(slice, label, scope, metric);
            @let groups = std::iter::once((all, "all".to_owned()))
                .chain(parts.iter().map(|slice| (*slice, slice.value.clone().unwrap_or_default())));
            @let groups: Vec<Group> = groups.map(group).collect();
            (chart(&format!("by-{}-{number}", dimension.name()), &words(name), systems, &groups))
        }
    }
}

fn group(slice: &Slice, name: String, scope: Scope, metric: Metric) -> Group {
    let found = slice
        .systems
        .iter()
        .map(|scores| scores.figures.iter().find(|figure| figure.scope == scope && figure.metric == metric));
    let found: Vec<_> = found.collect();
    let bar = |figure: &Option<&Figure>| {
        figure.map_or_else(Bar::default, |figure| Bar { value: figure.value, low: figure.low, high: figure.high })
    };
    let support = found.iter().flatten().map(|figure| figure.support).max().unwrap_or(0);
    Group {
        name,
        support,
        is_small: slice.warning.is_some() || (support as f64) < FEWEST_SUPPORT,
        bars: found.iter().map(bar).collect(),
    }
}

/// One chart of the pass rates of all behaviours; by language one chart a behaviour.
pub(crate) fn behaviours(report: &BehaviourReport, systems: &[String]) -> Markup {
    let group = |name: &str, slice: &BehaviourSlice| {
        let passes: Vec<_> = slice.systems.iter().filter_map(|scores| scores.figures.first()).collect();
        Group {
            name: name.to_owned(),
            support: passes.iter().map(|rate| rate.support).max().unwrap_or(0),
            is_small: slice.warning.is_some(),
            bars: passes.iter().map(|rate| Bar { value: rate.value, low: rate.low, high: rate.high }).collect(),
        }
    };
    let all = report.slices.iter().filter(|slice| slice.by.is_none());
    let groups: Vec<Group> = all.clone().map(|slice| group(&slice.behaviour, slice)).collect();
    html! {
        (chart("behaviour-pass", "pairs that pass", systems, &groups))
        @for (number, whole) in all.enumerate() {
            @let parts = report.slices.iter().filter(|slice| slice.by.is_some() && slice.behaviour == whole.behaviour);
            @let mut groups: Vec<Group> = vec![group("all", whole)];
            @let () = groups.extend(parts.map(|slice| group(slice.value.as_deref().unwrap_or_default(), slice)));
            @if groups.len() > 1 {
                (chart(&format!("behaviour-lang-{number}"), &format!("{}, pairs that pass", whole.behaviour), systems, &groups))
            }
        }
    }
}

fn chart(id: &str, title: &str, systems: &[String], groups: &[Group]) -> Markup {
    let axis = axis(groups);
    let x = |value: f64| {
        let share = (value - axis.low) / (axis.high - axis.low);
        LABELS + share.clamp(0.0, 1.0) * (WIDTH - LABELS - VALUES)
    };
    let mut tops = Vec::new();
    let mut bottom = 4.0;
    for group in groups {
        tops.push(bottom);
        bottom += group.bars.len() as f64 * ROW + GAP;
    }
    let names = [format!("{id}-title"), format!("{id}-desc")];
    html! {
        figure.plot {
            figcaption { (visible(title)) }
            svg.chart.bars id=(id) viewBox=(format!("0 0 {WIDTH} {}", coordinate(bottom + 18.0))) role="img"
                aria-labelledby=(names.join(" "))
            {
                title id=(names[0]) { (visible(title)) }
                desc id=(names[1]) { (visible(&description(systems, groups))) }
                @for value in axis.ticks() {
                    @let place = coordinate(x(value));
                    line.grid x1=(place) x2=(place) y1="0" y2=(coordinate(bottom)) {}
                    text.tick x=(place) y=(coordinate(bottom + 13.0)) text-anchor="middle" { (tick(value)) }
                }
                @for (group, &top) in groups.iter().zip(&tops) {
                    g.group.small[group.is_small] {
                        @let middle = coordinate(top + group.bars.len() as f64 * ROW / 2.0 + 3.5);
                        text.label x="0" y=(middle) { (visible(&shortened(&group.name))) title { (visible(&group.name)) } }
                        text.tick x=(coordinate(LABELS - 8.0)) y=(middle) text-anchor="end" { (group.support) }
                        @for (index, bar) in group.bars.iter().enumerate() {
                            (one(bar, index, top + index as f64 * ROW, &x))
                        }
                    }
                }
                @let zero = coordinate(x(0.0));
                line.axis x1=(zero) x2=(zero) y1="0" y2=(coordinate(bottom)) {}
            }
        }
    }
}

fn one(bar: &Bar, system: usize, top: f64, x: &impl Fn(f64) -> f64) -> Markup {
    let middle = top + ROW / 2.0;
    let Some(value) = bar.value else {
        return html! { text.tick x=(coordinate(x(0.0) + 4.0)) y=(coordinate(middle + 3.5)) { "–" } };
    };
    let (from, to) = (x(value.min(0.0)), x(value.max(0.0)));
    html! {
        rect.bar.(series(system)) x=(coordinate(from)) width=(coordinate(to - from)) y=(coordinate(top + 1.5)) height=(coordinate(ROW - 3.0)) {}
        @if let (Some(low), Some(high)) = (bar.low, bar.high) {
            @let (low, high, y) = (coordinate(x(low)), coordinate(x(high)), coordinate(middle));
            line.whisker x1=(low) x2=(high) y1=(y) y2=(y) {}
            @for end in [low, high] {
                line.whisker x1=(end) x2=(end) y1=(coordinate(middle - 3.0)) y2=(coordinate(middle + 3.0)) {}
            }
        }
        text.value x=(coordinate(WIDTH)) y=(coordinate(middle + 3.5)) text-anchor="end" { (typeset(&decimals(value))) }
    }
}

/// From 0, or below the lowest end of an interval, to 1, or above the highest, at halves.
fn axis(groups: &[Group]) -> Axis {
    let values =
        || groups.iter().flat_map(|group| &group.bars).flat_map(|bar| [bar.value, bar.low, bar.high]).flatten();
    let low = values().fold(0.0, f64::min);
    let high = values().fold(1.0, f64::max);
    Axis { name: "", low: (low * 2.0).floor() / 2.0, high: (high * 2.0).ceil() / 2.0 }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME { name.to_owned() } else { name.chars().take(NAME - 1).chain(['…']).collect() }
}

fn description(systems: &[String], groups: &[Group]) -> String {
    let group = |group: &Group| {
        let bars = group.bars.iter().zip(systems);
        let bars: Vec<String> =
            bars.map(|(bar, system)| format!("{system} {}", interval(bar.value, bar.low, bar.high))).collect();
        format!("{} (n {}): {}", group.name, group.support, bars.join(", "))
    };
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}
