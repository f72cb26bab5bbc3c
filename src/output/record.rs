//! The two records, and their form as JSON objects (`docs/output.md`).

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::explain::{Explanation, Part, Target};
use crate::label::Prediction;
use crate::output::SCHEMA;
use crate::output::number::{rounded, rounded_distribution};
use crate::output::summary::Summary;
use crate::text::{Document, Language, Paragraph};

/// One labelled paragraph. Serializes as the JSON object of `docs/output.md`.
#[derive(Debug, Clone, Copy)]
pub struct ParagraphRecord<'a> {
    /// The document that the paragraph stands in.
    pub document: &'a Document,
    /// The paragraph.
    pub paragraph: &'a Paragraph<'a>,
    /// What the classifier says of it.
    pub prediction: &'a Prediction,
    /// The language it seems to be written in.
    pub language: Language,
    /// Whether the bundle was validated for that language.
    pub language_validated: bool,
    /// The bundle that labelled it: `name@version+first 8 hex digits of its sha256`.
    pub bundle: &'a str,
    /// Which words moved the labels, if that was asked for.
    pub explanation: Option<&'a Explanation>,
}

impl ParagraphRecord<'_> {
    /// The stable id: the document's id, `#`, and the paragraph's index.
    pub fn id(&self) -> String {
        format!("{}#{}", self.document.id(), self.paragraph.index())
    }
}

/// What the paragraphs of one document say together. Serializes as the JSON object of `docs/output.md`.
#[derive(Debug, Clone, Copy)]
pub struct DocumentRecord<'a> {
    /// The document.
    pub document: &'a Document,
    /// The counts and means.
    pub summary: &'a Summary,
    /// The bundle that labelled it.
    pub bundle: &'a str,
}

impl Serialize for ParagraphRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let range = self.paragraph.byte_range();
        let prediction = self.prediction;
        let scheme = prediction.scheme();
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("id", &self.id())?;
        map.serialize_entry("document", self.document.id())?;
        map.serialize_entry("paragraph", &self.paragraph.index())?;
        map.serialize_entry("start", &range.start)?;
        map.serialize_entry("end", &range.end)?;
        map.serialize_entry("text", self.paragraph.text())?;
        map.serialize_entry("language", self.language.code())?;
        map.serialize_entry("language_validated", &self.language_validated)?;
        if let Some(probability) = prediction.boilerplate() {
            map.serialize_entry("boilerplate", &prediction.is_boilerplate())?;
            map.serialize_entry("boilerplate_probability", &rounded(probability.into()))?;
        }
        if !scheme.topics.is_empty() {
            let applying = prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name);
            map.serialize_entry("topics", &applying.collect::<Vec<_>>())?;
            let probabilities = prediction.topics().map(|topic| (topic.name, rounded(topic.probability.into())));
            map.serialize_entry("topic_probabilities", &Pairs(probabilities.collect()))?;
        }
        if let (Some(scale), Some(level)) = (&scheme.scale, prediction.escalation()) {
            map.serialize_entry(&scale.name, &level.code)?;
            map.serialize_entry(&format!("{}_name", scale.name), level.name)?;
            let expected = prediction.expected_escalation().and_then(|expected| rounded(expected.into()));
            map.serialize_entry(&format!("{}_expected", scale.name), &expected)?;
            let probabilities = rounded_distribution(prediction.escalation_probabilities());
            let pairs = scale.levels.iter().map(|level| level.code).zip(probabilities).collect();
            map.serialize_entry(&format!("{}_probabilities", scale.name), &Pairs(pairs))?;
        }
        map.serialize_entry("windows", &prediction.windows())?;
        map.serialize_entry("tokens", &prediction.tokens())?;
        map.serialize_entry("bundle", self.bundle)?;
        if let Some(explanation) = self.explanation {
            let text = self.paragraph.text();
            map.serialize_entry("explanation", &ExplanationRecord { explanation, text, start: range.start })?;
        }
        if !self.document.fields().is_empty() {
            map.serialize_entry("fields", self.document.fields())?;
        }
        map.end()
    }
}

impl Serialize for DocumentRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let summary = self.summary;
        let scheme = summary.scheme();
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("document", self.document.id())?;
        map.serialize_entry("language", summary.language().code())?;
        map.serialize_entry("paragraphs", &summary.paragraphs())?;
        map.serialize_entry("content", &summary.content())?;
        if scheme.boilerplate {
            map.serialize_entry("boilerplate", &summary.boilerplate())?;
            map.serialize_entry("boilerplate_share", &summary.boilerplate_share().and_then(rounded))?;
        }
        if !scheme.topics.is_empty() {
            map.serialize_entry("topics", &Pairs(summary.topics().collect()))?;
        }
        if let Some(scale) = &scheme.scale {
            map.serialize_entry(&scale.name, &Pairs(summary.levels().collect()))?;
            let single = |value: Option<f32>| value.and_then(|value| rounded(value.into()));
            let peak = summary.escalation_peak().map(|peak| peak.paragraph);
            map.serialize_entry(&format!("{}_mean", scale.name), &summary.escalation_mean().and_then(rounded))?;
            map.serialize_entry(&format!("{}_min", scale.name), &single(summary.escalation_min()))?;
            map.serialize_entry(&format!("{}_max", scale.name), &single(summary.escalation_max()))?;
            map.serialize_entry(&format!("{}_peak_paragraph", scale.name), &peak)?;
        }
        map.serialize_entry("windows", &summary.windows())?;
        map.serialize_entry("tokens", &summary.tokens())?;
        map.serialize_entry("bundle", self.bundle)?;
        if !self.document.fields().is_empty() {
            map.serialize_entry("fields", self.document.fields())?;
        }
        map.end()
    }
}

/// An explanation as a JSON object, the value of `explanation` in `docs/output.md`.
#[derive(Debug, Clone, Copy)]
pub struct ExplanationRecord<'a> {
    /// What each part contributes.
    pub explanation: &'a Explanation,
    /// The text that was explained.
    pub text: &'a str,
    /// Where that text begins in the document, in bytes; 0 if it stands alone.
    pub start: usize,
}

impl Serialize for ExplanationRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        let part = |part| PartRecord { record: self, part };
        map.serialize_entry("readings", &self.explanation.readings())?;
        map.serialize_entry("parts", &self.explanation.parts().iter().map(part).collect::<Vec<_>>())?;
        map.end()
    }
}

struct PartRecord<'a> {
    record: &'a ExplanationRecord<'a>,
    part: &'a Part,
}

impl Serialize for PartRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ExplanationRecord { explanation, text, start } = *self.record;
        let scheme = explanation.prediction().scheme();
        let range = self.part.byte_range();
        let weight = |target| rounded(explanation.weight(self.part, target).into());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("start", &(start + range.start))?;
        map.serialize_entry("end", &(start + range.end))?;
        map.serialize_entry("text", &text[range])?;
        map.serialize_entry("words", &self.part.words())?;
        if scheme.boilerplate {
            map.serialize_entry("boilerplate_probability", &weight(Target::Boilerplate))?;
        }
        if !scheme.topics.is_empty() {
            let topics = scheme.topics.iter().enumerate();
            let weights = topics.map(|(index, topic)| (&topic.name, weight(Target::Topic(index)))).collect();
            map.serialize_entry("topic_probabilities", &Pairs(weights))?;
        }
        if let Some(scale) = &scheme.scale {
            map.serialize_entry(&format!("{}_expected", scale.name), &weight(Target::Scale))?;
        }
        map.end()
    }
}

/// Keys and values that serialize as one object, in their order.
struct Pairs<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Pairs<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
