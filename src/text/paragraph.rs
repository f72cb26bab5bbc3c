//! The paragraph rule: where one paragraph ends and the next begins.
//!
//! In: a document's text. Out: its [`Paragraph`]s, whose documentation states the rule. This page states how the rule
//! decides what plain text leaves open: whether a line break is the end of a paragraph or only the edge of the paper.
//!
//! **Evidence.** A break *flows* if the line before it does not end a sentence and either ends with a comma or dash or
//! the next line begins with a lower-case letter. One-paragraph-a-line text has next to no such breaks; of the breaks of
//! wrapped text they are a third (German, with its capitalised nouns) to three quarters. A text, and each block of
//! lines between blank lines, is *wrapped* from [`FLOWING_SHARE`] on. A break is *open* if the line before it does not
//! end a sentence. Headlines and captions do that too, so it takes [`OPEN_SHARE`] and lines of much the same width
//! ([`EVEN_SHARE`]) for these to be evidence, and in scripts with case one break that flows.
//!
//! **Width.** The width of wrapped text is that of the widest line before a flowing break (not quite the widest,
//! [`WIDTH_SHARE`], because of outliers). A break that does not flow belongs to the paragraph if the next word would not
//! have fitted into that width: then the break had to be there. Otherwise somebody wanted it, and it ends a paragraph
//! (or a heading, or a caption). Text that was wrapped by hand or by optimal fit has flowing breaks before words that
//! would have fitted ([`RAGGED_SHARE`]); there only a line shorter than [`SHORT_SHARE`] of the width ends a paragraph.
//!
//! **Scope.** A block that shows its own evidence is decided by it, so that files may be mixed; other blocks follow the
//! text as a whole. Without evidence of wrapping every line is a paragraph. A line wider than
//! [`lines::MAX_COLUMNS`](crate::text::lines::MAX_COLUMNS) is a paragraph wherever it stands.
//!
//! At most [`EVIDENCE_BREAKS`] breaks are looked at in advance, so that splitting takes time in proportion to the text
//! and memory for a few lines.

use std::ops::Range;

use crate::text::lines::{End, Line, MAX_COLUMNS, Mark, Start};

/// Share of flowing breaks, in percent, from which text is wrapped. Half of what German shows, four times what credits
/// in lower case ("kle/qu (dpa)") and broken headlines bring about.
const FLOWING_SHARE: usize = 20;

/// Share of open breaks, in percent, from which text may be wrapped: it has nine in ten, paragraphs have headlines only.
const OPEN_SHARE: usize = 50;

/// Share of the lines before open breaks, in percent, that must reach three quarters of the width: wrapped lines all do,
/// headlines and paragraphs have any width.
const EVEN_SHARE: usize = 70;

/// Share of all lines, in percent, that may be wider than the width (by more than a tenth) where widths are evidence.
const WIDER_SHARE: usize = 10;

/// Share of the flowing lines, in percent, that the width covers; the rest are outliers.
const WIDTH_SHARE: usize = 97;

/// Lines before flowing breaks that are enough to tell the width; of fewer, none may be full, and all lines that do not
/// end a sentence are taken.
const MIN_FLOWING_LINES: usize = 8;

/// Share of the flowing breaks, in percent, before words that would have fitted, from which text is ragged. Programs
/// that fill lines leave none; a few come from characters whose width is counted differently.
const RAGGED_SHARE: usize = 5;

/// Share of the width, in percent, below which a line of ragged text ends a paragraph.
const SHORT_SHARE: usize = 60;

/// Width, in columns, from which a single flowing break is evidence, and below which a line before a dash or number is
/// no wrapped line: half of a narrow newspaper column.
const MIN_WIDTH: usize = 30;

/// Share of breaks, in percent, between a sentence end and a new beginning, from which a block is one paragraph a line
/// whatever the text around it is; in wrapped text about one break in ten is such.
const ENDING_SHARE: usize = 80;

/// Breaks that a block needs for [`ENDING_SHARE`] to mean something.
const MIN_ENDING_BREAKS: usize = 3;

/// White space by which a line must stand further in than the one before to begin a paragraph, in columns.
const INDENT_COLUMNS: usize = 2;

/// Breaks looked at for evidence, in the text and in each block.
const EVIDENCE_BREAKS: usize = 5000;

