//! Gold and prediction files as records: JSON Lines or CSV in, fields with their line out, labels read under a scheme.
//!
//! A `.csv` or `.tsv` file has a header line, a `.json` file that begins with a list is an export of Label Studio or Argilla; anything else is JSON Lines; each may be compressed (`.gz`, `.zst`). In a table a list of topics is joined by `;`,
//! an empty cell of topics says that none applies, `null` that it is not known; of every other field an empty cell is
//! the same as `null`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, InputFault, RecordFault, Result};
use crate::eval::{argilla, label_studio};
use crate::label::Scheme;
use crate::text::compress::{Source, plain_name};

/// The labels of one paragraph, by one coder or one system; `None`: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Whether each topic applies, in the order of the scheme.
    pub topics: Option<Vec<bool>>,
    /// Index of the level in the scheme's scale.
    pub level: Option<usize>,
    /// Whether the paragraph is boilerplate.
    pub boilerplate: Option<bool>,
}

impl Labels {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.topics.is_none() && self.level.is_none() && self.boilerplate.is_none()
    }
}

/// One record of a file, with its place.
pub(crate) struct Record<'a> {
    path: &'a Path,
    line: u64,
    fields: Map<String, Value>,
}

/// Calls `each` with every record of the file, in order; blank lines are passed over.
pub(crate) fn read_records(
    path: &Path,
    mut input: impl BufRead,
    mut each: impl FnMut(Record<'_>) -> Result<()>,
) -> Result<()> {
    let name = plain_name(path).unwrap_or_default();
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "csv" => read_table(path, input, b',', each),
        "tsv" => read_table(path, input, b'\t', each),
        "json" if is_list(path, &mut input)? => read_tasks(path, input, each),
        _ => {
            for (index, line) in input.lines().enumerate() {
                let line = line.map_err(|source| Error::Read { path: path.into(), source })?;
                let line = if index == 0 { line.trim_start_matches('\u{feff}') } else { &line };
                if line.trim().is_empty() {
                    continue;
                }
                let number = index as u64 + 1;
                let fault = |what| Error::Record { path: path.into(), line: number, what };
                match serde_json::from_str(line).map_err(|source| fault(RecordFault::Json(source)))? {
                    Value::Object(fields) => each(Record { path, line: number, fields })?,
                    _ => return Err(fault(RecordFault::NotAnObject)),
                }
            }
            Ok(())
        }
    }
}

/// Whether a list begins here, as an export of a labelling tool does and JSON Lines do not.
fn is_list(path: &Path, input: &mut impl BufRead) -> Result<bool> {
    let begin = input.fill_buf().map_err(|source| Error::Read { path: path.into(), source })?;
    Ok(begin.trim_ascii_start().first() == Some(&b'['))
}

