//! A baseline that learns: logistic regression over character n-grams, fitted on a training file.
//!
//! In: labelled items to learn from, gold to predict. Out: labels and probabilities. It knows spelling and nothing of meaning, needs
//! no word list, and is what a team would try in an afternoon.

use std::collections::BTreeMap;

use crate::eval::bootstrap::Random;
use crate::eval::gold::GoldItem;
use crate::eval::metrics::calibration::most_probable;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::label::Scheme;

/// Longest n-gram, in characters; shorter ones count as well.
const LONGEST: usize = 4;
/// Weights of an output: n-grams are hashed into so many places (Weinberger et al. 2009). A power of 2.
const PLACES: usize = 1 << 18;
/// Passes over the training items. More of them fit the training part closer and the dev part no better.
const EPOCHS: usize = 10;
/// Step of AdaGrad (Duchi, Hazan and Singer 2011).
const STEP: f32 = 0.3;
/// Keeps the first steps of a weight finite.
const DAMPING: f32 = 1e-4;
/// Least probability at which a topic applies or a text is boilerplate.
const THRESHOLD: f64 = 0.5;
/// Where the order of the training items begins.
const SEED: u64 = 1;

/// Logistic regressions, one for each topic, one for boilerplate, and a multinomial one for the levels.
pub struct NgramModel {
    topics: usize,
    levels: usize,
    /// Topics, then boilerplate if the scheme has it, then levels.
    outputs: Vec<Output>,
    boilerplate: bool,
}

struct Output {
    weights: Vec<f32>,
    squares: Vec<f32>,
    bias: f32,
}

/// The places of a text's n-grams and their values, of length 1 together.
type Features = Vec<(usize, f32)>;

impl NgramModel {
    /// Learns from the items; a label that is not known teaches nothing.
    pub fn fit(scheme: &Scheme, train: &[GoldItem]) -> Self {
        let (topics, levels) = (scheme.topics.len(), scheme.level_count());
        let flags = topics + usize::from(scheme.boilerplate);
        let output = || Output { weights: vec![0.0; PLACES], squares: vec![DAMPING; PLACES], bias: 0.0 };
        let outputs = (0..flags + levels).map(|_| output()).collect();
        let mut model = Self { topics, levels, outputs, boilerplate: scheme.boilerplate };
        let texts: Vec<Features> = train.iter().map(|item| features(&item.text)).collect();
        let mut order: Vec<usize> = (0..train.len()).collect();
        let mut random = Random::new(SEED, 0);
        for _ in 0..EPOCHS {
            for place in (1..order.len()).rev() {
                order.swap(place, random.below(place + 1));
            }
            for &item in &order {
                model.learn(&texts[item], &train[item].labels);
            }
        }
        model
    }

    fn learn(&mut self, text: &Features, gold: &Labels) {
        for (topic, &applies) in gold.topics.iter().flatten().enumerate() {
            self.outputs[topic].learn_flag(text, applies);
        }
        if let (true, Some(boilerplate)) = (self.boilerplate, gold.boilerplate) {
            self.outputs[self.topics].learn_flag(text, boilerplate);
        }
        if let Some(gold) = gold.level {
            let probabilities = self.level_probabilities(text);
            let first = self.outputs.len() - self.levels;
            for (level, probability) in probabilities.iter().enumerate() {
                let target = f32::from(u8::from(level == gold));
                self.outputs[first + level].step(text, *probability as f32 - target);
            }
        }
    }

    fn level_probabilities(&self, text: &Features) -> Vec<f64> {
        let logits: Vec<f64> = self.outputs[self.outputs.len() - self.levels..]
            .iter()
            .map(|output| f64::from(output.logit(text)))
            .collect();
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let odds: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let sum: f64 = odds.iter().sum();
        odds.iter().map(|odds| odds / sum).collect()
    }

    /// What the model says of each item.
    pub fn predict(&self, gold: &[GoldItem]) -> Vec<Predicted> {
        gold.iter().map(|item| self.predict_one(&features(&item.text))).collect()
    }

    fn predict_one(&self, text: &Features) -> Predicted {
        let topics: Vec<f64> = self.outputs[..self.topics].iter().map(|output| output.probability(text)).collect();
        let boilerplate = self.boilerplate.then(|| self.outputs[self.topics].probability(text));
        let levels = self.level_probabilities(text);
        Predicted {
            labels: Labels {
                topics: Some(topics.iter().map(|&probability| probability >= THRESHOLD).collect()),
                level: (self.levels > 0).then(|| most_probable(&levels)),
                boilerplate: boilerplate.map(|probability| probability >= THRESHOLD),
            },
            topic_probabilities: Some(topics),
            level_probabilities: (self.levels > 0).then_some(levels),
            boilerplate_probability: boilerplate,
        }
    }
}

