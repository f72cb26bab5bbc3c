//! JSON Lines: one object a record, closed by a line feed. `docs/output.md` specifies every field.

use std::io::{self, Write};

use serde::Serialize;

use crate::output::{By, DocumentRecord, ParagraphRecord, RecordWriter};

/// Writes JSON Lines.
pub(crate) struct JsonlWriter<W> {
    out: W,
    by: By,
    line: Vec<u8>,
}

impl<W: Write> JsonlWriter<W> {
    pub(crate) fn new(out: W, by: By) -> Self {
        Self { out, by, line: Vec::new() }
    }

    /// A line goes out in one `write_all`, so that a run that is killed between calls leaves whole lines.
    fn write_line(&mut self, record: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

impl<W: Write> RecordWriter for JsonlWriter<W> {
    fn paragraph(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        if self.by == By::Paragraph { self.write_line(record) } else { Ok(()) }
    }

    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()> {
        if self.by == By::Document { self.write_line(record) } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
