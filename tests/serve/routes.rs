//! `/v1`, the page, and what all answers have in common.

use detente::{Classifier, Document};
use serde_json::{Value, json};

use crate::serve::client::{Running, Written, command_line, fixture, options, request, with_limits};

const TEXTS: [&str; 4] = [
    "Die Waffenruhe hält seit drei Tagen.",
    "Министр отверг ультиматум и отозвал посла.",
    "停火协议已经签署",
    "Foto: Imago",
];

/// `value` as the records of the command line have it.
fn rounded(value: f32) -> Value {
    json!((f64::from(value) * 1e6).round() / 1e6)
}

#[test]
fn texts_get_the_numbers_of_the_library() {
    for bundle in ["tiny", "tiny/int8", "fake"] {
        let server = Running::start(bundle, options());
        let answer = server.post("/v1/classify", &json!({ "texts": TEXTS }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let classifier = Classifier::open(fixture(bundle)).unwrap();
        assert_eq!(answer["bundle"], classifier.info().id.as_str());
        let predictions = classifier.classify_batch(&TEXTS).unwrap();
        let paragraphs = answer["paragraphs"].as_array().unwrap();
        assert_eq!(paragraphs.len(), TEXTS.len());
        for ((paragraph, prediction), text) in paragraphs.iter().zip(&predictions).zip(TEXTS) {
            assert_eq!(paragraph["text"], text);
            assert_eq!((&paragraph["start"], &paragraph["end"]), (&json!(0), &json!(text.len())));
            for (found, topic) in paragraph["topics"].as_array().unwrap().iter().zip(prediction.topics()) {
                let expected =
                    json!({"name": topic.name, "probability": rounded(topic.probability), "applies": topic.applies});
                assert_eq!(*found, expected, "{bundle}: {text}");
            }
            let level = prediction.escalation().unwrap();
            assert_eq!(paragraph["scale"]["level"], level.code, "{bundle}: {text}");
            assert_eq!(paragraph["scale"]["level_name"], level.name);
            assert_eq!(paragraph["scale"]["expected"], rounded(prediction.expected_escalation().unwrap()));
            assert_eq!(paragraph["boilerplate"]["probability"], rounded(prediction.boilerplate().unwrap()));
            assert_eq!(paragraph["boilerplate"]["applies"], prediction.is_boilerplate());
            assert_eq!(paragraph["tokens"], prediction.tokens());
        }
        server.stop().unwrap();
    }
}

#[test]
fn documents_are_cut_into_paragraphs_with_their_ranges() {
    let server = Running::start("tiny", options());
    let text = "Überschrift\n\nEin Absatz, der\nweitergeht.\n\nNoch einer.\n";
    let answer = server.post("/v1/classify", &json!({"document": {"id": "a.txt", "text": text}})).json();
    assert_eq!(answer["document"], "a.txt");
    let document = Document::from_text("a.txt", text);
    let paragraphs = answer["paragraphs"].as_array().unwrap();
    assert_eq!(paragraphs.len(), document.paragraphs().count());
    for (found, paragraph) in paragraphs.iter().zip(document.paragraphs()) {
        let range = found["start"].as_u64().unwrap() as usize..found["end"].as_u64().unwrap() as usize;
        assert_eq!((range.clone(), &text[range]), (paragraph.byte_range(), paragraph.text()));
        assert_eq!(found["text"], paragraph.text());
    }
    let page = "<h1>Gespräche</h1><script>track()</script><p>Die Delegationen<br>reisten ab.</p>";
    let answer =
        server.post("/v1/classify", &json!({"document": {"html": page}, "options": {"return_text": false}})).json();
    let ranges: Vec<_> =
        answer["paragraphs"].as_array().unwrap().iter().map(|one| (&one["start"], &one["end"])).collect();
    assert_eq!(ranges, [(&json!(0), &json!(10)), (&json!(12), &json!(40))]);
    assert!(answer["paragraphs"][0].get("text").is_none());
    // Long enough to be cut on another thread; the same rule holds there.
    let long = "Ein Absatz von vielen, und keiner gleicht dem anderen ganz.\n\n".repeat(400);
    let answer = server.post("/v1/classify", &json!({"document": {"text": long}})).json();
    assert_eq!(answer["paragraphs"].as_array().unwrap().len(), 400);
    server.stop().unwrap();
}

#[test]
fn options_change_decisions_and_never_probabilities() {
    let server = Running::start("fake", options());
    let ask = |options: Value| server.post("/v1/classify", &json!({"texts": TEXTS, "options": options})).json();
    let plain = ask(json!({}));
    let numbers = |answer: &Value| -> Vec<Value> {
        let paragraphs = answer["paragraphs"].as_array().unwrap().iter();
        paragraphs
            .map(|one| json!([one["topics"][0]["probability"], one["scale"]["levels"], one["scale"]["expected"]]))
            .collect()
    };
    let all = ask(json!({"thresholds": {"military": 0.0, "boilerplate": 1.0}}));
    let none = ask(json!({"thresholds": {"military": 1.0, "boilerplate": 1.0}}));
    let boilerplate = ask(json!({"thresholds": {"boilerplate": 0.0}}));
    let withheld = ask(json!({"abstain": {"military": 1.0, "escalation": 1.0, "boilerplate": 1.0}}));
    let certain = ask(json!({"thresholds": {"boilerplate": 0.0}, "abstain": {"military": 1.0, "escalation": 1.0}}));
    for answer in [&all, &none, &boilerplate, &withheld, &certain] {
        assert_eq!(numbers(answer), numbers(&plain));
    }
    for index in 0..TEXTS.len() {
        let of = |answer: &'_ Value, pointer: &str| answer["paragraphs"][index].pointer(pointer).unwrap().clone();
        assert_eq!(of(&all, "/topics/0/applies"), true);
        assert_eq!(of(&none, "/topics/0/applies"), false);
        assert_eq!(of(&boilerplate, "/boilerplate/applies"), true);
        assert_eq!((of(&boilerplate, "/topics/0/applies"), of(&boilerplate, "/scale/level")), (json!(false), json!(0)));
        assert_eq!(of(&withheld, "/boilerplate/applies"), Value::Null);
        // Of boilerplate, topics and level are no decisions of their own.
        let is_boilerplate = of(&plain, "/boilerplate/applies") == true;
        let (topic, level) = if is_boilerplate { (json!(false), json!(0)) } else { (Value::Null, Value::Null) };
        assert_eq!((of(&withheld, "/topics/0/applies"), of(&withheld, "/scale/level")), (topic, level));
        assert_eq!((of(&certain, "/topics/0/applies"), of(&certain, "/scale/level")), (json!(false), json!(0)));
    }
    let one = ask(json!({"topics": ["sanctions"]}));
    assert_eq!(one["paragraphs"][0]["topics"].as_array().unwrap().len(), 1);
    assert_eq!(one["paragraphs"][0]["topics"][0]["name"], "sanctions");
    server.stop().unwrap();
}

#[test]
fn requests_that_cannot_be_done_are_told_why() {
    let server = Running::start("tiny", with_limits(|limits| limits.texts = 3));
    let cases = [
        (json!({}), 422, "give either texts or document"),
        (json!({"texts": ["a"], "document": {"text": "b"}}), 422, "give either texts or document"),
        (json!({"document": {}}), 422, "give either document.text or document.html"),
        (json!({"document": {"text": "a", "html": "b"}}), 422, "give either document.text or document.html"),
        (json!({"document": {"text": " \n\n "}}), 422, "the document holds no text"),
        (json!({"document": {"html": "<script>a</script>"}}), 422, "the document holds no text"),
        (json!({"texts": []}), 422, "there is no text to label"),
        (json!({"texts": ["a", " \u{3000}\n"]}), 422, "text 1 is blank"),
        (json!({"texts": ["a", "b", "c", "d"]}), 413, "there are 4 texts, a request takes 3"),
        (json!({"document": {"text": "a\n\nb\n\nc\n\nd"}}), 413, "the document has more than 3 paragraphs"),
        (
            json!({"texts": ["a"], "option": {}}),
            422,
            "the body is not the JSON that this route reads: unknown field `option`",
        ),
        (json!({"texts": ["a"], "options": {"topics": ["sport"]}}), 422, "options.topics names \"sport\""),
        (
            json!({"texts": ["a"], "options": {"thresholds": {"escalation": 0.5}}}),
            422,
            "options.thresholds names \"escalation\"",
        ),
        (json!({"texts": ["a"], "options": {"abstain": {"military": 1.5}}}), 422, "options.abstain.military is 1.5"),
        (json!(["a"]), 422, "the body is a list, an object was expected"),
    ];
    for (body, status, message) in cases {
        let answer = server.post("/v1/classify", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let error = answer.json();
        assert!(error["error"].as_str().unwrap().starts_with(message), "{body}: {error}");
    }
    server.stop().unwrap();
}

#[test]
fn a_stream_equals_the_command_line() {
    let lines = [
        r#"{"id": "a", "text": "Ein Absatz.\n\nNoch ein Absatz.", "source": "dpa"}"#,
        r#"{"text": 7}"#,
        "",
        r#"{"text": "Die Waffenruhe hält."}"#,
        "{broken",
        r#"{"id": 12, "text": "Министр отозвал посла."}"#,
        r#"{"id": "blank", "text": "  "}"#,
        r#"{"id": "last", "text": "Ohne Zeilenende"}"#,
    ];
    let input = format!("\u{feff}{}", lines.join("\n"));
    for bundle in ["tiny", "fake"] {
        let server = Running::start(bundle, options());
        let answer =
            server.post_with("/v1/classify/stream", &[("Content-Type", "application/x-ndjson")], input.as_bytes());
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        let text = answer.text();
        let (faults, records): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("{\"error\""));
        let Written { stdout, stderr } = command_line(bundle, &["--input-format", "jsonl"], input.as_bytes());
        assert_eq!(records, stdout.lines().collect::<Vec<_>>(), "{bundle}");
        assert_eq!(records.len(), 5);
        assert_eq!(faults.len(), 3, "{faults:?}");
        for fault in faults {
            let fault: Value = serde_json::from_str(fault).unwrap();
            assert!(stderr.contains(fault["error"].as_str().unwrap()), "{fault}\n{stderr}");
        }
        server.stop().unwrap();
    }
}

#[test]
fn fields_of_a_stream_can_be_named() {
    let server = Running::start("fake", options());
    let headers = [("Content-Type", "application/x-ndjson")];
    let line = br#"{"url": "x", "body": "Ein Absatz."}"#;
    let answer = server.post_with("/v1/classify/stream?text_field=body&id_field=url", &headers, line).json();
    assert_eq!((&answer["id"], &answer["text"]), (&json!("x#0"), &json!("Ein Absatz.")));
    assert_eq!(server.post_with("/v1/classify/stream?field=body", &headers, line).status, 400);
    assert_eq!(server.post_with("/v1/classify/stream", &[("Content-Type", "text/csv")], line).status, 415);
    server.stop().unwrap();
}

#[test]
fn the_model_says_what_the_bundle_declares() {
    let server = Running::start("tiny", options());
    let model = server.get("/v1/model").json();
    let info_of = Classifier::open(fixture("tiny")).unwrap();
    let info = info_of.info();
    assert_eq!((&model["id"], &model["sha256"]), (&json!(info.id), &json!(info.sha256)));
    assert_eq!(model["topics"].as_array().unwrap().len(), info.scheme.topics.len());
    assert_eq!(model["scale"]["levels"][0], json!({"code": -2, "name": "strongly de-escalatory"}));
    assert_eq!(model["limits"], json!({"body_bytes": 2 << 20, "texts": 4096, "explain_bytes": 2 << 20}));
    server.stop().unwrap();
}

#[test]
fn every_answer_has_an_id_and_a_kind() {
    let server = Running::start("fake", options());
    let id = |answer: &crate::serve::client::Answer| answer.header("x-request-id").unwrap().to_owned();
    let (first, second) = (server.get("/health/live"), server.get("/health/live"));
    assert_ne!(id(&first), id(&second));
    let ask = |given: &str| id(&request(server.address, "GET", "/health/live", &[("X-Request-Id", given)], b""));
    assert_eq!(ask("abc-1.2_3"), "abc-1.2_3");
    assert_ne!(ask("no spaces"), "no spaces");
    let long = "a".repeat(65);
    assert_ne!(ask(&long), long);
    for (method, path, status) in [("GET", "/nothing", 404), ("GET", "/v1/classify", 405), ("DELETE", "/v1/model", 405)]
    {
        let answer = request(server.address, method, path, &[], b"");
        assert_eq!((answer.status, &answer.json()["error_type"]), (status, &json!("not_found")), "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    for path in ["/v2/models/%ff", "/v2/models/%ff/ready", "/v2/models/fake/versions/%ff"] {
        let answer = server.get(path);
        assert_eq!((answer.status, &answer.json()["error_type"]), (400, &json!("validation")), "{path}");
    }
    server.stop().unwrap();
}

#[test]
fn the_pages_ask_for_nothing_from_outside() {
    let server = Running::start("fake", options());
    for path in ["/", "/docs"] {
        let page = server.get(path);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        let text = page.text();
        for forbidden in ["http:", "https:", "//", " style=", " onclick=", "<style", "<script>"] {
            assert!(!text.contains(forbidden), "{path} holds {forbidden}");
        }
    }
    for script in ["/page.js", "/why.js"] {
        assert_eq!(server.get(script).header("content-type"), Some("text/javascript; charset=utf-8"), "{script}");
    }
    assert!(server.get("/page.css").text().contains("prefers-color-scheme: dark"));
    server.stop().unwrap();
}
