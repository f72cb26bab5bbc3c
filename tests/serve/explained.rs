//! `explain: true`: what it says, what it costs, and that nobody else pays for it.

use std::path::PathBuf;
use std::time::Duration;

use detente::Classifier;
use detente::explain::{ExplainOptions, explain};
use serde_json::{Value, json};

use crate::serve::client::{Running, command_line, fixture, options, receive, send, with_limits};

const JSON: (&str, &str) = ("Content-Type", "application/json");

const ARTICLE: &str = "Waffenruhe am Fluss\n\nDie Waffenruhe hält seit drei Tagen, sagen beide Seiten.\n\n\
                       Министр отверг ультиматум и отозвал посла.\n\n停火协议已经签署，双方表示欢迎。\n\n***\n";

/// Words of the text that [`much`] explains, each of which is left out once.
const WORDS: usize = 40;
/// Its texts.
const TEXTS: usize = 600;

fn text() -> String {
    "Die Waffenruhe am Fluss hält, sagen beide Seiten. ".repeat(WORDS / 8)
}

/// A request whose explanation keeps a server of the tiny bundle busy for as long as a test wants.
fn much() -> Vec<u8> {
    let options = json!({"explain": true, "return_text": false});
    json!({ "texts": vec![text(); TEXTS], "options": options }).to_string().into_bytes()
}

fn large() -> detente::serve::Options {
    with_limits(|limits| (limits.explain_bytes, limits.queue_bytes) = (64 << 20, 256 << 20))
}

/// The weights of an answer's part, in the form of the command line's records.
fn as_in_records(part: &Value) -> Value {
    let weights = &part["weights"];
    let topics = ["military", "diplomacy", "sanctions"].map(|name| (name.to_owned(), weights[name].clone()));
    json!({
        "start": part["start"], "end": part["end"], "text": part["text"], "words": part["words"],
        "boilerplate_probability": weights["boilerplate"],
        "topic_probabilities": serde_json::Map::from_iter(topics),
        "escalation_expected": weights["escalation"],
    })
}

#[test]
fn explanations_are_those_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("article.txt");
    std::fs::write(&path, ARTICLE).unwrap();
    for bundle in ["tiny", "tiny/int8", "fake"] {
        let server = Running::start(bundle, options());
        let body = json!({"document": {"text": ARTICLE}, "options": {"explain": true}});
        let answer = server.post("/v1/classify", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let output = command_line(bundle, &["--explain", path.to_str().unwrap()], b"");
        let records: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let paragraphs = answer.json()["paragraphs"].as_array().unwrap().clone();
        assert_eq!((paragraphs.len(), records.len()), (5, 5));
        for (paragraph, record) in paragraphs.iter().zip(&records) {
            assert_eq!(paragraph["explanation"]["readings"], record["explanation"]["readings"]);
            let parts = paragraph["explanation"]["parts"].as_array().unwrap();
            let found: Vec<Value> = parts.iter().map(as_in_records).collect();
            assert_eq!(json!(found), record["explanation"]["parts"], "{bundle}: {}", record["text"]);
            assert_eq!(paragraph["scale"]["expected"], record["escalation_expected"]);
        }
        assert!(paragraphs[1]["explanation"]["parts"].as_array().unwrap().len() >= 9);
        assert_eq!(paragraphs[4]["explanation"], json!({"readings": 0, "parts": []}));
        // Readings are counted by themselves: they are no labelled texts.
        let readings: u64 = paragraphs.iter().map(|one| one["explanation"]["readings"].as_u64().unwrap()).sum();
        assert_eq!(server.metric("detente_texts_total"), 5.0);
        assert_eq!(server.metric("detente_readings_total"), readings as f64);
        server.stop().unwrap();
    }
}

#[test]
fn a_long_text_is_explained_in_phrases_as_by_the_library() {
    let server = Running::start("fake", options());
    let text = "Die Lage am Fluss blieb ruhig, doch der Minister drohte erneut mit Beschuss. ".repeat(40);
    let answer = server.post("/v1/classify", &json!({"texts": ["Kurz.", text], "options": {"explain": true}})).json();
    let classifier = Classifier::open(fixture("fake")).unwrap();
    let expected = explain(&classifier, &text, &ExplainOptions::default()).unwrap();
    let found = &answer["paragraphs"][1]["explanation"];
    assert_eq!(found["readings"], expected.readings());
    let ranges = |value: &Value| (value["start"].as_u64().unwrap() as usize)..(value["end"].as_u64().unwrap() as usize);
    let found: Vec<_> = found["parts"].as_array().unwrap().iter().map(ranges).collect();
    assert_eq!(found, expected.parts().iter().map(|part| part.byte_range()).collect::<Vec<_>>());
    assert!(expected.parts().iter().any(|part| part.words() > 1));
    server.stop().unwrap();
}

