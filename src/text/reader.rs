//! The one way to read anything: a path or a stream, compressed or not, in any format and encoding.
//!
//! In: bytes and [`ReadOptions`]. Out: [`Documents`], an iterator that holds one document at a time. Text, Markdown and
//! HTML are one document; JSON Lines, CSV, TSV and Parquet are one document a record.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{MAIN_SEPARATOR, Path};

use encoding_rs::{Encoding, UTF_8};
use serde::de::IgnoredAny;

use crate::error::{Error, InputFault, Result};
use crate::text::compress::{Origin, Source, plain_name};
use crate::text::decode::{self, Choice, Hints, PREFIX_BYTES};
use crate::text::document::Document;
use crate::text::jsonl::JsonLines;
use crate::text::magic;
use crate::text::space;
use crate::text::table::Table;
use crate::text::transcode::Transcoder;

/// The size that a document may have when nothing else is asked for, in bytes: a hundred times the longest book, and
/// little enough for the memory of a small machine. It also bounds one line of JSON Lines and one row of a table.
pub const DEFAULT_MAX_DOCUMENT_BYTES: u64 = 256 * 1024 * 1024;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// Plain text, one document.
    Text,
    /// Markdown, one document; read as plain text, whose paragraph rule knows Markdown's headings and lists.
    Markdown,
    /// An HTML page, one document of its visible blocks.
    Html,
    /// One JSON object a line.
    JsonLines,
    /// Cells separated by commas, or by semicolons if only these give the text column; a header is needed.
    Csv,
    /// Cells separated by tabs; a header is needed.
    Tsv,
    /// Apache Parquet; needs the feature `parquet`.
    Parquet,
}

impl InputFormat {
    /// The format that a file name stands for; `.gz` and `.zst` at its end do not count. `None` if the name says
    /// nothing, then [`open`] looks at the beginning of the file.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use detente::text::InputFormat;
    ///
    /// assert_eq!(InputFormat::from_path(Path::new("news.jsonl.zst")), Some(InputFormat::JsonLines));
    /// assert_eq!(InputFormat::from_path(Path::new("news")), None);
    /// ```
    pub fn from_path(path: &Path) -> Option<Self> {
        match plain_name(path)?.rsplit_once('.')?.1 {
            "txt" | "text" => Some(Self::Text),
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            // Other JSON is told line by line what is expected, rather than read as prose.
            "jsonl" | "ndjson" | "jsonlines" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The format of a beginning without a name: HTML by its doctype or first tag, JSON Lines by an object on the first line
    /// that is not blank, else text. Other JSON counts as JSON Lines, whose errors say what is expected.
    fn sniff(beginning: &str) -> Self {
        let beginning = beginning.trim_start_matches(space::is_space);
        if begins_with_tag(beginning) {
            return Self::Html;
        }
        let first_line = beginning.lines().next().unwrap_or_default().trim_end();
        let is_json = |text: &str, ends_here: bool| match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => true,
            // The end of the beginning may cut it.
            Err(error) => error.is_eof() && ends_here,
        };
        let is_object = first_line.starts_with('{')
            && is_json(first_line, first_line.len() == beginning.len() && first_line.contains("\":"));
        let is_indented = matches!(first_line, "{" | "[") || first_line.starts_with("[{");
        match is_object || is_indented && is_json(beginning, true) {
            true => Self::JsonLines,
            false => Self::Text,
        }
    }
}

/// Whether a page begins here, behind the declaration of XML and comments.
fn begins_with_tag(mut beginning: &str) -> bool {
    while let Some(end) = [("<?xml", "?>"), ("<!--", "-->")]
        .into_iter()
        .find_map(|(open, close)| beginning.starts_with(open).then(|| Some(beginning.find(close)? + close.len()))?)
    {
        beginning = beginning[end..].trim_start_matches(space::is_space);
    }
    let tag: String = beginning.chars().take(14).collect::<String>().to_ascii_lowercase();
    let is_tag = |name| tag.strip_prefix(name).is_some_and(|rest| rest.starts_with(['>', ' ', '\n', '\r', '\t']));
    tag.starts_with("<!doctype html") || ["<html", "<head", "<body"].into_iter().any(is_tag)
}

/// How files are read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The format; told from the name and the beginning if `None`.
    pub format: Option<InputFormat>,
    /// The encoding; detected if `None`.
    pub encoding: Option<&'static Encoding>,
    /// Field or column that holds the text of a record.
    pub text_field: String,
    /// Field or column that holds the id of a record. If `None`, `id` is taken where it holds a string or a number,
    /// else the id is `path:line`.
    pub id_field: Option<String>,
    /// Largest size of a document, a line or a row, in bytes (after decompression, before decoding).
    pub max_document_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            encoding: None,
            text_field: "text".to_owned(),
            id_field: None,
            max_document_bytes: DEFAULT_MAX_DOCUMENT_BYTES,
        }
    }
}

