//! What the paragraphs of one document say together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::label::{Prediction, Scheme};
use crate::text::{Language, Paragraph};

/// Counts and means over the paragraphs of a document, built up one paragraph at a time; its size does not grow with
/// the document.
///
/// A paragraph is either boilerplate or content. Topics, levels and the expected escalation are those of the content
/// paragraphs alone. In the mean every content paragraph counts once, however long it is: a headline weighs as much as
/// the paragraph under it.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    scheme: Arc<Scheme>,
    paragraphs: usize,
    boilerplate: usize,
    topics: Vec<usize>,
    levels: Vec<usize>,
    expected: Option<Expected>,
    /// Characters of content by language, then of boilerplate.
    languages: [BTreeMap<Language, usize>; 2],
    windows: usize,
    tokens: usize,
}

/// The paragraph whose expected escalation lies farthest from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Its index in the document.
    pub paragraph: usize,
    /// Its expected escalation.
    pub expected: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Expected {
    sum: f64,
    min: f32,
    max: f32,
    peak: Peak,
}

impl Summary {
    /// The summary of no paragraphs.
    pub fn new(scheme: Arc<Scheme>) -> Self {
        Self {
            paragraphs: 0,
            boilerplate: 0,
            topics: vec![0; scheme.topics.len()],
            levels: vec![0; scheme.level_count()],
            expected: None,
            languages: [BTreeMap::new(), BTreeMap::new()],
            windows: 0,
            tokens: 0,
            scheme,
        }
    }

    /// Counts one more paragraph; `prediction` is one under the summary's scheme.
    pub fn add(&mut self, paragraph: &Paragraph<'_>, prediction: &Prediction, language: Language) {
        let is_boilerplate = prediction.is_boilerplate();
        self.paragraphs += 1;
        self.windows += prediction.windows();
        self.tokens += prediction.tokens();
        let characters = paragraph.text().chars().count();
        *self.languages[usize::from(is_boilerplate)].entry(language).or_default() += characters;
        if is_boilerplate {
            self.boilerplate += 1;
            return;
        }
        for (count, topic) in self.topics.iter_mut().zip(prediction.topics()) {
            *count += usize::from(topic.applies);
        }
        if let (Some(scale), Some(level)) = (&self.scheme.scale, prediction.escalation()) {
            for (count, _) in self.levels.iter_mut().zip(&scale.levels).filter(|(_, known)| known.code == level.code) {
                *count += 1;
            }
        }
        if let Some(expected) = prediction.expected_escalation() {
            let here = Peak { paragraph: paragraph.index(), expected };
            let so_far = self.expected.get_or_insert(Expected { sum: 0.0, min: expected, max: expected, peak: here });
            so_far.sum += f64::from(expected);
            so_far.min = so_far.min.min(expected);
            so_far.max = so_far.max.max(expected);
            if expected.abs() > so_far.peak.expected.abs() {
                so_far.peak = here;
            }
        }
    }

