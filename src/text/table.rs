//! CSV and TSV: a header with the names of the columns, then one record a row, read row by row with memory for one row.
//!
//! In: a stream of UTF-8 (what could not be decoded is marked by a byte that is no UTF-8). Out: documents, or the fault
//! of a row with its line; the rows after a bad one are read. Cells are quoted by `"` as in RFC 4180, in TSV too. The
//! delimiter of CSV is the comma, or the semicolon of German spreadsheets when only that gives the text column.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use crate::error::{InputFault, RecordFault, Result};
use crate::text::compress::Origin;
use crate::text::document::Document;
use crate::text::reader::{ReadOptions, document_id};
use crate::text::records::{RecordShape, listed};

/// Cells that a row may have. More is a damaged file; the number bounds the memory for their ends.
const MAX_CELLS: usize = 1 << 20;

/// Room for a row at the start, in bytes and in cells.
const FIRST_ROOM: (usize, usize) = (4096, 64);

/// The rows of a CSV or TSV stream.
pub(crate) struct Table {
    rows: Rows,
    columns: Vec<String>,
    origin: Origin,
    shape: RecordShape,
    encoding: &'static str,
}

impl Table {
    /// Reads the header of `input`, which was decoded from `encoding`.
    pub(crate) fn open(
        mut input: Box<dyn BufRead + Send>,
        delimiter: u8,
        encoding: &'static str,
        origin: Origin,
        options: &ReadOptions,
    ) -> Result<Self> {
        let beginning = fill(&mut input).map_err(|error| origin.read_error(error))?;
        let delimiter = match delimiter {
            b',' if !names(beginning, b',').contains(&options.text_field)
                && names(beginning, b';').contains(&options.text_field) =>
            {
                b';'
            }
            delimiter => delimiter,
        };
        let mut rows = Rows::new(input, delimiter, options.max_document_bytes);
        match rows.read_row().map_err(|error| origin.read_error(error))? {
            Row::End => return Err(origin.fault(InputFault::Blank)),
            Row::TooLong => return Err(origin.fault(InputFault::TooLarge { limit: options.max_document_bytes })),
            Row::Unclosed => return Err(origin.record_fault(rows.first_line, RecordFault::UnclosedQuote)),
            Row::Read => {}
        }
        let columns = named(rows.cells().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect());
        let lacks = |field: &String| !columns.contains(field);
        if lacks(&options.text_field) {
            let (field, found) = (options.text_field.clone(), listed(columns.iter()));
            return Err(origin.fault(InputFault::MissingColumn { field, found }));
        }
        if let Some(field) = options.id_field.clone().filter(lacks) {
            let found = listed(columns.iter());
            return Err(origin.fault(InputFault::MissingIdColumn { field, found }));
        }
        let shape = RecordShape::new(&document_id(origin.path()), options);
        Ok(Self { rows, columns, origin, shape, encoding })
    }

    /// The next document; `None` at the end. An error of the whole input is the last item that makes sense.
    pub(crate) fn next_document(&mut self) -> Option<Result<Document>> {
        let found = match self.rows.read_row() {
            Err(error) => return Some(Err(self.origin.read_error(error))),
            Ok(Row::End) => return None,
            Ok(Row::TooLong) => Err(RecordFault::TooLarge { limit: self.rows.limit }),
            Ok(Row::Unclosed) => Err(RecordFault::UnclosedQuote),
            Ok(Row::Read) => self.parse(),
        };
        Some(found.map_err(|what| self.origin.record_fault(self.rows.first_line, what)))
    }

    fn parse(&self) -> Result<Document, RecordFault> {
        let (expected, found) = (self.columns.len() as u64, self.rows.cell_count as u64);
        if expected != found {
            return Err(RecordFault::Ragged { expected, found });
        }
        let mut fields = Map::new();
        for (column, cell) in self.columns.iter().zip(self.rows.cells()) {
            let cell = std::str::from_utf8(cell).map_err(|_| RecordFault::Encoding { encoding: self.encoding })?;
            fields.insert(column.clone(), Value::String(cell.to_owned()));
        }
        self.shape.document(self.rows.first_line, fields)
    }
}

