//! From one record (a JSON object, a row of a table) to a [`Document`]: which field is the text, which the id, and
//! what is kept.

use serde_json::{Map, Value};

use crate::error::RecordFault;
use crate::text::document::Document;
use crate::text::reader::ReadOptions;
use crate::text::space;

/// The field that is taken for the id when none is named.
pub(crate) const DEFAULT_ID_FIELD: &str = "id";

/// Field names that a message lists; a record can have thousands.
const LISTED_FIELDS: usize = 20;

/// How records become documents.
pub(crate) struct RecordShape {
    path_id: String,
    text_field: String,
    id_field: Option<String>,
    limit: u64,
}

impl RecordShape {
    /// The shape that `options` ask for; `path_id` begins the ids of records without an id.
    pub(crate) fn new(path_id: &str, options: &ReadOptions) -> Self {
        Self {
            path_id: path_id.to_owned(),
            text_field: options.text_field.clone(),
            id_field: options.id_field.clone(),
            limit: options.max_document_bytes,
        }
    }

    /// The document of a line of JSON, which was decoded from `encoding`: one object.
    pub(crate) fn json_line(&self, line: u64, bytes: &[u8], encoding: &'static str) -> Result<Document, RecordFault> {
        let text = std::str::from_utf8(bytes.trim_ascii()).map_err(|_| RecordFault::Encoding { encoding })?;
        match serde_json::from_str(text).map_err(RecordFault::Json)? {
            Value::Object(fields) => self.document(line, fields),
            _ => Err(RecordFault::NotAnObject),
        }
    }

    /// The document of the record on `line`. The text and the id are taken out of `fields`, the rest stays with it.
    pub(crate) fn document(&self, line: u64, mut fields: Map<String, Value>) -> Result<Document, RecordFault> {
        let field = || self.text_field.clone();
        let text = match fields.shift_remove(&self.text_field) {
            None => return Err(RecordFault::MissingField { field: field(), found: listed(fields.keys()) }),
            Some(Value::String(text)) => text,
            Some(other) => return Err(RecordFault::NotAString { field: field(), found: kind_of(&other) }),
        };
        if space::is_blank(&text) {
            return Err(RecordFault::Blank);
        }
        if text.len() as u64 > self.limit {
            return Err(RecordFault::TooLarge { limit: self.limit });
        }
        let id = self.id(line, &text, &mut fields)?;
        Ok(Document::from_text(id, text).with_fields(fields))
    }

    fn id(&self, line: u64, text: &str, fields: &mut Map<String, Value>) -> Result<String, RecordFault> {
        let name = self.id_field.as_deref().unwrap_or(DEFAULT_ID_FIELD);
        if self.id_field.as_deref() == Some(self.text_field.as_str()) {
            return Ok(text.to_owned());
        }
        let id = match fields.get(name) {
            Some(Value::String(id)) if !space::is_blank(id) => id.clone(),
            Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
            other if self.id_field.is_some() => {
                let found = match other {
                    // A float by now, and two ids could be the same one.
                    Some(Value::Number(_)) => "a number that is not whole or has more than 64 bits",
                    other => other.map_or("nothing", kind_of),
                };
                return Err(RecordFault::MissingId { field: name.to_owned(), found });
            }
            _ => return Ok(format!("{}:{line}", self.path_id)),
        };
        fields.shift_remove(name);
        Ok(id)
    }
}

/// The first of `names`, for a message.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> Vec<String> {
    let more = names.len().saturating_sub(LISTED_FIELDS);
    let mut found: Vec<String> = names.take(LISTED_FIELDS).cloned().collect();
    if more > 0 {
        found.push(format!("… and {more} more"));
    }
    found
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if space::is_blank(text) => "a blank string",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
