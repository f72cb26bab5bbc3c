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
    let prediction = read(&[text.to_owned()])?.remove(0);
    let words = words(text);
    let targets = Target::all(prediction.scheme());
    let mut left = options.readings(prediction.tokens());
    let first = if words.len() <= left { words.len() } else { left / 2 };
    let mut readings = 0;

    let mut measure = |phrases: Vec<Range<usize>>| -> Result<Vec<(Range<usize>, Part)>, E> {
        let ranges: Vec<Range<usize>> =
            phrases.iter().map(|phrase| words[phrase.start].start..words[phrase.end - 1].end).collect();
        let texts: Vec<String> = ranges.iter().map(|range| without(text, [range.clone()])).collect();
        let read = if texts.is_empty() { Vec::new() } else { read(&texts)? };
        assert_eq!(read.len(), texts.len(), "a prediction a text");
        readings += texts.len();
        let part = |((phrase, byte_range), found): ((Range<usize>, Range<usize>), &Prediction)| {
            let weight = |target: &Target| target.value(&prediction) - target.value(found);
            let weights = targets.iter().map(weight).collect();
            let words = phrase.len();
            (phrase, Part { byte_range, words, weights })
        };
        Ok(phrases.into_iter().zip(ranges).zip(&read).map(part).collect())
    };

    let mut parts = measure(pieces(0..words.len(), first))?;
    left -= first;
    loop {
        let mut order: Vec<usize> = (0..parts.len()).filter(|&index| parts[index].1.words > 1).collect();
        let effect = |index: usize| effect(&parts[index].1, &targets, prediction.scheme());
        order.sort_by(|&a, &b| effect(b).total_cmp(&effect(a)));
        let least = order.first().map_or(0.0, |&index| effect(index) * NEAR_LARGEST);
        order.retain(|&index| effect(index) >= least);
        let mut cut = Vec::new();
        let mut smaller = Vec::new();
        for index in order.into_iter().take(CUT_TOGETHER) {
            let count = parts[index].1.words.min(MAX_PIECES).min(left);
            if count < 2 {
                break;
            }
            left -= count;
            smaller.extend(pieces(parts[index].0.clone(), count));
            cut.push(index);
        }
        if cut.is_empty() {
            break;
        }
        cut.sort_unstable();
        for index in cut.into_iter().rev() {
            parts.remove(index);
        }
        parts.extend(measure(smaller)?);
        parts.sort_by_key(|(phrase, _)| phrase.start);
    }
    let parts = parts.into_iter().map(|(_, part)| part).collect();
    Ok(Explanation { prediction, targets, parts, readings })
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
