//! Predictions to answers: the decisions of the bundle, or those that the options of a request ask for.
//!
//! Probabilities are never changed.

use crate::bundle::BundleInfo;
use crate::explain::{Explanation, Target};
use crate::label::{Prediction, TopicScore};
use crate::output::number::{rounded, rounded_distribution};
use crate::serve::answer::Refused;
use crate::serve::input::Paragraph;
use crate::serve::types::{
    ClassifyOptions, ExplanationAnswer, FlagAnswer, LevelAnswer, ParagraphAnswer, PartAnswer, ScaleAnswer, TopicAnswer,
    Weights,
};

const BOILERPLATE: &str = "boilerplate";

/// The options of a request, checked against the labels of a bundle.
pub(crate) struct Rules<'a> {
    options: &'a ClassifyOptions,
    info: &'a BundleInfo,
}

impl<'a> Rules<'a> {
    /// Checks the options.
    ///
    /// # Errors
    /// For a label that the bundle does not have, and a probability out of range.
    pub(crate) fn new(options: &'a ClassifyOptions, info: &'a BundleInfo) -> Result<Self, Refused> {
        let scheme = &info.scheme;
        let topics: Vec<&str> = scheme.topics.iter().map(|topic| topic.name.as_str()).collect();
        let scale = scheme.scale.iter().map(|scale| scale.name.as_str());
        let boilerplate = scheme.boilerplate.then_some(BOILERPLATE);
        let flags: Vec<&str> = topics.iter().copied().chain(boilerplate).collect();
        let all: Vec<&str> = flags.iter().copied().chain(scale).collect();
        let unknown = |field: &str, name: &str, known: &[&str]| {
            Err(Refused::invalid(format!(
                "options.{field} names {name:?}, which {} does not have; it has {known:?}",
                info.id
            )))
        };
        for name in options.topics.iter().flatten() {
            if !topics.contains(&name.as_str()) {
                return unknown("topics", name, &topics);
            }
        }
        for (field, numbers, known) in
            [("thresholds", &options.thresholds, &flags), ("abstain", &options.abstain, &all)]
        {
            for (name, number) in numbers {
                if !known.contains(&name.as_str()) {
                    return unknown(field, name, known);
                }
                if !(0.0..=1.0).contains(number) {
                    let what = format!("options.{field}.{name} is {number}; a probability lies between 0 and 1");
                    return Err(Refused::invalid(what));
                }
            }
        }
        Ok(Self { options, info })
    }

    /// The answer about one paragraph.
    pub(crate) fn answer(
        &self,
        paragraph: Paragraph,
        prediction: &Prediction,
        explanation: Option<&Explanation>,
    ) -> ParagraphAnswer {
        let explanation = explanation.map(|explanation| self.explanation(&paragraph, explanation));
        let options = self.options;
        let is_boilerplate = match (options.thresholds.get(BOILERPLATE), prediction.boilerplate()) {
            (Some(&threshold), Some(probability)) => f64::from(probability) >= threshold,
            _ => prediction.is_boilerplate(),
        };
        let applies = self.topics_that_apply(prediction);
        let topics = prediction.topics().zip(applies).filter(|(topic, _)| self.is_wanted(topic.name));
        let topics = topics.map(|(topic, applies)| {
            let flag = self.flag(topic.name, topic.probability, applies);
            // Of boilerplate none applies, and that is no decision of its own.
            let applies = if is_boilerplate { Some(false) } else { flag.applies };
            TopicAnswer { name: topic.name.to_owned(), probability: flag.probability, applies }
        });
        ParagraphAnswer {
            index: paragraph.index,
            start: paragraph.start,
            end: paragraph.end,
            language: paragraph.language.code().to_owned(),
            language_validated: self.info.is_validated_for(paragraph.language),
            text: options.return_text.then_some(paragraph.text),
            boilerplate: prediction
                .boilerplate()
                .map(|probability| self.flag(BOILERPLATE, probability, is_boilerplate)),
            topics: topics.collect(),
            scale: self.scale(prediction, is_boilerplate),
            windows: prediction.windows(),
            tokens: prediction.tokens(),
            explanation,
        }
    }

    fn topics_that_apply(&self, prediction: &Prediction) -> Vec<bool> {
        let calibration = &self.info.calibration;
        let asked = |topic: TopicScore<'_>| self.options.thresholds.get(topic.name).copied();
        let thresholds = prediction.topics().map(asked).zip(calibration.topic_thresholds());
        let thresholds = thresholds.map(|(asked, threshold)| asked.unwrap_or(threshold));
        let probabilities: Vec<f32> = prediction.topics().map(|topic| topic.probability).collect();
        calibration.topic_decision.applies(thresholds, &probabilities)
    }

    fn is_wanted(&self, topic: &str) -> bool {
        self.options.topics.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one == topic))
    }

    fn explanation(&self, paragraph: &Paragraph, explanation: &Explanation) -> ExplanationAnswer {
        let scheme = &self.info.scheme;
        let mut targets = Target::all(scheme);
        targets.retain(|&target| !matches!(target, Target::Topic(_)) || self.is_wanted(target.name(scheme)));
        let parts = explanation.parts().iter().map(|part| {
            let range = part.byte_range();
            let weight = |target| rounded(explanation.weight(part, target).into());
            let weights = targets.iter().map(|&target| (target.name(scheme).to_owned(), weight(target)));
            PartAnswer {
                start: paragraph.start + range.start,
                end: paragraph.start + range.end,
                text: self.options.return_text.then(|| paragraph.text[range].to_owned()),
                words: part.words(),
                weights: Weights(weights.collect()),
            }
        });
        ExplanationAnswer { readings: explanation.readings(), parts: parts.collect() }
    }

    /// A decision and its probability; withheld where the probability of what was decided is too small.
    fn flag(&self, name: &str, probability: f32, applies: bool) -> FlagAnswer {
        let decided = f64::from(if applies { probability } else { 1.0 - probability });
        let is_withheld = self.options.abstain.get(name).is_some_and(|&least| decided < least);
        FlagAnswer { probability: rounded(probability.into()), applies: (!is_withheld).then_some(applies) }
    }

    fn scale(&self, prediction: &Prediction, is_boilerplate: bool) -> Option<ScaleAnswer> {
        let scale = self.info.scheme.scale.as_ref()?;
        let probabilities = prediction.escalation_probabilities();
        let decision = &self.info.calibration.scale.as_ref()?.decision;
        let codes: Vec<i32> = scale.levels.iter().map(|level| level.code).collect();
        let level = if is_boilerplate { scale.neutral() } else { decision.level(probabilities, &codes) };
        // Of boilerplate the level is no decision of its own.
        let least = self.options.abstain.get(&scale.name).filter(|_| !is_boilerplate);
        let is_withheld = least.is_some_and(|&least| f64::from(probabilities[level]) < least);
        let decided = (!is_withheld).then(|| &scale.levels[level]);
        let levels = scale.levels.iter().zip(rounded_distribution(probabilities));
        let levels =
            levels.map(|(level, probability)| LevelAnswer { code: level.code, name: level.name.clone(), probability });
        Some(ScaleAnswer {
            name: scale.name.clone(),
            level: decided.map(|level| level.code),
            level_name: decided.map(|level| level.name.clone()),
            expected: prediction.expected_escalation().and_then(|expected| rounded(expected.into())),
            levels: levels.collect(),
        })
    }
}
