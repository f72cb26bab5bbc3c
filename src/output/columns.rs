//! The flat form of the records: the columns that CSV and Parquet share, and one row of values for them.
//!
//! In: a scheme and the names of the fields that get their own column. Out: column names with their kind, rows.

use std::collections::BTreeSet;
use std::io;

use crate::label::Scheme;
use crate::output::number::{rounded, rounded_distribution};
use crate::output::{By, DocumentRecord, ParagraphRecord, SCHEMA};
use crate::text::Document;

/// One column of the flat form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    // Parquet has types, CSV has not.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code))]
    pub(crate) kind: Kind,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Count,
    Code,
    Flag,
    Decimal,
    Text,
    Names,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Count(Option<usize>),
    Code(i32),
    Flag(bool),
    /// Rounded; `None` where there is no number.
    Decimal(Option<f64>),
    Text(&'a str),
    Owned(String),
    Names(Vec<&'a str>),
}

/// The columns of one record, without those of the document's other fields.
pub(crate) fn columns(scheme: &Scheme, by: By) -> Vec<Column> {
    match by {
        By::Paragraph => paragraph_columns(scheme),
        By::Document => document_columns(scheme),
    }
}

/// Says as an error if two columns, or two fields of a JSON object, would have the same name.
pub(crate) fn check(scheme: &Scheme, fields: &[String]) -> io::Result<()> {
    for by in [By::Paragraph, By::Document] {
        let flat = columns(scheme, by).into_iter().map(|column| column.name).chain(field_columns(fields));
        let nested = match by {
            By::Paragraph => ["fields", "topic_probabilities"],
            By::Document => ["fields", "topics"],
        };
        let distribution = scheme.scale.iter().map(|scale| format!("{}_probabilities", scale.name));
        let mut seen = BTreeSet::new();
        for name in flat.chain(nested.map(str::to_owned)).chain(distribution) {
            if let Some(name) = seen.replace(name) {
                let message = format!(
                    "cannot write records: the field {name:?} would stand twice in a record; \
                     give the topic or scale of that name another one, in bundle.json or the map of labels"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
    }
    Ok(())
}

/// The columns for the fields of a document: one for each of `fields`, then `other_fields`.
pub(crate) fn field_columns(fields: &[String]) -> impl Iterator<Item = String> {
    fields.iter().map(|name| format!("fields.{name}")).chain(["other_fields".to_owned()])
}

/// The values for [`field_columns`]: a string as it is, nothing for null and for a missing field, else JSON text.
pub(crate) fn field_values<'a>(document: &'a Document, fields: &[String]) -> Vec<Value<'a>> {
    let text = |value: &'a serde_json::Value| match value {
        serde_json::Value::Null => Value::Text(""),
        serde_json::Value::String(text) => Value::Text(text),
        other => Value::Owned(other.to_string()),
    };
    let all = document.fields();
    let mut values: Vec<Value<'a>> = fields.iter().map(|name| all.get(name).map_or(Value::Text(""), text)).collect();
    let others: Vec<_> = all.iter().filter(|(name, _)| !fields.contains(name)).collect();
    values.push(if others.is_empty() {
        Value::Text("")
    } else {
        let others = others.into_iter().map(|(name, value)| (name.clone(), value.clone()));
        Value::Owned(serde_json::Value::Object(others.collect()).to_string())
    });
    values
}

/// The values for [`columns`] by paragraph.
pub(crate) fn paragraph_row<'a>(record: &ParagraphRecord<'a>) -> Vec<Value<'a>> {
    let range = record.paragraph.byte_range();
    let prediction = record.prediction;
    let mut row = vec![
        Value::Count(Some(SCHEMA as usize)),
        Value::Owned(record.id()),
        Value::Text(record.document.id()),
        Value::Count(Some(record.paragraph.index())),
        Value::Count(Some(range.start)),
        Value::Count(Some(range.end)),
        Value::Text(record.paragraph.text()),
        Value::Text(record.language.code()),
        Value::Flag(record.language_validated),
    ];
    if let Some(probability) = prediction.boilerplate() {
        row.extend([Value::Flag(prediction.is_boilerplate()), Value::Decimal(rounded(probability.into()))]);
    }
    if !prediction.scheme().topics.is_empty() {
        row.push(Value::Names(prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name).collect()));
        row.extend(prediction.topics().map(|topic| Value::Decimal(rounded(topic.probability.into()))));
    }
    if let Some(level) = prediction.escalation() {
        let expected = prediction.expected_escalation().and_then(|expected| rounded(expected.into()));
        row.extend([Value::Code(level.code), Value::Text(level.name), Value::Decimal(expected)]);
        row.extend(rounded_distribution(prediction.escalation_probabilities()).into_iter().map(Value::Decimal));
    }
    row.extend([
        Value::Count(Some(prediction.windows())),
        Value::Count(Some(prediction.tokens())),
        Value::Text(record.bundle),
    ]);
    row
}

