//! Pairs by hand, and what is made of them.

use crate::error::Result;
use crate::eval::behaviour::rates::verdicts;
use crate::eval::behaviour::{BehaviourPairs, Rate, read_behaviour, score_behaviour};
use crate::eval::bootstrap::BootstrapOptions;
use crate::eval::predicted::Predicted;
use crate::eval::record::Labels;
use crate::eval::report::{Dimension, ReportOptions, System, SystemKind};
use crate::eval::tests::scheme;

fn read(text: &str) -> Result<BehaviourPairs> {
    read_behaviour("pairs.jsonl", text.as_bytes(), &scheme())
}

/// A record; labels as `ab,-1,true`.
fn line(id: &str, expect: &str, [a, b]: [&str; 2]) -> String {
    let member = |labels: &str| {
        let [topics, level, flag] = labels.split(',').collect::<Vec<_>>()[..] else { panic!("{labels}") };
        let topics: Vec<String> = topics.chars().map(|topic| format!("{topic:?}").replace('\'', "\"")).collect();
        format!(r#"{{"text":"t","topics":[{}],"stance":{level},"boilerplate":{flag}}}"#, topics.join(","))
    };
    let (a, b) = (member(a), member(b));
    format!(r#"{{"id":"{id}","behaviour":"set","lang":"de","expect":"{expect}","a":{a},"b":{b}}}"#)
}

/// Predictions in the same short form.
fn said(labels: &str) -> Predicted {
    let [topics, level, flag] = labels.split(',').collect::<Vec<_>>()[..] else { panic!("{labels}") };
    let known = |text: &str| text != "?";
    Predicted::from_labels(Labels {
        topics: known(topics).then(|| vec![topics.contains('a'), topics.contains('b')]),
        level: known(level).then(|| (level.parse::<i32>().unwrap() + 1) as usize),
        boilerplate: known(flag).then(|| flag == "true"),
    })
}

#[test]
fn what_counts_and_what_passes() {
    let (yes, no, out) = (Some(true), Some(false), None);
    // pass, right, changed, same topics, same sign, same level
    for (name, expect, gold, predicted, expected) in [
        (
            "both signs right",
            "change",
            ["a,-1,false", "a,1,false"],
            ["b,-1,false", ",1,false"],
            [yes, no, yes, out, out, out],
        ),
        (
            "all right",
            "change",
            ["a,-1,false", "a,1,false"],
            ["a,-1,false", "a,1,false"],
            [yes, yes, yes, out, out, out],
        ),
        (
            "one sign right",
            "change",
            ["a,-1,false", "a,1,false"],
            ["a,0,false", "a,1,false"],
            [no, no, yes, out, out, out],
        ),
        ("not changed", "change", ["a,-1,false", "a,1,false"], ["a,1,false", "a,1,false"], [no, no, no, out, out, out]),
        ("wrong way", "change", ["a,-1,false", "a,1,false"], ["a,1,false", "a,-1,false"], [no, no, no, out, out, out]),
        ("flags right", "change", ["a,1,false", ",0,true"], ["a,1,false", ",1,true"], [yes, no, out, out, out, out]),
        ("flag missed", "change", ["a,1,false", ",0,true"], ["a,1,false", ",0,false"], [no, no, out, out, out, out]),
        ("the same", "same", ["a,1,false", "a,1,false"], ["ab,1,false", "ab,1,false"], [yes, no, out, yes, yes, yes]),
        ("another topic", "same", ["a,1,false", "a,1,false"], ["a,1,false", "ab,1,false"], [no, no, out, no, yes, yes]),
        ("another sign", "same", ["a,1,false", "a,1,false"], ["a,1,false", "a,0,false"], [no, no, out, yes, no, no]),
        ("another flag", "same", ["a,1,false", "a,1,false"], ["a,1,false", "a,1,true"], [no, no, out, yes, yes, yes]),
        ("nothing there", "same", [",0,false", ",0,false"], [",0,false", ",0,false"], [yes, yes, out, out, out, out]),
        ("sign alone", "same", [",1,false", ",1,false"], [",0,false", ",0,false"], [yes, no, out, out, yes, yes]),
        (
            "no levels said",
            "change",
            ["a,-1,false", "a,1,false"],
            ["a,?,false", "a,?,false"],
            [out, out, out, out, out, out],
        ),
        ("no flags said", "same", ["a,1,false", "a,1,false"], ["a,1,?", "a,1,?"], [out, out, out, yes, yes, yes]),
    ] {
        let pairs = read(&line("x", expect, gold)).unwrap();
        let found = verdicts(&scheme(), &pairs, &predicted.map(said), 0);
        assert_eq!(found, expected, "{name}");
    }
}

fn rates(pairs: &BehaviourPairs, predicted: Vec<Predicted>, by: Vec<Dimension>) -> Vec<(Option<String>, usize, Rate)> {
    let system = System { name: "s".into(), kind: SystemKind::Bundle, predicted };
    let options = ReportOptions { bootstrap: BootstrapOptions { replicates: 500, seed: 1 }, by, files: vec![] };
    let report = score_behaviour(&scheme(), pairs, &[system], &[], &options);
    let slices = report.slices.into_iter();
    slices.map(|mut slice| (slice.value, slice.pairs, slice.systems.remove(0).figures.remove(0))).collect()
}

#[test]
fn rates_have_support_and_intervals() {
    let lines: Vec<String> = (0..40).map(|id| line(&id.to_string(), "change", ["a,-1,false", "a,1,false"])).collect();
    let pairs = read(&lines.join("\n")).unwrap();
    let answers = |right: usize| {
        (0..40).flat_map(|id| ["a,-1,false", if id < right { "a,1,false" } else { "a,-1,false" }]).map(said).collect()
    };
    let (_, count, rate) = rates(&pairs, answers(30), vec![]).remove(0);
    assert_eq!((count, rate.name.as_str(), rate.value, rate.support), (40, "behaviour.set.pass", Some(0.75), 40));
    // Half the width of a 95 % interval of 30 of 40: about 1.96 × √(0.75 × 0.25 / 40) = 0.134.
    let (low, high) = (rate.low.unwrap(), rate.high.unwrap());
    assert!((low - 0.616).abs() < 0.04 && (high - 0.884).abs() < 0.04, "{low} {high}");
    let (_, _, perfect) = rates(&pairs, answers(40), vec![]).remove(0);
    // scipy.stats.binomtest(40, 40).proportion_ci(method="exact"): 0.9119
    assert!((perfect.low.unwrap() - 0.9119).abs() < 1e-4 && perfect.high == Some(1.0), "{perfect:?}");
}

#[test]
fn a_pair_in_two_languages_counts_in_both() {
    let two = line("1", "same", ["a,1,false", "a,1,false"]).replace(r#""lang":"de""#, r#""lang":"de","lang_b":"en""#);
    let one = line("2", "same", ["a,1,false", "a,1,false"]);
    let pairs = read(&format!("{two}\n{one}\n")).unwrap();
    assert_eq!(pairs.members[1].lang.as_deref(), Some("en"));
    let found = rates(&pairs, vec![said("a,1,false"); 4], vec![Dimension::Lang]);
    let counts: Vec<_> = found.iter().map(|(value, count, _)| (value.as_deref(), *count)).collect();
    assert_eq!(counts, [(None, 2), (Some("de"), 2), (Some("en"), 1)]);
}

/// A record whose texts have these label fields.
fn partly(id: &str, [a, b]: [&str; 2]) -> String {
    let member = |fields: &str| format!(r#"{{"text":"t"{fields}}}"#);
    format!(r#"{{"id":"{id}","behaviour":"set","expect":"same","a":{},"b":{}}}"#, member(a), member(b))
}

#[test]
fn right_are_only_pairs_with_gold_labels_of_both_texts() {
    let same = ["a,1,false", "a,1,false"].map(said);
    for (name, labels, right) in [
        ("none", ["", ""], None),
        ("one", [r#","stance":1"#, ""], None),
        ("both", [r#","stance":1"#, r#","stance":1"#], Some(true)),
    ] {
        let pairs = read(&partly("x", labels)).unwrap();
        let found = verdicts(&scheme(), &pairs, &same, 0);
        assert_eq!((found[0], found[1]), (Some(true), right), "{name}");
    }
    let pairs =
        read(&format!("{}\n{}\n", partly("x", ["", ""]), line("y", "same", ["a,1,false", "a,1,false"]))).unwrap();
    let system = System { name: "s".into(), kind: SystemKind::Bundle, predicted: vec![said("b,1,false"); 4] };
    let report = score_behaviour(&scheme(), &pairs, &[system], &[], &ReportOptions::default());
    let right = &report.slices[0].systems[0].figures[1];
    assert_eq!((right.name.as_str(), right.value, right.support), ("behaviour.set.right", Some(0.0), 1));
}

#[test]
fn a_label_of_one_text_alone_is_no_difference() {
    for field in [r#","topics":["a"]"#, r#","stance":1"#, r#","boilerplate":true"#] {
        for labels in [[field, ""], ["", field]] {
            assert_eq!(read(&partly("x", labels)).map(|pairs| pairs.pairs.len()).unwrap(), 1, "{labels:?}");
        }
    }
    let pairs = read(&partly("x", ["", r#","topics":["a"]"#])).unwrap();
    let found = verdicts(&scheme(), &pairs, &["a,1,false", ",1,false"].map(said), 0);
    assert_eq!(found[3], Some(false), "whichever text the topic is known of");
}

#[test]
fn bad_pairs_are_named_with_path_line_and_remedy() {
    let ok = line("1", "same", ["a,1,false", "a,1,false"]);
    for (name, bad, expected) in [
        ("id twice", ok.clone(), r#"the id "1" stands at pairs.jsonl:1 already"#),
        ("expect", ok.replace(r#""same""#, r#""flip""#), r#""expect" holds "flip"; give "change" or "same""#),
        ("no expect", ok.replace(r#""expect":"same","#, ""), r#"no field "expect""#),
        ("no member", ok.replace(r#""b":"#, r#""c":"#), r#"no field "b""#),
        ("member", ok.replace(r#""b":{"#, r#""b":7,"c":{"#), r#""b" holds 7; give an object with labels"#),
        ("text", ok.replace(r#"{"text":"t","#, r#"{"text":" ","#), r#"no field "text""#),
        (
            "topic",
            line("2", "same", ["c,1,false", "a,1,false"]),
            r#"names the topic "c", which the scheme does not have"#,
        ),
        ("name", ok.replace(r#""set""#, r#""a.b""#), "give a name of letters, digits, - and _"),
        (
            "not the same",
            line("2", "same", ["a,1,false", "a,-1,false"]),
            r#""expect" holds "same", but a and b differ in the sign of the level; give "change", or the same labels to both"#,
        ),
        ("topics not the same", line("2", "same", ["a,1,false", "b,1,false"]), "but a and b differ in their topics"),
        (
            "no change",
            line("2", "change", ["a,1,false", "b,1,false"]),
            "but a and b differ neither in the sign of the level nor in the boilerplate flag; give \"same\"",
        ),
    ] {
        let error = read(&format!("{ok}\n\n{bad}\n")).unwrap_err().to_string();
        assert!(error.starts_with("pairs.jsonl:3: ") && error.contains(expected), "{name}: {error}");
    }
    let error = read("\n").unwrap_err().to_string();
    assert!(error.starts_with("pairs.jsonl: the file has no pairs; a record has id, behaviour"), "{error}");
}