/// The column names in the first row of `beginning`.
fn names(beginning: &[u8], delimiter: u8) -> Vec<String> {
    let mut rows = Rows::new(Box::new(io::Cursor::new(beginning.to_vec())), delimiter, beginning.len() as u64);
    match rows.read_row() {
        Ok(Row::Read) => rows.cells().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// Tells columns of the same name apart by a number: `name`, `name.2`, `name.3`.
fn named(mut columns: Vec<String>) -> Vec<String> {
    for index in 1..columns.len() {
        let (before, rest) = columns.split_at_mut(index);
        let name = rest[0].clone();
        let mut number = 1;
        while before.contains(&rest[0]) {
            number += 1;
            rest[0] = format!("{name}.{number}");
        }
    }
    columns
}

/// Splits a stream into rows and cells.
struct Rows {
    input: Box<dyn BufRead + Send>,
    parser: Reader,
    /// Unquoted cells of the row, one after another; longer than the row.
    bytes: Vec<u8>,
    /// Where the cells end; longer than the row.
    ends: Vec<usize>,
    cell_count: usize,
    /// Line that the row begins on, from 1.
    first_line: u64,
    lines: LineCount,
    limit: u64,
}

enum Row {
    End,
    Read,
    TooLong,
    /// The input ended within quotes.
    Unclosed,
}

/// Line ends taken in so far: LF, CR LF, or the CR of old spreadsheets.
#[derive(Default)]
struct LineCount {
    ends: u64,
    is_after_cr: bool,
}

impl LineCount {
    fn take_in(&mut self, bytes: &[u8]) {
        for place in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            let is_after_cr = if place == 0 { self.is_after_cr } else { bytes[place - 1] == b'\r' };
            self.ends += u64::from(bytes[place] == b'\r' || !is_after_cr);
        }
        self.is_after_cr = bytes.last().map_or(self.is_after_cr, |&last| last == b'\r');
    }
}

impl Rows {
    fn new(input: Box<dyn BufRead + Send>, delimiter: u8, limit: u64) -> Self {
        let parser = ReaderBuilder::new().delimiter(delimiter).build();
        let (bytes, ends) = (vec![0; FIRST_ROOM.0], vec![0; FIRST_ROOM.1]);
        Self { input, parser, bytes, ends, cell_count: 0, first_line: 1, lines: LineCount::default(), limit }
    }

    /// Reads the next row that is not blank. Of a row over the limit nothing is kept.
    fn read_row(&mut self) -> io::Result<Row> {
        loop {
            self.skip_line_breaks()?;
            self.first_line = self.lines.ends + 1;
            match self.read_any_row()? {
                Row::Read if self.cell_count == 1 && self.bytes[..self.ends[0]].trim_ascii().is_empty() => {}
                row => return Ok(row),
            }
        }
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.cell_count];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, &end)| &self.bytes[start..end])
    }

    fn skip_line_breaks(&mut self) -> io::Result<()> {
        loop {
            let ready = fill(&mut self.input)?;
            let count = ready.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
            self.lines.take_in(&ready[..count]);
            let is_over = count == 0 || count < ready.len();
            self.input.consume(count);
            if is_over {
                return Ok(());
            }
        }
    }

    fn read_any_row(&mut self) -> io::Result<Row> {
        let (mut filled, mut cells, mut is_too_long, mut has_begun) = (0, 0, false, false);
        loop {
            let ready = fill(&mut self.input)?;
            // A line feed ends the last row, but not within quotes.
            let is_last = ready.is_empty() && has_begun;
            let bytes = if is_last { b"\n" } else { ready };
            let (result, read, written, ended) =
                self.parser.read_record(bytes, &mut self.bytes[filled..], &mut self.ends[cells..]);
            if !is_last {
                self.lines.take_in(&ready[..read]);
                self.input.consume(read);
            }
            has_begun |= read > 0;
            filled += written;
            cells += ended;
            is_too_long |= filled as u64 > self.limit || cells > MAX_CELLS;
            if is_too_long {
                (filled, cells) = (0, 0);
            }
            match result {
                ReadRecordResult::InputEmpty if is_last => {
                    self.parser.reset();
                    return Ok(Row::Unclosed);
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if !is_too_long => self.bytes.resize(2 * self.bytes.len(), 0),
                ReadRecordResult::OutputEndsFull if !is_too_long => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
                ReadRecordResult::End => return Ok(Row::End),
                ReadRecordResult::Record if is_too_long => {
                    (self.bytes, self.ends) = (vec![0; FIRST_ROOM.0], vec![0; FIRST_ROOM.1]);
                    self.cell_count = 0;
                    return Ok(Row::TooLong);
                }
                ReadRecordResult::Record => {
                    self.cell_count = cells;
                    return Ok(Row::Read);
                }
            }
        }
    }
}

fn fill(input: &mut Box<dyn BufRead + Send>) -> io::Result<&[u8]> {
    // A second call gives what the first one read.
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
}
