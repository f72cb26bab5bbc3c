//! Gold from Argilla 2: records as its export gives them, nested (`to_json`) or flat (`to_list(flatten=True)`).
//!
//! In: a file `.json` with a list of records. Out: each record that somebody labelled as the fields of a gold record. The names of the
//! questions are the names of the label fields, as `detente sample` writes them.

use serde_json::{Map, Value};

use super::record::description;
use crate::label::NO_TOPIC;

/// Behind the name of a question, in a flat record.
const RESPONSES: &str = ".responses";

/// Whether this is a record of Argilla.
pub(crate) fn is_record(record: &Map<String, Value>) -> bool {
    is_nested(record) || record.keys().any(|key| key.ends_with(RESPONSES))
}

fn is_nested(record: &Map<String, Value>) -> bool {
    record.get("fields").is_some_and(Value::is_object)
}

/// The fields of a record, `None` if nobody labelled it: what its fields and metadata say of the text, and the answers that the first user
/// submitted; those of the next one as `second`. Drafts and discarded answers do not count, where the export tells them. A
/// question without an answer is not known.
pub(crate) fn fields(record: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut users = users(&answers(record)).into_iter();
    let first = users.next()?;
    let mut fields = match is_nested(record) {
        true => {
            let parts = ["metadata", "fields"].into_iter().filter_map(|part| record.get(part)?.as_object());
            let id = record.get("id").map(|id| ("id".to_owned(), id.clone()));
            parts.flat_map(description).chain(id).collect()
        }
        false => description(record),
    };
    fields.extend(first);
    if let Some(second) = users.next() {
        fields.insert("second".into(), Value::Object(second));
    }
    Some(fields)
}

/// One user's answer to one question.
struct Answer<'a> {
    question: &'a str,
    user: &'a str,
    value: &'a Value,
}

/// All answers that count.
fn answers(record: &Map<String, Value>) -> Vec<Answer<'_>> {
    let counts = |status: Option<&Value>| status.and_then(Value::as_str).is_none_or(|status| status == "submitted");
    let mut answers = Vec::new();
    for (question, responses) in record.get("responses").and_then(Value::as_object).into_iter().flatten() {
        for response in responses.as_array().into_iter().flatten().filter(|response| counts(response.get("status"))) {
            let user = response.get("user_id").and_then(Value::as_str).unwrap_or_default();
            answers.extend(response.get("value").map(|value| Answer { question, user, value }));
        }
    }
    for (key, values) in record {
        let Some(question) = key.strip_suffix(RESPONSES) else { continue };
        let beside = |what: &str, index: usize| record.get(&format!("{key}.{what}"))?.get(index);
        for (index, value) in values.as_array().into_iter().flatten().enumerate() {
            if counts(beside("status", index)) {
                let user = beside("users", index).and_then(Value::as_str).unwrap_or_default();
                answers.push(Answer { question, user, value });
            }
        }
    }
    answers
}

