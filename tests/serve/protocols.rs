//! The protocols of other servers, the OpenAPI document and the counts.

use detente::Classifier;
use serde_json::{Value, json};

use crate::serve::client::{Running, fixture, options};

const TEXTS: [&str; 3] = ["Die Waffenruhe hält.", "Министр отозвал посла.", "Foto: Imago"];

#[test]
fn predict_gives_labels_with_scores_highest_first() {
    let server = Running::start("tiny", options());
    let one = server.post("/predict", &json!({"inputs": TEXTS[0], "truncate": true})).json();
    let scores = one.as_array().unwrap();
    let mut names: Vec<&str> = scores.iter().map(|score| score["label"].as_str().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()), "{one}");
    names.sort_unstable();
    let levels = ["escalation:+1", "escalation:+2", "escalation:-1", "escalation:-2", "escalation:0"];
    let expected: Vec<&str> =
        ["boilerplate", "diplomacy"].into_iter().chain(levels).chain(["military", "sanctions"]).collect();
    assert_eq!(names, expected);
    assert_eq!(server.post("/predict", &json!({"inputs": [TEXTS[0]]})).json(), one);
    let many = server.post("/predict", &json!({"inputs": [[TEXTS[0]], [TEXTS[1]]]})).json();
    assert_eq!((many.as_array().unwrap().len(), &many[0]), (2, &one));
    for (inputs, message) in [
        (json!([TEXTS[0], TEXTS[1]]), "pairs of texts"),
        (json!([[TEXTS[0], TEXTS[1]]]), "pairs of texts"),
        (json!(["a", "b", "c"]), "a list with one text"),
        (json!([]), "a list with one text"),
        (json!(""), "text 0 is blank"),
        (json!(7), "the body is not the JSON"),
    ] {
        let answer = server.post("/predict", &json!({ "inputs": inputs }));
        assert_eq!(answer.status, 422, "{inputs}");
        let refusal = answer.json();
        assert!(refusal["error"].as_str().unwrap().starts_with(message), "{inputs}: {refusal}");
        assert_eq!(refusal["error_type"], "validation");
    }
    assert_eq!(server.post("/predict", &json!({"inputs": "a", "raw_scores": true})).status, 422);
    server.stop().unwrap();
}

