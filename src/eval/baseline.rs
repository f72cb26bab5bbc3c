//! Baselines: what a system must beat. Neither knows more than counts or words.
//!
//! In: gold. Out: a prediction for each item.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::InputFault;
use crate::eval::gold::GoldItem;
use crate::eval::metrics::calibration::most_probable;
use crate::eval::metrics::ratio;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::label::Scheme;

/// The lexicon inside the program: `eval/lexicon.toml`.
const LEXICON: &str = include_str!("../../eval/lexicon.toml");

/// The same answer for every item: what most of the gold has. Probabilities are the gold's shares. It is fitted on the very items it is
/// scored on, so it is a little better than an honest guess.
pub fn majority(scheme: &Scheme, gold: &[GoldItem]) -> Vec<Predicted> {
    let share = |holds: &dyn Fn(&GoldItem) -> Option<bool>| {
        let known: Vec<bool> = gold.iter().filter_map(holds).collect();
        let share = ratio(known.iter().filter(|holds| **holds).count() as f64, known.len() as f64);
        if share.is_nan() { 0.0 } else { share }
    };
    let topics = (0..scheme.topics.len())
        .map(|topic| share(&|item| Some(item.labels.topics.as_ref()?[topic])))
        .collect::<Vec<f64>>();
    let levels: Vec<f64> =
        (0..scheme.level_count()).map(|level| share(&|item| Some(item.labels.level? == level))).collect();
    let boilerplate = share(&|item| item.labels.boilerplate);
    let known_levels = levels.iter().sum::<f64>() > 0.0;
    let predicted = Predicted {
        labels: Labels {
            topics: (!topics.is_empty()).then(|| topics.iter().map(|&share| share > 0.5).collect()),
            level: known_levels.then(|| most_probable(&levels)),
            boilerplate: scheme.boilerplate.then_some(boilerplate > 0.5),
        },
        topic_probabilities: (!topics.is_empty()).then_some(topics),
        level_probabilities: known_levels.then_some(levels),
        boilerplate_probability: scheme.boilerplate.then_some(boilerplate),
    };
    vec![predicted; gold.len()]
}

/// Lists of words that stand for labels.
#[derive(Debug, Clone)]
pub struct Lexicon {
    /// Terms of each topic of the scheme.
    topics: Vec<Vec<Term>>,
    /// Terms of each level of the scale.
    levels: Vec<Vec<Term>>,
    boilerplate: Vec<Term>,
    neutral: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    text: String,
    inside_words: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    language: Vec<Language>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    /// For people only: the words themselves say which language a text is in.
    #[serde(rename = "lang")]
    _lang: String,
    #[serde(default)]
    topics: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    levels: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    boilerplate: Vec<String>,
}

impl Lexicon {
    /// The lexicon inside the program, for a scheme: terms of topics and levels that the scheme does not have are left out.
    ///
    /// # Errors
    /// [`InputFault::Setting`] if the scheme has none of the lexicon's topics and levels.
    pub fn embedded(scheme: &Scheme) -> Result<Self, InputFault> {
        Self::parse(LEXICON, scheme)
    }

    fn parse(toml: &str, scheme: &Scheme) -> Result<Self, InputFault> {
        let file: File = toml::from_str(toml).map_err(InputFault::Toml)?;
        let terms =
            |words: &mut dyn Iterator<Item = &String>| -> Vec<Term> { words.map(|word| Term::new(word)).collect() };
        let of = |name: &str, group: fn(&Language) -> &BTreeMap<String, Vec<String>>| {
            terms(&mut file.language.iter().filter_map(|language| group(language).get(name)).flatten())
        };
        let levels: Vec<i32> = scheme.scale.iter().flat_map(|scale| &scale.levels).map(|level| level.code).collect();
        let lexicon = Self {
            topics: scheme.topics.iter().map(|topic| of(&topic.name, |language| &language.topics)).collect(),
            levels: levels.iter().map(|code| of(&code.to_string(), |language| &language.levels)).collect(),
            boilerplate: terms(&mut file.language.iter().flat_map(|language| &language.boilerplate)),
            neutral: (0..levels.len()).min_by_key(|&level| levels[level].abs()),
        };
        if lexicon.topics.iter().chain(&lexicon.levels).all(Vec::is_empty) {
            let problem =
                "the lexicon has no words for any topic or level of this scheme; leave out --baseline lexicon";
            return Err(InputFault::Setting(problem.into()));
        }
        Ok(lexicon)
    }