/// A slice of a document that is labelled on its own.
///
/// # The paragraph rule
/// Blank lines separate paragraphs, and so do form feeds and U+2029. What is blank shows nothing: white space, zero-width
/// characters, control characters.
///
/// ```
/// # use detente::text::Document;
/// fn texts(text: &str) -> Vec<String> {
///     Document::from_text("", text).paragraphs().map(|paragraph| paragraph.text().to_owned()).collect()
/// }
/// assert_eq!(texts("Überschrift\n\nEin Absatz.\n \nNoch einer.\n"), ["Überschrift", "Ein Absatz.", "Noch einer."]);
/// ```
///
/// Lines that each hold a paragraph are split, although no blank lines stand between them:
///
/// ```
/// # use detente::text::Document;
/// # fn texts(text: &str) -> Vec<String> {
/// #     Document::from_text("", text).paragraphs().map(|paragraph| paragraph.text().to_owned()).collect()
/// # }
/// let text = "Waffenruhe hält\nDie Waffenruhe hält seit drei Tagen.\nBeide Seiten sprechen von Fortschritten.";
/// assert_eq!(texts(text).len(), 3);
/// ```
///
/// Lines that were broken at the edge of the paper stay together; the line breaks are part of the slice:
///
/// ```
/// # use detente::text::Document;
/// # fn texts(text: &str) -> Vec<String> {
/// #     Document::from_text("", text).paragraphs().map(|paragraph| paragraph.text().to_owned()).collect()
/// # }
/// let text = "The ceasefire has held for three days, and both\nsides speak of progress. Talks are to\nresume on Monday.";
/// assert_eq!(texts(text), [text]);
/// ```
///
/// Headings (`# …`, or underlined by `===` or `---`), list items (`-`, `*`, `•`, `1.` with the lines that hang on them),
/// captions (`Foto: …`), table rows and rules stand alone, also inside broken lines:
///
/// ```
/// # use detente::text::Document;
/// # fn texts(text: &str) -> Vec<String> {
/// #     Document::from_text("", text).paragraphs().map(|paragraph| paragraph.text().to_owned()).collect()
/// # }
/// let text = "# Demands\n- an end of the\n  shelling\n- free passage";
/// assert_eq!(texts(text), ["# Demands", "- an end of the\n  shelling", "- free passage"]);
/// ```
///
/// In a document made from HTML each block of the page is one paragraph; nothing is guessed.
///
/// # Guarantees
/// A paragraph shows something and has no white space ([`crate::text::is_space`]) at either end. Paragraphs ascend and do
/// not overlap, and what lies between them shows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph<'d> {
    index: usize,
    byte_range: Range<usize>,
    text: &'d str,
}

impl<'d> Paragraph<'d> {
    /// Position in the document, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Where the paragraph stands in [`crate::text::Document::text`], in bytes.
    pub fn byte_range(&self) -> Range<usize> {
        self.byte_range.clone()
    }

    /// Exactly that slice: never blank, no white space at either end, inner line breaks kept.
    pub fn text(&self) -> &'d str {
        self.text
    }
}

/// What the line breaks of a text mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Anything; the rule finds out.
    Plain,
    /// Nothing: only blank lines separate.
    Blocks,
}

/// The paragraphs of `text`.
pub(crate) fn split(text: &str, layout: Layout) -> impl Iterator<Item = Paragraph<'_>> {
    let wrapping = match layout {
        Layout::Plain => Evidence::of_text(text).wrapping(),
        Layout::Blocks => Wrapping::Unwrapped,
    };
    Split { text, layout, of_text: wrapping, of_block: wrapping, position: 0, waiting: None, index: 0 }
}

struct Split<'d> {
    text: &'d str,
    layout: Layout,
    of_text: Wrapping,
    of_block: Wrapping,
    position: usize,
    /// The first line of the next paragraph, if it is in the same block.
    waiting: Option<Line>,
    index: usize,
}

impl<'d> Iterator for Split<'d> {
    type Item = Paragraph<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.waiting.take() {
            Some(line) => line,
            None => self.next_block()?,
        };
        let start = first.range.start;
        let mut end = first.range.end;
        let item_indent = matches!(first.mark, Mark::Bullet | Mark::Dash).then_some(first.indent);
        let mut last = first;
        while !last.ends_block
            && let Some(line) = Line::at(self.text, self.position)
        {
            self.position = line.next;
            if line.is_blank() {
                break;
            }
            if self.layout == Layout::Plain && self.of_block.separates(&last, &line, item_indent) {
                self.waiting = Some(line);
                break;
            }
            end = line.range.end;
            last = line;
        }
        let index = self.index;
        self.index += 1;
        Some(Paragraph { index, byte_range: start..end, text: &self.text[start..end] })
    }
}

