//! A table for people at a terminal: by paragraph, with a heading and a summary for each document, or one row a document.
//!
//! Everything that comes from a text, an id or a bundle is made harmless ([`cell::clean`]) and cut or wrapped to the
//! width. No line is wider than [`TableOptions::width`], from [`MIN_WIDTH`] columns on. Nothing is said by colour alone.

pub(crate) mod cell;
mod documents;
mod gauge;
mod paragraphs;

use crate::label::Scheme;
use crate::output::number::signed_code;

pub(crate) use crate::output::table::documents::DocumentTable;
pub(crate) use crate::output::table::paragraphs::ParagraphTable;

/// The width below which nothing readable can be laid out; narrower terminals get lines of this width.
pub(crate) const MIN_WIDTH: usize = 30;
/// The width above which a line is no longer read as one.
const MAX_WIDTH: usize = 1000;
/// The width from which a row is one line; below it the labels have a line of their own.
const ONE_LINE_WIDTH: usize = 60;
/// Indent of everything under a heading.
const INDENT: &str = "  ";
/// Part of the width that topics may take.
const TOPIC_SHARE: usize = 4;

/// How the table looks. Whether the output is a terminal, how wide it is, and what `NO_COLOR` says is the caller's to
/// find out.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Columns of the terminal; what is below 30 or above 1000 is taken for that.
    pub width: usize,
    /// Whether to write ANSI escapes.
    pub colour: bool,
    /// Whether a paragraph is shown as a whole, wrapped, instead of its first line.
    pub full_text: bool,
}

impl Default for TableOptions {
    /// 80 columns, no colour, first lines.
    fn default() -> Self {
        Self { width: 80, colour: false, full_text: false }
    }
}

/// How topics are written into a column.
enum TopicColumn {
    /// Each topic has its own place, under this name.
    Places(Vec<String>),
    /// The names of those that apply, cut to this width.
    List(usize),
}

impl TopicColumn {
    /// Full names where they fit into a quarter of the width, else beginnings, else a list.
    fn fitting(scheme: &Scheme, width: usize) -> Self {
        let room = width / TOPIC_SHARE;
        let fits = |names: &[String]| names.iter().map(|name| cell::width(name) + 1).sum::<usize>() <= room + 1;
        let full: Vec<String> = scheme.topics.iter().map(|topic| cell::clean(&topic.name)).collect();
        if fits(&full) {
            return Self::Places(full);
        }
        let short = abbreviations(&full);
        if fits(&short) { Self::Places(short) } else { Self::List(room) }
    }
}

/// Beginnings of the names, all of one length, at least three characters, that tell them apart.
fn abbreviations(names: &[String]) -> Vec<String> {
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let shortened = |length: usize| names.iter().map(move |name| name.chars().take(length).collect::<String>());
    let unique = |length: &usize| {
        let mut all: Vec<String> = shortened(*length).collect();
        all.sort_unstable();
        all.windows(2).all(|pair| pair[0] != pair[1])
    };
    let length = (3..=longest).find(unique).unwrap_or(longest);
    shortened(length).collect()
}

/// What the labels mean, for the end of a table: the levels of the scale, and abbreviations of topics.
fn legend(scheme: &Scheme, topics: &TopicColumn) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(scale) = &scheme.scale {
        let levels = scale.levels.iter().map(|level| {
            format!("{}\u{a0}{}", signed_code(level.code), cell::clean(&level.name).replace(' ', "\u{a0}"))
        });
        lines.push(format!("{}: {}", cell::clean(&scale.name), levels.collect::<Vec<_>>().join(", ")));
    }
    if let TopicColumn::Places(places) = topics {
        let shortened = places.iter().zip(&scheme.topics).map(|(short, topic)| (short, cell::clean(&topic.name)));
        let named: Vec<String> = shortened
            .filter(|(short, full)| *short != full)
            .map(|(short, full)| format!("{short}\u{a0}{full}"))
            .collect();
        lines.extend((!named.is_empty()).then(|| format!("topics: {}", named.join(", "))));
    }
    lines
}
