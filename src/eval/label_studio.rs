//! Gold from Label Studio: the JSON that its export gives, as records.
//!
//! In: a file `.json` with a list of tasks. Out: each task that somebody labelled as the fields of a gold record. The names of the
//! choices are the names of the label fields, as `detente sample` writes them.

use serde_json::{Map, Value};

use super::record::description;

/// The fields of a task, `None` if nobody labelled it: what its `data` says of the text, and the choices of the first annotation that was not
/// cancelled; those of the next one as `second`. An annotation without any choice under `topics` says that none applies.
pub(crate) fn fields(task: &Map<String, Value>) -> Option<Map<String, Value>> {
    let annotations = task.get("annotations").and_then(Value::as_array)?;
    let is_valid = |annotation: &&Value| annotation.get("was_cancelled") != Some(&Value::Bool(true));
    let mut valid = annotations.iter().filter(is_valid);
    let first = valid.next()?;
    let mut fields = task.get("data").and_then(Value::as_object).map(description).unwrap_or_default();
    fields.extend(labels(first));
    if let Some(second) = valid.next() {
        fields.insert("second".into(), Value::Object(labels(second)));
    }
    Some(fields)
}

fn labels(annotation: &Value) -> Map<String, Value> {
    let mut labels = Map::new();
    labels.insert("topics".into(), Value::Array(Vec::new()));
    for result in annotation.get("result").and_then(Value::as_array).into_iter().flatten() {
        let name = result.get("from_name").and_then(Value::as_str);
        let choices = result.pointer("/value/choices").and_then(Value::as_array);
        let (Some(name), Some(choices)) = (name, choices) else { continue };
        let value = match (name, choices.first()) {
            ("topics", _) => Some(Value::Array(choices.clone())),
            (_, first) => first.cloned(),
        };
        if let Some(value) = value {
            labels.insert(name.into(), value);
        }
    }
    // A number, or an object with the address; either names the coder.
    let coder = annotation.get("completed_by").map(|coder| coder.get("email").unwrap_or(coder));
    if let Some(coder @ (Value::String(_) | Value::Number(_))) = coder {
        labels.insert("annotator".into(), coder.clone());
    }
    labels
}

#[cfg(test)]
mod tests {
    use crate::eval::gold::read_gold;
    use crate::eval::record::Labels;
    use crate::eval::tests::scheme;

    /// An export as the documentation of Label Studio shows it, with the fields that matter here.
    const EXPORT: &str = r#"[
        {"id": 1, "project": 83, "data": {"id": "a#0", "text": "x", "document": "a", "boilerplate": true}, "predictions": [{"result": [
            {"from_name": "topics", "to_name": "text", "type": "choices", "value": {"choices": ["a"]}}]}],
         "annotations": [
            {"id": 7, "was_cancelled": true, "result": [], "completed_by": 9},
            {"id": 8, "was_cancelled": false, "completed_by": {"id": 10, "email": "coder@example.org"}, "result": [
                {"id": "p", "from_name": "topics", "to_name": "text", "type": "choices", "value": {"choices": ["b", "a"]}},
                {"id": "q", "from_name": "stance", "to_name": "text", "type": "choices", "value": {"choices": ["-1"]}},
                {"id": "r", "from_name": "boilerplate", "to_name": "text", "type": "choices", "value": {"choices": ["no"]}}]},
            {"id": 9, "completed_by": 11, "result": [
                {"from_name": "stance", "to_name": "text", "type": "choices", "value": {"choices": ["0"]}}]}]},
        {"id": 2, "data": {"id": "a#1", "text": "y", "stance": 1}, "annotations": []},
        {"id": 3, "data": {"id": "a#2", "text": "z"}, "annotations": [{"was_cancelled": true, "result": []}]}
    ]"#;

    #[test]
    fn annotations_are_gold_and_predictions_are_not() {
        let gold = read_gold("export.json", EXPORT.as_bytes(), &scheme()).unwrap();
        assert_eq!(gold.len(), 1, "tasks that nobody labelled, or whose annotation was cancelled, are left out");
        let item = &gold[0];
        assert_eq!((item.id.as_str(), item.document.as_deref()), ("a#0", Some("a")));
        assert_eq!(item.labels, Labels { topics: Some(vec![true, true]), level: Some(0), boilerplate: Some(false) });
        assert_eq!(item.annotator.as_deref(), Some("coder@example.org"));
        let second = Labels { topics: Some(vec![false, false]), level: Some(1), boilerplate: None };
        assert_eq!((&item.second, item.second_annotator.as_deref()), (&Some(second), Some("11")));
    }

    #[test]
    fn a_damaged_export_is_named_and_json_lines_may_be_called_json() {
        let error = read_gold("export.json", &EXPORT.as_bytes()[..900], &scheme()).unwrap_err().to_string();
        assert!(error.starts_with("export.json:") && error.contains("is damaged"), "{error}");
        let error = read_gold("export.json", b"[1]".as_slice(), &scheme()).unwrap_err().to_string();
        assert!(error.starts_with("export.json:1: this line is JSON, but not an object"), "{error}");
        let line = r#"{"id": "a", "text": "x", "topics": ["a"]}"#;
        assert_eq!(read_gold("lines.json", line.as_bytes(), &scheme()).unwrap().len(), 1);
    }
}
