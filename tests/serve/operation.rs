//! Keys, TLS, the log, stops and changes of bundle.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use detente::Classifier;
use detente::serve::{Keys, Server, TlsFiles};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

use crate::serve::client::{PATIENCE, Running, connect, fixture, options, receive, request, send, with_limits};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const KEY: &str = "an-ordinary-key-0001";
const ADMIN: &str = "an-admin-key-0000002";

fn keys(key: &str) -> Keys {
    Keys::parse(Path::new("keys"), key).unwrap()
}

#[test]
fn without_a_key_only_health_and_pages_are_answered() {
    let mut options = options();
    (options.keys, options.admin_keys) = (keys(KEY), keys(ADMIN));
    let server = Running::start("fake", options);
    let body = json!({"texts": ["Nein."]}).to_string();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let headers = [&[JSON], headers].concat();
        request(server.address, method, path, &headers, if method == "POST" { body.as_bytes() } else { b"" }).status
    };
    let bearer = |key: &str| ("Authorization", format!("Bearer {key}"));
    for path in ["/health", "/health/live", "/health/ready", "/v2/health/ready", "/openapi.json", "/", "/docs"] {
        assert_eq!(ask("GET", path, &[]), 200, "{path}");
    }
    let (name, good) = bearer(KEY);
    let (_, wrong) = bearer("an-ordinary-key-0002");
    for (method, path, status) in [
        ("POST", "/v1/classify", 200),
        ("GET", "/v1/model", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v2/models/fake", 200),
    ] {
        assert_eq!(ask(method, path, &[]), 401, "{path}");
        assert_eq!(ask(method, path, &[(name, &wrong)]), 401, "{path}");
        assert_eq!(ask(method, path, &[(name, &good)]), status, "{path}");
        assert_eq!(ask(method, path, &[("X-API-Key", KEY)]), status, "{path}");
        assert_eq!(ask(method, path, &[("X-API-Key", ADMIN)]), status, "{path}");
    }
    assert_eq!(ask("POST", "/admin/reload", &[]), 401);
    assert_eq!(ask("POST", "/admin/reload", &[(name, &good)]), 403);
    assert_eq!(ask("POST", "/admin/reload", &[("X-API-Key", ADMIN)]), 200);
    let answer = server.get("/v1/model");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    server.stop().unwrap();
    let open = Running::start("fake", crate::serve::client::options());
    assert_eq!(request(open.address, "POST", "/admin/reload", &[("X-API-Key", ADMIN)], b"").status, 403);
    open.stop().unwrap();
}

#[test]
fn pages_of_other_origins_get_nothing() {
    let server = Running::start("fake", options());
    let body = json!({"texts": ["Nein."]}).to_string();
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let headers = [JSON, ("Sec-Fetch-Site", site), ("Origin", "http://elsewhere.example")];
        let answer = request(server.address, "POST", "/v1/classify", &headers, body.as_bytes());
        assert_eq!(answer.status, status, "{site}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    // Browsers that do not say it: old ones, and all where the address is neither loopback nor https.
    for (origin, status) in [
        ("http://test", 200),
        ("https://TEST", 200),
        ("http://test:80", 200),
        ("http://test:443", 403),
        ("http://test:8080", 403),
        ("http://test.elsewhere.example", 403),
        ("http://elsewhere.example/test", 403),
        ("http://", 403),
        ("app://test", 403),
        ("test", 403),
        ("null", 403),
    ] {
        let answer = request(server.address, "POST", "/v1/classify", &[JSON, ("Origin", origin)], body.as_bytes());
        assert_eq!(answer.status, status, "{origin}");
    }
    let mut named = connect(server.address);
    let head = crate::serve::client::head("POST", "/v1/classify", &[JSON, ("Origin", "http://test:8080")], body.len());
    let head = head.replace("Host: test", "Host: Test:8080");
    std::io::Write::write_all(&mut named, format!("{head}{body}").as_bytes()).unwrap();
    assert_eq!(receive(&mut named).status, 200);
    assert_eq!(server.get("/").header("referrer-policy"), Some("same-origin"));
    let headers = [("Origin", "http://elsewhere.example"), ("Access-Control-Request-Method", "POST")];
    let preflight = request(server.address, "OPTIONS", "/v1/classify", &headers, b"");
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (405, None));
    server.stop().unwrap();
}

