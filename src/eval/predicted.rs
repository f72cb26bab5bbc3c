//! What a system says of a gold item: labels, and probabilities where the system gives them.
//!
//! In: a [`Prediction`] of this library, or a file of predictions made elsewhere. Out: one [`Predicted`] a gold item.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use crate::error::{Error, InputFault, RecordFault, Result};
use crate::eval::gold::GoldItem;
use crate::eval::record::{self, Labels, Record, read_records};
use crate::label::{Prediction, Scheme};

/// Sum of level probabilities may differ from 1 by this much: files hold rounded numbers.
const SUM_TOLERANCE: f64 = 1e-3;

/// One system's word on one paragraph. `None`: the system says nothing of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predicted {
    /// The decisions.
    pub labels: Labels,
    /// Probability of each topic, in the order of the scheme.
    pub topic_probabilities: Option<Vec<f64>>,
    /// Probability of each level, in the order of the scale.
    pub level_probabilities: Option<Vec<f64>>,
    /// Probability of boilerplate.
    pub boilerplate_probability: Option<f64>,
}

impl Predicted {
    /// Labels without probabilities.
    pub fn from_labels(labels: Labels) -> Self {
        Self { labels, ..Self::default() }
    }
}

impl From<&Prediction> for Predicted {
    fn from(prediction: &Prediction) -> Self {
        let scheme = prediction.scheme();
        let topics = (!scheme.topics.is_empty()).then(|| prediction.topics().map(|topic| topic.applies).collect());
        let level = prediction
            .escalation()
            .and_then(|decided| scheme.scale.as_ref()?.levels.iter().position(|level| level.code == decided.code));
        let probabilities = prediction.escalation_probabilities().iter().copied().map(f64::from);
        Self {
            labels: Labels { topics, level, boilerplate: scheme.boilerplate.then(|| prediction.is_boilerplate()) },
            topic_probabilities: (!scheme.topics.is_empty())
                .then(|| prediction.topics().map(|topic| f64::from(topic.probability)).collect()),
            level_probabilities: scheme.scale.is_some().then(|| probabilities.collect()),
            boilerplate_probability: prediction.boilerplate().map(f64::from),
        }
    }
}

/// Reads a file of predictions; see [`read_predictions`].
///
/// # Errors
/// As [`read_predictions`].
pub fn read_predictions_file(path: impl AsRef<Path>, scheme: &Scheme, gold: &[GoldItem]) -> Result<Vec<Predicted>> {
    let path = path.as_ref();
    read_predictions(path, record::open(path)?, scheme, gold)
}

/// Reads predictions for `gold`, one for each item, in its order; `path` names the stream in errors and says by its
/// extension which format it is in.
///
/// A record has an `id` and any of `topics`, the scale's name, `boilerplate`; and probabilities, if there are any: in JSON
/// Lines as `detente classify` writes them (`topic_probabilities` by name, `escalation_probabilities` by code,
/// `boilerplate_probability`), in a table as columns `military_probability`, `escalation_probability_-2` and so on. What
/// `detente classify` writes for a gold file is matched by the document's id. Records of other items are passed over.
///
/// # Errors
/// [`Error::Record`] with path and line for the first bad record; [`Error::Input`] if gold items have no prediction, or if
/// some have a label that others lack.
pub fn read_predictions(
    path: impl AsRef<Path>,
    input: impl BufRead,
    scheme: &Scheme,
    gold: &[GoldItem],
) -> Result<Vec<Predicted>> {
    let path = path.as_ref();
    let places: HashMap<&str, usize> = gold.iter().enumerate().map(|(index, item)| (item.id.as_str(), index)).collect();
    let mut found: Vec<Option<Found>> = vec![None; gold.len()];
    let names = Names::new(scheme);
    read_records(path, input, |record| {
        let id = record.required("id")?;
        let index = match places.get(id.as_str()) {
            Some(&index) => index,
            None => match record.string("document")?.and_then(|document| places.get(document.as_str()).copied()) {
                Some(index) => index,
                None => return Ok(()),
            },
        };
        if let Some(earlier) = &found[index] {
            let (item, first) = (gold[index].id.clone(), earlier.place.clone());
            return Err(record.fault(match earlier.id == id {
                true => RecordFault::DuplicateId { id: item, first },
                false => RecordFault::SplitItem { id: item, first },
            }));
        }
        found[index] = Some(Found { predicted: names.read(&record, scheme)?, id, place: record.place() });
        Ok(())
    })?;
    let input_fault = |what| Error::Input { path: path.into(), what };
    let missing = found.iter().filter(|found| found.is_none()).count();
    if let Some(first) = found.iter().position(Option::is_none) {
        let what = InputFault::Uncovered { missing, items: gold.len(), first: gold[first].id.clone() };
        return Err(input_fault(what));
    }
    let predicted: Vec<Predicted> = found.into_iter().flatten().map(|found| found.predicted).collect();
    if predicted.iter().all(|predicted| predicted.labels.is_empty()) {
        return Err(record::no_labels(path, scheme));
    }
    for (field, has) in names.fields() {
        let missing = predicted.iter().filter(|predicted| !has(predicted)).count();
        if let Some(first) = predicted.iter().position(|predicted| !has(predicted))
            && missing < predicted.len()
        {
            let first = gold[first].id.clone();
            return Err(input_fault(InputFault::Patchy { field, missing, items: gold.len(), first }));
        }
    }
    Ok(predicted)
}

