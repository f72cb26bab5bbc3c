//! From predictions to what people and programs read: records, their summary by document, and the writers.
//!
//! In: [`ParagraphRecord`]s in input order, and a [`DocumentRecord`] after the paragraphs of each document.
//! Out: JSON Lines, CSV, a table for the terminal, one HTML page, Parquet.
//!
//! Every field that is written is specified in `docs/output.md`; names follow the label scheme, which is data. A field of
//! a label that the scheme does not declare is absent, not null.
//!
//! ```
//! use std::sync::Arc;
//!
//! use detente::label::{Prediction, PredictionParts, Scheme, Topic};
//! use detente::output::{DocumentRecord, Format, ParagraphRecord, Summary, WriterOptions, writer};
//! use detente::text::{Document, Language};
//!
//! let topics = vec![Topic { name: "military".into(), description: String::new() }];
//! let scheme = Arc::new(Scheme { topics, scale: None, boilerplate: false });
//! let document = Document::from_text("one.txt", "Troops crossed the river.");
//! let parts = PredictionParts {
//!     topic_probabilities: vec![0.98],
//!     topic_applies: vec![true],
//!     windows: 1,
//!     tokens: 6,
//!     ..PredictionParts::default()
//! };
//! let prediction = Prediction::from_parts(Arc::clone(&scheme), parts);
//!
//! let mut out = Vec::new();
//! let mut writer = writer(&mut out, WriterOptions::new(Format::Jsonl, Arc::clone(&scheme)))?;
//! let mut summary = Summary::new(scheme);
//! for paragraph in document.paragraphs() {
//!     let language = Language::UNDETERMINED;
//!     summary.add(&paragraph, &prediction, language);
//!     writer.paragraph(&ParagraphRecord {
//!         document: &document,
//!         paragraph: &paragraph,
//!         prediction: &prediction,
//!         language,
//!         language_validated: false,
//!         bundle: "tiny@1+00000000",
//!         explanation: None,
//!     })?;
//! }
//! writer.document(&DocumentRecord { document: &document, summary: &summary, bundle: "tiny@1+00000000" })?;
//! writer.finish()?;
//! drop(writer);
//! assert!(String::from_utf8_lossy(&out).contains(r#""topics":["military"]"#));
//! # Ok::<(), std::io::Error>(())
//! ```

mod columns;
mod csv;
pub(crate) mod html;
mod jsonl;
pub(crate) mod number;
#[cfg(feature = "parquet")]
mod parquet;
mod record;
mod summary;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::label::Scheme;

pub use crate::output::html::HtmlOptions;
pub use crate::output::record::{DocumentRecord, ExplanationRecord, ParagraphRecord};
pub use crate::output::summary::{Peak, Summary};
pub use crate::output::table::TableOptions;

/// Version of the output format. It grows when a field changes its name, type or meaning; added fields do not count.
pub const SCHEMA: u32 = 1;

/// The weight from which a word is shown to people as one that moved a label: what two decimals can tell from nothing.
pub(crate) const LEAST_WEIGHT: f32 = 0.01;

/// A way to write records down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
    /// Lines for a terminal.
    Table,
    /// One self-contained page.
    Html,
    /// Apache Parquet; needs the feature `parquet`.
    Parquet,
}

