//! Files for those who label: a table that comes back as gold, and tasks for Label Studio.
//!
//! What the bundle says stands beside the labels, never in their place: a row that nobody labelled is not gold.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::label::{Prediction, Scheme};
use crate::sample::Candidate;

/// Name of the text in what is labelled.
pub(super) const TEXT: &str = "text";

/// Writes a table in the record format of gold: `topics`, the scale and `boilerplate` are `null`, to be filled in, and what the
/// bundle says is in columns of the same names after `predicted_`.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv(candidates: &[Candidate], scheme: &Scheme, output: impl Write) -> io::Result<()> {
    let labels = labels(scheme);
    let mut writer = csv::Writer::from_writer(output);
    let predicted: Vec<String> = labels.iter().map(|label| format!("predicted_{label}")).collect();
    let header = ["id", "document", "lang", TEXT].into_iter().chain(labels.iter().copied());
    writer.write_record(header.chain(predicted.iter().map(String::as_str)).chain(["uncertainty"]))?;
    for candidate in candidates {
        let mut row =
            vec![candidate.id(), candidate.document.clone(), candidate.language.clone(), candidate.text.clone()];
        row.extend(labels.iter().map(|_| "null".to_owned()));
        row.extend(labels.iter().map(|label| answers(&candidate.prediction, label).join(";")));
        row.push(format!("{:.3}", candidate.uncertainty()));
        writer.write_record(&row)?;
    }
    writer.flush()
}

/// Writes tasks in Label Studio's JSON format; what the bundle says is their prediction, which the labelling page shows.
///
/// # Errors
/// If it cannot be written.
pub fn write_label_studio(
    candidates: &[Candidate],
    scheme: &Scheme,
    bundle: &str,
    mut output: impl Write,
) -> io::Result<()> {
    let tasks: Vec<Value> = candidates
        .iter()
        .map(|candidate| {
            let choices = |label: &&str| {
                let answers = answers(&candidate.prediction, label);
                let value = json!({"choices": answers});
                let result = json!({"from_name": label, "to_name": TEXT, "type": "choices", "value": value});
                (!answers.is_empty()).then_some(result)
            };
            let result: Vec<Value> = labels(scheme).iter().filter_map(choices).collect();
            json!({
                "data": {
                    "id": candidate.id(),
                    "document": candidate.document,
                    "lang": candidate.language,
                    TEXT: candidate.text,
                },
                "predictions": [{
                    "model_version": bundle,
                    "score": (1.0 - f64::from(candidate.uncertainty())).clamp(0.0, 1.0),
                    "result": result,
                }],
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut output, &tasks)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// The labelling interface of Label Studio for a scheme: the names that [`write_label_studio`] and the reader of gold go by.
pub fn label_studio_config(scheme: &Scheme) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let choices = |name: &str, choice: &str, values: &[(String, String)]| {
        let line = |(value, hint): &(String, String)| {
            let hint = if hint.is_empty() { String::new() } else { format!(" hint=\"{}\"", escape(hint)) };
            format!("    <Choice value=\"{}\"{hint}/>\n", escape(value))
        };
        let lines: String = values.iter().map(line).collect();
        let name = escape(name);
        format!(
            "  <Header value=\"{name}\"/>\n  <Choices name=\"{name}\" toName=\"{TEXT}\" choice=\"{choice}\">\n{lines}  </Choices>\n"
        )
    };
    let mut config = format!("<View>\n  <Text name=\"{TEXT}\" value=\"${TEXT}\"/>\n");
    if !scheme.topics.is_empty() {
        let values: Vec<_> =
            scheme.topics.iter().map(|topic| (topic.name.clone(), topic.description.clone())).collect();
        config += &choices("topics", "multiple", &values);
    }
    if let Some(scale) = &scheme.scale {
        let values: Vec<_> = scale.levels.iter().map(|level| (level.code.to_string(), level.name.clone())).collect();
        config += &choices(&scale.name, "single", &values);
    }
    if scheme.boilerplate {
        config += &choices("boilerplate", "single", &["yes", "no"].map(|value| (value.to_owned(), String::new())));
    }
    config + "</View>\n"
}

/// Names of the label fields.
pub(super) fn labels(scheme: &Scheme) -> Vec<&str> {
    let topics = (!scheme.topics.is_empty()).then_some("topics");
    let scale = scheme.scale.as_ref().map(|scale| scale.name.as_str());
    topics.into_iter().chain(scale).chain(scheme.boilerplate.then_some("boilerplate")).collect()
}

/// What the bundle says of a label field.
pub(super) fn answers(prediction: &Prediction, label: &str) -> Vec<String> {
    match label {
        "topics" => prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name.to_owned()).collect(),
        "boilerplate" => vec![if prediction.is_boilerplate() { "yes" } else { "no" }.to_owned()],
        _ => prediction.escalation().map(|level| level.code.to_string()).into_iter().collect(),
    }
}
