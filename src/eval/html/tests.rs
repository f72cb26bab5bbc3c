//! The page of a made-up evaluation: what must stand on it, and what must not.

use sha2::{Digest, Sha256};

use crate::eval::abstention::abstention;
use crate::eval::behaviour::{BehaviourPairs, read_behaviour, score_behaviour};
use crate::eval::bootstrap::BootstrapOptions;
use crate::eval::gold::GoldItem;
use crate::eval::html::chart::{Axis, tick};
use crate::eval::html::errors::LIMIT;
use crate::eval::html::page::{POLICY, SCRIPT};
use crate::eval::html::{Evaluation, html_page};
use crate::eval::predicted::Predicted;
use crate::eval::report::{Dimension, ReportOptions, System, SystemKind, score};
use crate::eval::tests::World;
use crate::label::Scheme;

const HOSTILE: &str = "</p></script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & \u{0} \u{202e}";

struct Made {
    scheme: Scheme,
    gold: Vec<GoldItem>,
    systems: Vec<System>,
    pairs: BehaviourPairs,
}

fn made(clusters: usize, spoil: impl Fn(&mut GoldItem)) -> Made {
    let mut world = World::new(8);
    let mut gold = world.gold(clusters);
    gold.iter_mut().for_each(spoil);
    let kinds = [SystemKind::Bundle, SystemKind::Baseline];
    let system = |(kind, skill): (SystemKind, f64)| System {
        name: format!("skill {skill}"),
        kind,
        predicted: world.system(&gold, skill),
    };
    let systems = kinds.into_iter().zip([0.6, 0.2]).map(system).collect();
    let line = r#"{"id":"n-1","behaviour":"negation","expect":"change","note":"note of n-1",
        "a":{"text":"first text","stance":-1,"topics":[]},"b":{"text":"second text","stance":1,"topics":[]}}"#;
    let pairs = read_behaviour("pairs.jsonl", line.replace('\n', " ").as_bytes(), &world.scheme).unwrap();
    Made { scheme: world.scheme, gold, systems, pairs }
}

impl Made {
    fn page(&self, by: Vec<Dimension>) -> String {
        let bootstrap = BootstrapOptions { replicates: 100, seed: 1 };
        let options = ReportOptions { bootstrap, by, files: vec!["made-up.jsonl".into()] };
        let mut report = score(&self.scheme, &self.gold, &self.systems, &options);
        report.abstention = Some(abstention(&self.scheme, &self.gold, &self.systems, 0.75));
        let silent = vec![Predicted::from_labels(self.gold[0].labels.clone()); self.pairs.members.len()];
        let on_pairs: Vec<System> =
            self.systems.iter().map(|system| System { predicted: silent.clone(), ..system.clone() }).collect();
        report.set_behaviour(score_behaviour(&self.scheme, &self.pairs, &on_pairs, &[], &options));
        html_page(&Evaluation {
            scheme: &self.scheme,
            report: &report,
            gold: &self.gold,
            systems: &self.systems,
            pairs: &self.pairs,
            on_pairs: &on_pairs,
        })
    }
}