impl Format {
    /// Every format, also those whose feature is not built in.
    pub const ALL: [Format; 5] = [Format::Jsonl, Format::Csv, Format::Table, Format::Html, Format::Parquet];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Table => "table",
            Format::Html => "html",
            Format::Parquet => "parquet",
        }
    }

    /// The format that a file of this name is expected to have: `jsonl` `ndjson` `csv` `html` `htm` `parquet`, in any
    /// case; `None` for every other name.
    pub fn from_path(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "csv" => Some(Format::Csv),
            "html" | "htm" => Some(Format::Html),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// Whether it has a place for [`ParagraphRecord::explanation`]; the others leave it out.
    pub fn has_explanations(self) -> bool {
        matches!(self, Format::Jsonl | Format::Table | Format::Html)
    }

    /// Whether a file that breaks off after a whole document is continued by writing on at its end ([`WriterOptions::header`]).
    pub fn can_resume(self) -> bool {
        matches!(self, Format::Jsonl | Format::Csv)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A name that is none of [`Format::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no format {0:?}; the formats are jsonl, csv, table, html and parquet")]
pub struct UnknownFormat(String);

/// What one record stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum By {
    /// A paragraph.
    #[default]
    Paragraph,
    /// A document.
    Document,
}

/// Takes the records of a run and writes one format.
///
/// The caller gives the paragraph records of a document in order, then its document record, then the next document, and
/// in the end [`finish`](Self::finish), whatever the format and [`By`]; the writer leaves out what it does not need. A
/// paragraph that no document record follows appears in JSON Lines, CSV, Parquet and the table, but not in HTML.
///
/// When a call returns, JSON Lines, CSV and the table have handed the record's last byte to the underlying `Write`, which
/// is never flushed before [`finish`](Self::finish): buffering is the caller's.
pub trait RecordWriter {
    /// Takes the next paragraph of the document.
    ///
    /// # Errors
    /// What the underlying `Write` says.
    fn paragraph(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()>;

    /// Takes the document that the paragraphs since the last document record belong to.
    ///
    /// # Errors
    /// What the underlying `Write` says.
    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()>;

    /// Writes what closes the file, and flushes. To be called once; after it the writer takes nothing more.
    ///
    /// # Errors
    /// What the underlying `Write` says.
    fn finish(&mut self) -> io::Result<()>;
}

/// How to write.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The format.
    pub format: Format,
    /// What one record stands for.
    pub by: By,
    /// The scheme of every prediction of the run: it gives the columns.
    pub scheme: Arc<Scheme>,
    /// Names of the fields that get a CSV column of their own, as the first document of the run has them. A resumed run
    /// gives the list of the run that it continues. Fields of other names go to the column `other_fields`.
    pub fields: Vec<String>,
    /// Whether CSV opens with the header line; `false` when the file is continued.
    pub header: bool,
    /// How the table looks.
    pub table: TableOptions,
    /// How the page looks.
    pub html: HtmlOptions,
}

impl WriterOptions {
    /// One record a paragraph, no field columns, a header line.
    pub fn new(format: Format, scheme: Arc<Scheme>) -> Self {
        Self {
            format,
            by: By::default(),
            scheme,
            fields: Vec::new(),
            header: true,
            table: TableOptions::default(),
            html: HtmlOptions::default(),
        }
    }
}

/// A writer of records to `out`. Writes what opens the file (the CSV header, the head of the page) at once, so that an
/// output that cannot be written fails before the long work.
///
/// # Errors
/// What `out` says; [`io::ErrorKind::InvalidInput`] if the scheme gives two fields the same name;
/// [`io::ErrorKind::Unsupported`] for Parquet without the feature `parquet`.
pub fn writer<'w>(
    out: impl Write + Send + 'w,
    options: WriterOptions,
) -> io::Result<Box<dyn RecordWriter + Send + 'w>> {
    columns::check(&options.scheme, &options.fields)?;
    Ok(match (options.format, options.by) {
        (Format::Jsonl, by) => Box::new(jsonl::JsonlWriter::new(out, by)),
        (Format::Csv, _) => Box::new(csv::CsvWriter::new(out, options)?),
        (Format::Table, By::Paragraph) => Box::new(table::ParagraphTable::new(out, options)),
        (Format::Table, By::Document) => Box::new(table::DocumentTable::new(out, options)),
        (Format::Html, _) => Box::new(html::HtmlWriter::new(out, options)?),
        #[cfg(feature = "parquet")]
        (Format::Parquet, _) => Box::new(parquet::ParquetWriter::new(out, options)?),
        #[cfg(not(feature = "parquet"))]
        (Format::Parquet, _) => {
            let message = "cannot write Parquet: this program was built without the feature \"parquet\"; \
                           build it with --features parquet, or choose jsonl or csv";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
    })
}
