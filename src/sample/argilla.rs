//! Files for Argilla 2: records as `dataset.records.from_json` takes them, and the settings of their dataset as `Settings.from_json` does.
//!
//! A question has the name of its label field. Argilla keeps nothing of a question without an answer, so that topics have an answer for
//! "none": what nobody answered is not known.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::label::{NO_TOPIC, Prediction, Scheme};
use crate::sample::Candidate;
use crate::sample::write::{TEXT, answers, labels};

/// Characters of a question's description that Argilla takes.
const LONGEST_DESCRIPTION: usize = 1000;
/// Characters of the name of who suggests.
const LONGEST_AGENT: usize = 200;
/// Steps of scores between 0 and 1: finer says nothing.
const SCORE_STEPS: f64 = 1e4;

/// Writes records in Argilla's JSON format; what the bundle says are their suggestions, which the labelling page shows.
///
/// # Errors
/// If it cannot be written.
pub fn write_argilla(
    candidates: &[Candidate],
    scheme: &Scheme,
    bundle: &str,
    mut output: impl Write,
) -> io::Result<()> {
    let agent = agent(bundle);
    let record = |candidate: &Candidate| {
        let suggestion = |label: &&str| {
            let (value, score) = suggested(&candidate.prediction, label);
            ((*label).to_owned(), json!({"value": value, "score": score, "agent": agent}))
        };
        let suggestions: Map<String, Value> = labels(scheme).iter().map(suggestion).collect();
        json!({
            "id": candidate.id(),
            "fields": {TEXT: candidate.text},
            "metadata": {
                "document": candidate.document,
                "lang": candidate.language,
                "uncertainty": rounded(candidate.uncertainty()),
            },
            "suggestions": suggestions,
            "responses": {},
            "vectors": {},
        })
    };
    let records: Vec<Value> = candidates.iter().map(record).collect();
    serde_json::to_writer_pretty(&mut output, &records)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// The settings of a dataset for a scheme, as JSON: the names that [`write_argilla`] and the reader of gold go by.
pub fn argilla_settings(scheme: &Scheme) -> String {
    let question = |name: &str, kind: &str, description: Option<String>, options: Vec<(String, String)>| {
        let option = |(value, text): &(String, String)| json!({"value": value, "text": text});
        let options: Vec<Value> = options.iter().map(option).collect();
        let mut settings = json!({"type": kind, "options": options, "visible_options": null});
        if kind == "multi_label_selection" {
            settings["options_order"] = json!("natural");
        }
        json!({"name": name, "title": name, "description": description, "required": true, "settings": settings})
    };
    let mut questions = Vec::new();
    if !scheme.topics.is_empty() {
        let names = scheme.topics.iter().map(|topic| topic.name.as_str()).chain([NO_TOPIC]);
        let options = names.map(|name| (name.to_owned(), name.to_owned())).collect();
        let described = scheme.topics.iter().filter(|topic| !topic.description.is_empty());
        let lines: Vec<String> = described.map(|topic| format!("{}: {}", topic.name, topic.description)).collect();
        let description =
            Some(lines.join("\n")).filter(|text| (1..=LONGEST_DESCRIPTION).contains(&text.chars().count()));
        questions.push(question("topics", "multi_label_selection", description, options));
    }
    if let Some(scale) = &scheme.scale {
        let option = |code: i32, name: &str| (code.to_string(), format!("{code} {name}"));
        let options = scale.levels.iter().map(|level| option(level.code, &level.name)).collect();
        questions.push(question(&scale.name, "label_selection", None, options));
    }
    if scheme.boilerplate {
        let options = ["yes", "no"].map(|value| (value.to_owned(), value.to_owned())).to_vec();
        questions.push(question("boilerplate", "label_selection", None, options));
    }
    let metadata = |name: &str, settings: Value| json!({"name": name, "title": name, "settings": settings});
    let settings = json!({
        "guidelines": null,
        "questions": questions,
        "fields": [{"name": TEXT, "title": TEXT, "required": true, "settings": {"type": "text", "use_markdown": false}}],
        "vectors": [],
        "metadata": [
            metadata("document", json!({"type": "terms"})),
            metadata("lang", json!({"type": "terms"})),
            metadata("uncertainty", json!({"type": "float", "min": 0.0, "max": 1.0})),
        ],
        "allow_extra_metadata": true,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
    });
    format!("{settings:#}\n")
}

/// Argilla takes letters, digits and - _ : . / as the name of who suggests.
fn agent(bundle: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '/');
    bundle.chars().map(|c| if plain(c) { c } else { ':' }).take(LONGEST_AGENT).collect()
}

/// What the bundle says of a label field, and how sure it is.
fn suggested(prediction: &Prediction, label: &str) -> (Value, Value) {
    let answers = answers(prediction, label);
    match label {
        "topics" => {
            let topics: Vec<_> = prediction.topics().filter(|topic| topic.applies).collect();
            if topics.is_empty() {
                let most = prediction.topics().map(|topic| topic.probability).fold(0.0, f32::max);
                return (json!([NO_TOPIC]), json!([rounded(1.0 - most)]));
            }
            let scores: Vec<f64> = topics.iter().map(|topic| rounded(topic.probability)).collect();
            (json!(answers), json!(scores))
        }
        "boilerplate" => {
            let yes = prediction.boilerplate().unwrap_or_default();
            (json!(answers.first()), json!(rounded(if prediction.is_boilerplate() { yes } else { 1.0 - yes })))
        }
        _ => {
            let levels = prediction.scheme().scale.iter().flat_map(|scale| &scale.levels);
            let decided = prediction.escalation().map(|level| level.code);
            let mut probabilities = levels.zip(prediction.escalation_probabilities());
            let found = probabilities.find(|(level, _)| Some(level.code) == decided);
            (json!(answers.first()), json!(found.map(|(_, &probability)| rounded(probability))))
        }
    }
}

fn rounded(number: f32) -> f64 {
    (f64::from(number).clamp(0.0, 1.0) * SCORE_STEPS).round() / SCORE_STEPS
}