#[test]
fn everything_is_on_the_page_once() {
    let made = made(100, |item| item.annotator = Some("language model".into()));
    let page = made.page(vec![Dimension::Lang]);
    for id in
        ["figures", "comparisons", "levels", "reliability", "risk", "abstention", "by-lang", "behaviour", "errors"]
    {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
    // Three topics, the scale and boilerplate; four headline figures by language; one behaviour.
    for (plot, count) in [("reliability-", 5), ("risk-", 5), ("by-lang-", 4), ("behaviour-pass", 1)] {
        let found = page.matches("<svg").count();
        let plots = page.split("<svg").skip(1).filter(|svg| {
            let head = svg.split('>').next().unwrap_or_default();
            head.contains(&format!(" id=\"{plot}")) && svg.contains("</title><desc ")
        });
        assert_eq!(plots.count(), count, "{plot} among {found} pictures");
    }
    for text in [
        "Abstention at precision 0.750",
        "Risk by coverage, skill 0.6",
        "note of n-1",
        "second text",
        "coded by <bdi>language model</bdi>",
        "is better than",
        "Gold by language model",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(page.matches("<table class=\"heat\">").count(), 2);
    assert!(!page.contains("human") && !page.contains("NaN"));
    assert_eq!(page, made.page(vec![Dimension::Lang]), "equal inputs make equal bytes");
}

#[test]
fn hostile_text_stays_text() {
    let mut made = made(30, |item| {
        item.text = HOSTILE.into();
        item.id = format!("{} {HOSTILE}", item.id);
        item.lang = Some(HOSTILE.into());
        item.annotator = Some(HOSTILE.into());
    });
    made.systems[0].name = HOSTILE.into();
    made.scheme.topics[0].name = HOSTILE.into();
    made.scheme.scale.as_mut().unwrap().levels[0].name = HOSTILE.into();
    for member in &mut made.pairs.members {
        member.text = HOSTILE.into();
    }
    made.pairs.pairs[0].note = Some(HOSTILE.into());
    let page = made.page(vec![Dimension::Lang]);
    assert_eq!(page.matches("<script>").count(), 1, "only our own script");
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(!page.contains("<img"));
    let place = page.find('\0').map(|place| page[..place].chars().rev().take(200).collect::<String>());
    assert_eq!(place.map(|place| place.chars().rev().collect::<String>()), None);
    assert!(page.contains("&lt;img src=x onerror=alert(2)&gt;"));
}

#[test]
fn errors_come_with_the_most_confident_first_and_are_limited() {
    let mut made = made(700, |_| {});
    made.systems[0].predicted = made.systems[1].predicted.clone();
    let page = made.page(vec![]);
    let list = page.split("id=\"error-list\"").nth(1).unwrap().split("</ol>").next().unwrap();
    let confidences: Vec<f64> =
        list.split("data-confidence=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
    assert_eq!(confidences.len(), LIMIT);
    assert!(confidences.is_sorted_by(|a, b| a >= b));
    assert!(page.contains("the 1000 most confident are listed here"));
    assert!(!list.contains("data-system=\"skill 0.2\""), "baselines are not listed beside a system");
}

#[test]
fn without_gold_there_are_only_the_pairs() {
    let mut made = made(30, |_| {});
    let spare = made.gold[0].clone();
    for system in &mut made.systems {
        system.predicted.clear();
    }
    made.gold.clear();
    let options = ReportOptions::default();
    let mut report = score(&made.scheme, &made.gold, &made.systems, &options);
    let silent = vec![Predicted::from_labels(spare.labels); 2];
    let on_pairs: Vec<System> =
        made.systems.iter().map(|system| System { predicted: silent.clone(), ..system.clone() }).collect();
    report.set_behaviour(score_behaviour(&made.scheme, &made.pairs, &on_pairs, &[], &options));
    let page = html_page(&Evaluation {
        scheme: &made.scheme,
        report: &report,
        gold: &made.gold,
        systems: &made.systems,
        pairs: &made.pairs,
        on_pairs: &on_pairs,
    });
    assert!(page.contains("<section id=\"behaviour\">") && !page.contains("<section id=\"figures\">"));
}

#[test]
fn axes_end_at_round_numbers_and_have_few_ticks() {
    for (most, expected) in [
        (0.004, vec!["0", "0.01", "0.02", "0.03", "0.04", "0.05"]),
        (0.17, vec!["0", "0.05", "0.1", "0.15", "0.2"]),
        (0.3, vec!["0", "0.1", "0.2", "0.3"]),
        (0.41, vec!["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (0.9, vec!["0", "0.25", "0.5", "0.75", "1"]),
    ] {
        assert_eq!(Axis::up_to("", most).ticks().map(tick).collect::<Vec<_>>(), expected, "{most}");
    }
    let both = Axis { name: "", low: -0.5, high: 1.0 };
    assert_eq!(both.ticks().map(tick).collect::<Vec<_>>(), ["\u{2212}0.5", "0", "0.5", "1"]);
}

/// A page may run nothing but the script whose hash the policy names. If the script changed, the message has its new hash.
#[test]
fn the_policy_names_the_script() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(SCRIPT.as_bytes());
    let mut base64 = String::new();
    for three in digest.chunks(3) {
        let bits = three.iter().chain([&0; 2]).take(3).fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        for place in 0..=three.len() {
            base64.push(char::from(ALPHABET[bits >> (18 - 6 * place) & 63]));
        }
    }
    base64.push('=');
    assert!(POLICY.contains(&format!("'sha256-{base64}'")), "the script has sha256-{base64}");
    assert!(!POLICY.contains("script-src 'unsafe-inline'"));
}