impl Output {
    fn logit(&self, text: &Features) -> f32 {
        self.bias + text.iter().map(|&(place, value)| self.weights[place] * value).sum::<f32>()
    }

    fn probability(&self, text: &Features) -> f64 {
        1.0 / (1.0 + (-f64::from(self.logit(text))).exp())
    }

    fn learn_flag(&mut self, text: &Features, holds: bool) {
        let error = self.probability(text) as f32 - f32::from(u8::from(holds));
        self.step(text, error);
    }

    /// One step of AdaGrad against the gradient of the log-loss, which is error × value.
    fn step(&mut self, text: &Features, error: f32) {
        for &(place, value) in text {
            let gradient = error * value;
            self.squares[place] += gradient * gradient;
            self.weights[place] -= STEP * gradient / self.squares[place].sqrt();
        }
        self.bias -= STEP * 0.1 * error;
    }
}

/// 1 + ln(count) of each n-gram of the lower-case text, white space as one blank, scaled to length 1.
fn features(text: &str) -> Features {
    let words: Vec<&str> = text.split_whitespace().collect();
    let characters: Vec<char> = format!(" {} ", words.join(" ").to_lowercase()).chars().collect();
    let mut counts: BTreeMap<usize, f32> = BTreeMap::new();
    for start in 0..characters.len() {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for character in characters[start..].iter().take(LONGEST) {
            hash = (hash ^ u64::from(u32::from(*character))).wrapping_mul(0x0000_0100_0000_01b3);
            // The low bits of FNV-1a alone are not mixed enough.
            let place = (hash ^ (hash >> 32)) as usize & (PLACES - 1);
            *counts.entry(place).or_default() += 1.0;
        }
    }
    let mut features: Features = counts.into_iter().map(|(place, count)| (place, 1.0 + count.ln())).collect();
    let length = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
    features.iter_mut().for_each(|(_, value)| *value /= length);
    features
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::gold::read_gold;
    use crate::eval::tests::scheme;

    fn items(lines: &[(&str, &str, i32, bool)]) -> Vec<GoldItem> {
        let record = |(id, (text, topics, stance, boilerplate)): (usize, &(&str, &str, i32, bool))| {
            format!(
                r#"{{"id": {id}, "text": "{text}", "topics": [{topics}], "stance": {stance}, "boilerplate": {boilerplate}}}"#
            )
        };
        let lines: Vec<String> = lines.iter().enumerate().map(record).collect();
        read_gold("train.jsonl", lines.join("\n").as_bytes(), &scheme()).unwrap()
    }

    #[test]
    fn it_learns_what_spelling_shows() {
        let train = items(&[
            ("tanks rolled over the border", "\"a\"", 1, false),
            ("tanks and guns at the border", "\"a\"", 1, false),
            ("envoys signed a treaty", "\"b\"", -1, false),
            ("envoys met and signed", "\"b\"", -1, false),
            ("rain in the evening", "", 0, false),
            ("sun in the morning", "", 0, false),
            ("accept all cookies", "", 0, true),
            ("cookies and newsletter", "", 0, true),
        ]);
        let unseen = items(&[
            ("guns and tanks", "\"a\"", 1, false),
            ("an envoy signed", "\"b\"", -1, false),
            ("the evening sun", "", 0, false),
            ("we use cookies", "", 0, true),
        ]);
        let model = NgramModel::fit(&scheme(), &train);
        for (item, predicted) in unseen.iter().zip(model.predict(&unseen)) {
            assert_eq!(predicted.labels, item.labels, "{}", item.text);
            let sum: f64 = predicted.level_probabilities.iter().flatten().sum();
            assert!((sum - 1.0).abs() < 1e-9);
        }
        assert_eq!(model.predict(&unseen), NgramModel::fit(&scheme(), &train).predict(&unseen));
    }

    #[test]
    fn unknown_labels_teach_nothing() {
        let mut train = items(&[("tanks", "\"a\"", 1, false), ("rain", "", 0, true)]);
        for item in &mut train {
            item.labels = Labels::default();
        }
        let predicted = NgramModel::fit(&scheme(), &train).predict(&train);
        assert_eq!(predicted[0].topic_probabilities, Some(vec![0.5, 0.5]));
    }

    #[test]
    fn features_have_length_one() {
        let features = features("Ein  Satz\nmit Sätzen");
        let length: f32 = features.iter().map(|(_, value)| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5);
        assert_eq!(features, super::features("ein satz mit sätzen"));
    }
}