impl Split<'_> {
    /// Goes to the first line of the next block.
    fn next_block(&mut self) -> Option<Line> {
        loop {
            let from = self.position;
            let line = Line::at(self.text, from)?;
            self.position = line.next;
            if line.is_blank() {
                continue;
            }
            // A block of one line needs no evidence.
            let has_more = || Line::at(self.text, line.next).is_some_and(|second| !second.is_blank());
            if self.layout == Layout::Plain && !line.ends_block && has_more() {
                let evidence = Evidence::of_block(self.text, from);
                self.of_block = evidence.wrapping_of_block(self.of_text);
            }
            return Some(line);
        }
    }
}

/// Whether lines were broken at some width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapping {
    /// No: every line is a paragraph.
    Unwrapped,
    /// At this column; exactly, or raggedly.
    Wrapped { width: usize, is_ragged: bool },
}

impl Wrapping {
    /// Whether a paragraph ends between two lines of a block. `item_indent` is the indent of the list item that the
    /// paragraph is, if it is one.
    fn separates(self, last: &Line, next: &Line, item_indent: Option<usize>) -> bool {
        if last.is_underlined || next.is_underlined {
            // A heading and its underline.
            return next.is_underlined || next.mark != Mark::Rule;
        }
        let stands_alone =
            |line: &Line| matches!(line.mark, Mark::Heading | Mark::Rule | Mark::Row) || line.is_unwrapped;
        if stands_alone(last) || stands_alone(next) || last.is_quoted != next.is_quoted {
            return true;
        }
        match next.mark {
            Mark::Bullet | Mark::Caption => return true,
            Mark::Dash if item_indent.is_some() || begins_item(last) => return true,
            _ => {}
        }
        if item_indent.is_some_and(|indent| next.indent > indent) {
            return false;
        }
        if item_indent.is_none() && next.indent >= last.indent + INDENT_COLUMNS && !flows(last, next) {
            return true;
        }
        match self {
            Self::Unwrapped => true,
            Self::Wrapped { .. } if flows(last, next) => false,
            Self::Wrapped { width, .. } if last.right > width + width / 4 => true,
            Self::Wrapped { width, .. } if last.right + next.head > width => false,
            Self::Wrapped { width, is_ragged: true } => last.right * 100 < width * SHORT_SHARE,
            Self::Wrapped { .. } => true,
        }
    }
}

/// Whether a dash or number after this line begins a list item, and is not part of a sentence.
fn begins_item(last: &Line) -> bool {
    matches!(last.end, End::Sentence | End::Colon) || last.right < MIN_WIDTH
}

/// Whether the sentence goes on over the break between two lines.
fn flows(last: &Line, next: &Line) -> bool {
    last.end == End::GoesOn || next.start == Start::Lower && matches!(last.end, End::Open | End::Colon)
}

/// The widths of lines, counted.
struct Widths {
    counts: [u32; MAX_COLUMNS + 1],
    total: usize,
}

impl Widths {
    fn new() -> Self {
        Self { counts: [0; MAX_COLUMNS + 1], total: 0 }
    }

    fn add(&mut self, width: usize) {
        self.counts[width.min(MAX_COLUMNS)] += 1;
        self.total += 1;
    }

    /// Lines that are at most `width` wide.
    fn up_to(&self, width: usize) -> usize {
        self.counts.iter().take(width + 1).map(|&count| count as usize).sum()
    }

    /// The width that `share` percent of the lines do not pass.
    fn covering(&self, share: usize) -> usize {
        let mut seen = 0;
        let reaches = |&count: &u32| {
            seen += count as usize;
            seen * 100 >= self.total * share
        };
        self.counts.iter().position(reaches).unwrap_or(MAX_COLUMNS)
    }
}

/// What the breaks of some lines say about wrapping.
struct Evidence {
    breaks: usize,
    /// Breaks between the end of a sentence and a beginning that is not in lower case.
    endings: usize,
    all: Widths,
    /// Breaks that flow for sure.
    cased: Flow,
    /// Breaks after a line that does not end a sentence, those that flow for sure among them.
    open: Flow,
    /// Whether a line after such a break ends the sentence; headlines before a name in lower case do not.
    ends_flow: bool,
    /// How many of the open breaks stand before a letter without case.
    caseless: usize,
}

/// Flowing breaks: how wide the lines before them are, and how wide they would be with the next word.
struct Flow {
    widths: Widths,
    with_next_word: Widths,
}

