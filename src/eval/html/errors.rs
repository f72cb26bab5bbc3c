//! The errors with their texts, the most confident first.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::eval::behaviour::verdicts;
use crate::eval::figure::Scope;
use crate::eval::html::{Evaluation, series};
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::eval::report::SystemKind;
use crate::eval::risk::decisions;
use crate::label::Scheme;
use crate::output::html::{probability, typeset, visible};
use crate::output::number::signed_code;

/// Errors that the page lists. More would make a file that browsers open slowly and nobody reads to the end.
pub(crate) const LIMIT: usize = 1000;
/// Pairs that the page lists of those that do not pass.
const PAIRS: usize = 500;

/// One item that one system got wrong.
struct Error<'a> {
    system: usize,
    item: usize,
    /// Names of the labels that are wrong.
    wrong: Vec<String>,
    /// Probability of the most probable wrong decision.
    confidence: Option<f64>,
    evaluation: &'a Evaluation<'a>,
}

/// Systems whose errors are shown: those that are no baselines, or all if there are only baselines.
fn shown(evaluation: &Evaluation<'_>) -> Vec<usize> {
    let is_baseline = |system: &usize| evaluation.systems[*system].kind == SystemKind::Baseline;
    let all: Vec<usize> = (0..evaluation.systems.len()).collect();
    let others: Vec<usize> = all.iter().copied().filter(|system| !is_baseline(system)).collect();
    if others.is_empty() { all } else { others }
}

fn label_name(scheme: &Scheme, scope: Scope) -> String {
    let name = scope.name(scheme);
    name.strip_prefix("topics.").map_or_else(|| name.clone(), str::to_owned)
}

/// The filters and the list.
pub(crate) fn list(evaluation: &Evaluation<'_>) -> Markup {
    let scheme = evaluation.scheme;
    let systems = shown(evaluation);
    let mut errors = Vec::new();
    for &system in &systems {
        for (item, (gold, predicted)) in evaluation.gold.iter().zip(&evaluation.systems[system].predicted).enumerate() {
            let found: Vec<_> =
                decisions(&gold.labels, predicted).into_iter().filter(|decision| decision.is_wrong).collect();
            let confidence = found.iter().filter_map(|decision| decision.probability).max_by(f64::total_cmp);
            let wrong: Vec<String> = found.iter().map(|decision| label_name(scheme, decision.scope)).collect();
            if !wrong.is_empty() {
                errors.push(Error { system, item, wrong, confidence, evaluation });
            }
        }
    }
    // Without probabilities last; ties in the order of the gold.
    let key = |error: &Error| error.confidence.unwrap_or(-1.0);
    errors.sort_by(|a, b| key(b).total_cmp(&key(a)).then((a.item, a.system).cmp(&(b.item, b.system))));
    let count = errors.len();
    errors.truncate(LIMIT);
    let names: Vec<&str> = systems.iter().map(|&system| evaluation.systems[system].name.as_str()).collect();
    html! {
        p {
            (count) " items with a wrong label, of " (visible(&names.join(", "))) " on " (evaluation.gold.len()) " items"
            @if count > LIMIT { "; the " (LIMIT) " most confident are listed here, `detente eval --items` writes them all" }
            ". Sorted by the probability that the system gave to its wrong decision, be that a yes or a no."
        }
        @if !errors.is_empty() { (filters(&errors, &names)) }
        ol.errors #error-list { @for error in &errors { (entry(error)) } }
    }
}

fn filters(errors: &[Error<'_>], systems: &[&str]) -> Markup {
    let labels: BTreeSet<&str> = errors.iter().flat_map(|error| &error.wrong).map(String::as_str).collect();
    let langs: BTreeSet<&str> = errors.iter().map(Error::lang).collect();
    let choice = |name: &str, any: &str, options: &mut dyn Iterator<Item = &str>| {
        html! {
            label { (name) " "
                select name=(name) {
                    option value="" { (any) }
                    @for option in options { option value=(visible(option)) { (visible(option)) } }
                }
            }
        }
    };
    html! {
        form #error-filter hidden {
            (choice("label", "any", &mut labels.into_iter()))
            (choice("language", "any", &mut langs.into_iter()))
            @if systems.len() > 1 { (choice("system", "any", &mut systems.iter().copied())) }
            label { "text " input type="search" name="text" autocomplete="off"; }
            output #error-count aria-live="polite" {}
        }
    }
}

impl Error<'_> {
    fn lang(&self) -> &str {
        self.evaluation.gold[self.item].lang.as_deref().unwrap_or("not stated")
    }
}

