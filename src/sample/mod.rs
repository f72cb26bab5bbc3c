//! What to label next: the paragraphs of a corpus that would teach the heads most.
//!
//! In: paragraphs with a bundle's prediction and vector, one after the other. Out: [`Candidate`]s in the order of their worth, and
//! files for those who label.
//!
//! Two things make a paragraph worth its labelling: the bundle is uncertain of it, and no other one that was chosen is like it
//! (Settles 2009, sec. 3). Memory is bounded: of the corpus only the most uncertain paragraphs are held.

mod argilla;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::head::TextVectors;
use crate::label::Prediction;

pub use crate::sample::argilla::{argilla_settings, write_argilla};
pub use crate::sample::write::{label_studio_config, write_csv, write_label_studio};

/// Candidates held for each paragraph wanted, and at least so many: room for diversity to choose in.
const CANDIDATES_EACH: usize = 4;
const FEWEST_CANDIDATES: usize = 1000;
/// Cosine, of vectors centred on the candidates' mean, from which on two paragraphs are said to be the same.
const NEAR_DUPLICATE: f32 = 0.95;

/// A paragraph that may be labelled.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Of the document.
    pub document: String,
    /// Number of the paragraph in the document, from 0.
    pub paragraph: usize,
    /// How many that were picked before it are of a document with the same id and have the same number.
    pub repeat: usize,
    /// The paragraph.
    pub text: String,
    /// Its language, as detected.
    pub language: String,
    /// What the bundle says.
    pub prediction: Prediction,
    /// Its vector.
    pub vectors: TextVectors,
}

impl Candidate {
    /// The stable id, as `detente classify` writes it; with `~2`, `~3` … after it where others before have the same, because an id
    /// may occur only once in gold.
    pub fn id(&self) -> String {
        let id = format!("{}#{}", self.document, self.paragraph);
        if self.repeat == 0 { id } else { format!("{id}~{}", self.repeat + 1) }
    }

    /// How little the bundle knows, in [0, 1]: the mean of the scale's entropy and of the largest entropy among topics, each as a
    /// share of the largest possible one.
    pub fn uncertainty(&self) -> f32 {
        let entropy = |p: f32| if p > 0.0 { -p * p.ln() } else { 0.0 };
        let flag = |p: f32| (entropy(p) + entropy(1.0 - p)) / 2.0_f32.ln();
        let topics = self
            .prediction
            .topics()
            .map(|topic| flag(topic.probability))
            .fold(None, |most, now| Some(now.max(most.unwrap_or(0.0))));
        let levels = self.prediction.escalation_probabilities();
        let scale =
            (levels.len() > 1).then(|| levels.iter().map(|&p| entropy(p)).sum::<f32>() / (levels.len() as f32).ln());
        let parts: Vec<f32> = [topics, scale].into_iter().flatten().collect();
        match parts.len() {
            0 => self.prediction.boilerplate().map_or(0.0, flag),
            count => parts.iter().sum::<f32>() / count as f32,
        }
    }
}

/// Holds the most uncertain paragraphs of those it is given, and picks among them.
#[derive(Debug)]
pub struct Sampler {
    count: usize,
    room: usize,
    /// By uncertainty and by arrival, later ones lower: the first is the one to give up.
    held: BTreeMap<(u32, u64), Candidate>,
    texts: BTreeSet<String>,
    seen: u64,
}

impl Sampler {
    /// For so many paragraphs.
    pub fn new(count: usize) -> Self {
        let room = count.saturating_mul(CANDIDATES_EACH).max(FEWEST_CANDIDATES);
        Self { count, room, held: BTreeMap::new(), texts: BTreeSet::new(), seen: 0 }
    }

    /// Looks at a paragraph. One whose text is held already, but for white space and capitals, is passed over.
    pub fn add(&mut self, candidate: Candidate) {
        // Bits of numbers from 0 to 1 are in the numbers' order.
        let key = (candidate.uncertainty().to_bits(), u64::MAX - self.seen);
        self.seen += 1;
        if self.held.len() >= self.room && self.held.keys().next().is_some_and(|least| key < *least) {
            return;
        }
        if !self.texts.insert(plain(&candidate.text)) {
            return;
        }
        self.held.insert(key, candidate);
        if self.held.len() > self.room
            && let Some((_, given_up)) = self.held.pop_first()
        {
            self.texts.remove(&plain(&given_up.text));
        }
    }

