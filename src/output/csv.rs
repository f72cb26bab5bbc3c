//! CSV as in RFC 4180, with a line feed as line end. `docs/output.md` specifies every column.
//!
//! Cells are written as they are: a text that opens with `=`, `+`, `-` or `@` is one that a spreadsheet may take for a
//! formula. Changing it would break the promise that `text` is the slice of the document.

use std::io::{self, Write};

use crate::output::columns::{self, Value};
use crate::output::{By, DocumentRecord, ParagraphRecord, RecordWriter, WriterOptions};

/// Writes CSV.
pub(crate) struct CsvWriter<W> {
    out: W,
    by: By,
    fields: Vec<String>,
    row: Vec<u8>,
}

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(out: W, options: WriterOptions) -> io::Result<Self> {
        let mut writer = Self { out, by: options.by, fields: options.fields, row: Vec::new() };
        if options.header {
            let names = columns::columns(&options.scheme, options.by).into_iter().map(|column| column.name);
            let names: Vec<String> = names.chain(columns::field_columns(&writer.fields)).collect();
            writer.write_row(names.into_iter())?;
        }
        Ok(writer)
    }

    /// A row goes out in one `write_all`, so that a run that is killed between calls leaves whole rows.
    fn write_row(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        self.row.clear();
        let mut csv = csv::Writer::from_writer(&mut self.row);
        csv.write_record(cells)?;
        csv.flush()?;
        drop(csv);
        self.out.write_all(&self.row)
    }
}

impl<W: Write> RecordWriter for CsvWriter<W> {
    fn paragraph(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        if self.by != By::Paragraph {
            return Ok(());
        }
        let fields = columns::field_values(record.document, &self.fields);
        self.write_row(columns::paragraph_row(record).into_iter().chain(fields).map(cell))
    }

    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()> {
        if self.by != By::Document {
            return Ok(());
        }
        let fields = columns::field_values(record.document, &self.fields);
        self.write_row(columns::document_row(record).into_iter().chain(fields).map(cell))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Numbers as plain decimals, names joined by `;`, nothing where there is no value.
fn cell(value: Value<'_>) -> String {
    match value {
        Value::Count(Some(count)) => count.to_string(),
        Value::Code(code) => code.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Decimal(Some(number)) => number.to_string(),
        Value::Count(None) | Value::Decimal(None) => String::new(),
        Value::Text(text) => text.to_owned(),
        Value::Owned(text) => text,
        Value::Names(names) => names.join(";"),
    }
}
