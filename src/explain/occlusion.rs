//! Leaving parts out: which ones, and in what order, so that the readings go where something moves.

use std::ops::Range;

use crate::explain::{ExplainOptions, Explanation, Part, Target, without, words};
use crate::label::{Prediction, Scheme};

/// Phrases that are cut in one round, before the next ones are chosen by what was found.
const CUT_TOGETHER: usize = 4;
/// Share of the largest effect from which a phrase is cut in the same round as the one that has it.
const NEAR_LARGEST: f32 = 0.25;
/// Pieces that a phrase is cut into at a time, so that a long one does not use up what is left.
const MAX_PIECES: usize = 8;

/// [`explain()`](crate::explain::explain()) by readings that `read` makes, for those who have a queue of their own before the classifier: it
/// is called some times, one after the other, with texts to classify, and gives as many predictions in the same order, all under one scheme.
///
/// # Errors
/// Those of `read`.
///
/// # Panics
/// If `read` gives fewer predictions than texts.
pub fn explain_with<E>(
    text: &str,
    options: &ExplainOptions,
    mut read: impl FnMut(&[String]) -> Result<Vec<Prediction>, E>,
) -> Result<Explanation, E> {
    let text = text.to_owned();
    let prediction = read(std::slice::from_ref(&text))?.remove(0);
    let mut occlusion = Occlusion::new(text, prediction, options);
    loop {
        let texts = occlusion.texts();
        if texts.is_empty() {
            return Ok(occlusion.finish());
        }
        occlusion.accept(&read(&texts)?);
    }
}

/// An explanation that is being made, round by round, for those who cannot wait inside a function: [`Self::texts`] says
/// what to read next, [`Self::accept`] takes what was found, until there is nothing more to read.
#[derive(Debug)]
pub(crate) struct Occlusion {
    text: String,
    words: Vec<Range<usize>>,
    prediction: Prediction,
    targets: Vec<Target>,
    /// What was read, with the places of its words, in their order.
    parts: Vec<(Range<usize>, Part)>,
    /// What is to be read next: places of words.
    asked: Vec<Range<usize>>,
    /// Readings that may still be asked for.
    left: usize,
    readings: usize,
}

impl Occlusion {
    /// Of a text and what the classifier says of it.
    pub(crate) fn new(text: String, prediction: Prediction, options: &ExplainOptions) -> Self {
        let words = words(&text);
        let left = options.readings(prediction.tokens());
        let first = if words.len() <= left { words.len() } else { (left / 2).max(1) };
        let asked = pieces(0..words.len(), first);
        let targets = Target::all(prediction.scheme());
        Self { text, words, prediction, targets, parts: Vec::new(), asked, left: left - first, readings: 0 }
    }

    /// The texts of the next round, each without one part; none when the explanation is complete.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.asked.iter().map(|phrase| without(&self.text, [self.byte_range(phrase)])).collect()
    }

    /// Takes the predictions of the round, one for each text, and chooses the parts of the next one.
    ///
    /// # Panics
    /// If there are not as many predictions as texts.
    pub(crate) fn accept(&mut self, found: &[Prediction]) {
        let asked = std::mem::take(&mut self.asked);
        assert_eq!(found.len(), asked.len(), "a prediction a text");
        self.readings += found.len();
        for (phrase, found) in asked.into_iter().zip(found) {
            let weight = |target: &Target| target.value(&self.prediction) - target.value(found);
            let weights = self.targets.iter().map(weight).collect();
            let (byte_range, words) = (self.byte_range(&phrase), phrase.len());
            self.parts.push((phrase, Part { byte_range, words, weights }));
        }
        self.parts.sort_by_key(|(phrase, _)| phrase.start);
        self.choose();
    }

    /// Takes the phrases that moved most out of the parts, and asks for smaller ones in their place.
    fn choose(&mut self) {
        let mut order: Vec<usize> = (0..self.parts.len()).filter(|&index| self.parts[index].1.words > 1).collect();
        let effect = |index: usize| effect(&self.parts[index].1, &self.targets, self.prediction.scheme());
        order.sort_by(|&a, &b| effect(b).total_cmp(&effect(a)));
        let least = order.first().map_or(0.0, |&index| effect(index) * NEAR_LARGEST);
        order.retain(|&index| effect(index) >= least);
        let mut cut = Vec::new();
        for index in order.into_iter().take(CUT_TOGETHER) {
            let phrase = &self.parts[index].0;
            let count = phrase.len().min(MAX_PIECES).min(self.left);
            if count < 2 {
                break;
            }
            self.left -= count;
            self.asked.extend(pieces(phrase.clone(), count));
            cut.push(index);
        }
        cut.sort_unstable();
        for index in cut.into_iter().rev() {
            self.parts.remove(index);
        }
    }

    /// The explanation, from everything that was read.
    pub(crate) fn finish(self) -> Explanation {
        let parts = self.parts.into_iter().map(|(_, part)| part).collect();
        Explanation { prediction: self.prediction, targets: self.targets, parts, readings: self.readings }
    }

    fn byte_range(&self, phrase: &Range<usize>) -> Range<usize> {
        self.words[phrase.start].start..self.words[phrase.end - 1].end
    }
}

/// `count` neighbouring ranges of like length that make up `range`; `count` is at most its length.
fn pieces(range: Range<usize>, count: usize) -> Vec<Range<usize>> {
    let edge = |index: usize| range.start + index * range.len() / count;
    (0..count).map(|index| edge(index)..edge(index + 1)).collect()
}

/// The most that the part moves any label by, as a share of the way that the label can go.
fn effect(part: &Part, targets: &[Target], scheme: &Scheme) -> f32 {
    let codes = scheme.scale.as_ref().map(|scale| (&scale.levels[0], &scale.levels[scale.levels.len() - 1]));
    let way = codes.map_or(1.0, |(lowest, highest)| (highest.code - lowest.code) as f32);
    let share = |(target, weight): (&Target, &f32)| weight.abs() / if *target == Target::Scale { way } else { 1.0 };
    targets.iter().zip(&part.weights).map(share).fold(0.0, f32::max)
}
