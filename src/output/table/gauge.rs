//! The scale drawn in the terminal, with and without colour.

use anstyle::{Ansi256Color, Style};

use crate::label::Scale;
use crate::output::number::signed_code;

/// Levels up to which a scale is drawn, one column each; a longer one is written as a number only.
const DRAWN_LEVELS: usize = 9;

/// A style, or none of it where colour is off.
pub(crate) fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Boilerplate, rules and legends.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Names of documents.
pub(crate) const BOLD: Style = Style::new().bold();

/// The colour of a level: blue on the side below 0, grey at 0, orange and red above. Every one can be told from black and
/// from white (contrast 3:1 with one of them, 2:1 with the other), and by people who do not tell red from green.
pub(crate) fn level_style(scale: &Scale, code: i32) -> Style {
    let farthest = scale.levels.iter().map(|level| level.code.unsigned_abs()).max().unwrap_or(0);
    let is_strong = code.unsigned_abs() > farthest / 2;
    let colour = match (code.signum(), is_strong) {
        (-1, true) => 32,
        (-1, false) => 74,
        (1, true) => 160,
        (1, false) => 172,
        _ => 245,
    };
    Style::new().fg_color(Some(Ansi256Color(colour).into()))
}

/// Columns that [`bar`] takes; 0 for a scale that is not drawn.
pub(crate) fn bar_width(scale: &Scale) -> usize {
    if scale.levels.len() > DRAWN_LEVELS { 0 } else { scale.levels.len() }
}

/// Columns that [`gauge`] takes.
pub(crate) fn gauge_width(scale: &Scale) -> usize {
    code_width(scale) + if bar_width(scale) > 0 { 1 + bar_width(scale) } else { 0 }
}

/// The code of a level and its place on the scale: `+1 ··│█·`. The line is the level nearest to 0.
pub(crate) fn gauge(scale: &Scale, code: i32, colour: bool) -> String {
    let columns = code_width(scale);
    let number = paint(colour, level_style(scale, code), &format!("{:>columns$}", signed_code(code)));
    if bar_width(scale) == 0 { number } else { format!("{number} {}", bar(scale, code, colour)) }
}

/// The place of a level on the scale: `··│█·`; nothing for a scale that is not drawn.
pub(crate) fn bar(scale: &Scale, code: i32, colour: bool) -> String {
    if bar_width(scale) == 0 {
        return String::new();
    }
    let codes: Vec<i32> = scale.levels.iter().map(|level| level.code).collect();
    let place = |wanted: i32| (0..codes.len()).min_by_key(|&index| codes[index].abs_diff(wanted)).unwrap_or(0);
    let (zero, level) = (place(0), place(code));
    let filled = if level < zero { level..zero } else { zero + 1..level + 1 };
    let mut drawn = String::new();
    for index in 0..codes.len() {
        let (style, cell) = match index {
            _ if filled.contains(&index) => (level_style(scale, code), "█"),
            _ if index == zero => (level_style(scale, 0), "│"),
            _ => (DIM, "·"),
        };
        drawn.push_str(&paint(colour, style, cell));
    }
    drawn
}

fn code_width(scale: &Scale) -> usize {
    scale.levels.iter().map(|level| signed_code(level.code).len()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::ScaleLevel;

    fn scale(codes: impl IntoIterator<Item = i32>) -> Scale {
        let levels = codes.into_iter().map(|code| ScaleLevel { code, name: code.to_string() }).collect();
        Scale { name: "escalation".into(), levels }
    }

    #[test]
    fn draws_every_level() {
        for (codes, code, expected) in [
            (-2..=2, -2, "-2 ██│··"),
            (-2..=2, -1, "-1 ·█│··"),
            (-2..=2, 0, " 0 ··│··"),
            (-2..=2, 1, "+1 ··│█·"),
            (-2..=2, 2, "+2 ··│██"),
            (1..=3, 1, "+1 │··"),
            (1..=3, 3, "+3 │██"),
            (0..=10, 10, "+10"),
            (0..=10, 3, " +3"),
        ] {
            let scale = scale(codes);
            let drawn = gauge(&scale, code, false);
            assert_eq!(drawn, expected);
            assert_eq!(drawn.chars().count(), gauge_width(&scale));
        }
    }

    #[test]
    fn colour_adds_escapes_only() {
        let scale = scale(-2..=2);
        let coloured = gauge(&scale, 2, true);
        assert!(coloured.starts_with("\u{1b}[38;5;160m+2\u{1b}[0m "), "{coloured:?}");
        assert_eq!(gauge(&scale, 2, false).chars().filter(|&character| character == '█').count(), 2);
    }
}