    /// Paragraphs that were looked at.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Picks: first the most uncertain one, then always the one with the largest uncertainty times distance to what was picked (a
    /// weighted form of greedy k-center, Sener and Savarese 2018); distance is 1 − cosine. Paragraphs that are nearly one that was picked
    /// are left out, so that there may be fewer than wanted.
    pub fn pick(self) -> Vec<Candidate> {
        let candidates: Vec<Candidate> = self.held.into_values().rev().collect();
        let directions = directions(&candidates);
        let uncertainty: Vec<f32> = candidates.iter().map(Candidate::uncertainty).collect();
        // Of each candidate: 1 − the largest cosine to what was picked; 2 is the farthest.
        let mut distance = vec![2.0_f32; candidates.len()];
        let mut picked: Vec<usize> = Vec::new();
        while picked.len() < self.count {
            let worth = |place: usize| uncertainty[place] * distance[place];
            let open = (0..candidates.len()).filter(|&place| distance[place] > 1.0 - NEAR_DUPLICATE);
            // Of equals the first, which is the more uncertain.
            let Some(best) = open.reduce(|a, b| if worth(b) > worth(a) { b } else { a }) else { break };
            picked.push(best);
            for (distance, direction) in distance.iter_mut().zip(&directions) {
                let cosine: f32 = direction.iter().zip(&directions[best]).map(|(a, b)| a * b).sum();
                *distance = distance.min(1.0 - cosine);
            }
            distance[best] = f32::NEG_INFINITY;
        }
        let mut candidates: Vec<Option<Candidate>> = candidates.into_iter().map(Some).collect();
        let mut picked: Vec<Candidate> = picked.into_iter().filter_map(|place| candidates[place].take()).collect();
        let mut counts = BTreeMap::new();
        for candidate in &mut picked {
            let count = counts.entry((candidate.document.clone(), candidate.paragraph)).or_insert(0);
            candidate.repeat = *count;
            *count += 1;
        }
        picked
    }
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The vectors, centred on their mean and of length 1 (0 where there is no direction).
fn directions(candidates: &[Candidate]) -> Vec<Vec<f32>> {
    let width = candidates.first().map_or(0, |candidate| candidate.vectors.whole().len());
    let count = candidates.len().max(1) as f32;
    let mut mean = vec![0.0_f32; width];
    for candidate in candidates {
        mean.iter_mut().zip(candidate.vectors.whole()).for_each(|(mean, value)| *mean += value / count);
    }
    let direction = |candidate: &Candidate| {
        let centred: Vec<f32> = candidate.vectors.whole().iter().zip(&mean).map(|(value, mean)| value - mean).collect();
        let length = centred.iter().map(|value| value * value).sum::<f32>().sqrt();
        centred.iter().map(|value| if length > 1e-6 { value / length } else { 0.0 }).collect()
    };
    candidates.iter().map(direction).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::label::{PredictionParts, Scheme, Topic};

    fn candidate(number: usize, text: &str, probability: f32, vector: [f32; 2]) -> Candidate {
        let topics = vec![Topic { name: "a".into(), description: String::new() }];
        let scheme = Arc::new(Scheme { topics, scale: None, boilerplate: false });
        let parts = PredictionParts {
            topic_probabilities: vec![probability],
            topic_applies: vec![probability >= 0.5],
            ..PredictionParts::default()
        };
        Candidate {
            document: "d".into(),
            paragraph: number,
            repeat: 0,
            text: text.into(),
            language: "en".into(),
            prediction: Prediction::from_parts(scheme, parts),
            vectors: TextVectors::of_one_window(vector.to_vec()),
        }
    }

    fn picked(count: usize, candidates: Vec<Candidate>) -> Vec<usize> {
        let mut sampler = Sampler::new(count);
        candidates.into_iter().for_each(|candidate| sampler.add(candidate));
        sampler.pick().iter().map(|candidate| candidate.paragraph).collect()
    }

    #[test]
    fn uncertainty_is_a_share() {
        for (probability, expected) in [(0.5, 1.0), (0.0, 0.0), (1.0, 0.0), (0.11, 0.4999)] {
            let found = candidate(0, "x", probability, [0.0; 2]).uncertainty();
            assert!((found - expected).abs() < 1e-3, "{probability}: {found}");
        }
    }

    #[test]
    fn uncertain_paragraphs_that_differ_are_picked() {
        let all = || {
            vec![
                candidate(0, "sure", 0.01, [-1.0, 0.0]),
                candidate(1, "unsure", 0.5, [1.0, 0.0]),
                candidate(2, "nearly the same", 0.49, [1.0, 0.001]),
                candidate(3, "another side", 0.4, [0.0, 1.0]),
                candidate(4, "Unsure ", 0.5, [1.0, 0.0]),
            ]
        };
        assert_eq!(picked(2, all()), [1, 3]);
        assert_eq!(picked(9, all()).len(), 3, "without those that say the same");
    }

    #[test]
    fn ids_are_unique_though_documents_share_one() {
        let mut sampler = Sampler::new(9);
        for (text, vector) in [("one", [1.0, 0.0]), ("two", [0.0, 1.0]), ("three", [-1.0, 0.0])] {
            sampler.add(candidate(0, text, 0.5, vector));
        }
        let ids: Vec<String> = sampler.pick().iter().map(Candidate::id).collect();
        assert_eq!(ids, ["d#0", "d#0~2", "d#0~3"]);
    }

    #[test]
    fn memory_is_bounded_and_the_most_uncertain_stay() {
        let mut sampler = Sampler::new(1);
        for number in 0..3000 {
            let share = number as f32 / 6000.0;
            sampler.add(candidate(number, &number.to_string(), share, [share, 1.0 - share]));
        }
        assert_eq!((sampler.held.len(), sampler.texts.len(), sampler.seen()), (1000, 1000, 3000));
        assert_eq!(sampler.pick()[0].paragraph, 2999);
    }
}