/// Opens a file.
///
/// # Errors
/// [`Error::Read`] if it cannot be opened or read; [`Error::Input`] if its beginning shows that nothing can be made of
/// it: empty, not text, a damaged stream, a missing column, a format that was not built in.
pub fn open(path: &Path, options: &ReadOptions) -> Result<Documents> {
    let read_error = |source| Error::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(read_error)?;
    #[cfg(feature = "parquet")]
    if options.format.or_else(|| InputFormat::from_path(path)) == Some(InputFormat::Parquet)
        && crate::text::parquet::is_parquet(&file)
    {
        let rows = crate::text::parquet::Rows::open(file, path, options)?;
        return Ok(Documents(Some(Kind::Parquet(Box::new(rows)))));
    }
    read(path, Box::new(file), options)
}

/// Reads a stream; `name` stands for it in ids and messages (`<stdin>`).
///
/// ```
/// use std::path::Path;
///
/// use detente::text::{ReadOptions, read};
///
/// let lines = "{\"id\": \"a\", \"text\": \"Ein Absatz.\", \"source\": \"dpa\"}\n{\"text\": 7}\n";
/// let mut documents = read(Path::new("<stdin>"), Box::new(lines.as_bytes()), &ReadOptions::default())?;
/// let first = documents.next().unwrap()?;
/// assert_eq!((first.id(), first.text()), ("a", "Ein Absatz."));
/// let error = documents.next().unwrap().unwrap_err();
/// assert_eq!(error.to_string(), "<stdin>:2: the field \"text\" holds a number, a string was expected");
/// assert!(documents.next().is_none());
/// # Ok::<(), detente::Error>(())
/// ```
///
/// # Errors
/// As [`open`].
pub fn read(name: &Path, input: Box<dyn Read + Send>, options: &ReadOptions) -> Result<Documents> {
    let mut source = Source::new(input).map_err(|source| Error::Read { path: name.to_path_buf(), source })?;
    let origin = source.origin(name);
    let mut prefix = Vec::new();
    let outcome = source.by_ref().take(PREFIX_BYTES as u64).read_to_end(&mut prefix);
    let is_complete = outcome.is_ok() && prefix.len() < PREFIX_BYTES;
    let rest = match outcome {
        Ok(_) => Rest::More(Box::new(source)),
        // The records before the damage are good.
        Err(error) if !prefix.is_empty() => Rest::Failed(Some(error)),
        Err(error) => return Err(origin.read_error(error)),
    };
    if prefix.is_empty() {
        return Err(origin.fault(InputFault::Empty));
    }
    let named = options.format.or_else(|| InputFormat::from_path(name));
    if named == Some(InputFormat::Parquet) || named.is_none() && magic::is_parquet(&prefix) {
        return parquet_stream(Cursor::new(prefix).chain(rest), &origin, options);
    }
    let hints = Hints { forced: options.encoding, declared: None };
    let choice = decode::detect(&prefix, is_complete, hints).map_err(|what| origin.fault(what))?;
    let format = named
        .unwrap_or_else(|| InputFormat::sniff(&choice.encoding.decode_without_bom_handling(&prefix[choice.mark..]).0));
    let kind = match format {
        InputFormat::JsonLines => {
            let (input, encoding) = plain(prefix, rest, choice);
            Kind::JsonLines(JsonLines::new(input, encoding, origin, options))
        }
        InputFormat::Csv | InputFormat::Tsv => {
            let delimiter = if format == InputFormat::Csv { b',' } else { b'\t' };
            let (input, encoding) = plain(prefix, rest, choice);
            Kind::Table(Box::new(Table::open(input, delimiter, encoding, origin, options)?))
        }
        _ => {
            let input = Box::new(Cursor::new(prefix).chain(rest));
            let (encoding, limit) = (options.encoding, options.max_document_bytes);
            Kind::Whole(Whole { input, origin, is_html: format == InputFormat::Html, encoding, limit })
        }
    };
    Ok(Documents(Some(kind)))
}

