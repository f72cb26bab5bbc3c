//! Axes and marks of the plots, in SVG that a reader of the page's text hears as a title and a description.

use maud::{Markup, html};

use crate::output::html::{coordinate, typeset, visible};

/// Units of a plot from left to right. About as many pixels as a telephone has, so that the text on it is not shrunk there.
pub(crate) const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 262.0;
/// Units around the plotting area: room for ticks and the names of the axes.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 40.0;

/// One axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Axis {
    /// From 0 to 1.
    pub(crate) fn share(name: &'static str) -> Self {
        Self { name, low: 0.0, high: 1.0 }
    }

    /// From 0 to a round number not below `most`.
    pub(crate) fn up_to(name: &'static str, most: f64) -> Self {
        const ROUND: [f64; 8] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8];
        Self { name, low: 0.0, high: ROUND.into_iter().find(|round| most <= *round).unwrap_or(1.0) }
    }

    /// Four to six ticks, the ends included, at steps of whole hundredths.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = f64> {
        let range = self.high - self.low;
        let is_round = |steps: &u32| {
            let hundredths = range / f64::from(*steps) * 100.0;
            (hundredths - hundredths.round()).abs() < 1e-6
        };
        let steps = [4, 3, 5].into_iter().find(is_round).unwrap_or(4);
        let (low, step) = (self.low, range / f64::from(steps));
        (0..=steps).map(move |tick| low + step * f64::from(tick))
    }

    fn share_of(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// A tick as short as it can be written.
pub(crate) fn tick(value: f64) -> String {
    typeset(&format!("{}", (value * 1e3).round() / 1e3 + 0.0))
}

/// A plot with two axes.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Plot {
    pub(crate) fn x(&self, value: f64) -> f64 {
        LEFT + self.x.share_of(value) * (WIDTH - LEFT - RIGHT)
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.share_of(value) * (HEIGHT - TOP - BOTTOM)
    }

    /// A line through points, its colour and dashes by class.
    pub(crate) fn line(&self, class: &str, points: &[(f64, f64)]) -> Markup {
        let points: Vec<String> =
            points.iter().map(|&(x, y)| format!("{},{}", coordinate(self.x(x)), coordinate(self.y(y)))).collect();
        html! { polyline.curve.(class) points=(points.join(" ")) {} }
    }

    /// The axes around `content`, under the plot's title.
    pub(crate) fn draw(&self, content: &Markup) -> Markup {
        let (left, right) = (coordinate(LEFT), coordinate(WIDTH - RIGHT));
        let (top, bottom) = (coordinate(TOP), coordinate(HEIGHT - BOTTOM));
        let names = [format!("{}-title", self.id), format!("{}-desc", self.id)];
        html! {
            figure.plot {
                figcaption { (visible(&self.title)) }
                svg.chart id=(self.id) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                    aria-labelledby=(names.join(" "))
                {
                    title id=(names[0]) { (visible(&self.title)) }
                    desc id=(names[1]) { (visible(&self.description)) }
                    @for value in self.x.ticks() {
                        @let x = coordinate(self.x(value));
                        line.grid x1=(x) x2=(x) y1=(top) y2=(bottom) {}
                        text.tick x=(x) y=(coordinate(HEIGHT - BOTTOM + 14.0)) text-anchor="middle" { (tick(value)) }
                    }
                    @for value in self.y.ticks() {
                        @let y = self.y(value);
                        line.grid x1=(left) x2=(right) y1=(coordinate(y)) y2=(coordinate(y)) {}
                        text.tick x=(coordinate(LEFT - 6.0)) y=(coordinate(y + 3.5)) text-anchor="end" { (tick(value)) }
                    }
                    line.axis x1=(left) x2=(right) y1=(bottom) y2=(bottom) {}
                    (content)
                    text.name x=(coordinate(f64::midpoint(LEFT, WIDTH - RIGHT))) y=(coordinate(HEIGHT - 6.0)) text-anchor="middle" {
                        (self.x.name)
                    }
                    @let middle = coordinate(f64::midpoint(TOP, HEIGHT - BOTTOM));
                    text.name x="11" y=(middle) text-anchor="middle" transform=(format!("rotate(-90 11 {middle})")) {
                        (self.y.name)
                    }
                }
            }
        }
    }
}
