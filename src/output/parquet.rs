//! Parquet: the columns of CSV with their types, compressed with zstd. `docs/output.md` specifies every column.
//!
//! The document's other fields are one column of JSON text, `fields`, since a Parquet file has one set of columns from
//! the first row to the last.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float32Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::output::columns::{self, Kind, Value};
use crate::output::{By, DocumentRecord, ParagraphRecord, RecordWriter, WriterOptions};

/// Rows of a row group: some MB of text, which a reader loads at once.
const GROUP_ROWS: usize = 65_536;
/// Bytes of a row group, for files of long paragraphs.
const GROUP_BYTES: usize = 64 << 20;
/// Rows that are gathered before they are encoded.
const BATCH_ROWS: usize = 1024;
/// Bytes of text that are gathered before they are encoded.
const BATCH_BYTES: usize = 8 << 20;

/// Writes Parquet. The file can be read only after `finish`.
pub(crate) struct ParquetWriter<W: Write + Send> {
    out: ArrowWriter<W>,
    by: By,
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(out: W, options: WriterOptions) -> io::Result<Self> {
        let mut columns = columns::columns(&options.scheme, options.by);
        columns.push(columns::Column { name: "fields".to_owned(), kind: Kind::Text });
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), is_nullable(column)))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        Ok(Self {
            out: ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(io_error)?,
            by: options.by,
            builders: columns.iter().map(|column| Builder::new(column.kind)).collect(),
            schema,
            rows: 0,
            bytes: 0,
        })
    }

    fn write_row(
        &mut self,
        row: Vec<Value<'_>>,
        fields: &serde_json::Map<String, serde_json::Value>,
    ) -> io::Result<()> {
        let fields = (!fields.is_empty()).then(|| serde_json::to_string(fields)).transpose()?;
        let row = row.into_iter().map(Some).chain([fields.map(Value::Owned)]);
        for (builder, value) in self.builders.iter_mut().zip(row) {
            self.bytes += builder.append(value);
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        (self.rows, self.bytes) = (0, 0);
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|error: ArrowError| io_error(ParquetError::from(error)))?;
        self.out.write(&batch).map_err(io_error)
    }
}

impl<W: Write + Send> RecordWriter for ParquetWriter<W> {
    fn paragraph(&mut self, record: &ParagraphRecord<'_>) -> io::Result<()> {
        match self.by {
            By::Paragraph => self.write_row(columns::paragraph_row(record), record.document.fields()),
            By::Document => Ok(()),
        }
    }

    fn document(&mut self, record: &DocumentRecord<'_>) -> io::Result<()> {
        match self.by {
            By::Paragraph => Ok(()),
            By::Document => self.write_row(columns::document_row(record), record.document.fields()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_batch()?;
        self.out.finish().map_err(io_error)?;
        self.out.inner_mut().flush()
    }
}

/// The values of one column that are not yet encoded.
enum Builder {
    Count(Int64Builder),
    Code(Int32Builder),
    Flag(BooleanBuilder),
    Decimal(Float32Builder),
    Text(StringBuilder),
    Names(ListBuilder<StringBuilder>),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Count => Self::Count(Int64Builder::new()),
            Kind::Code => Self::Code(Int32Builder::new()),
            Kind::Flag => Self::Flag(BooleanBuilder::new()),
            Kind::Decimal => Self::Decimal(Float32Builder::new()),
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Names => Self::Names(ListBuilder::new(StringBuilder::new()).with_field(item())),
        }
    }

    /// Takes one value, and says how many bytes of text it has. A value of another kind than the column's is null.
    fn append(&mut self, value: Option<Value<'_>>) -> usize {
        match (self, value) {
            (Self::Count(builder), Some(Value::Count(Some(count)))) => {
                builder.append_option(i64::try_from(count).ok());
            }
            (Self::Code(builder), Some(Value::Code(code))) => builder.append_value(code),
            (Self::Flag(builder), Some(Value::Flag(flag))) => builder.append_value(flag),
            (Self::Decimal(builder), Some(Value::Decimal(Some(number)))) => builder.append_value(number as f32),
            (Self::Text(builder), Some(Value::Text(text))) => {
                builder.append_value(text);
                return text.len();
            }
            (Self::Text(builder), Some(Value::Owned(text))) => {
                builder.append_value(&text);
                return text.len();
            }
            (Self::Names(builder), Some(Value::Names(names))) => {
                for name in names {
                    builder.values().append_value(name);
                }
                builder.append(true);
            }
            (Self::Count(builder), _) => builder.append_null(),
            (Self::Code(builder), _) => builder.append_null(),
            (Self::Flag(builder), _) => builder.append_null(),
            (Self::Decimal(builder), _) => builder.append_null(),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Names(builder), _) => builder.append(false),
        }
        0
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Count(builder) => Arc::new(builder.finish()),
            Self::Code(builder) => Arc::new(builder.finish()),
            Self::Flag(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Names(builder) => Arc::new(builder.finish()),
        }
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Count => DataType::Int64,
        Kind::Code => DataType::Int32,
        Kind::Flag => DataType::Boolean,
        Kind::Decimal => DataType::Float32,
        Kind::Text => DataType::Utf8,
        Kind::Names => DataType::List(Arc::new(item())),
    }
}

