//! One paragraph on the page: its text, and beside it what was decided; the probabilities unfold.

use std::fmt::Write as _;
use std::ops::Range;

use maud::{Markup, html};

use crate::explain::{Explanation, Target};
use crate::label::Prediction;
use crate::output::html::{colour_class, probability, typeset, visible};
use crate::output::number::{signed_code, signed_mean};
use crate::output::{LEAST_WEIGHT, ParagraphRecord};
use crate::text::Language;

/// Steps of thickness that tell how much a word moved.
const MARKS: f32 = 3.0;
/// The weight that has the thickest line if no word moved more, so that nothing looks large where all is small.
const FAINT: f32 = 0.2;
/// Parts that are listed of an explanation, for each label.
const SHOWN_PARTS: usize = 8;
/// Characters of a word or phrase that are listed.
const PART_CHARACTERS: usize = 40;

/// The block of a paragraph of the `document`th document of the page.
pub(crate) fn paragraph(record: &ParagraphRecord<'_>, document: usize) -> Markup {
    let prediction = record.prediction;
    let index = record.paragraph.index();
    let anchor = format!("d{document}p{index}");
    html! {
        section.para.(class(prediction)) id=(anchor) data-id=(visible(&record.id())) {
            p.text lang=(language(record.language)) dir="auto" title=(in_words(prediction)) {
                @match record.explanation {
                    Some(explanation) => (marked(record.paragraph.text(), explanation)),
                    None => (visible(record.paragraph.text())),
                }
            }
            div.note {
                a.number href=(format!("#{anchor}")) aria-label=(format!("link to paragraph {index}")) { "#" (index) }
                details {
                    summary {
                        (decision(prediction))
                    }
                    (probabilities(record))
                    @if let Some(explanation) = record.explanation { (why(record.paragraph.text(), explanation)) }
                }
            }
        }
    }
}

/// The value of `lang`: empty where it is not known, so that the page's own is not taken.
pub(crate) fn language(language: Language) -> &'static str {
    if language == Language::UNDETERMINED { "" } else { language.code() }
}

/// How the language is called in a sentence.
pub(crate) fn language_name(language: Language) -> String {
    if language == Language::UNDETERMINED { "language unknown".into() } else { format!("language {}", language.code()) }
}

fn class(prediction: &Prediction) -> String {
    if prediction.is_boilerplate() {
        return "boilerplate".to_owned();
    }
    match (&prediction.scheme().scale, prediction.expected_escalation()) {
        (Some(scale), Some(expected)) => colour_class(scale, expected.into()),
        _ => "plain".to_owned(),
    }
}

/// The level and the topics that apply.
fn decision(prediction: &Prediction) -> Markup {
    html! {
        @if prediction.is_boilerplate() {
            span.level { "boilerplate" }
        } @else {
            @if let Some(level) = prediction.escalation() {
                span.level { b { (typeset(&signed_code(level.code))) } " " (visible(level.name)) }
            }
            @if prediction.topics().any(|topic| topic.applies) {
                span.chips {
                    @for topic in prediction.topics().filter(|topic| topic.applies) {
                        span.chip { (visible(topic.name)) } " "
                    }
                }
            }
            @if prediction.escalation().is_none() && !prediction.topics().any(|topic| topic.applies) {
                span.level { "no topic" }
            }
        }
    }
}

/// Every probability with a bar, and how the text was read.
fn probabilities(record: &ParagraphRecord<'_>) -> Markup {
    let prediction = record.prediction;
    let row = |name: &str, class: &str, value: f32| {
        html! {
            div.row {
                dt { (visible(name)) }
                dd {
                    span.track aria-hidden="true" {
                        span class=(class) style=(format!("width:{:.1}%", value.clamp(0.0, 1.0) * 100.0)) {}
                    }
                    (probability(value))
                }
            }
        }
    };
    let is_told = record.language != Language::UNDETERMINED;
    let validated = if is_told && !record.language_validated { " (not validated)" } else { "" };
    let windows = if prediction.windows() == 1 { "window" } else { "windows" };
    html! {
        @if !prediction.scheme().topics.is_empty() {
            dl.probabilities {
                @for topic in prediction.topics() {
                    (row(topic.name, "fill topic", topic.probability))
                }
            }
        }
        @if let Some(scale) = &prediction.scheme().scale {
            dl.probabilities {
                @for (level, &value) in scale.levels.iter().zip(prediction.escalation_probabilities()).rev() {
                    @let class = format!("fill {}", colour_class(scale, level.code.into()));
                    (row(&format!("{} {}", typeset(&signed_code(level.code)), level.name), &class, value))
                }
            }
        }
        @if let Some(value) = prediction.boilerplate() {
            dl.probabilities { (row("boilerplate", "fill topic", value)) }
        }
        p.reading {
            @if let Some(expected) = prediction.expected_escalation() {
                "expected " (typeset(&signed_mean(Some(expected.into())))) ", "
            }
            (language_name(record.language)) (validated) ", " (prediction.tokens()) " tokens, " (prediction.windows()) " " (windows)
        }
    }
}