/// The labels of each user, in the order in which they first answer.
fn users(answers: &[Answer<'_>]) -> Vec<Map<String, Value>> {
    let mut users: Vec<(&str, Map<String, Value>)> = Vec::new();
    for Answer { question, user, value } in answers {
        let value = match (*question, value) {
            ("topics", Value::Array(names)) => Value::Array(without_none(names)),
            ("topics", Value::String(name)) => Value::Array(without_none(&[Value::String(name.clone())])),
            (_, value) => (*value).clone(),
        };
        let place = users.iter().position(|(other, _)| other == user).unwrap_or_else(|| {
            let coder = (!user.is_empty()).then(|| ("annotator".to_owned(), Value::String((*user).to_owned())));
            users.push((user, coder.into_iter().collect()));
            users.len() - 1
        });
        users[place].1.insert((*question).to_owned(), value);
    }
    users.into_iter().map(|(_, labels)| labels).collect()
}

/// The answer that no topic applies is an empty list; beside topics it is a contradiction, and stays to be told.
fn without_none(names: &[Value]) -> Vec<Value> {
    match names {
        [Value::String(only)] if only == NO_TOPIC => Vec::new(),
        names => names.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::gold::read_gold;
    use crate::eval::record::Labels;
    use crate::eval::tests::scheme;

    /// As `dataset.records.to_json` writes it; Argilla 2.8 leaves the status out there.
    const NESTED: &str = r#"[
        {"id": "a#0", "fields": {"text": "x"}, "metadata": {"document": "a", "lang": "de", "uncertainty": 0.5},
         "suggestions": {"topics": {"value": ["a"], "score": [0.9], "agent": "bundle:1"}},
         "responses": {
            "topics": [{"value": ["b", "a"], "user_id": "u-1"}, {"value": ["none of these"], "user_id": "u-2"}],
            "stance": [{"value": "-1", "user_id": "u-1"}, {"value": "0", "user_id": "u-2"}],
            "boilerplate": [{"value": "no", "user_id": "u-1"}]},
         "vectors": {}, "status": "completed", "_server_id": "s-1"},
        {"id": "a#1", "fields": {"text": "y"}, "metadata": {}, "suggestions": {}, "responses": {}, "vectors": {}},
        {"id": "a#2", "fields": {"text": "z"}, "metadata": {}, "suggestions": {}, "vectors": {},
         "responses": {"stance": [{"value": "1", "user_id": "u-1", "status": "draft"},
                                  {"value": "0", "user_id": "u-3", "status": "submitted"}]}}
    ]"#;

    /// As `dataset.records.to_list(flatten=True)` gives it: what a record has not, it has as null.
    const FLAT: &str = r#"[
        {"id": "a#0", "status": "completed", "_server_id": "s-1", "text": "x", "document": "a", "lang": "de", "uncertainty": 0.5,
         "topics.suggestion": ["a"], "topics.suggestion.score": [0.9], "topics.suggestion.agent": "bundle:1",
         "topics.responses": [["a"], ["b", "a"], ["none of these"]], "topics.responses.users": ["u-0", "u-1", "u-2"],
         "topics.responses.status": ["discarded", "submitted", "submitted"],
         "stance.responses": ["-1", "0"], "stance.responses.users": ["u-1", "u-2"],
         "stance.responses.status": ["submitted", "submitted"],
         "boilerplate.responses": ["no"], "boilerplate.responses.users": ["u-1"], "boilerplate.responses.status": ["submitted"]},
        {"id": "a#1", "text": "y", "topics.responses": null, "topics.responses.users": null, "stance.responses": null},
        {"id": "a#2", "text": "z", "stance.responses": ["1", "0"], "stance.responses.users": ["u-1", "u-3"],
         "stance.responses.status": ["draft", "submitted"], "topics.responses": null}
    ]"#;

    #[test]
    fn submitted_answers_are_gold_and_suggestions_are_not() {
        for export in [NESTED, FLAT] {
            let gold = read_gold("export.json", export.as_bytes(), &scheme()).unwrap();
            assert_eq!(gold.len(), 2, "records that nobody labelled are left out");
            let item = &gold[0];
            assert_eq!((item.id.as_str(), item.text.as_str()), ("a#0", "x"));
            assert_eq!((item.document.as_deref(), item.lang.as_deref()), (Some("a"), Some("de")));
            assert_eq!(
                item.labels,
                Labels { topics: Some(vec![true, true]), level: Some(0), boilerplate: Some(false) }
            );
            assert_eq!(item.annotator.as_deref(), Some("u-1"));
            let second = Labels { topics: Some(vec![false, false]), level: Some(1), boilerplate: None };
            assert_eq!((&item.second, item.second_annotator.as_deref()), (&Some(second), Some("u-2")));
            let item = &gold[1];
            assert_eq!(
                item.labels,
                Labels { topics: None, level: Some(1), boilerplate: None },
                "not answered: not known"
            );
            assert_eq!((item.annotator.as_deref(), &item.second), (Some("u-3"), &None), "a draft does not count");
        }
    }

    #[test]
    fn answers_that_contradict_or_are_not_in_the_scheme_are_named() {
        let cases = [
            (r#"["none of these"]"#, r#"["a", "none of these"]"#, "none of these"),
            (r#"["b", "a"]"#, r#"["c"]"#, "c"),
            (r#"["b", "a"]"#, "7", "a list of topic names"),
        ];
        for (good, bad, message) in cases {
            for export in [NESTED, FLAT] {
                let error =
                    read_gold("export.json", export.replace(good, bad).as_bytes(), &scheme()).unwrap_err().to_string();
                assert!(error.starts_with("export.json:1: ") && error.contains(message), "{bad}: {error}");
            }
        }
    }
}