/// A prediction with the record that it stands in.
#[derive(Clone)]
struct Found {
    predicted: Predicted,
    id: String,
    place: String,
}

/// Names of the fields that hold probabilities.
struct Names {
    topics: Vec<String>,
    scale: Option<(String, Vec<String>)>,
}

type Has = fn(&Predicted) -> bool;

impl Names {
    fn new(scheme: &Scheme) -> Self {
        let scale = scheme.scale.as_ref();
        Self {
            topics: scheme.topics.iter().map(|topic| topic.name.clone()).collect(),
            scale: scale
                .map(|scale| (scale.name.clone(), scale.levels.iter().map(|level| level.code.to_string()).collect())),
        }
    }

    fn fields(&self) -> Vec<(String, Has)> {
        let scale = self.scale.as_ref().map_or("escalation", |(name, _)| name);
        vec![
            ("topics".into(), |predicted| predicted.labels.topics.is_some()),
            (scale.into(), |predicted| predicted.labels.level.is_some()),
            ("boilerplate".into(), |predicted| predicted.labels.boilerplate.is_some()),
            ("topic_probabilities".into(), |predicted| predicted.topic_probabilities.is_some()),
            (format!("{scale}_probabilities"), |predicted| predicted.level_probabilities.is_some()),
            ("boilerplate_probability".into(), |predicted| predicted.boilerplate_probability.is_some()),
        ]
    }

    fn read(&self, record: &Record<'_>, scheme: &Scheme) -> Result<Predicted> {
        let columns: Vec<String> = self.topics.iter().map(|name| format!("{name}_probability")).collect();
        let mut topic_probabilities = record.probabilities("topic_probabilities", &self.topics)?;
        if topic_probabilities.is_none() {
            topic_probabilities = read_columns(record, &columns)?;
        }
        let mut level_probabilities = None;
        if let Some((scale, codes)) = &self.scale {
            let field = format!("{scale}_probabilities");
            level_probabilities = record.probabilities(&field, codes)?;
            if level_probabilities.is_none() {
                let columns: Vec<String> = codes.iter().map(|code| format!("{scale}_probability_{code}")).collect();
                level_probabilities = read_columns(record, &columns)?;
            }
            let sum: f64 = level_probabilities.iter().flatten().sum();
            if level_probabilities.is_some() && (sum - 1.0).abs() > SUM_TOLERANCE {
                let found = format!("probabilities that sum to {sum:.4}");
                let expected = "one for each level, summing to 1".into();
                return Err(record.fault(RecordFault::WrongType { field, found, expected }));
            }
        }
        Ok(Predicted {
            labels: record.labels(scheme, "")?,
            topic_probabilities,
            level_probabilities,
            boilerplate_probability: record.probability("boilerplate_probability")?,
        })
    }
}