/// The documents of one input, in order.
///
/// An [`Error::Record`] item is one bad record, those after it come as if nothing were wrong. Any other error is the
/// last item.
pub struct Documents(Option<Kind>);

enum Kind {
    Whole(Whole),
    JsonLines(JsonLines),
    Table(Box<Table>),
    #[cfg(feature = "parquet")]
    Parquet(Box<crate::text::parquet::Rows>),
}

impl Iterator for Documents {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.0.as_mut()? {
            Kind::Whole(_) => match self.0.take() {
                Some(Kind::Whole(whole)) => return Some(whole.document()),
                _ => None,
            },
            Kind::JsonLines(lines) => lines.next_document(),
            Kind::Table(table) => table.next_document(),
            #[cfg(feature = "parquet")]
            Kind::Parquet(rows) => rows.next_document(),
        };
        if !matches!(item, Some(Ok(_) | Err(Error::Record { .. }))) {
            self.0 = None;
        }
        item
    }
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Documents>();
};

/// A file that is one document.
struct Whole {
    input: Box<dyn Read + Send>,
    origin: Origin,
    is_html: bool,
    encoding: Option<&'static Encoding>,
    limit: u64,
}

impl Whole {
    fn document(self) -> Result<Document> {
        let bytes = read_limited(self.input, self.limit, &self.origin)?;
        let id = document_id(self.origin.path());
        let decoded = if self.is_html {
            decode::decode_html(&bytes, self.encoding)
        } else {
            decode::decode(&bytes, self.encoding)
        };
        drop(bytes);
        let text = decoded.map_err(|what| self.origin.fault(what))?;
        let document = if self.is_html { Document::from_html(id, &text) } else { Document::from_text(id, text) };
        if space::is_blank(document.text()) {
            return Err(self.origin.fault(InputFault::Blank));
        }
        Ok(document)
    }
}

/// All bytes of `input`, unless there are more than `limit`.
fn read_limited(input: impl Read, limit: u64, origin: &Origin) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| origin.read_error(error))?;
    if bytes.len() as u64 > limit {
        return Err(origin.fault(InputFault::TooLarge { limit }));
    }
    Ok(bytes)
}

/// What comes after the beginning: more bytes, or the error that ended it.
enum Rest {
    More(Box<Source>),
    Failed(Option<io::Error>),
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::More(source) => source.read(buffer),
            Self::Failed(error) => error.take().map_or(Ok(0), Err),
        }
    }
}

/// The input as buffered UTF-8 without its mark, and the name of the encoding that it was in.
fn plain(mut prefix: Vec<u8>, rest: Rest, choice: Choice) -> (Box<dyn io::BufRead + Send>, &'static str) {
    prefix.drain(..choice.mark);
    let input = Cursor::new(prefix).chain(rest);
    let name = choice.encoding.name();
    if choice.encoding == UTF_8 {
        (Box::new(BufReader::with_capacity(PREFIX_BYTES, input)), name)
    } else {
        (Box::new(BufReader::with_capacity(PREFIX_BYTES, Transcoder::new(input, choice.encoding))), name)
    }
}

#[cfg(feature = "parquet")]
fn parquet_stream(input: impl Read, origin: &Origin, options: &ReadOptions) -> Result<Documents> {
    let bytes = read_limited(input, options.max_document_bytes, origin)?;
    let rows = crate::text::parquet::Rows::open(bytes::Bytes::from(bytes), origin.path(), options)?;
    Ok(Documents(Some(Kind::Parquet(Box::new(rows)))))
}

#[cfg(not(feature = "parquet"))]
fn parquet_stream(_input: impl Read, origin: &Origin, _options: &ReadOptions) -> Result<Documents> {
    Err(origin.fault(InputFault::Feature { feature: "parquet", path_kind: "Parquet" }))
}

/// The id of a document: its path as it was given, with `/` between the parts.
pub(crate) fn document_id(path: &Path) -> String {
    let path = path.to_string_lossy();
    if MAIN_SEPARATOR == '/' { path.into_owned() } else { path.replace(MAIN_SEPARATOR, "/") }
}

#[cfg(test)]
mod tests;