#[test]
fn other_machines_are_not_served_without_keys() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut open = options();
    open.address = SocketAddr::from(([0, 0, 0, 0], 0));
    let bind = |options| runtime.block_on(Server::bind(options, Box::new(|| Classifier::open(fixture("fake")))));
    let error = bind(open.clone()).err().expect("refused").to_string();
    assert!(error.starts_with("cannot listen on 0.0.0.0:0: other machines reach this address"), "{error}");
    open.allows_anyone = true;
    assert!(bind(open.clone()).is_ok());
    (open.allows_anyone, open.keys) = (false, keys(KEY));
    assert!(bind(open).is_ok());
}

#[test]
fn tls_is_spoken_when_there_is_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificate: folder.path().join("chain.pem"), key: folder.path().join("key.pem") };
    let write = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let certificate = write();
    let mut options = options();
    options.tls = Some(files.clone());
    options.admin_keys = keys(ADMIN);
    let count = AtomicUsize::new(0);
    let open =
        move || Classifier::open(fixture(if count.fetch_add(1, Ordering::SeqCst) < 2 { "fake" } else { "none" }));
    let server = Running::open(options, Box::new(open));
    let send = |root: CertificateDer<'static>, method: &str, path: &str| -> Result<u16, String> {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
        let mut stream = StreamOwned::new(client, connect(server.address));
        let head = crate::serve::client::head(method, path, &[("X-API-Key", ADMIN)], 0);
        std::io::Write::write_all(&mut stream, head.as_bytes()).map_err(|error| error.to_string())?;
        Ok(receive(&mut stream).status)
    };
    let ask = |root: CertificateDer<'static>| send(root, "GET", "/health/live");
    let reload = || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(server.handle.reload());
    assert_eq!(ask(certificate.clone()), Ok(200));
    // Plain HTTP gets no answer, and harms nobody.
    let mut plain = connect(server.address);
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"));
    // A new certificate is taken with the next change.
    let renewed = write();
    assert_eq!(send(certificate.clone(), "POST", "/admin/reload"), Ok(200));
    assert_eq!(ask(renewed.clone()), Ok(200));
    assert!(ask(certificate).is_err());
    // A bundle that cannot be opened leaves the certificate as it was, and so does a key that cannot be read.
    let newest = write();
    reload().unwrap_err();
    std::fs::write(&files.key, "no key").unwrap();
    reload().unwrap_err();
    assert_eq!(ask(renewed), Ok(200));
    assert!(ask(newest).is_err());
    server.stop().unwrap();

    let mut options = crate::serve::client::options();
    options.tls = Some(files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bound = runtime.block_on(Server::bind(options, Box::new(|| Classifier::open(fixture("fake")))));
    let error = bound.err().expect("refused").to_string();
    assert!(error.starts_with("cannot read the key "), "{error}");
}

