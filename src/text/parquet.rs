//! Parquet: one record a row, read batch by batch with memory for one batch.
//!
//! In: a file or its bytes. Out: documents, or the fault of a row with its number, from 1. The text column holds strings
//! (plain, large, view or dictionary); the other columns become JSON values: numbers, strings, lists, objects; dates and
//! times as ISO 8601.

use std::fs::File;
use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, types};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use serde_json::{Map, Value};

use crate::error::{Error, InputFault, RecordFault, Result};
use crate::text::document::Document;
use crate::text::reader::{ReadOptions, document_id};
use crate::text::records::{RecordShape, listed};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 256;

/// The first and last bytes of every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// Whether `file` begins like Parquet; a file that does not is left to the reader of streams (it may be compressed).
pub(crate) fn is_parquet(mut file: &File) -> bool {
    let mut magic = [0; 4];
    let is_magic = file.read_exact(&mut magic).is_ok() && magic == *MAGIC;
    file.rewind().is_ok() && is_magic
}

/// The rows of a Parquet file.
pub(crate) struct Rows {
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    next_in_batch: usize,
    row: u64,
    columns: Vec<String>,
    path: PathBuf,
    shape: RecordShape,
}

impl Rows {
    /// Reads the schema of `file`.
    pub(crate) fn open<T: ChunkReader + 'static>(file: T, path: &Path, options: &ReadOptions) -> Result<Self> {
        let fault = |what| Error::Input { path: path.to_path_buf(), what };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file);
        let builder = builder.map_err(|error| fault(InputFault::Parquet(error)))?.with_batch_size(BATCH_ROWS);
        let schema = builder.schema().clone();
        let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let field = options.text_field.clone();
        match schema.fields().iter().find(|column| *column.name() == field) {
            None => return Err(fault(InputFault::MissingColumn { field, found: listed(columns.iter()) })),
            Some(column) if !is_text(column.data_type()) => {
                let found = column.data_type().to_string();
                return Err(fault(InputFault::NotATextColumn { field, found }));
            }
            Some(_) => {}
        }
        if let Some(field) = options.id_field.clone().filter(|field| !columns.contains(field)) {
            return Err(fault(InputFault::MissingIdColumn { field, found: listed(columns.iter()) }));
        }
        let batches = builder.build().map_err(|error| fault(InputFault::Parquet(error)))?;
        let shape = RecordShape::new(&document_id(path), options);
        let path = path.to_path_buf();
        Ok(Self { batches, batch: None, next_in_batch: 0, row: 0, columns, path, shape })
    }

    /// The next document; `None` at the end. An error of the whole input is the last item that makes sense.
    pub(crate) fn next_document(&mut self) -> Option<Result<Document>> {
        // The decoder checks its input by assertions: damaged pages make it panic. Nothing is read after that.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read_next()));
        outcome.unwrap_or_else(|_| {
            let what = InputFault::Parquet(ParquetError::General("its pages are damaged".into()));
            Some(Err(Error::Input { path: self.path.clone(), what }))
        })
    }

    fn read_next(&mut self) -> Option<Result<Document>> {
        let batch = match self.batch.take().filter(|batch| self.next_in_batch < batch.num_rows()) {
            Some(batch) => batch,
            None => loop {
                self.next_in_batch = 0;
                match self.batches.next()? {
                    Ok(batch) if batch.num_rows() == 0 => {}
                    Ok(batch) => break batch,
                    Err(error) => {
                        let what = InputFault::Parquet(ParquetError::from(error));
                        return Some(Err(Error::Input { path: self.path.clone(), what }));
                    }
                }
            },
        };
        let index = self.next_in_batch;
        self.next_in_batch += 1;
        self.row += 1;
        let found = self.document(&batch, index);
        self.batch = Some(batch);
        Some(found.map_err(|what| Error::Record { path: self.path.clone(), line: self.row, what }))
    }

    fn document(&self, batch: &RecordBatch, index: usize) -> Result<Document, RecordFault> {
        let mut fields = Map::new();
        for (name, column) in self.columns.iter().zip(batch.columns()) {
            fields.insert(name.clone(), json(column, index));
        }
        self.shape.document(self.row, fields)
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The value of a cell as JSON; null for what JSON cannot say.
fn json(column: &ArrayRef, index: usize) -> Value {
    if column.is_null(index) {
        return Value::Null;
    }
    macro_rules! number {
        ($kind:ty) => {
            Value::from(column.as_primitive::<$kind>().value(index))
        };
    }
    macro_rules! date {
        ($kind:ty) => {
            column.as_primitive::<$kind>().value_as_date(index).map_or(Value::Null, |date| date.to_string().into())
        };
    }
    macro_rules! datetime {
        ($kind:ty, $zone:expr) => {{
            let time = column.as_primitive::<$kind>().value_as_datetime(index);
            let suffix = if $zone.is_some() { "Z" } else { "" };
            time.map_or(Value::Null, |time| format!("{}{suffix}", time.format("%Y-%m-%dT%H:%M:%S%.f")).into())
        }};
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(index).into(),
        DataType::Int8 => number!(types::Int8Type),
        DataType::Int16 => number!(types::Int16Type),
        DataType::Int32 => number!(types::Int32Type),
        DataType::Int64 => number!(types::Int64Type),
        DataType::UInt8 => number!(types::UInt8Type),
        DataType::UInt16 => number!(types::UInt16Type),
        DataType::UInt32 => number!(types::UInt32Type),
        DataType::UInt64 => number!(types::UInt64Type),
        DataType::Float16 => Value::from(column.as_primitive::<types::Float16Type>().value(index).to_f32()),
        DataType::Float32 => number!(types::Float32Type),
        DataType::Float64 => number!(types::Float64Type),
        DataType::Utf8 => column.as_string::<i32>().value(index).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(index).into(),
        DataType::Utf8View => column.as_string_view().value(index).into(),
        DataType::Binary => text_of(column.as_binary::<i32>().value(index)),
        DataType::LargeBinary => text_of(column.as_binary::<i64>().value(index)),
        DataType::BinaryView => text_of(column.as_binary_view().value(index)),
        DataType::Date32 => date!(types::Date32Type),
        DataType::Date64 => date!(types::Date64Type),
        DataType::Timestamp(TimeUnit::Second, zone) => datetime!(types::TimestampSecondType, zone),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => datetime!(types::TimestampMillisecondType, zone),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => datetime!(types::TimestampMicrosecondType, zone),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => datetime!(types::TimestampNanosecondType, zone),
        DataType::Decimal128(_, _) => column.as_primitive::<types::Decimal128Type>().value_as_string(index).into(),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            json(dictionary.values(), dictionary.normalized_keys()[index])
        }
        DataType::List(_) => list(&column.as_list::<i32>().value(index)),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(index)),
        DataType::FixedSizeList(..) => list(&column.as_fixed_size_list().value(index)),
        DataType::Struct(fields) => {
            let cells = fields.iter().zip(column.as_struct().columns());
            Value::Object(cells.map(|(field, cell)| (field.name().clone(), json(cell, index))).collect())
        }
        _ => Value::Null,
    }
}

fn list(values: &ArrayRef) -> Value {
    (0..values.len()).map(|index| json(values, index)).collect()
}

fn text_of(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests;
