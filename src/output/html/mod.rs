//! One self-contained page: no script, no request to anywhere, light and dark, for screen, phone and paper.
//!
//! By paragraph it holds every document with its strip chart, its figures and its coloured text, and an overview if
//! there are several; by document the overview alone. A document is written when its record comes, so that one document
//! at a time is in memory. The overview stands behind the documents in the file, since only then is it known, and the
//! style sheet moves it before them.

mod document;
pub(crate) mod page;
mod paragraph;
mod strip;

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

use crate::label::{Scale, Scheme};
use crate::output::html::strip::Bar;
use crate::output::{By, DocumentRecord, ParagraphRecord, RecordWriter, WriterOptions};

/// Documents that the overview of a page by paragraph lists, which is kept in memory to the end. Somebody who labels more
/// wants `--by document` or another format.
const OVERVIEW_LIMIT: usize = 2000;

/// How the page looks.
#[derive(Debug, Clone, Default)]
pub struct HtmlOptions {
    /// Title of the page; `None` for one that says what the scheme labels.
    pub title: Option<String>,
}

/// Writes the page.
pub(crate) struct HtmlWriter<W> {
    out: W,
    by: By,
    scheme: Arc<Scheme>,
    /// The paragraphs of the document that is under way.
    bars: Vec<Bar>,
    text: String,
    documents: usize,
    overview: Vec<String>,
    bundle: String,
}

impl<W: Write> HtmlWriter<W> {
    pub(crate) fn new(mut out: W, options: WriterOptions) -> io::Result<Self> {
        let scheme = options.scheme;
        out.write_all(page::opening(&scheme, options.by, options.html.title.as_deref()).as_bytes())?;
        Ok(Self {
            out,
            by: options.by,
            scheme,
            bars: Vec::new(),
            text: String::new(),
            documents: 0,
            overview: Vec::new(),
            bundle: String::new(),
        })
    }
}

impl<W: Write> RecordWriter for HtmlWriter<W> {
    fn paragraph(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        self.bars.push(Bar::new(record));
        if self.by == By::Paragraph {
            self.text.push_str(&paragraph::paragraph(record, self.documents).into_string());
        }
        Ok(())
    }

    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()> {
        let bars = std::mem::take(&mut self.bars);
        self.bundle = record.bundle.to_owned();
        match self.by {
            By::Paragraph => {
                let opening = document::opening(record, self.documents, &bars);
                self.out.write_all(opening.as_bytes())?;
                self.out.write_all(std::mem::take(&mut self.text).as_bytes())?;
                self.out.write_all(document::CLOSING.as_bytes())?;
                if self.overview.len() < OVERVIEW_LIMIT {
                    self.overview.push(page::overview_row(record, Some(self.documents), &bars));
                }
            }
            By::Document => self.out.write_all(page::overview_row(record, None, &bars).as_bytes())?,
        }
        self.documents += 1;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let closing = page::closing(&self.scheme, self.by, self.documents, &self.overview, &self.bundle);
        self.out.write_all(closing.as_bytes())?;
        self.out.flush()
    }
}

/// Text that HTML can hold: characters that no HTML text may contain become U+FFFD. Markup is escaped by the templates.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_forbidden = |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r');
    if text.contains(is_forbidden) { text.replace(is_forbidden, "\u{fffd}").into() } else { text.into() }
}

/// The colour class of a value on the scale, `e-4` … `e4`: quarters of the way to the farthest level.
fn colour_class(scale: &Scale, value: f64) -> String {
    const STEPS: f64 = 4.0;
    let farthest = scale.levels.iter().map(|level| f64::from(level.code).abs()).fold(0.0, f64::max);
    let step = if farthest > 0.0 { (value / farthest * STEPS).round().clamp(-STEPS, STEPS) } else { 0.0 };
    format!("e{}", step as i32)
}

/// A written number with a minus sign as long as the plus sign.
pub(crate) fn typeset(number: &str) -> String {
    number.replace('-', "\u{2212}")
}

/// A coordinate, as short as a screen can tell apart.
pub(crate) fn coordinate(value: f64) -> String {
    format!("{}", (value * 100.0).round() / 100.0 + 0.0)
}

/// A probability with two decimals, never rounded to certainty.
pub(crate) fn probability(value: f32) -> String {
    match value {
        _ if value > 0.0 && value < 0.005 => "<0.01".to_owned(),
        _ if (0.995..1.0).contains(&value) => ">0.99".to_owned(),
        _ => format!("{value:.2}"),
    }
}