    /// The scheme of the predictions.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.scheme
    }

    /// Number of paragraphs.
    pub fn paragraphs(&self) -> usize {
        self.paragraphs
    }

    /// Number of paragraphs that are not boilerplate.
    pub fn content(&self) -> usize {
        self.paragraphs - self.boilerplate
    }

    /// Number of boilerplate paragraphs; 0 if the scheme has no such flag.
    pub fn boilerplate(&self) -> usize {
        self.boilerplate
    }

    /// Boilerplate paragraphs by all paragraphs, in [0, 1]; `None` without paragraphs.
    pub fn boilerplate_share(&self) -> Option<f64> {
        (self.paragraphs > 0).then(|| self.boilerplate as f64 / self.paragraphs as f64)
    }

    /// Name of each topic and the number of content paragraphs that it applies to, in the order of the scheme.
    pub fn topics(&self) -> impl Iterator<Item = (&str, usize)> {
        self.scheme.topics.iter().map(|topic| topic.name.as_str()).zip(self.topics.iter().copied())
    }

    /// Code of each level and the number of content paragraphs on it, in the order of the scale; nothing without a scale.
    pub fn levels(&self) -> impl Iterator<Item = (i32, usize)> {
        let levels = self.scheme.scale.iter().flat_map(|scale| &scale.levels);
        levels.map(|level| level.code).zip(self.levels.iter().copied())
    }

    /// Mean expected escalation of the content paragraphs, each counted once; `None` if there are none, or no scale.
    pub fn escalation_mean(&self) -> Option<f64> {
        self.expected.map(|expected| expected.sum / self.content() as f64)
    }

    /// Lowest expected escalation of a content paragraph; `None` if there are none, or no scale.
    pub fn escalation_min(&self) -> Option<f32> {
        self.expected.map(|expected| expected.min)
    }

    /// Highest expected escalation of a content paragraph; `None` if there are none, or no scale.
    pub fn escalation_max(&self) -> Option<f32> {
        self.expected.map(|expected| expected.max)
    }

    /// The content paragraph whose expected escalation lies farthest from 0, on whichever side; the first of equals.
    /// `None` if there are none, or no scale.
    pub fn escalation_peak(&self) -> Option<Peak> {
        self.expected.map(|expected| expected.peak)
    }

    /// The language in which most characters of content are written, `und` only if no paragraph's language was told; the
    /// first in alphabetical order of equals. Boilerplate decides where no content paragraph's language was told.
    pub fn language(&self) -> Language {
        let most = |counts: &BTreeMap<Language, usize>| {
            let told = counts.iter().filter(|(language, _)| **language != Language::UNDETERMINED);
            // `rev`, since of equals `max_by_key` takes the last.
            told.rev().max_by_key(|&(_, &characters)| characters).map(|(&language, _)| language)
        };
        self.languages.iter().find_map(most).unwrap_or(Language::UNDETERMINED)
    }

    /// Number of windows of all paragraphs.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Number of tokens of all paragraphs.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::fixture::{boilerplate, prediction, rated, shipped, topics_alone};
    use crate::text::Document;

    fn summary_of(predictions: &[Prediction]) -> Summary {
        let text = vec!["Ein Absatz."; predictions.len()].join("\n\n");
        let scheme = predictions.first().map_or_else(shipped, |prediction| Arc::clone(prediction.scheme()));
        let mut summary = Summary::new(scheme);
        let document = Document::from_text("a", text);
        for (paragraph, prediction) in document.paragraphs().zip(predictions) {
            summary.add(&paragraph, prediction, Language::UNDETERMINED);
        }
        summary
    }

    #[test]
    fn boilerplate_counts_as_paragraph_and_no_more() {
        let summary = summary_of(&[boilerplate(), rated(2.0, [0.9, 0.1, 0.1]), rated(-1.0, [0.9, 0.9, 0.1])]);
        assert_eq!((summary.paragraphs(), summary.content(), summary.boilerplate()), (3, 2, 1));
        assert_eq!(summary.boilerplate_share(), Some(1.0 / 3.0));
        assert_eq!(summary.topics().collect::<Vec<_>>(), [("military", 2), ("diplomacy", 1), ("sanctions", 0)]);
        assert_eq!(summary.levels().collect::<Vec<_>>(), [(-2, 0), (-1, 1), (0, 0), (1, 0), (2, 1)]);
        assert_eq!((summary.windows(), summary.tokens()), (3, 93));
        let [low, high] = [summary.escalation_min().unwrap(), summary.escalation_max().unwrap()];
        assert!((summary.escalation_mean().unwrap() - f64::from(low + high) / 2.0).abs() < 1e-6);
        assert_eq!(summary.escalation_peak(), Some(Peak { paragraph: 1, expected: high }));
    }

    #[test]
    fn the_peak_is_the_farthest_from_zero_on_either_side() {
        let level = |levels: [f32; 5]| prediction(&shipped(), &[0.0; 3], &levels, Some(0.0));
        let calm = level([0.9, 0.1, 0.0, 0.0, 0.0]);
        let tense = level([0.0, 0.0, 0.0, 1.0, 0.0]);
        let [paragraph, equal] = [&[tense.clone(), calm.clone()], &[calm.clone(), calm]]
            .map(|predictions| summary_of(predictions).escalation_peak().unwrap().paragraph);
        assert_eq!((paragraph, equal), (1, 0));
    }

    #[test]
    fn without_content_there_are_no_means() {
        for summary in [summary_of(&[]), summary_of(&[boilerplate()])] {
            assert_eq!(summary.escalation_mean(), None);
            assert_eq!((summary.escalation_min(), summary.escalation_max()), (None, None));
            assert_eq!(summary.escalation_peak(), None);
            assert_eq!(summary.language(), Language::UNDETERMINED);
        }
        let topics = summary_of(&[prediction(&topics_alone(), &[0.9, 0.1], &[], None)]);
        assert_eq!((topics.content(), topics.escalation_mean(), topics.levels().count()), (1, None, 0));
    }
}