/// The values for [`columns`] by document.
pub(crate) fn document_row<'a>(record: &DocumentRecord<'a>) -> Vec<Value<'a>> {
    let summary = record.summary;
    let scheme = summary.scheme();
    let mut row = vec![
        Value::Count(Some(SCHEMA as usize)),
        Value::Text(record.document.id()),
        Value::Text(summary.language().code()),
        Value::Count(Some(summary.paragraphs())),
        Value::Count(Some(summary.content())),
    ];
    if scheme.boilerplate {
        row.push(Value::Count(Some(summary.boilerplate())));
        row.push(Value::Decimal(summary.boilerplate_share().and_then(rounded)));
    }
    row.extend(summary.topics().map(|(_, count)| Value::Count(Some(count))));
    if scheme.scale.is_some() {
        row.extend(summary.levels().map(|(_, count)| Value::Count(Some(count))));
        let single = |value: Option<f32>| Value::Decimal(value.and_then(|value| rounded(value.into())));
        row.push(Value::Decimal(summary.escalation_mean().and_then(rounded)));
        row.push(single(summary.escalation_min()));
        row.push(single(summary.escalation_max()));
        row.push(Value::Count(summary.escalation_peak().map(|peak| peak.paragraph)));
    }
    row.extend([
        Value::Count(Some(summary.windows())),
        Value::Count(Some(summary.tokens())),
        Value::Text(record.bundle),
    ]);
    row
}

fn paragraph_columns(scheme: &Scheme) -> Vec<Column> {
    let mut columns = named(&[
        ("schema", Kind::Count),
        ("id", Kind::Text),
        ("document", Kind::Text),
        ("paragraph", Kind::Count),
        ("start", Kind::Count),
        ("end", Kind::Count),
        ("text", Kind::Text),
        ("language", Kind::Text),
        ("language_validated", Kind::Flag),
    ]);
    if scheme.boilerplate {
        columns.extend(named(&[("boilerplate", Kind::Flag), ("boilerplate_probability", Kind::Decimal)]));
    }
    if !scheme.topics.is_empty() {
        columns.extend(named(&[("topics", Kind::Names)]));
        columns.extend(scheme.topics.iter().map(|topic| column(format!("{}_probability", topic.name), Kind::Decimal)));
    }
    if let Some(scale) = &scheme.scale {
        columns.push(column(scale.name.clone(), Kind::Code));
        columns.push(column(format!("{}_name", scale.name), Kind::Text));
        columns.push(column(format!("{}_expected", scale.name), Kind::Decimal));
        let levels = scale.levels.iter().map(|level| format!("{}_probability_{}", scale.name, level.code));
        columns.extend(levels.map(|name| column(name, Kind::Decimal)));
    }
    columns.extend(named(&[("windows", Kind::Count), ("tokens", Kind::Count), ("bundle", Kind::Text)]));
    columns
}

fn document_columns(scheme: &Scheme) -> Vec<Column> {
    let mut columns = named(&[
        ("schema", Kind::Count),
        ("document", Kind::Text),
        ("language", Kind::Text),
        ("paragraphs", Kind::Count),
        ("content", Kind::Count),
    ]);
    if scheme.boilerplate {
        columns.extend(named(&[("boilerplate", Kind::Count), ("boilerplate_share", Kind::Decimal)]));
    }
    columns.extend(scheme.topics.iter().map(|topic| column(format!("{}_count", topic.name), Kind::Count)));
    if let Some(scale) = &scheme.scale {
        let levels = scale.levels.iter().map(|level| format!("{}_count_{}", scale.name, level.code));
        columns.extend(levels.map(|name| column(name, Kind::Count)));
        for of in ["mean", "min", "max"] {
            columns.push(column(format!("{}_{of}", scale.name), Kind::Decimal));
        }
        columns.push(column(format!("{}_peak_paragraph", scale.name), Kind::Count));
    }
    columns.extend(named(&[("windows", Kind::Count), ("tokens", Kind::Count), ("bundle", Kind::Text)]));
    columns
}

fn named(columns: &[(&str, Kind)]) -> Vec<Column> {
    columns.iter().map(|&(name, kind)| column(name.to_owned(), kind)).collect()
}

fn column(name: String, kind: Kind) -> Column {
    Column { name, kind }
}