#[test]
fn a_stop_answers_everything_that_was_accepted() {
    let server = Running::start("tiny", options());
    let body = json!({ "texts": vec!["Die Waffenruhe am Fluss hält, sagen beide Seiten."; 15] }).to_string();
    let mut streams: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
    for stream in &mut streams {
        send(stream, "POST", "/v1/classify", &[JSON], body.as_bytes());
    }
    server.wait_for("detente_queue_requests", |requests| requests > 0.0);
    let idle = server.connect();
    let address = server.address;
    let stopped = std::thread::spawn(move || server.stop());
    for stream in &mut streams {
        let answer = receive(stream);
        assert_eq!((answer.status, answer.json()["paragraphs"].as_array().unwrap().len()), (200, 15));
    }
    drop(idle);
    stopped.join().unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
fn a_stop_ends_streams_with_a_word() {
    let server = Running::start("fake", options());
    let mut stream = server.connect();
    let head = "POST /v1/classify/stream HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = "{\"text\": \"Nein.\"}\n";
    std::io::Write::write_all(&mut stream, format!("{head}{:x}\r\n{line}\r\n", line.len()).as_bytes()).unwrap();
    server.wait_for("detente_texts_total", |texts| texts == 1.0);
    let stopped = std::thread::spawn(move || server.stop());
    let answer = receive(&mut stream).text();
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("\"text\":\"Nein.\""), "{answer}");
    assert!(lines[1].contains("<stdin>:2: the server is shutting down"), "{answer}");
    stopped.join().unwrap().unwrap();
}

#[test]
fn a_stop_that_takes_too_long_says_so() {
    let server = Running::start("fake", with_limits(|limits| limits.stop_timeout = Duration::from_millis(50)));
    let mut stream = server.connect();
    std::io::Write::write_all(&mut stream, crate::serve::client::head("POST", "/v1/classify", &[JSON], 10).as_bytes())
        .unwrap();
    server.wait_for("detente_connections", |connections| connections == 2.0);
    let error = server.stop().unwrap_err().to_string();
    assert_eq!(error, "cannot answer everything before the stop: 1 connections were cut off");
}

/// Labels of one text, as an answer has them, without the bundle.
fn labels(bundle: &str, text: &str) -> (String, Value) {
    let server = Running::start(bundle, options());
    let answer = server.post("/v1/classify", &json!({ "texts": vec![text; 8] })).json();
    server.stop().unwrap();
    (answer["bundle"].as_str().unwrap().to_owned(), answer["paragraphs"].clone())
}

#[test]
fn a_change_of_bundle_loses_no_request_and_mixes_no_answer() {
    let text = "Министр отверг ультиматум и отозвал посла.";
    let known = [labels("tiny", text), labels("fake", text)];
    assert_ne!(known[0].1, known[1].1, "the bundles cannot be told apart");
    let count = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&count);
    let open = move || {
        let bundle = if opened.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { "tiny" } else { "fake" };
        Classifier::builder().threads(2).open(fixture(bundle))
    };
    let server = Running::open(options(), Box::new(open));
    let (address, is_over) = (server.address, Arc::new(AtomicBool::new(false)));
    let body = json!({ "texts": vec![text; 8] }).to_string();
    let ask = |is_over: Arc<AtomicBool>, body: String| {
        move || {
            let mut answers = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                answers.push(request(address, "POST", "/v1/classify", &[JSON], body.as_bytes()));
            }
            answers
        }
    };
    let clients: Vec<_> = (0..4).map(|_| std::thread::spawn(ask(Arc::clone(&is_over), body.clone()))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for change in 0..10 {
        let (before, now) = runtime.block_on(server.handle.reload()).unwrap();
        let (old, new) = (&known[change % 2].0, &known[(change + 1) % 2].0);
        assert_eq!((&before, &now), (old, new));
        // Some requests fall into each.
        let texts = server.metric("detente_texts_total");
        server.wait_for("detente_texts_total", |found| found > texts);
    }
    is_over.store(true, Ordering::SeqCst);
    let mut seen = [0; 2];
    for answer in clients.into_iter().flat_map(|client| client.join().unwrap()) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let bundle = known.iter().position(|(id, _)| answer["bundle"] == id.as_str()).expect("a bundle of the two");
        assert_eq!(answer["paragraphs"], known[bundle].1);
        seen[bundle] += 1;
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
    assert_eq!(server.metric("detente_reloads_total{reason=\"changed\"}"), 10.0);
    server.stop().unwrap();
}

#[test]
fn a_bundle_that_cannot_be_opened_changes_nothing() {
    let count = AtomicUsize::new(0);
    let open =
        move || Classifier::open(fixture(if count.fetch_add(1, Ordering::SeqCst) == 0 { "fake" } else { "none" }));
    let mut options = options();
    options.admin_keys = keys(ADMIN);
    let server = Running::open(options, Box::new(open));
    let answer = server.post_with("/admin/reload", &[("X-API-Key", ADMIN)], b"");
    assert_eq!(answer.status, 409);
    assert!(
        answer.json()["error"].as_str().unwrap().starts_with("the bundle in use stays: bundle "),
        "{}",
        answer.text()
    );
    assert!(server.get("/v1/model").json()["id"].as_str().unwrap().starts_with("fake@"));
    server.stop().unwrap();
}

/// The program itself, on a free port.
struct Program {
    child: Child,
    address: SocketAddr,
    log: std::thread::JoinHandle<String>,
}