/// The tensors of an answer with binary data, by name.
fn tensors(answer: &crate::serve::client::Answer) -> Vec<(String, Vec<u8>)> {
    let length: usize = answer.header("inference-header-content-length").unwrap().parse().unwrap();
    let head: Value = serde_json::from_slice(&answer.body[..length]).unwrap();
    let mut rest = &answer.body[length..];
    let mut found = Vec::new();
    for output in head["outputs"].as_array().unwrap() {
        assert!(output.get("data").is_none(), "{output}");
        let (bytes, behind) = rest.split_at(output["parameters"]["binary_data_size"].as_u64().unwrap() as usize);
        found.push((output["name"].as_str().unwrap().to_owned(), bytes.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty());
    found
}

#[test]
fn inference_gives_the_same_tensors_as_json_and_as_bytes() {
    let server = Running::start("tiny", options());
    let classifier = Classifier::open(fixture("tiny")).unwrap();
    let predictions = classifier.classify_batch(&TEXTS).unwrap();
    let path = "/v2/models/tiny/infer";
    let input = json!({"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS});
    let answer = server.post(path, &json!({"id": "42", "inputs": [input]})).json();
    assert_eq!(
        (&answer["id"], &answer["model_name"], &answer["model_version"]),
        (&json!("42"), &json!("tiny"), &json!("0.1.0"))
    );
    let output = |name: &str| answer["outputs"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    let floats = |name: &str| -> Vec<u32> {
        let data = output(name)["data"].as_array().unwrap();
        data.iter().map(|value| (value.as_f64().unwrap() as f32).to_bits()).collect()
    };
    let topics: Vec<u32> =
        predictions.iter().flat_map(|one| one.topics().map(|topic| topic.probability.to_bits())).collect();
    let levels: Vec<u32> =
        predictions.iter().flat_map(|one| one.escalation_probabilities().iter().map(|one| one.to_bits())).collect();
    assert_eq!(floats("topic_probabilities"), topics);
    assert_eq!(floats("escalation_probabilities"), levels);
    assert_eq!(output("escalation_probabilities")["shape"], json!([3, 5]));
    let codes: Vec<i32> = predictions.iter().map(|one| one.escalation().unwrap().code).collect();
    assert_eq!(output("escalation")["data"], json!(codes));
    assert_eq!(output("escalation")["shape"], json!([3]));

    let packed: Vec<u8> =
        TEXTS.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()).collect();
    let head = json!({
        "inputs": [{"name": "text", "shape": [3, 1], "datatype": "BYTES", "parameters": {"binary_data_size": packed.len()}}],
        "outputs": [
            {"name": "escalation", "parameters": {"binary_data": true}},
            {"name": "topic_probabilities", "parameters": {"binary_data": true}},
            {"name": "topic_applies", "parameters": {"binary_data": true}},
            {"name": "topics", "parameters": {"binary_data": true}},
        ],
    })
    .to_string();
    let length = head.len().to_string();
    let body = [head.as_bytes(), &packed].concat();
    let answer = server.post_with(path, &[("Inference-Header-Content-Length", &length)], &body);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/octet-stream")), "{answer:?}");
    let tensors = tensors(&answer);
    assert_eq!(tensors[0].1, codes.iter().flat_map(|code| code.to_le_bytes()).collect::<Vec<u8>>());
    assert_eq!(tensors[1].1, topics.iter().flat_map(|bits| bits.to_le_bytes()).collect::<Vec<u8>>());
    let applies: Vec<u8> =
        predictions.iter().flat_map(|one| one.topics().map(|topic| u8::from(topic.applies))).collect();
    assert_eq!(tensors[2].1, applies);
    assert_eq!(tensors[3].0, "topics");
    server.stop().unwrap();
}

#[test]
fn inference_refuses_what_does_not_fit() {
    let server = Running::start("fake", options());
    let good = json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]});
    assert_eq!(server.post("/v2/models/fake/infer", &good).status, 200);
    assert_eq!(server.post("/v2/models/fake/versions/1/infer", &good).status, 200);
    assert_eq!(server.post("/v2/models/fake/versions/2/infer", &good).status, 404);
    assert_eq!(server.post("/v2/models/other/infer", &good).status, 404);
    let mut bad = good.clone();
    bad["outputs"] = json!([{"name": "nothing"}]);
    let answer = server.post("/v2/models/fake/infer", &bad);
    assert_eq!(answer.status, 422);
    assert!(
        answer.json()["error"].as_str().unwrap().starts_with("there is no output \"nothing\"; there are [\"topics\"")
    );
    bad["outputs"] = json!([{"name": "topics"}, {"name": "escalation"}, {"name": "topics"}]);
    let answer = server.post("/v2/models/fake/infer", &bad);
    assert_eq!((answer.status, &answer.json()["error"]), (422, &json!("the output \"topics\" is asked for twice")));
    for length in ["9999", "-1", "x"] {
        let headers = [("Inference-Header-Content-Length", length)];
        let answer = server.post_with("/v2/models/fake/infer", &headers, good.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{length}");
    }
    let metadata = server.get("/v2/models/fake").json();
    assert_eq!(metadata["inputs"], json!([{"name": "text", "datatype": "BYTES", "shape": [-1]}]));
    assert_eq!(metadata["outputs"][1], json!({"name": "topic_probabilities", "datatype": "FP32", "shape": [-1, 3]}));
    assert_eq!(server.get("/v2").json()["extensions"], json!(["binary_tensor_data"]));
    assert_eq!(server.get("/v2/models/fake/ready").json()["ready"], true);
    assert_eq!(server.get("/v2/health/ready").json()["ready"], true);
    server.stop().unwrap();
}

#[test]
fn the_document_of_the_interface_is_served() {
    let server = Running::start("fake", options());
    let document = server.get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let refused = &document["paths"]["/v1/classify"]["post"]["responses"]["429"];
    assert_eq!(refused["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Refusal");
    server.stop().unwrap();
}

#[test]
fn what_is_answered_is_counted() {
    let server = Running::start("fake", options());
    server.post("/v1/classify", &json!({ "texts": TEXTS }));
    server.post("/v1/classify", &json!({ "texts": [" "] }));
    server.get("/not/a/route");
    assert_eq!(server.metric("detente_texts_total"), 3.0);
    for (line, expected) in [
        (r#"detente_requests_total{route="/v1/classify",method="POST",status="200"}"#, 1.0),
        (r#"detente_requests_total{route="/v1/classify",method="POST",status="422"}"#, 1.0),
        (r#"detente_requests_total{route="none",method="GET",status="404"}"#, 1.0),
        ("detente_queue_requests", 0.0),
        ("detente_queue_text_bytes", 0.0),
    ] {
        assert_eq!(server.metric(line), expected, "{line}");
    }
    let text = server.get("/metrics").text();
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let classifier = Classifier::open(fixture("fake")).unwrap();
    let predictions = classifier.classify_batch(&TEXTS).unwrap();
    let applying = predictions.iter().flat_map(|one| one.topics()).filter(|topic| topic.applies).count();
    assert_eq!(sum("detente_labels_total{kind=\"topic\""), applying as f64);
    assert_eq!(sum("detente_labels_total{kind=\"level\"") + sum("detente_labels_total{kind=\"boilerplate\""), 3.0);
    assert_eq!(sum("detente_tokens_total"), predictions.iter().map(|one| one.tokens()).sum::<usize>() as f64);
    server.stop().unwrap();
}
