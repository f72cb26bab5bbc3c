//! Clients that break off, send too much or nothing, and too many of them at once.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::serve::client::{Running, connect, head, options, receive, send, with_limits};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A request that keeps a server of one of the tiny bundles busy for as long as a test wants.
fn much() -> Vec<u8> {
    let text = "Die Waffenruhe am Fluss hält, sagen beide Seiten. ".repeat(12);
    json!({ "texts": vec![text; 2000] }).to_string().into_bytes()
}

fn large() -> detente::serve::Options {
    with_limits(|limits| limits.body_bytes = 64 << 20)
}

fn assert_well(server: &Running) {
    let answer = server.post("/v1/classify", &json!({"texts": ["Nein."]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_request_whose_client_left_is_not_computed() {
    let server = Running::start("tiny", large());
    let mut stream = server.connect();
    send(&mut stream, "POST", "/v1/classify", &[JSON], &much());
    server.wait_for("detente_queue_requests", |requests| requests == 1.0);
    drop(stream);
    server.wait_for("detente_cancelled_total", |cancelled| cancelled == 1.0);
    assert_eq!(server.metric("detente_queue_requests"), 0.0);
    assert!(server.metric("detente_texts_total") < 2000.0, "everything was computed");
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn a_stream_whose_client_left_is_not_computed() {
    let server = Running::start("tiny", large());
    let mut stream = server.connect();
    let text = "Die Waffenruhe am Fluss hält, sagen beide Seiten.\\n\\n".repeat(4000);
    let line = format!("{{\"text\": \"{text}\"}}\n");
    let headers = "Host: test\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    write!(stream, "POST /v1/classify/stream HTTP/1.1\r\n{headers}{:x}\r\n{line}\r\n", line.len()).unwrap();
    server.wait_for("detente_queue_requests", |requests| requests == 1.0);
    drop(stream);
    server.wait_for("detente_cancelled_total", |cancelled| cancelled == 1.0);
    assert_eq!(server.metric("detente_queue_requests"), 0.0);
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn half_a_body_costs_nobody_else() {
    let server = Running::start("fake", with_limits(|limits| limits.body_timeout = Duration::from_millis(300)));
    let mut left = server.connect();
    left.write_all(format!("{}{{\"te", head("POST", "/v1/classify", &[JSON], 100)).as_bytes()).unwrap();
    drop(left);
    let mut waits = server.connect();
    waits.write_all(format!("{}{{\"te", head("POST", "/v1/classify", &[JSON], 100)).as_bytes()).unwrap();
    assert_well(&server);
    let answer = receive(&mut waits);
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert_eq!(server.metric("detente_refused_total{reason=\"slow\"}"), 1.0);
    server.stop().unwrap();
}

#[test]
fn a_slow_head_and_an_idle_connection_are_ended() {
    let server = Running::start("fake", with_limits(|limits| limits.head_timeout = Duration::from_millis(200)));
    let mut slow = server.connect();
    slow.write_all(b"GET /health/live HT").unwrap();
    let mut idle = server.connect();
    let mut kept = server.connect();
    kept.write_all(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    for stream in [&mut slow, &mut idle, &mut kept] {
        // The end comes from the server; a client that waits longer than its patience fails here.
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
    }
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn what_is_no_text_is_refused() {
    let server = Running::start("fake", options());
    for (body, status) in [
        (&b"{\"texts\": [\"\xff\xfe\"]}"[..], 400),
        (b"\x00\x01\x02", 400),
        (b"", 400),
        (b"{\"texts\": [\"\\ud800\"]}", 400),
        (b"{\"texts\": [\"a\"]", 400),
        (b"\xef\xbb\xbf{}", 400),
    ] {
        let answer = server.post_with("/v1/classify", &[JSON], body);
        assert_eq!(answer.status, status, "{body:?}: {}", answer.text());
    }
    let deep = "[".repeat(100_000);
    for (path, body, status) in [
        ("/v1/classify", deep.clone(), 422),
        ("/v1/classify", format!("{{\"options\": {{\"topics\": {deep}"), 400),
        ("/v1/classify", "{\"texts\": [\"a\"], \"options\": []}".to_owned(), 422),
        ("/predict", format!("{{\"inputs\": {deep}"), 400),
        ("/v2/models/fake/infer", format!("{{\"inputs\": [], \"parameters\": {{\"a\": {deep}"), 400),
    ] {
        let answer = server.post_with(path, &[JSON], body.as_bytes());
        assert_eq!(answer.status, status, "{path} {body:.40}: {}", answer.text());
    }
    assert_eq!(server.post_with("/v1/classify", &[("Content-Type", "text/plain")], b"{}").status, 415);
    assert_eq!(server.post_with("/v1/classify", &[], b"{}").status, 415);
    let line = [b"{\"text\": \"\xff\"}\n".as_slice(), b"{\"text\": \"gut\"}\n"].concat();
    let answer = server.post_with("/v1/classify/stream", &[("Content-Type", "application/x-ndjson")], &line).text();
    let lines: Vec<&str> = answer.lines().collect();
    assert!(
        lines[0].starts_with("{\"error\":\"<stdin>:1: this line is not valid UTF-8") && lines.len() == 2,
        "{answer}"
    );
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn gzip_is_read_and_a_bomb_is_not() {
    let server = Running::start("fake", options());
    let zipped = [JSON, ("Content-Encoding", "gzip")];
    let plain = json!({"texts": ["Die Waffenruhe hält."]});
    let answer = server.post_with("/v1/classify", &zipped, &gzip(plain.to_string().as_bytes()));
    assert_eq!(answer.json()["paragraphs"], server.post("/v1/classify", &plain).json()["paragraphs"]);
    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    let answer = server.post_with("/v1/classify", &zipped, &bomb);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let line = server.post_with("/v1/classify/stream", &[("Content-Type", "application/x-ndjson"), zipped[1]], &bomb);
    assert!(
        line.text().starts_with("{\"error\":\"<stdin>:1: the record has more than 2097152 bytes"),
        "{}",
        line.text()
    );
    assert_eq!(server.post_with("/v1/classify", &zipped, b"no gzip").status, 400);
    let cut = gzip(plain.to_string().as_bytes());
    assert_eq!(server.post_with("/v1/classify", &zipped, &cut[..cut.len() - 6]).status, 400);
    for (encoding, status) in [("identity", 200), ("Identity", 200), ("br", 415), ("gzip, br", 415), ("", 415)] {
        let headers = [JSON, ("Content-Encoding", encoding)];
        let answer = server.post_with("/v1/classify", &headers, plain.to_string().as_bytes());
        assert_eq!(answer.status, status, "{encoding}");
        assert!(status == 200 || answer.json()["error_type"] == "media_type", "{encoding}: {}", answer.text());
    }
    let shouted = [JSON, ("Content-Encoding", "GZIP")];
    assert_eq!(server.post_with("/v1/classify", &shouted, &gzip(plain.to_string().as_bytes())).status, 200);
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn bodies_that_are_being_received_have_room_together() {
    let server = Running::start("fake", with_limits(|limits| limits.body_bytes = 1000));
    let mut half: Vec<_> = (0..16).map(|_| server.connect()).collect();
    for stream in &mut half {
        let body = format!("{{\"texts\": [\"Nein.\"]}}{}", " ".repeat(971));
        assert_eq!(body.len(), 991);
        stream.write_all(format!("{}{body}", head("POST", "/v1/classify", &[JSON], 992)).as_bytes()).unwrap();
    }
    server.wait_for("detente_body_bytes", |bytes| bytes == 16.0 * 991.0);
    let more = json!({"texts": ["n".repeat(200)]});
    for (path, body) in [("/v1/classify", &more), ("/v2/models/fake/infer", &more)] {
        let answer = server.post(path, body);
        assert_eq!((answer.status, &answer.json()["error_type"]), (429, &json!("overloaded")), "{path}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(server.metric("detente_refused_total{reason=\"bodies\"}"), 2.0);
    assert_well(&server);
    // What is there whole is answered, and what breaks off gives its room back.
    half[0].write_all(b"\n").unwrap();
    assert_eq!(receive(&mut half[0]).status, 200);
    drop(half);
    server.wait_for("detente_body_bytes", |bytes| bytes == 0.0);
    assert_eq!(server.post("/v1/classify", &more).status, 200);
    server.stop().unwrap();
}

#[test]
fn long_lines_of_streams_wait_for_each_other() {
    let server = Running::start("fake", options());
    let begin = |line: &str| {
        let mut stream = server.connect();
        let headers = "Host: t\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(stream, "POST /v1/classify/stream HTTP/1.1\r\n{headers}{:x}\r\n{line}\r\n", line.len()).unwrap();
        stream
    };
    let long = format!("{{\"text\": \"Nein.{}\"}}", " ".repeat(40_000));
    let half: Vec<_> = (0..16).map(|_| begin(&long)).collect();
    server.wait_for("detente_long_lines", |lines| lines == 16.0);
    let mut waits = begin(&format!("{long}\n"));
    let stream = [("Content-Type", "application/x-ndjson")];
    for _ in 0..20 {
        assert_eq!(server.post_with("/v1/classify/stream", &stream, b"{\"text\": \"Nein.\"}").json()["text"], "Nein.");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.metric("detente_texts_total"), 20.0);
    drop(half);
    server.wait_for("detente_texts_total", |texts| texts == 21.0);
    waits.write_all(b"0\r\n\r\n").unwrap();
    drop(waits);
    server.wait_for("detente_long_lines", |lines| lines == 0.0);
    server.stop().unwrap();
}

#[test]
fn a_long_line_that_trickles_is_not_waited_for() {
    let server = Running::start("fake", with_limits(|limits| limits.body_timeout = Duration::from_millis(300)));
    let mut stream = server.connect();
    let headers = "Host: t\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = " ".repeat(40_000);
    write!(stream, "POST /v1/classify/stream HTTP/1.1\r\n{headers}{:x}\r\n{line}\r\n", line.len()).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let mut trickle = stream.try_clone().unwrap();
        scope.spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(50)).is_err() {
                let _ = trickle.write_all(b"1\r\n \r\n");
            }
        });
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        while !answer.contains("a long line did not come whole in time") {
            let bytes = stream.read(&mut buffer).unwrap();
            assert!(bytes > 0, "{answer}");
            answer.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
        }
        server.wait_for("detente_long_lines", |lines| lines == 0.0);
        stop.send(()).unwrap();
    });
    server.stop().unwrap();
}

#[test]
fn limits_may_be_as_large_as_numbers_are() {
    let options = with_limits(|limits| {
        (limits.body_bytes, limits.texts, limits.queue_bytes) = (usize::MAX, usize::MAX, usize::MAX);
        (limits.explain_bytes, limits.batch_tokens, limits.connections) = (usize::MAX, usize::MAX, usize::MAX);
        (limits.head_timeout, limits.body_timeout) = (Duration::MAX, Duration::MAX);
        (limits.request_timeout, limits.write_timeout) = (Duration::MAX, Duration::MAX);
        limits.stop_timeout = Duration::MAX;
    });
    let server = Running::start("fake", options);
    let body = json!({"document": {"text": "Ein Absatz.\n\nNoch einer."}, "options": {"explain": true}});
    let answer = server.post("/v1/classify", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let stream = [("Content-Type", "application/x-ndjson")];
    let line = server.post_with("/v1/classify/stream?explain=true", &stream, b"{\"text\": \"Nein.\"}\n");
    assert_eq!(line.json()["text"], "Nein.");
    server.stop().unwrap();
}

#[test]
fn a_hundred_megabytes_are_refused_and_the_client_hears_it() {
    let server = Running::start("fake", options());
    // Said beforehand: refused without reading.
    let mut stream = server.connect();
    stream.write_all(head("POST", "/v1/classify", &[JSON], 100 << 20).as_bytes()).unwrap();
    assert_eq!(receive(&mut stream).status, 413);
    // Not said: refused at the limit. What the client goes on sending is read for a while, so that it can hear the answer.
    let mut stream = server.connect();
    stream.write_all(b"POST /v1/classify HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let piece = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    let sent = (0..100).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent >= 2);
    assert_eq!(receive(&mut stream).status, 413);
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn a_full_queue_answers_at_once_and_says_when_to_come_back() {
    let mut options = large();
    options.limits.queue_bytes = 1000;
    let server = Running::start("tiny", options);
    let mut busy = server.connect();
    send(&mut busy, "POST", "/v1/classify", &[JSON], &much());
    server.wait_for("detente_queue_requests", |requests| requests == 1.0);
    for (path, body) in [
        ("/v1/classify", json!({"texts": ["Nein."]})),
        ("/predict", json!({"inputs": "Nein."})),
        (
            "/v2/models/tiny/infer",
            json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Nein."]}]}),
        ),
    ] {
        let answer = server.post(path, &body);
        assert_eq!((answer.status, &answer.json()["error_type"]), (429, &json!("overloaded")), "{path}");
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    assert_eq!(server.metric("detente_refused_total{reason=\"full\"}"), 3.0);
    // A stream has room of its own, and waits where there is none.
    let line =
        server.post_with("/v1/classify/stream", &[("Content-Type", "application/x-ndjson")], b"{\"text\": \"Nein.\"}");
    assert_eq!(line.json()["text"], "Nein.");
    drop(busy);
    server.wait_for("detente_queue_requests", |requests| requests == 0.0);
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn labels_that_are_not_ready_in_time_are_not_waited_for() {
    let mut options = large();
    options.limits.request_timeout = Duration::from_millis(200);
    let server = Running::start("tiny", options);
    // Whose languages are not told apart, so that its texts are in the queue at once.
    let texts: serde_json::Value = serde_json::from_slice(&much()).unwrap();
    let texts: Vec<_> = texts["texts"].as_array().unwrap().iter().map(|text| [text]).collect();
    let answer = server.post("/predict", &json!({ "inputs": texts }));
    assert_eq!((answer.status, &answer.json()["error_type"]), (503, &json!("unhealthy")));
    assert!(answer.header("retry-after").is_some());
    assert_eq!((server.metric("detente_queue_requests"), server.metric("detente_cancelled_total")), (0.0, 1.0));
    server.stop().unwrap();
}

/// Open files that this process may have.
fn file_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}

#[test]
fn many_idle_connections_keep_nobody_out() {
    // Both ends of a connection are in this process, beside what other tests have open.
    let count = (file_limit().saturating_sub(400) / 2).min(2000);
    assert!(count >= 100, "too few files may be open for this test");
    let server = Running::start("fake", options());
    let idle: Vec<_> = (0..count).map(|_| server.connect()).collect();
    server.wait_for("detente_connections", |connections| connections > count as f64);
    for _ in 0..10 {
        assert_well(&server);
    }
    drop(idle);
    server.wait_for("detente_connections", |connections| connections == 1.0);
    server.stop().unwrap();
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let mut options = with_limits(|limits| limits.connections = 2);
    options.limits.head_timeout = Duration::from_millis(500);
    let server = Running::start("fake", options);
    let _idle = [server.connect(), server.connect()];
    // Served when the idle ones are ended.
    assert_well(&server);
    server.stop().unwrap();
}

#[test]
fn a_client_that_does_not_take_its_answer_is_ended() {
    let mut options = large();
    options.limits.write_timeout = Duration::from_millis(300);
    let server = Running::start("fake", options);
    let text = "a".repeat(500);
    let body = json!({ "texts": vec![text; 4000] }).to_string();
    let mut deaf: Vec<_> = (0..2).map(|_| connect(server.address)).collect();
    for stream in &mut deaf {
        // More than the buffers of a connection hold, several times, and never read.
        let request =
            format!("{}{body}", head("POST", "/v1/classify", &[JSON], body.len()).replace("Connection: close\r\n", ""));
        for _ in 0..8 {
            if stream.write_all(request.as_bytes()).is_err() {
                break;
            }
        }
    }
    server.wait_for("detente_connections", |connections| connections == 1.0);
    assert_well(&server);
    server.stop().unwrap();
}