impl Program {
    fn start(bundle: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--threads",
                "2",
                "--log-format",
                "json",
                "--request-timeout",
                "300",
                "--stop-timeout",
                "300",
            ])
            .args(args);
        command.env("DETENTE_MODEL", bundle).env_remove("DETENTE_API_KEYS").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let event: Value = serde_json::from_str(&first).unwrap_or_else(|_| panic!("{first}"));
        let address = event["message"].as_str().unwrap().strip_prefix("serving http://").unwrap().parse().unwrap();
        let log = std::thread::spawn(move || {
            let mut rest = first;
            lines.read_to_string(&mut rest).unwrap();
            rest
        });
        Self { child, address, log }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Exit code and log, after a stop.
    fn end(mut self) -> (Option<i32>, String) {
        (self.child.wait().unwrap().code(), self.log.join().unwrap())
    }
}

#[test]
#[cfg(unix)]
fn sigterm_under_load_answers_and_ends_with_0() {
    let program = Program::start(&fixture("tiny"), &[]);
    let body = json!({ "texts": vec!["Die Waffenruhe am Fluss hält."; 20] }).to_string();
    let mut streams: Vec<TcpStream> = (0..20).map(|_| connect(program.address)).collect();
    for stream in &mut streams {
        send(stream, "POST", "/v1/classify", &[JSON], body.as_bytes());
    }
    program.signal("-TERM");
    for stream in &mut streams {
        assert_eq!(receive(stream).json()["paragraphs"].as_array().unwrap().len(), 20);
    }
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.lines().last().unwrap().contains("everything accepted was answered"), "{log}");
}

#[test]
#[cfg(unix)]
fn sighup_moves_to_the_bundle_that_a_link_names() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("bundle");
    std::os::unix::fs::symlink(fixture("tiny"), &link).unwrap();
    let program = Program::start(&link, &[]);
    let bundle = || request(program.address, "GET", "/v1/model", &[], b"").json()["name"].clone();
    assert_eq!(bundle(), "tiny");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(fixture("fake"), &link).unwrap();
    program.signal("-HUP");
    let begun = Instant::now();
    while bundle() != "fake" {
        assert!(begun.elapsed() < PATIENCE, "the bundle stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    program.signal("-TERM");
    assert_eq!(program.end().0, Some(0));
}

#[test]
#[cfg(unix)]
fn a_stop_does_not_wait_for_a_bundle_that_is_being_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (link, slow) = (folder.path().join("bundle"), folder.path().join("slow"));
    std::os::unix::fs::symlink(fixture("fake"), &link).unwrap();
    let mut program = Program::start(&link, &[]);
    std::fs::create_dir(&slow).unwrap();
    let manifest = slow.join("bundle.json");
    assert!(Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&slow, &link).unwrap();
    program.signal("-HUP");
    // Opens when the server reads, which goes on as long as it is open.
    let _manifest = std::fs::OpenOptions::new().write(true).open(&manifest).unwrap();
    program.signal("-TERM");
    let begun = Instant::now();
    while program.child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            program.child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
#[cfg(unix)]
fn the_log_holds_no_text_unless_asked() {
    for (args, is_there) in [(&[][..], false), (&["--log-texts"][..], true)] {
        let program = Program::start(&fixture("fake"), args);
        let body = json!({"texts": ["Geheimwort im Text."]}).to_string();
        for (path, body) in [
            ("/v1/classify", body.as_str()),
            ("/v1/classify?Geheimwort=1", "{\"texts\": [\"Geheimwort"),
            ("/predict", "{\"inputs\": \"Geheimwort\"}"),
            ("/Geheimwort", ""),
        ] {
            request(program.address, "POST", path, &[JSON, ("X-Request-Id", "my-id")], body.as_bytes());
        }
        program.signal("-TERM");
        let (code, log) = program.end();
        assert_eq!((code, log.contains("Geheimwort")), (Some(0), is_there), "{log}");
        let answered: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let answered: Vec<&Value> = answered.iter().filter(|event| event["message"] == "answered").collect();
        assert_eq!(answered.len(), 4, "{log}");
        assert_eq!((&answered[0]["route"], &answered[0]["status"]), (&json!("/v1/classify"), &json!(200)));
        assert_eq!(answered[0]["span"]["id"], "my-id");
    }
}