/// The text with the words underlined that moved what its colour shows: the expected level, or the first number behind the
/// decision where there is none.
fn marked(text: &str, explanation: &Explanation) -> Markup {
    let targets = Target::decided(explanation.prediction());
    let Some(&target) = targets.iter().find(|target| **target == Target::Scale).or(targets.first()) else {
        return html! { (visible(text)) };
    };
    let name = visible(target.name(explanation.prediction().scheme()));
    let strongest = explanation.strongest(target, LEAST_WEIGHT);
    let largest = strongest.first().map_or(FAINT, |(_, weight)| weight.abs().max(FAINT));
    let step = |weight: f32| (weight.abs() / largest * MARKS).round();
    let mut marked: Vec<(Range<usize>, f32)> = strongest
        .iter()
        .filter(|(_, weight)| step(*weight) > 0.0)
        .map(|(part, weight)| (part.byte_range(), *weight))
        .collect();
    marked.sort_by_key(|(range, _)| range.start);
    let ends = marked.iter().map(|(range, _)| range.end);
    let starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
    html! {
        @for ((range, weight), start) in marked.iter().zip(&starts) {
            (visible(&text[*start..range.start]))
            span.why.(if *weight > 0.0 { "up" } else { "down" }).(format!("w{}", step(*weight)))
                title=(format!("{name}: {}", typeset(&signed_mean(Some(f64::from(*weight)))))) {
                (visible(&text[range.clone()]))
            }
        }
        (visible(&text[starts[marked.len()]..]))
    }
}

/// For each number behind the decision, the words that moved it most.
fn why(text: &str, explanation: &Explanation) -> Markup {
    html! {
        dl.reasons {
            @for target in Target::decided(explanation.prediction()) {
                dt { (visible(target.name(explanation.prediction().scheme()))) " by" }
                dd dir="auto" {
                    @let strongest = explanation.strongest(target, LEAST_WEIGHT);
                    @if strongest.is_empty() { "no single word" }
                    @for (index, (part, weight)) in strongest.iter().take(SHOWN_PARTS).enumerate() {
                        @if index > 0 { ", " }
                        bdi { (visible(&shortened(&text[part.byte_range()]))) } " " (typeset(&signed_mean(Some(f64::from(*weight)))))
                    }
                }
            }
        }
    }
}

/// The beginning of a phrase.
fn shortened(phrase: &str) -> String {
    match phrase.char_indices().nth(PART_CHARACTERS) {
        Some((end, _)) => format!("{}…", &phrase[..end]),
        None => phrase.to_owned(),
    }
}

/// The decision and the numbers behind it, for the pointer that rests on a text.
fn in_words(prediction: &Prediction) -> String {
    let mut words = String::new();
    if let (true, Some(value)) = (prediction.is_boilerplate(), prediction.boilerplate()) {
        let _ = write!(words, "boilerplate {}", probability(value));
        return words;
    }
    if let (Some(level), Some(expected)) = (prediction.escalation(), prediction.expected_escalation()) {
        let (code, expected) = (signed_code(level.code), signed_mean(Some(expected.into())));
        let _ = write!(words, "{} {}, expected {}", typeset(&code), visible(level.name), typeset(&expected));
    }
    for topic in prediction.topics() {
        let separator = if words.is_empty() { "" } else { "; " };
        let _ = write!(words, "{separator}{} {}", visible(topic.name), probability(topic.probability));
    }
    words
}