#[test]
fn options_leave_topics_and_texts_out_of_explanations() {
    let server = Running::start("fake", options());
    let ask = |options: Value| {
        let body = json!({"texts": ["Die Waffenruhe hält."], "options": options});
        server.post("/v1/classify", &body).json()["paragraphs"][0].clone()
    };
    let whole = ask(json!({"explain": true}));
    let names = |part: &Value| part["weights"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let part = &whole["explanation"]["parts"][1];
    assert_eq!(names(part), ["military", "diplomacy", "sanctions", "escalation", "boilerplate"]);
    assert_eq!((&part["text"], &part["start"], &part["end"]), (&json!("Waffenruhe"), &json!(4), &json!(14)));
    let less = ask(json!({"explain": true, "topics": ["sanctions"], "return_text": false}));
    let part = &less["explanation"]["parts"][1];
    assert_eq!(
        (names(part), part.get("text")),
        (vec!["sanctions".into(), "escalation".into(), "boilerplate".into()], None)
    );
    assert_eq!(part["weights"]["escalation"], whole["explanation"]["parts"][1]["weights"]["escalation"]);
    assert!(ask(json!({})).get("explanation").is_none());
    server.stop().unwrap();
}

#[test]
fn a_stream_explains_as_the_command_line_does() {
    let input = [
        r#"{"id": "a", "text": "Ein Absatz.\n\nNoch ein längerer Absatz, mit Nebensatz."}"#,
        "{broken",
        r#"{"text": "Министр отозвал посла."}"#,
    ]
    .join("\n");
    let headers = [("Content-Type", "application/x-ndjson")];
    for bundle in ["tiny", "fake"] {
        let server = Running::start(bundle, options());
        let answer = server.post_with("/v1/classify/stream?explain=true", &headers, input.as_bytes()).text();
        let records: Vec<&str> = answer.lines().filter(|line| !line.starts_with("{\"error\"")).collect();
        let output = command_line(bundle, &["--input-format", "jsonl", "--explain"], input.as_bytes());
        assert_eq!(records, output.stdout.lines().collect::<Vec<_>>(), "{bundle}");
        assert!(records.len() == 3 && records.iter().all(|record| record.contains("\"explanation\":{\"readings\":")));
        server.stop().unwrap();
    }
    let server = Running::start("fake", with_limits(|limits| limits.explain_bytes = 60));
    let lines = "{\"text\": \"one two three four five six seven eight\"}\n{\"text\": \"one two\"}\n";
    let answer = server.post_with("/v1/classify/stream?explain=true", &headers, lines.as_bytes()).text();
    let (fault, record) = answer.split_once('\n').unwrap();
    assert!(
        fault.starts_with("{\"error\":\"<stdin>:1: to explain this, 312 bytes of text or more would be read"),
        "{fault}"
    );
    assert!(record.contains("\"explanation\":{\"readings\":2,"), "{record}");
    server.stop().unwrap();
}

#[test]
fn what_costs_too_much_is_refused_before_it_is_computed() {
    let server = Running::start("fake", with_limits(|limits| limits.explain_bytes = 100));
    let ask = |text: &str, explain: bool| {
        server.post("/v1/classify", &json!({"texts": [text], "options": {"explain": explain}}))
    };
    // Five words are five readings of at most 19 bytes.
    assert_eq!(ask("one two three fours", true).status, 200);
    let answer = ask("one two three four fives", true);
    assert_eq!((answer.status, &answer.json()["error_type"]), (413, &json!("too_large")));
    assert!(answer.json()["error"].as_str().unwrap().starts_with("to explain this, 120 bytes"), "{}", answer.text());
    assert_eq!(ask(&"one two three four fives ".repeat(100), false).status, 200);
    assert_eq!(server.metric("detente_readings_total"), 4.0);
    assert_eq!(server.metric("detente_refused_total{reason=\"too_large\"}"), 1.0);
    server.stop().unwrap();
}

#[test]
fn others_are_answered_while_an_explanation_is_made_and_it_ends_with_its_client() {
    let server = Running::start("tiny", large());
    let mut stream = server.connect();
    send(&mut stream, "POST", "/v1/classify", &[JSON], &much());
    server.wait_for("detente_readings_total", |readings| readings > 0.0);
    let answer = server.post("/v1/classify", &json!({"texts": ["Nein."]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(server.metric("detente_queue_requests"), 1.0, "the explanation was done first");
    drop(stream);
    server.wait_for("detente_cancelled_total", |cancelled| cancelled == 1.0);
    assert_eq!(server.metric("detente_queue_requests"), 0.0);
    assert!(server.metric("detente_readings_total") < (TEXTS * WORDS) as f64, "everything was read");
    server.stop().unwrap();
}

#[test]
fn the_readings_of_an_explanation_take_their_room_in_the_queue() {
    let server =
        Running::start("tiny", with_limits(|limits| (limits.explain_bytes, limits.queue_bytes) = (64 << 20, 1 << 20)));
    let mut stream = server.connect();
    send(&mut stream, "POST", "/v1/classify", &[JSON], &much());
    server.wait_for("detente_readings_total", |readings| readings > 0.0);
    // The texts have some 150,000 bytes, which would leave room for this; their readings have 40 times as many.
    assert_eq!(server.post("/v1/classify", &json!({"texts": ["Nein."]})).status, 429);
    drop(stream);
    server.wait_for("detente_queue_requests", |requests| requests == 0.0);
    assert_eq!(server.post("/v1/classify", &json!({"texts": ["Nein."]})).status, 200);
    server.stop().unwrap();
}

#[test]
fn an_explanation_keeps_to_the_time_of_a_request_and_to_a_stop() {
    let mut options = large();
    options.limits.request_timeout = Duration::from_millis(300);
    let server = Running::start("tiny", options);
    let answer = server.post_with("/v1/classify", &[JSON], &much());
    assert_eq!((answer.status, &answer.json()["error_type"]), (503, &json!("unhealthy")), "{}", answer.text());
    assert_eq!(server.metric("detente_queue_requests"), 0.0);
    assert!(server.metric("detente_readings_total") < (TEXTS * WORDS) as f64, "everything was read");
    server.stop().unwrap();

    let server = Running::start("tiny", large());
    let mut stream = server.connect();
    let body = json!({ "texts": vec![text(); 10], "options": {"explain": true} }).to_string();
    send(&mut stream, "POST", "/v1/classify", &[JSON], body.as_bytes());
    server.wait_for("detente_texts_total", |texts| texts > 0.0);
    let stopped = std::thread::spawn(move || server.stop());
    let answer = receive(&mut stream);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["paragraphs"][9]["explanation"]["readings"], WORDS);
    stopped.join().unwrap().unwrap();
}
