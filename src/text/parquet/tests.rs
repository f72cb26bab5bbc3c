//! Parquet files with text columns of every kind, and bad ones.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::builder::Int32Builder;
use arrow_array::builder::{ListBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    BooleanArray, Date32Array, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
    TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::text::{open, read};

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn listing(bytes: &[u8]) -> Vec<String> {
    let options = ReadOptions::default();
    let show = |item: Result<Document>| match item {
        Ok(document) => {
            format!("{}: {} {}", document.id(), document.text(), serde_json::to_string(document.fields()).unwrap())
        }
        Err(error) => error.to_string(),
    };
    let streamed: Vec<String> = match read(Path::new("a.parquet"), Box::new(Cursor::new(bytes.to_vec())), &options) {
        Ok(documents) => documents.map(show).collect(),
        Err(error) => vec![error.to_string()],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    let opened: Vec<String> = match open(&path, &options) {
        Ok(documents) => documents.map(show).collect(),
        Err(error) => vec![error.to_string()],
    };
    let opened: Vec<String> = opened.iter().map(|line| line.replace(path.to_str().unwrap(), "a.parquet")).collect();
    assert_eq!(streamed, opened, "a stream and a file give the same");
    opened
}

#[test]
fn text_columns_of_every_kind_are_read() {
    let texts = vec![Some("eins"), None, Some(" "), Some("vier")];
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    dictionary.extend(texts.clone());
    let kinds: Vec<(&str, ArrayRef)> = vec![
        ("string", Arc::new(StringArray::from(texts.clone()))),
        ("large string", Arc::new(LargeStringArray::from(texts.clone()))),
        ("string view", Arc::new(StringViewArray::from(texts.clone()))),
        ("dictionary", Arc::new(dictionary.finish())),
    ];
    for (kind, column) in kinds {
        let expected = [
            "a.parquet:1: eins {}",
            "a.parquet:2: the field \"text\" holds null, a string was expected",
            "a.parquet:3: the text of this record is blank: there is nothing to classify",
            "a.parquet:4: vier {}",
        ];
        assert_eq!(listing(&file(vec![("text", column)])), expected, "{kind}");
    }
}

#[test]
fn other_columns_become_json() {
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![7]))),
        ("text", Arc::new(StringArray::from(vec!["eins"]))),
        ("score", Arc::new(Float64Array::from(vec![0.5]))),
        ("seen", Arc::new(BooleanArray::from(vec![true]))),
        ("day", Arc::new(Date32Array::from(vec![19_000]))),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_500]).with_timezone("UTC"))),
        ("list", Arc::new(list.finish())),
    ];
    let expected = "7: eins {\"score\":0.5,\"seen\":true,\"day\":\"2022-01-08\",\"time\":\"2023-11-14T22:13:20.500Z\",\"list\":[1,null]}";
    assert_eq!(listing(&file(columns)), [expected]);
}

#[test]
fn more_rows_than_a_batch_are_read_in_order() {
    let texts: Vec<String> = (1..=1000).map(|number| format!("Absatz {number}")).collect();
    let found = listing(&file(vec![("text", Arc::new(StringArray::from(texts)))]));
    assert_eq!((found.len(), found[999].as_str()), (1000, "a.parquet:1000: Absatz 1000 {}"));
}

#[test]
fn bad_files_are_told() {
    let good = file(vec![("body", Arc::new(StringArray::from(vec!["eins"])))]);
    let numbers = file(vec![("text", Arc::new(Int64Array::from(vec![1])))]);
    let cases: &[(&str, &[u8], &str)] = &[
        ("column", &good, "a.parquet: there is no column \"text\"; the columns are [\"body\"]; name the text column"),
        ("type", &numbers, "a.parquet: the column \"text\" holds Int64, text was expected"),
        ("cut", &good[..good.len() - 5], "a.parquet: the Parquet file cannot be read: "),
        ("magic only", b"PAR1", "a.parquet: the Parquet file cannot be read: "),
        ("text", b"kein Parquet", "a.parquet: the Parquet file cannot be read: "),
        ("empty", b"", "a.parquet: the file is empty"),
    ];
    for (case, bytes, expected) in cases {
        let found = listing(bytes);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{case}: {found:?}");
    }
}

#[test]
fn damaged_files_do_not_panic() {
    let texts: Vec<String> = (1..=50).map(|number| format!("Absatz {number}")).collect();
    let good = file(vec![("text", Arc::new(StringArray::from(texts)))]);
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0xff;
        let input = Box::new(Cursor::new(damaged));
        if let Ok(documents) = read(Path::new("a.parquet"), input, &ReadOptions::default()) {
            assert!(documents.count() <= 51, "byte {at}");
        }
    }
}
