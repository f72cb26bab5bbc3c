//! The strip chart: a document at a glance, one bar a paragraph, from its first to its last.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::label::Scale;
use crate::output::ParagraphRecord;
use crate::output::Summary;
use crate::output::html::{colour_class, coordinate, typeset};
use crate::output::number::{signed_code, signed_mean};

/// Units of the drawing from left to right; the page stretches it to its own width.
const WIDTH: f64 = 1000.0;
/// Units from top to bottom.
const HEIGHT: f64 = 160.0;
/// Units above the highest and below the lowest level.
const MARGIN: f64 = 8.0;
/// Characters that every bar has on top of its paragraph's, so that a headline of one word can be seen and hit.
const LEAST_CHARACTERS: f64 = 24.0;
/// Half the height of the bar of a paragraph that is right at 0.
const LEAST_HALF_HEIGHT: f64 = 1.5;
/// Bars of a small strip.
const SMALL_BARS: usize = 48;

/// What the strip shows of one paragraph.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// Position of the paragraph in its document.
    index: usize,
    characters: usize,
    expected: f64,
    is_boilerplate: bool,
    label: String,
}

impl Bar {
    pub(crate) fn new(record: &ParagraphRecord<'_>) -> Self {
        let prediction = record.prediction;
        let mut label = format!("#{}", record.paragraph.index());
        if prediction.is_boilerplate() {
            label.push_str(" boilerplate");
        } else {
            if let Some(level) = prediction.escalation() {
                let _ = write!(label, " {} {}", typeset(&signed_code(level.code)), level.name);
            }
            for topic in prediction.topics().filter(|topic| topic.applies) {
                let _ = write!(label, ", {}", topic.name);
            }
        }
        Self {
            index: record.paragraph.index(),
            characters: record.paragraph.text().chars().count(),
            expected: prediction.expected_escalation().filter(|value| value.is_finite()).unwrap_or(0.0).into(),
            is_boilerplate: prediction.is_boilerplate(),
            label,
        }
    }
}

/// The chart with its axis, mean and peak; nothing without a scale or without paragraphs.
pub(crate) fn strip(scale: &Scale, summary: &Summary, bars: &[Bar], document: usize) -> Markup {
    let axis = Axis::new(scale);
    let places = places(bars, WIDTH);
    let mean = summary.escalation_mean().filter(|mean| mean.is_finite());
    let peak = summary.escalation_peak().filter(|peak| peak.expected.is_finite());
    let peak = peak.and_then(|peak| Some((peak, places[bars.iter().position(|bar| bar.index == peak.paragraph)?])));
    let percent = |y: f64| format!("{:.2}%", y / HEIGHT * 100.0);
    let described = description(scale, summary);
    html! {
        figure.strip {
            div.axis aria-hidden="true" {
                @for level in &scale.levels {
                    @let y = axis.y(level.code.into());
                    span style=(format!("top:{}", percent(y))) { (typeset(&signed_code(level.code))) }
                }
            }
            div.plot {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="group"
                    aria-labelledby=(format!("d{document}t d{document}s"))
                {
                    title id=(format!("d{document}t")) { (scale.name) " from the first paragraph to the last" }
                    desc id=(format!("d{document}s")) { (described) }
                    @for level in &scale.levels {
                        @let y = coordinate(axis.y(level.code.into()));
                        line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                    }
                    @for (bar, (x, width)) in bars.iter().zip(&places) {
                        a href=(format!("#d{document}p{}", bar.index)) aria-label=(bar.label) {
                            title { (bar.label) }
                            rect.hit x=(coordinate(*x)) y="0" width=(coordinate(*width)) height=(HEIGHT) {}
                            (axis.rect(scale, bar, *x, *width))
                        }
                    }
                    @let zero = coordinate(axis.y(0.0));
                    line.zero x1="0" x2=(WIDTH) y1=(zero) y2=(zero) {}
                    @if let Some(mean) = mean {
                        @let y = coordinate(axis.y(mean));
                        line.mean x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                    }
                }
                @if let Some((peak, (x, width))) = peak {
                    @let value: f64 = peak.expected.into();
                    @let left = (x + width / 2.0) / WIDTH * 100.0;
                    @let side = if value < 0.0 { "below" } else { "above" };
                    span.peak.(side) style=(format!("left:clamp(1rem,{left:.2}%,100% - 1rem);top:{}", percent(axis.y(value)))) aria-hidden="true" {
                        (typeset(&signed_mean(Some(value))))
                    }
                }
            }
            div.axis.end aria-hidden="true" {
                @if let Some(mean) = mean {
                    span.mean style=(format!("top:{}", percent(axis.y(mean)))) {
                        "mean" br; (typeset(&signed_mean(Some(mean))))
                    }
                }
            }
        }
    }
}