impl Flow {
    fn new() -> Self {
        Self { widths: Widths::new(), with_next_word: Widths::new() }
    }

    fn add(&mut self, last: &Line, next: &Line) {
        self.widths.add(last.right);
        self.with_next_word.add(last.right + next.head);
    }

    /// Wrapping at the width that `widths` show.
    fn wrapping(&self, widths: &Widths) -> Wrapping {
        let width = widths.covering(WIDTH_SHARE);
        let early = self.with_next_word.up_to(width);
        Wrapping::Wrapped { width, is_ragged: early * 100 > self.widths.total * RAGGED_SHARE }
    }
}

impl Evidence {
    fn of_text(text: &str) -> Self {
        Self::gather(text, 0, false)
    }

    fn of_block(text: &str, from: usize) -> Self {
        Self::gather(text, from, true)
    }

    fn gather(text: &str, from: usize, is_block: bool) -> Self {
        let (all, cased, open) = (Widths::new(), Flow::new(), Flow::new());
        let mut evidence = Self { breaks: 0, endings: 0, all, cased, open, ends_flow: false, caseless: 0 };
        let mut position = from;
        let mut last: Option<Line> = None;
        while evidence.breaks < EVIDENCE_BREAKS
            && let Some(next) = Line::at(text, position)
        {
            position = next.next;
            if next.is_blank() || last.as_ref().is_some_and(|last| last.ends_block) {
                if is_block {
                    break;
                }
                last = None;
            }
            if let Some(last) = &last {
                evidence.add(last, &next);
            }
            last = (!next.is_blank()).then_some(next);
        }
        evidence
    }

    fn add(&mut self, last: &Line, next: &Line) {
        let is_item = |line: &Line| matches!(line.mark, Mark::Bullet | Mark::Dash);
        let is_marked = |line: &Line| line.mark != Mark::None || line.is_underlined || line.is_unwrapped;
        let is_in_sentence = next.mark == Mark::Dash && !is_item(last) && !begins_item(last);
        if is_marked(next) && !is_in_sentence || is_marked(last) && !is_item(last) {
            return;
        }
        self.breaks += 1;
        self.all.add(last.right);
        self.all.add(next.right);
        self.endings += usize::from(last.end == End::Sentence && next.start != Start::Lower);
        if last.has_long_word {
            return;
        }
        if flows(last, next) && next.start != Start::Caseless {
            self.cased.add(last, next);
            self.ends_flow |= next.end == End::Sentence;
        }
        if last.end != End::Sentence {
            self.open.add(last, next);
            self.caseless += usize::from(next.start == Start::Caseless);
        }
    }

    fn wrapping(&self) -> Wrapping {
        let (cased, open) = (self.cased.widths.total, self.open.widths.total);
        if cased * 100 >= self.breaks * FLOWING_SHARE && (cased > 1 || self.ends_flow || self.is_even(&self.cased)) {
            let is_enough = cased >= MIN_FLOWING_LINES;
            self.cased.wrapping(if is_enough { &self.cased.widths } else { &self.open.widths })
        } else if open * 100 >= self.breaks * OPEN_SHARE
            && (cased > 0 || self.caseless * 2 > open)
            && self.is_even(&self.open)
        {
            self.open.wrapping(&self.open.widths)
        } else {
            Wrapping::Unwrapped
        }
    }

    /// The same for a block in a text that is wrapped or not as a whole.
    fn wrapping_of_block(&self, of_text: Wrapping) -> Wrapping {
        match self.wrapping() {
            Wrapping::Unwrapped
                if self.breaks >= MIN_ENDING_BREAKS && self.endings * 100 >= self.breaks * ENDING_SHARE =>
            {
                Wrapping::Unwrapped
            }
            Wrapping::Unwrapped => of_text,
            wrapped => wrapped,
        }
    }

    /// Whether the flowing lines are of much the same width, and hardly any line is wider.
    fn is_even(&self, flow: &Flow) -> bool {
        let width = flow.widths.covering(WIDTH_SHARE);
        let full = flow.widths.total - flow.widths.up_to((width * 3 / 4).saturating_sub(1));
        let wider = self.all.total - self.all.up_to(width + width / 10);
        flow.widths.total > 0
            && width >= MIN_WIDTH
            && full * 100 >= flow.widths.total * EVEN_SHARE
            && wider * 100 <= self.all.total * WIDER_SHARE
    }
}

#[cfg(test)]
mod tests;
