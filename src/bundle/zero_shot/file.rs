//! The file of a zero-shot scheme: its keys, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::bundle::zero_shot::FALLBACK;
use crate::bundle::zero_shot::calibrated::CalibrationToml;
use crate::head::Label;
use crate::label::{Scale, ScaleLevel, Scheme, Topic};
use crate::text::Language;

/// Hypotheses by the code of their language.
pub(super) type HypothesesToml = BTreeMap<String, Vec<String>>;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemeToml {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) language: HypothesisLanguage,
    #[serde(default)]
    pub(super) topics: Vec<TopicToml>,
    pub(super) scale: Option<ScaleToml>,
    pub(super) boilerplate: Option<BoilerplateToml>,
    pub(super) calibration: Option<CalibrationToml>,
}

/// In which language a text is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum HypothesisLanguage {
    /// Its own one, where there are hypotheses in it, else English.
    #[default]
    #[serde(rename = "text")]
    Text,
    /// Always English.
    #[serde(rename = "en")]
    English,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicToml {
    name: String,
    #[serde(default)]
    description: String,
    pub(super) threshold: Option<f32>,
    #[serde(default)]
    hypotheses: HypothesesToml,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScaleToml {
    name: String,
    #[serde(default, rename = "description")]
    _description: String,
    levels: Vec<LevelToml>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelToml {
    code: i32,
    name: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    hypotheses: HypothesesToml,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoilerplateToml {
    #[serde(default, rename = "description")]
    _description: String,
    pub(super) threshold: Option<f32>,
    #[serde(default)]
    hypotheses: HypothesesToml,
}

impl SchemeToml {
    /// The hypotheses of every label: topics, levels, boilerplate.
    pub(super) fn hypotheses(&self) -> Vec<(Label, &HypothesesToml)> {
        let topics = self.topics.iter().enumerate().map(|(index, topic)| (Label::Topic(index), &topic.hypotheses));
        let levels = self.levels().iter().enumerate().map(|(index, level)| (Label::Level(index), &level.hypotheses));
        let boilerplate = self.boilerplate.iter().map(|flag| (Label::Boilerplate, &flag.hypotheses));
        topics.chain(levels).chain(boilerplate).collect()
    }

    fn levels(&self) -> &[LevelToml] {
        self.scale.as_ref().map_or(&[], |scale| &scale.levels)
    }

    /// Where a label stands in the file.
    pub(super) fn key(&self, label: Label) -> String {
        match label {
            Label::Topic(index) => format!("topics[{index}] ({:?})", self.topics[index].name),
            Label::Level(index) => format!("scale.levels[{index}] ({})", self.levels()[index].code),
            Label::Boilerplate => "boilerplate".into(),
        }
    }

    /// The labels, or the first thing that is wrong: its key and what to do.
    pub(super) fn check(&self) -> Result<Scheme, String> {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(is_plain) {
            return Err(format!(
                "name is {:?}; it stands in every record, write letters, digits, - _ and . alone",
                self.name
            ));
        }
        self.check_names()?;
        let tables = self.hypotheses();
        for (label, table) in &tables {
            check_table(&self.key(*label), table)?;
        }
        self.check_languages_of_levels()?;
        self.check_sentences(&tables)?;
        let scheme = self.scheme();
        match scheme.problem() {
            Some(problem) => Err(format!("{problem}; give it [[topics]], a [scale] or [boilerplate] as specified")),
            None => Ok(scheme),
        }
    }

    fn check_names(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let scale = self.scale.iter().map(|scale| ("scale.name".to_owned(), scale.name.as_str()));
        let topics = self.topics.iter().enumerate();
        let topics = topics.map(|(index, topic)| (format!("topics[{index}].name"), topic.name.as_str()));
        for (key, name) in topics.chain(scale) {
            if name.trim().is_empty() || !seen.insert(name) {
                return Err(format!("{key} is {name:?}, which is {}; write another one", taken(name)));
            }
        }
        let mut seen = BTreeSet::new();
        for (index, level) in self.levels().iter().enumerate() {
            let name = level.name.as_str();
            if name.trim().is_empty() || !seen.insert(name) {
                return Err(format!(
                    "scale.levels[{index}].name is {name:?}, which is {}; write another one",
                    taken(name)
                ));
            }
        }
        if let Some(pair) = self.levels().windows(2).find(|pair| pair[0].code >= pair[1].code) {
            return Err(format!(
                "scale.levels: the code {} stands before {}; write the levels in ascending order, each code once",
                pair[0].code, pair[1].code
            ));
        }
        Ok(())
    }

    /// One softmax over sentences of two languages would compare what cannot be compared.
    fn check_languages_of_levels(&self) -> Result<(), String> {
        let Some(first) = self.levels().first() else { return Ok(()) };
        for (index, level) in self.levels().iter().enumerate() {
            let other = level.hypotheses.keys().find(|code| !first.hypotheses.contains_key(*code));
            let missing = first.hypotheses.keys().find(|code| !level.hypotheses.contains_key(*code));
            let (lacks, code) = match (other, missing) {
                (Some(code), _) => (0, code),
                (None, Some(code)) => (index, code),
                (None, None) => continue,
            };
            return Err(format!(
                "{}.hypotheses lacks the language {code:?}, which another level has; levels are weighed against one another, \
                 give every level the same languages",
                self.key(Label::Level(lacks))
            ));
        }
        Ok(())
    }

    /// Nothing tells two labels apart that have the same sentence.
    fn check_sentences(&self, tables: &[(Label, &HypothesesToml)]) -> Result<(), String> {
        let mut seen: BTreeMap<(&str, &str), Label> = BTreeMap::new();
        for (label, table) in tables {
            for (code, sentences) in *table {
                for sentence in sentences {
                    if let Some(other) = seen.insert((code, sentence.trim()), *label) {
                        return Err(format!(
                            "{}.hypotheses.{code} has the sentence {sentence:?}, which {} has already; write another one",
                            self.key(*label),
                            self.key(other)
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn scheme(&self) -> Scheme {
        let topic = |topic: &TopicToml| Topic { name: topic.name.clone(), description: topic.description.clone() };
        let level = |level: &LevelToml| ScaleLevel { code: level.code, name: level.name.clone() };
        Scheme {
            topics: self.topics.iter().map(topic).collect(),
            scale: self
                .scale
                .as_ref()
                .map(|scale| Scale { name: scale.name.clone(), levels: scale.levels.iter().map(level).collect() }),
            boilerplate: self.boilerplate.is_some(),
        }
    }
}

fn taken(name: &str) -> &'static str {
    if name.trim().is_empty() { "empty" } else { "used twice" }
}

fn check_table(key: &str, table: &HypothesesToml) -> Result<(), String> {
    if !table.contains_key(FALLBACK) {
        return Err(format!(
            "{key}.hypotheses.{FALLBACK} is missing; English stands in for every language without hypotheses, write a list of \
             one sentence or more"
        ));
    }
    for (code, sentences) in table {
        if Language::of_code(code).is_none() {
            return Err(format!(
                "{key}.hypotheses has the language {code:?}, which cannot be detected; write a code of two letters such as \"de\", \
                 or leave it out"
            ));
        }
        if sentences.is_empty() {
            return Err(format!(
                "{key}.hypotheses.{code} is an empty list; write a sentence, or leave the language out"
            ));
        }
        for (number, sentence) in sentences.iter().enumerate() {
            if sentence.trim().is_empty() {
                return Err(format!("{key}.hypotheses.{code}[{number}] is blank; write a sentence, or leave it out"));
            }
            if sentence.contains(['{', '}']) {
                return Err(format!(
                    "{key}.hypotheses.{code}[{number}] has a placeholder, {sentence:?}; hypotheses are whole sentences and \
                     nothing is put into them, write the label out"
                ));
            }
        }
    }
    Ok(())
}
