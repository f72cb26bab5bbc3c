//! Why a text got its labels: which of its words moved each of them, by leaving them out.
//!
//! In: a [`Classifier`] and a text. Out: an [`Explanation`]: the text's words (of a long text: phrases and words), each with
//! its place and the change that it brings about in every topic's probability, in the expected level and in the
//! probability of boilerplate.
//!
//! **Occlusion** (Zeiler and Fergus 2014; of words: Li, Monroe and Jurafsky 2016): the weight of a part is a label's number on the text
//! minus that number on the text without the part. It is positive where the part raises the number. Weights are measured, not
//! estimated, so they are exact for the question "what if this were not there"; but a part that says what another one says
//! too has little weight, since the other one is still there, and weights do not add up. `eval/README.md` says how
//! faithful they are, and how that is measured.
//!
//! **Cost** is bounded by [`ExplainOptions`]: every part costs one reading of the text. A text with more words than
//! readings is cut into phrases of like length first, for half of the readings; the other half go into the phrases that
//! moved most, which are cut again and again down to words.

mod occlusion;
mod words;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::classifier::Classifier;
use crate::error::Result;
use crate::label::{Prediction, Scheme};

#[cfg(feature = "serve")]
pub(crate) use crate::explain::occlusion::Occlusion;
pub use crate::explain::occlusion::explain_with;
pub(crate) use crate::explain::words::{without, words};

/// Readings that every text gets, however long it is, unless fewer are asked for: enough to tell its parts apart roughly.
const FEWEST_READINGS: usize = 8;

/// What an explanation may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Most readings of a text, at least 1, the one of the whole text not counted.
    pub max_readings: usize,
    /// About the most tokens that the readings of one text have together. A text of `t` tokens is read `max_tokens / t` times,
    /// but at least 8 times and at most `max_readings` times.
    pub max_tokens: usize,
}

impl Default for ExplainOptions {
    /// 128 readings, 16,384 tokens: each word of a usual paragraph, and no more work than some hundred of them for a longer
    /// one.
    fn default() -> Self {
        Self { max_readings: 128, max_tokens: 16_384 }
    }
}

impl ExplainOptions {
    /// Readings of a text with so many tokens, the one of the whole text not counted.
    pub fn readings(&self, tokens: usize) -> usize {
        (self.max_tokens / tokens.max(1)).max(FEWEST_READINGS).min(self.max_readings.max(1))
    }
}

/// A number of a prediction that an explanation explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The probability of the topic at this place in the scheme.
    Topic(usize),
    /// The expected level.
    Scale,
    /// The probability of boilerplate.
    Boilerplate,
}

impl Target {
    /// Every number that the scheme has: topics in its order, the scale, boilerplate.
    pub fn all(scheme: &Scheme) -> Vec<Target> {
        let scale = scheme.scale.is_some().then_some(Target::Scale);
        let boilerplate = scheme.boilerplate.then_some(Target::Boilerplate);
        (0..scheme.topics.len()).map(Target::Topic).chain(scale).chain(boilerplate).collect()
    }

    /// The numbers behind what was decided: boilerplate alone where the text is boilerplate, else the topics that apply and
    /// the scale.
    pub fn decided(prediction: &Prediction) -> Vec<Target> {
        if prediction.is_boilerplate() {
            return vec![Target::Boilerplate];
        }
        let topics = prediction.topics().enumerate().filter(|(_, topic)| topic.applies);
        let scale = prediction.scheme().scale.is_some().then_some(Target::Scale);
        topics.map(|(index, _)| Target::Topic(index)).chain(scale).collect()
    }

    /// Name of the topic or of the scale, or `boilerplate`.
    ///
    /// # Panics
    /// If the scheme does not have it.
    pub fn name(self, scheme: &Scheme) -> &str {
        match self {
            Target::Topic(index) => &scheme.topics[index].name,
            Target::Scale => &scheme.scale.as_ref().expect("a target of the scheme").name,
            Target::Boilerplate => "boilerplate",
        }
    }

    /// The number in a prediction; 0 if its scheme does not have it.
    pub fn value(self, prediction: &Prediction) -> f32 {
        match self {
            Target::Topic(index) => prediction.topics().nth(index).map_or(0.0, |topic| topic.probability),
            Target::Scale => prediction.expected_escalation().unwrap_or(0.0),
            Target::Boilerplate => prediction.boilerplate().unwrap_or(0.0),
        }
    }
}

/// A slice of the text that was left out by itself, and what that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    byte_range: Range<usize>,
    words: usize,
    /// In the order of [`Target::all`].
    weights: Vec<f32>,
}

impl Part {
    /// Where it stands in the text that was explained, in bytes. Parts ascend and do not overlap; what lies between them
    /// (spaces, punctuation) was never left out.
    pub fn byte_range(&self) -> Range<usize> {
        self.byte_range.clone()
    }

    /// Words in it; more than 1 for a phrase. Where a script sets no spaces, two characters count as a word.
    pub fn words(&self) -> usize {
        self.words
    }
}

/// What each part of a text contributes to its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    prediction: Prediction,
    targets: Vec<Target>,
    parts: Vec<Part>,
    readings: usize,
}

impl Explanation {
    /// What the classifier says of the whole text: bit for bit what [`Classifier::classify`] gives.
    pub fn prediction(&self) -> &Prediction {
        &self.prediction
    }

    /// The parts in the order of the text; none if it has no words.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Readings of the text that this took, the one of the whole text not counted.
    pub fn readings(&self) -> usize {
        self.readings
    }

    /// By how much `part` raises the number: a difference of probabilities, or of expected levels, negative where it lowers it. 0
    /// if the scheme does not have the target.
    pub fn weight(&self, part: &Part, target: Target) -> f32 {
        let place = self.targets.iter().position(|&other| other == target);
        place.map_or(0.0, |place| part.weights[place])
    }

    /// The parts that move `target` by at least `least`, up or down, those that move it most first, with their weights.
    pub fn strongest(&self, target: Target, least: f32) -> Vec<(&Part, f32)> {
        let weighted = self.parts.iter().map(|part| (part, self.weight(part, target)));
        let mut strongest: Vec<_> = weighted.filter(|(_, weight)| weight.abs() >= least).collect();
        strongest.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        strongest
    }
}

/// Explains one text.
///
/// ```
/// # fn main() -> detente::Result<()> {
/// # #[cfg(feature = "embedded")] {
/// use detente::explain::{ExplainOptions, Target, explain};
///
/// let classifier = detente::Classifier::embedded()?;
/// let text = "Artillery shelled the town again on Sunday.";
/// let explanation = explain(&classifier, text, &ExplainOptions::default())?;
///
/// assert_eq!(explanation.prediction(), &classifier.classify(text)?);
/// assert_eq!(explanation.parts().len(), 7);
/// let (part, weight) = explanation.strongest(Target::Topic(0), 0.0)[0];
/// println!("{} moves military by {weight:+.2}", &text[part.byte_range()]);
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`crate::Error::BlankText`] if there is nothing but white space.
pub fn explain(classifier: &Classifier, text: &str, options: &ExplainOptions) -> Result<Explanation> {
    explain_with(text, options, |texts| classifier.classify_batch(texts))
}