    /// What the words of each item say.
    pub fn predict(&self, scheme: &Scheme, gold: &[GoldItem]) -> Vec<Predicted> {
        gold.iter().map(|item| Predicted::from_labels(self.labels(scheme, &item.text))).collect()
    }

    fn labels(&self, scheme: &Scheme, text: &str) -> Labels {
        let text = folded(text);
        let matches = |terms: &[Term]| terms.iter().filter(|term| term.is_in(&text)).count();
        let boilerplate = scheme.boilerplate && matches(&self.boilerplate) > 0;
        let topics = self.topics.iter().map(|terms| !boilerplate && matches(terms) > 0).collect();
        let level = self.neutral.map(|neutral| {
            let counts: Vec<usize> = self.levels.iter().map(|terms| matches(terms)).collect();
            let most = counts.iter().copied().max().unwrap_or(0);
            let candidates = (0..counts.len()).filter(|&level| counts[level] == most);
            let nearest = candidates.min_by_key(|level| level.abs_diff(neutral));
            if boilerplate { neutral } else { nearest.unwrap_or(neutral) }
        });
        Labels { topics: Some(topics), level, boilerplate: scheme.boilerplate.then_some(boilerplate) }
    }
}

impl Term {
    fn new(word: &str) -> Self {
        let inside = word.strip_prefix('*');
        Self { text: folded(inside.unwrap_or(word)), inside_words: inside.is_some() }
    }

    /// `text` is folded.
    fn is_in(&self, text: &str) -> bool {
        text.match_indices(&self.text).any(|(start, _)| {
            self.inside_words || !text[..start].chars().next_back().is_some_and(char::is_alphanumeric)
        })
    }
}

/// Lower case; the dot that Turkish İ leaves behind is dropped.
fn folded(text: &str) -> String {
    text.to_lowercase().replace('\u{307}', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tests::{World, scheme};
    use crate::label::Topic;

    #[test]
    fn majority_says_what_most_items_have() {
        let world = World::new(1).gold(400);
        let scheme = World::new(1).scheme;
        let predicted = majority(&scheme, &world);
        assert_eq!(predicted.len(), world.len());
        let first = &predicted[0];
        assert_eq!(first.labels, Labels { topics: Some(vec![false; 3]), level: Some(2), boilerplate: Some(false) });
        assert!((first.level_probabilities.iter().flatten().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(predicted.iter().all(|predicted| predicted == first));
        assert_eq!(majority(&scheme, &[]), []);
    }

    #[test]
    fn terms_match_where_words_begin() {
        for (term, text, expected) in [
            ("troop", "The TROOPS left", true),
            ("char", "un cauchemar", false),
            ("char", "les chars", true),
            ("*停火", "双方同意停火。", true),
            ("*قصف", "والقصف مستمر", true),
            ("iha", "İHA düştü", true),
        ] {
            assert_eq!(Term::new(term).is_in(&folded(text)), expected, "{term} in {text}");
        }
    }

    #[test]
    fn the_lexicon_speaks_twelve_languages() {
        let mut scheme = scheme();
        let names = ["military", "diplomacy", "sanctions"];
        scheme.topics = names.map(|name| Topic { name: name.into(), description: String::new() }).to_vec();
        let lexicon = Lexicon::embedded(&scheme).unwrap();
        for (text, topics, level) in [
            ("Troops opened fire along the border and were ready to deploy tanks", [true, false, false], 2),
            ("Вчора армія відбила атаку", [true, false, false], 1),
            ("Der Botschafter verhandelte über eine Waffenruhe", [true, true, false], 0),
            ("欧盟对两家银行实施制裁", [false, false, true], 2),
            ("فرض الاتحاد عقوبات جديدة", [false, false, true], 2),
            ("Das Wetter bleibt schön", [false, false, false], 1),
        ] {
            let labels = lexicon.labels(&scheme, text);
            assert_eq!(labels.topics.as_deref(), Some(topics.as_slice()), "{text}");
            assert_eq!(labels.level, Some(level), "{text}");
        }
        let labels = lexicon.labels(&scheme, "Newsletter: alles über Panzer");
        assert_eq!(labels, Labels { topics: Some(vec![false; 3]), level: Some(1), boilerplate: Some(true) });
    }

    #[test]
    fn a_scheme_without_words_is_refused() {
        let mut scheme = scheme();
        scheme.scale = None;
        let fault = Lexicon::embedded(&scheme).unwrap_err().to_string();
        assert!(fault.contains("no words for any topic or level"), "{fault}");
    }
}