/// A strip for a table: no links, no text, at most [`SMALL_BARS`] bars, each the mean of neighbours.
pub(crate) fn small_strip(scale: &Scale, bars: &[Bar]) -> Markup {
    let axis = Axis::new(scale);
    let bars: Vec<Bar> = bars.chunks(bars.len().div_ceil(SMALL_BARS).max(1)).map(mean_bar).collect();
    html! {
        svg.small viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" {
            @for (bar, (x, width)) in bars.iter().zip(places(&bars, WIDTH)) {
                (axis.rect(scale, bar, x, width))
            }
            @let zero = coordinate(axis.y(0.0));
            line.zero x1="0" x2=(WIDTH) y1=(zero) y2=(zero) {}
        }
    }
}

/// Where the values of a scale lie in the drawing.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// From the lowest level to the highest, 0 included.
    fn new(scale: &Scale) -> Self {
        let codes = || scale.levels.iter().map(|level| f64::from(level.code));
        Self { low: codes().fold(0.0, f64::min), high: codes().fold(0.0, f64::max) }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (self.high - value) / (self.high - self.low).max(f64::MIN_POSITIVE);
        MARGIN + share.clamp(0.0, 1.0) * (HEIGHT - 2.0 * MARGIN)
    }

    /// From 0 to the expected value; boilerplate is a hatched gap.
    fn rect(&self, scale: &Scale, bar: &Bar, x: f64, width: f64) -> Markup {
        let zero = self.y(0.0);
        let (class, top, bottom) = if bar.is_boilerplate {
            ("gap".to_owned(), MARGIN, HEIGHT - MARGIN)
        } else {
            let end = self.y(bar.expected);
            let (top, bottom) = (zero.min(end), zero.max(end));
            let is_flat = bottom - top < 2.0 * LEAST_HALF_HEIGHT;
            let (top, bottom) =
                if is_flat { (zero - LEAST_HALF_HEIGHT, zero + LEAST_HALF_HEIGHT) } else { (top, bottom) };
            (format!("bar {}", colour_class(scale, bar.expected)), top, bottom)
        };
        html! {
            rect class=(class) x=(coordinate(x)) y=(coordinate(top)) width=(coordinate(width)) height=(coordinate(bottom - top)) {}
        }
    }
}

/// Left edge and width of each bar, gaps between them left out.
fn places(bars: &[Bar], width: f64) -> Vec<(f64, f64)> {
    let lengths: Vec<f64> = bars.iter().map(|bar| bar.characters as f64 + LEAST_CHARACTERS).collect();
    let unit = width / lengths.iter().sum::<f64>().max(1.0);
    // A sixth of a bar of mean width, but no more than three units: visible, and never most of the picture.
    let gap = (width / bars.len().max(1) as f64 / 6.0).min(3.0);
    let mut x = 0.0;
    let mut places = Vec::with_capacity(bars.len());
    for length in lengths {
        let full = length * unit;
        places.push((x + gap / 2.0, (full - gap).max(full / 3.0)));
        x += full;
    }
    places
}

/// One bar for neighbours: the mean of the content, weighted by length; boilerplate if there is no content.
fn mean_bar(bars: &[Bar]) -> Bar {
    let characters = bars.iter().map(|bar| bar.characters).sum();
    let weight = |bar: &Bar| bar.characters as f64 + LEAST_CHARACTERS;
    let content = || bars.iter().filter(|bar| !bar.is_boilerplate);
    let total: f64 = content().map(weight).sum();
    let expected = content().map(|bar| bar.expected * weight(bar)).sum::<f64>() / total.max(1.0);
    Bar { index: 0, characters, expected, is_boilerplate: total == 0.0, label: String::new() }
}

fn description(scale: &Scale, summary: &Summary) -> String {
    let mut text = format!("{} paragraphs, {} of them boilerplate", summary.paragraphs(), summary.boilerplate());
    if let Some(peak) = summary.escalation_peak() {
        let mean = typeset(&signed_mean(summary.escalation_mean()));
        let value = typeset(&signed_mean(Some(peak.expected.into())));
        let _ = write!(text, "; mean {} {mean}, peak {value} at paragraph #{}", scale.name, peak.paragraph);
    }
    text
}
