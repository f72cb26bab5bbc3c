//! JSON Lines: one object a line, read line by line with memory for one line.
//!
//! In: a stream of UTF-8 (what could not be decoded is marked by a byte that is no UTF-8). Out: documents, or the fault
//! of a line with its number; the lines after a bad one are read.

use std::io::{self, BufRead};

use crate::error::{InputFault, RecordFault, Result};
use crate::text::compress::Origin;
use crate::text::document::Document;
use crate::text::reader::{ReadOptions, document_id};
use crate::text::records::RecordShape;

/// The records of a JSON Lines stream.
pub(crate) struct JsonLines {
    input: Box<dyn BufRead + Send>,
    origin: Origin,
    shape: RecordShape,
    encoding: &'static str,
    limit: u64,
    line: u64,
    has_records: bool,
    buffer: Vec<u8>,
}

/// What [`JsonLines::read_line`] found.
enum Line {
    End,
    Read,
    TooLong,
}

impl JsonLines {
    /// Reads `input`, which was decoded from `encoding`.
    pub(crate) fn new(
        input: Box<dyn BufRead + Send>,
        encoding: &'static str,
        origin: Origin,
        options: &ReadOptions,
    ) -> Self {
        let shape = RecordShape::new(&document_id(origin.path()), options);
        let limit = options.max_document_bytes;
        Self { input, origin, shape, encoding, limit, line: 0, has_records: false, buffer: Vec::new() }
    }

    /// The next document; `None` at the end. An error of the whole input is the last item that makes sense.
    pub(crate) fn next_document(&mut self) -> Option<Result<Document>> {
        loop {
            self.line += 1;
            let found = match self.read_line() {
                Err(error) => return Some(Err(self.origin.read_error(error))),
                Ok(Line::End) if self.has_records => return None,
                Ok(Line::End) => {
                    self.has_records = true;
                    return Some(Err(self.origin.fault(InputFault::Blank)));
                }
                Ok(Line::TooLong) => Err(RecordFault::TooLarge { limit: self.limit }),
                Ok(Line::Read) if self.buffer.trim_ascii().is_empty() => continue,
                Ok(Line::Read) => self.shape.json_line(self.line, &self.buffer, self.encoding),
            };
            self.has_records = true;
            return Some(found.map_err(|what| self.origin.record_fault(self.line, what)));
        }
    }

    /// Reads one line without its line feed into the buffer. Of a line over the limit nothing is kept.
    fn read_line(&mut self) -> io::Result<Line> {
        self.buffer.clear();
        let mut is_too_long = false;
        let mut is_empty = true;
        loop {
            let ready = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                ready => ready?,
            };
            if ready.is_empty() && is_empty {
                return Ok(Line::End);
            }
            is_empty = false;
            let end = memchr::memchr(b'\n', ready);
            let part = &ready[..end.unwrap_or(ready.len())];
            is_too_long |= self.buffer.len() as u64 + part.len() as u64 > self.limit;
            if is_too_long {
                self.buffer = Vec::new();
            } else {
                self.buffer.extend_from_slice(part);
            }
            let is_last = end.is_some() || ready.is_empty();
            let count = part.len() + usize::from(end.is_some());
            self.input.consume(count);
            if is_last {
                return Ok(if is_too_long { Line::TooLong } else { Line::Read });
            }
        }
    }
}