fn item() -> Field {
    Field::new("item", DataType::Utf8, false)
}

/// Numbers that a document without content lacks, and the fields of a document that has none.
fn is_nullable(column: &columns::Column) -> bool {
    column.kind == Kind::Decimal || column.name == "fields" || column.name.ends_with("_peak_paragraph")
}

/// Keeps the cause of the error, so that a full disk is recognised as one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Int32Type, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::json;

    use super::*;
    use crate::output::Format;
    use crate::output::tests::fixture::{BUNDLE, Labelled, boilerplate, rated, shipped, topics_alone, write};
    use crate::text::Document;

    #[test]
    fn what_is_written_is_read_back() {
        let fields = json!({"author": "Jana", "words": 7});
        let document = Document::from_text("a,b", "Erster Absatz.\n\nTeilen");
        let documents: Vec<Labelled> = vec![
            (
                document.with_fields(fields.as_object().cloned().unwrap()),
                vec![rated(1.9, [0.9, 0.6, 0.1]), boilerplate()],
            ),
            (Document::from_text("c", "Zweiter."), vec![rated(-1.0, [0.1, 0.2, 0.3])]),
        ];
        let (schema, batch) = read(write(options(By::Paragraph), &documents));
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut expected: Vec<String> =
            columns::columns(&shipped(), By::Paragraph).into_iter().map(|column| column.name).collect();
        expected.push("fields".into());
        assert_eq!(names, expected);
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let texts =
            |name: &str| column(name).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(texts("id"), [text("a,b#0"), text("a,b#1"), text("c#0")]);
        assert_eq!(texts("text"), [text("Erster Absatz."), text("Teilen"), text("Zweiter.")]);
        assert_eq!(texts("bundle"), vec![text(BUNDLE); 3]);
        assert_eq!(texts("fields"), [text(&fields.to_string()), text(&fields.to_string()), None]);
        assert_eq!(column("start").as_primitive::<Int64Type>().values(), &[0, 16, 0]);
        assert_eq!(column("escalation").as_primitive::<Int32Type>().values(), &[2, 0, -1]);
        assert_eq!(column("military_probability").as_primitive::<Float32Type>().values(), &[0.9, 0.0123, 0.1]);
        assert_eq!(column("boilerplate").as_boolean().values().iter().collect::<Vec<_>>(), [false, true, false]);
        let topics = column("topics").as_list::<i32>();
        let topics: Vec<Vec<String>> = topics
            .iter()
            .map(|names| names.unwrap().as_string::<i32>().iter().map(|name| name.unwrap().to_owned()).collect())
            .collect();
        assert_eq!(topics, [vec!["military", "diplomacy"], vec![], vec![]]);
    }

    #[test]
    fn documents_without_content_have_nulls() {
        let documents: Vec<Labelled> = vec![
            (Document::from_text("a", "Teilen"), vec![boilerplate()]),
            (Document::from_text("b", "Absatz."), vec![rated(-1.0, [0.1, 0.2, 0.3])]),
            (Document::from_text("c", ""), vec![]),
        ];
        let (_, batch) = read(write(options(By::Document), &documents));
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let peaks: Vec<_> = column("escalation_peak_paragraph").as_primitive::<Int64Type>().iter().collect();
        assert_eq!(peaks, [None, Some(0), None]);
        let shares: Vec<_> = column("boilerplate_share").as_primitive::<Float32Type>().iter().collect();
        assert_eq!(shares, [Some(1.0), Some(0.0), None]);
        assert_eq!(column("escalation_count_-1").as_primitive::<Int64Type>().values(), &[0, 1, 0]);
    }

    #[test]
    fn many_rows_are_many_batches_and_none_is_a_file() {
        const ROWS: usize = 2 * BATCH_ROWS + 1;
        let text = vec!["Satz."; ROWS].join("\n\n");
        let documents = [(Document::from_text("a", text), vec![boilerplate(); ROWS])];
        let (_, batch) = read(write(options(By::Paragraph), &documents));
        assert_eq!(batch.num_rows(), ROWS);
        let (_, none) = read(write(options(By::Paragraph), &[]));
        assert_eq!(none.num_rows(), 0);
        let other = WriterOptions::new(Format::Parquet, topics_alone());
        assert!(read(write(other, &[])).0.field_with_name("boilerplate").is_err());
    }

    #[test]
    fn a_full_disk_keeps_its_kind() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        // The magic bytes are buffered: the error may come when the writer is made, or when it finishes.
        let made = ParquetWriter::new(Full, options(By::Paragraph));
        let error = made.and_then(|mut writer| writer.finish()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    fn options(by: By) -> WriterOptions {
        WriterOptions { by, ..WriterOptions::new(Format::Parquet, shipped()) }
    }

    fn read(bytes: Vec<u8>) -> (SchemaRef, RecordBatch) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.parquet");
        std::fs::write(&path, bytes).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let schema = Arc::clone(reader.schema());
        let mut batches: Vec<_> = reader.with_batch_size(100_000).build().unwrap().map(Result::unwrap).collect();
        assert!(batches.len() <= 1);
        let batch = batches.pop().unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
        (schema, batch)
    }
}