/// One column a probability; all or none must be filled.
fn read_columns(record: &Record<'_>, columns: &[String]) -> Result<Option<Vec<f64>>> {
    let values: Vec<Option<f64>> = columns.iter().map(|column| record.probability(column)).collect::<Result<_>>()?;
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    for column in columns {
        record.required(column)?;
    }
    Ok(Some(values.into_iter().flatten().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::gold::read_gold;
    use crate::eval::tests::scheme;

    fn read(path: &str, text: &str) -> Result<Vec<Predicted>> {
        let gold = b"{\"id\": \"x\", \"text\": \"t\", \"topics\": []}\n{\"id\": \"y\", \"text\": \"t\"}";
        let gold = read_gold("gold.jsonl", gold.as_slice(), &scheme()).unwrap();
        read_predictions(path, text.as_bytes(), &scheme(), &gold)
    }

    #[test]
    fn a_minimal_table_is_enough() {
        let found = read("p.csv", "id,topics,stance,boilerplate\ny,,1,0\nz,a,0,0\nx,a;b,-1,1\n").unwrap();
        let labels = Labels { topics: Some(vec![true, true]), level: Some(0), boilerplate: Some(true) };
        assert_eq!(found[0], Predicted::from_labels(labels));
        assert_eq!(found[1].labels.topics, Some(vec![false, false]));
    }

    #[test]
    fn our_own_records_are_matched_by_the_document() {
        let line = |id: &str| {
            format!(
                r#"{{"schema": 1, "id": "{id}#0", "document": "{id}", "topics": ["a"],
                "topic_probabilities": {{"a": 0.9, "b": 0.2}}, "stance": 1, "stance_name": "heated",
                "stance_probabilities": {{"-1": 0.1, "0": 0.2, "1": 0.7}}, "boilerplate": false,
                "boilerplate_probability": 0.01}}"#
            )
            .replace('\n', " ")
        };
        let found = read("p.jsonl", &format!("{}\n{}\n", line("y"), line("x"))).unwrap();
        assert_eq!(found[0].topic_probabilities, Some(vec![0.9, 0.2]));
        assert_eq!(found[1].level_probabilities, Some(vec![0.1, 0.2, 0.7]));
        assert_eq!(found[1].boilerplate_probability, Some(0.01));
        let error = read("p.jsonl", &format!("{}\n{}\n", line("x"), line("x"))).unwrap_err().to_string();
        assert!(error.starts_with(r#"p.jsonl:2: the id "x" stands at p.jsonl:1"#), "{error}");
        let second = line("x").replace("x#0", "x#1");
        let error = read("p.jsonl", &format!("{}\n{second}\n", line("x"))).unwrap_err().to_string();
        assert!(error.starts_with(r#"p.jsonl:2: this is another paragraph of the gold item "x""#), "{error}");
    }

    #[test]
    fn probabilities_in_columns() {
        let header = "id,a_probability,b_probability,stance_probability_-1,stance_probability_0,stance_probability_1";
        let table = format!("{header},topics\nx,0.5,0.25,0.5,0.25,0.25,a\ny,0,1,0,0,1,b\n");
        let found = read("p.csv", &table).unwrap();
        assert_eq!(found[0].topic_probabilities, Some(vec![0.5, 0.25]));
        assert_eq!(found[1].level_probabilities, Some(vec![0.0, 0.0, 1.0]));
    }

    #[test]
    fn bad_predictions_are_named() {
        for (text, expected) in [
            ("id,topics\nx,a\n", r#"p.csv: there is no prediction for 1 of 2 gold items, the first is "y""#),
            ("id,topics,stance\nx,a,1\ny,b,\n", r#"p.csv: 1 of 2 gold items have no "stance", the first is "y""#),
            ("id,topics,a_probability\nx,a,1\ny,b,0\n", r#"p.csv:2: this record has no field "b_probability""#),
            ("id,topics,a_probability\nx,a,1.5\ny,b,0\n", "give a number from 0 to 1"),
            ("id,label\nx,a\ny,b\n", "p.csv: no record has a label"),
        ] {
            let error = read("p.csv", text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let bad = r#"{"id": "x", "stance_probabilities": {"-1": 0.5, "0": 0.1, "1": 0.1}}"#;
        let error = read("p.jsonl", bad).unwrap_err().to_string();
        assert!(error.contains("probabilities that sum to 0.7000; give one for each level"), "{error}");
    }
}
