//! From bytes to paragraphs: decompression, decoding, extraction, records, the paragraph rule, language identification.
//!
//! In: a file, a stream, bytes or a string. Out: [`Document`]s and their [`Paragraph`]s, each with its byte range.
//!
//! ```text
//! bytes -> compress -> decode -> html | jsonl | table | parquet -> Document -> paragraph -> Paragraph
//! ```
//!
//! [`open`] and [`read`] are the one way to read anything; [`Document::from_text`], [`Document::from_html`] and
//! [`Document::from_bytes`] serve programs that have the bytes already.
//!
//! ```
//! use detente::text::Document;
//!
//! let document = Document::from_text("a.txt", "Eine Überschrift\n\nEin Absatz, der\nweitergeht.\n");
//! let texts: Vec<&str> = document.paragraphs().map(|paragraph| paragraph.text()).collect();
//! assert_eq!(texts, ["Eine Überschrift", "Ein Absatz, der\nweitergeht."]);
//! ```

pub(crate) mod compress;
mod decode;
mod document;
mod html;
mod jsonl;
pub(crate) mod language;
mod lines;
mod magic;
mod paragraph;
#[cfg(feature = "parquet")]
mod parquet;
mod reader;
mod records;
mod space;
mod table;
mod transcode;

#[cfg(test)]
mod fuzz;

pub use document::Document;
pub use encoding_rs::Encoding;
pub use language::{Language, detect_language};
pub use paragraph::Paragraph;
pub use reader::{DEFAULT_MAX_DOCUMENT_BYTES, Documents, InputFormat, ReadOptions, open, read};
#[cfg(feature = "serve")]
pub(crate) use records::RecordShape;
pub use space::{is_space, joined};