fn entry(error: &Error<'_>) -> Markup {
    let Error { system, item, wrong, confidence, evaluation } = error;
    let (gold, system_name) = (&evaluation.gold[*item], &evaluation.systems[*system].name);
    let predicted = &evaluation.systems[*system].predicted[*item];
    html! {
        li data-confidence=[confidence.map(|confidence| format!("{confidence:.6}"))] data-label=(visible(&wrong.join("\n"))) data-language=(visible(error.lang())) data-system=(visible(system_name)) {
            p.what {
                @if let Some(confidence) = confidence { b.confidence { (probability(*confidence as f32)) } " " }
                @for label in wrong { span.chip { (visible(label)) } " " }
                span.meta {
                    (visible(error.lang())) " · " bdi { (visible(&gold.id)) }
                    @if let Some(annotator) = &gold.annotator { " · coded by " bdi { (visible(annotator)) } }
                    @if evaluation.systems.len() > 1 { " · " span.swatch.(series(*system)) aria-hidden="true" {} bdi { (visible(system_name)) } }
                }
            }
            p.text lang=(visible(gold.lang.as_deref().unwrap_or_default())) dir="auto" { (visible(&gold.text)) }
            dl.labels {
                div { dt { "gold" } dd { (labels(evaluation.scheme, &gold.labels, None)) } }
                div { dt { "system" } dd { (labels(evaluation.scheme, &predicted.labels, Some(&gold.labels))) } }
                @let probabilities = probabilities(evaluation.scheme, predicted);
                @if !probabilities.is_empty() { div.quiet { dt { "probabilities" } dd { (visible(&probabilities)) } } }
            }
        }
    }
}

/// Labels in words; those that differ from `gold` are set off.
fn labels(scheme: &Scheme, labels: &Labels, gold: Option<&Labels>) -> Markup {
    let differs = |differs: &dyn Fn(&Labels) -> bool| gold.is_some_and(differs);
    let part = |text: String, wrong: bool| {
        html! { @if wrong { strong.wrong { (visible(&text)) } } @else { (visible(&text)) } }
    };
    let mut parts = Vec::new();
    if let Some(applies) = &labels.topics {
        let named: Vec<&str> = scheme
            .topics
            .iter()
            .zip(applies)
            .filter(|(_, applies)| **applies)
            .map(|(topic, _)| topic.name.as_str())
            .collect();
        let text = if named.is_empty() { "no topic".to_owned() } else { named.join(", ") };
        parts.push(part(text, differs(&|gold| gold.topics.as_ref().is_some_and(|gold| gold != applies))));
    }
    if let (Some(level), Some(scale)) = (labels.level, &scheme.scale) {
        let found = &scale.levels[level];
        let text = format!("{} {}", typeset(&signed_code(found.code)), found.name);
        parts.push(part(text, differs(&|gold| gold.level.is_some_and(|gold| gold != level))));
    }
    if let Some(flag) = labels.boilerplate {
        let text = if flag { "boilerplate" } else { "content" };
        parts.push(part(text.into(), differs(&|gold| gold.boilerplate.is_some_and(|gold| gold != flag))));
    }
    html! { @for (index, part) in parts.iter().enumerate() { @if index > 0 { " · " } (part) } @if parts.is_empty() { "not known" } }
}

fn probabilities(scheme: &Scheme, predicted: &Predicted) -> String {
    let mut parts = Vec::new();
    for (topic, value) in scheme.topics.iter().zip(predicted.topic_probabilities.iter().flatten()) {
        parts.push(format!("{} {}", topic.name, probability(*value as f32)));
    }
    let levels = scheme.scale.iter().flat_map(|scale| &scale.levels);
    for (level, value) in levels.zip(predicted.level_probabilities.iter().flatten()) {
        parts.push(format!("{}: {}", typeset(&signed_code(level.code)), probability(*value as f32)));
    }
    if let Some(value) = predicted.boilerplate_probability {
        parts.push(format!("boilerplate {}", probability(value as f32)));
    }
    parts.join(" · ")
}

/// The pairs that do not pass, by behaviour as they stand in the files.
pub(crate) fn failing_pairs(evaluation: &Evaluation<'_>) -> Markup {
    let (scheme, pairs) = (evaluation.scheme, evaluation.pairs);
    let fails = |system: usize, pair: usize| {
        verdicts(scheme, pairs, &evaluation.on_pairs[system].predicted, pair)[0] == Some(false)
    };
    let all: Vec<(usize, usize)> = shown(evaluation)
        .into_iter()
        .flat_map(|system| (0..pairs.pairs.len()).map(move |pair| (system, pair)))
        .filter(|&(system, pair)| fails(system, pair))
        .collect();
    html! {
        details {
            summary {
                (all.len()) " pairs that do not pass"
                @if all.len() > PAIRS { ", the first " (PAIRS) " of them" }
            }
            ol.errors #pair-list {
                @for &(system, pair) in all.iter().take(PAIRS) { (pair_entry(evaluation, system, pair)) }
            }
        }
    }
}

fn pair_entry(evaluation: &Evaluation<'_>, system: usize, pair: usize) -> Markup {
    let found = &evaluation.pairs.pairs[pair];
    let (scheme, name) = (evaluation.scheme, &evaluation.on_pairs[system].name);
    html! {
        li {
            p.what {
                span.chip { (visible(&found.behaviour)) } " "
                span.meta {
                    bdi { (visible(&found.id)) }
                    @if let Some(note) = &found.note { " · " bdi { (visible(note)) } }
                    @if evaluation.systems.len() > 1 { " · " span.swatch.(series(system)) aria-hidden="true" {} bdi { (visible(name)) } }
                }
            }
            @for place in [2 * pair, 2 * pair + 1] {
                @let member = &evaluation.pairs.members[place];
                p.text lang=(visible(member.lang.as_deref().unwrap_or_default())) dir="auto" { (visible(&member.text)) }
                dl.labels {
                    div { dt { "gold" } dd { (labels(scheme, &member.labels, None)) } }
                    div { dt { "system" } dd { (labels(scheme, &evaluation.on_pairs[system].predicted[place].labels, Some(&member.labels))) } }
                }
            }
        }
    }
}