/// The labelled tasks or records of an export; the line of one is its number, counted from 1.
fn read_tasks(path: &Path, input: impl BufRead, mut each: impl FnMut(Record<'_>) -> Result<()>) -> Result<()> {
    let fault = |line, what| Error::Record { path: path.into(), line, what };
    let tasks: Vec<Value> = serde_json::from_reader(input).map_err(|source| {
        let line = source.line() as u64;
        fault(line, RecordFault::Tasks(source))
    })?;
    for (number, task) in (1..).zip(&tasks) {
        let Value::Object(task) = task else { return Err(fault(number, RecordFault::NotAnObject)) };
        let fields = if argilla::is_record(task) { argilla::fields(task) } else { label_studio::fields(task) };
        if let Some(fields) = fields {
            each(Record { path, line: number, fields })?;
        }
    }
    Ok(())
}

fn read_table(
    path: &Path,
    mut input: impl BufRead,
    delimiter: u8,
    mut each: impl FnMut(Record<'_>) -> Result<()>,
) -> Result<()> {
    // A row begins, for the reader, at the line feed of a CR LF before it.
    let behind = u64::from(ends_lines_with_crlf(path, &mut input)?);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(input);
    let fault = |line, what| Error::Record { path: path.into(), line, what };
    let unreadable = |line: u64, source: csv::Error| {
        let line = source.position().map_or(line, |position| position.line() + behind);
        if source.is_io_error() {
            return Error::Read { path: path.into(), source: source.into() };
        }
        fault(line, RecordFault::Table(source))
    };
    let header = reader.headers().map_err(|source| unreadable(1, source))?.clone();
    let names: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
    if let Some(column) =
        names.iter().enumerate().find_map(|(index, name)| names[..index].contains(name).then_some(name))
        && !column.is_empty()
    {
        return Err(fault(1, RecordFault::DoubleColumn { column: column.clone() }));
    }
    for row in reader.records() {
        let row = row.map_err(|source| unreadable(0, source))?;
        let line = row.position().map_or(0, |position| position.line() + behind);
        if row.len() != header.len() {
            let what = RecordFault::Ragged { expected: header.len() as u64, found: row.len() as u64 };
            return Err(fault(line, what));
        }
        let fields = names.iter().zip(&row).map(|(name, cell)| (name.clone(), Value::String(cell.to_owned())));
        each(Record { path, line, fields: fields.collect() })?;
    }
    Ok(())
}

/// Whether the first line ends with CR LF.
fn ends_lines_with_crlf(path: &Path, input: &mut impl BufRead) -> Result<bool> {
    let begin = input.fill_buf().map_err(|source| Error::Read { path: path.into(), source })?;
    let end = begin.iter().position(|&byte| byte == b'\n');
    Ok(end.is_some_and(|end| begin[..end].ends_with(b"\r")))
}

/// What says which text a task is about. Labels that stand among its fields are not its coder's, but what somebody knew before.
const DESCRIPTION: [&str; 9] = ["id", "text", "document", "group", "lang", "source", "genre", "split", "confidence"];

/// The fields of a task of a labelling tool that are carried over beside the answers.
pub(crate) fn description(fields: &Map<String, Value>) -> Map<String, Value> {
    let kept = fields.iter().filter(|(name, _)| DESCRIPTION.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Opens a file, which may be compressed, for reading by lines.
pub(crate) fn open(path: &Path) -> Result<BufReader<Source>> {
    let opened = File::open(path).and_then(|file| Source::new(Box::new(file)));
    Ok(BufReader::new(opened.map_err(|source| Error::Read { path: path.into(), source })?))
}

/// The error for a file without any label.
pub(crate) fn no_labels(path: &Path, scheme: &Scheme) -> Error {
    let scale = scheme.scale.iter().map(|scale| scale.name.clone());
    let fields = ["topics".to_owned()].into_iter().chain(scale).chain(["boilerplate".to_owned()]).collect();
    Error::Input { path: path.into(), what: InputFault::NoLabels { fields } }
}

impl Record<'_> {
    /// The record's place, for an error.
    pub(crate) fn fault(&self, what: RecordFault) -> Error {
        Error::Record { path: self.path.into(), line: self.line, what }
    }

    /// Path and line.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }

    fn wrong(&self, field: &str, found: &Value, expected: &str) -> Error {
        let mut found = found.to_string();
        if found.chars().count() > 60 {
            found = found.chars().take(60).chain(['…']).collect();
        }
        self.fault(RecordFault::WrongType { field: field.into(), found, expected: expected.into() })
    }

    /// The error for a string that is none of those expected.
    pub(crate) fn wrong_text(&self, field: &str, found: &str, expected: &str) -> Error {
        self.wrong(field, &Value::String(found.into()), expected)
    }

    /// The names of the fields.
    pub(crate) fn field_names(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// The value of a field; `None` for a missing field, for null and for an empty cell.
    pub(crate) fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| match value {
            Value::Null => false,
            Value::String(cell) => !matches!(cell.trim(), "" | "null"),
            _ => true,
        })
    }

    /// A string, or a number as a string.
    pub(crate) fn string(&self, field: &str) -> Result<Option<String>> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.wrong(field, other, "a string")),
        }
    }

    /// A string that must be there and not blank.
    pub(crate) fn required(&self, field: &str) -> Result<String> {
        self.string(field)?
            .ok_or_else(|| self.fault(RecordFault::Lacking { field: field.into(), found: self.field_names() }))
    }

    /// A whole number.
    pub(crate) fn integer(&self, field: &str) -> Result<Option<i64>> {
        self.value(field).map(|value| self.as_integer(field, value)).transpose()
    }

    fn as_integer(&self, field: &str, value: &Value) -> Result<i64> {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(cell) => cell.trim().replace('\u{2212}', "-").parse().ok(),
            _ => None,
        };
        let whole = number.filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
        whole.map(|number| number as i64).ok_or_else(|| self.wrong(field, value, "a whole number, or null"))
    }

    /// A probability in [0, 1].
    pub(crate) fn probability(&self, field: &str) -> Result<Option<f64>> {
        self.value(field).map(|value| self.as_probability(field, value)).transpose()
    }

    fn as_probability(&self, field: &str, value: &Value) -> Result<f64> {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(cell) => cell.trim().parse().ok(),
            _ => None,
        };
        let fits = number.filter(|number| (0.0..=1.0).contains(number));
        fits.ok_or_else(|| self.wrong(field, value, "a number from 0 to 1"))
    }

    /// The probabilities of an object field, one for each of `names`; all or none.
    pub(crate) fn probabilities(&self, field: &str, names: &[String]) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let expected = || format!("an object with a number from 0 to 1 for each of {names:?}");
        let Value::Object(object) = value else { return Err(self.wrong(field, value, &expected())) };
        let number = |name: &String| {
            let number = object.get(name).ok_or_else(|| self.wrong(field, value, &expected()))?;
            self.as_probability(field, number)
        };
        names.iter().map(number).collect::<Result<_>>().map(Some)
    }

    /// The labels in the fields `topics`, the scale's name and `boilerplate`, each with `prefix` before it.
    pub(crate) fn labels(&self, scheme: &Scheme, prefix: &str) -> Result<Labels> {
        let field = |name: &str| format!("{prefix}{name}");
        let topics = field("topics");
        // Unlike elsewhere, an empty cell of topics is a label: none applies.
        let topics = match self.fields.get(&topics) {
            None | Some(Value::Null) => None,
            // Topics that the scheme does not have at all are not its concern.
            Some(_) if scheme.topics.is_empty() => None,
            Some(value) => self.topics(&topics, value, scheme)?,
        };
        let level = match &scheme.scale {
            Some(scale) => {
                let field = field(&scale.name);
                let code = self.integer(&field)?;
                code.map(|code| {
                    let index = scale.levels.iter().position(|level| i64::from(level.code) == code);
                    index.ok_or_else(|| {
                        let known = scale.levels.iter().map(|level| level.code).collect();
                        self.fault(RecordFault::UnknownLevel { field: field.clone(), found: code, known })
                    })
                })
                .transpose()?
            }
            None => None,
        };
        let boilerplate = if scheme.boilerplate { self.flag(&field("boilerplate"))? } else { None };
        Ok(Labels { topics, level, boilerplate })
    }

    fn topics(&self, field: &str, value: &Value, scheme: &Scheme) -> Result<Option<Vec<bool>>> {
        let Some(names) = self.names(field, value)? else { return Ok(None) };
        let mut applies = vec![false; scheme.topics.len()];
        for name in names {
            let index = scheme.topics.iter().position(|topic| topic.name == name).ok_or_else(|| {
                let known = scheme.topics.iter().map(|topic| topic.name.clone()).collect();
                self.fault(RecordFault::UnknownTopic { field: field.into(), found: name.into(), known })
            })?;
            applies[index] = true;
        }
        Ok(Some(applies))
    }

    /// The names in the field `topics`, whatever the scheme; `None` if it is not known which apply.
    pub(crate) fn topic_names(&self) -> Result<Option<Vec<&str>>> {
        match self.fields.get("topics") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.names("topics", value),
        }
    }

    fn names<'v>(&self, field: &str, value: &'v Value) -> Result<Option<Vec<&'v str>>> {
        let wrong = || self.wrong(field, value, "a list of topic names (in a table joined by ;), or null");
        match value {
            Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong).map(Some),
            Value::String(cell) if cell.trim() == "null" => Ok(None),
            Value::String(cell) => Ok(Some(cell.split(';').map(str::trim).filter(|name| !name.is_empty()).collect())),
            _ => Err(wrong()),
        }
    }

    /// A yes or no.
    pub(crate) fn flag(&self, field: &str) -> Result<Option<bool>> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_f64().and_then(|number| match number {
                0.0 => Some(false),
                1.0 => Some(true),
                _ => None,
            }),
            Value::String(cell) => match cell.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        };
        flag.map(Some).ok_or_else(|| self.wrong(field, value, "true, false or null"))
    }

    /// A record inside a field, such as `second`.
    pub(crate) fn nested(&self, field: &str) -> Result<Option<Record<'_>>> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Record { path: self.path, line: self.line, fields: fields.clone() }))
            }
            Some(other) => Err(self.wrong(field, other, "an object with labels")),
        }
    }
}
