//! A server in a thread, and a client that can misbehave: plain sockets, so that every byte is the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use detente::Classifier;
use detente::serve::{Handle, Limits, Opener, Options, Server};
use serde_json::Value;

/// How long anything may take that a test waits for: far more than it takes, since machines are busy at times.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// On a free port of loopback, and patient: what a test is not about must not fail on a busy machine.
pub(crate) fn options() -> Options {
    let mut options = Options { address: SocketAddr::from(([127, 0, 0, 1], 0)), ..Options::default() };
    let limits = &mut options.limits;
    for timeout in [
        &mut limits.head_timeout,
        &mut limits.body_timeout,
        &mut limits.request_timeout,
        &mut limits.write_timeout,
        &mut limits.stop_timeout,
    ] {
        *timeout = PATIENCE;
    }
    options
}

pub(crate) fn with_limits(change: impl FnOnce(&mut Limits)) -> Options {
    let mut options = options();
    change(&mut options.limits);
    options
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<detente::Result<()>>>,
}

impl Running {
    /// Of one bundle of the fixtures.
    pub(crate) fn start(bundle: &str, options: Options) -> Self {
        let folder = fixture(bundle);
        Self::open(options, Box::new(move || Classifier::builder().threads(2).open(&folder)))
    }

    pub(crate) fn open(options: Options, open: Opener) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(options, open).await?;
                sender.send((server.address(), server.handle())).unwrap();
                server.run().await
            })
        });
        let (address, handle) = receiver.recv_timeout(PATIENCE).expect("the server starts");
        Self { address, handle, thread: Some(thread) }
    }

    /// Stops it, and says how that went.
    pub(crate) fn stop(mut self) -> detente::Result<()> {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    pub(crate) fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        request(self.address, "POST", path, headers, body)
    }

    /// A number of `/metrics`, 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    /// Waits until a number of `/metrics` is so.
    pub(crate) fn wait_for(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let begun = Instant::now();
        while !is_so(self.metric(name)) {
            assert!(begun.elapsed() < PATIENCE, "{name} stays {}", self.metric(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

/// What `detente classify` writes.
pub(crate) struct Written {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `detente classify` with a bundle of the fixtures, to JSON Lines.
pub(crate) fn command_line(bundle: &str, arguments: &[&str], input: &[u8]) -> Written {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
    command.args(["classify", "--format", "jsonl"]).args(arguments).env("DETENTE_MODEL", fixture(bundle));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Written { stdout: String::from_utf8(output.stdout).unwrap(), stderr: String::from_utf8(output.stderr).unwrap() }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self
            .head
            .lines()
            .find(|line| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name)));
        line.and_then(|line| Some(line.split_once(':')?.1.trim()))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request on a connection of its own.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = connect(address);
    send(&mut stream, method, path, headers, body);
    receive(&mut stream)
}

pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n")
}

pub(crate) fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    stream.write_all(head(method, path, headers, body.len()).as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

/// The answer, to the end of the connection.
pub(crate) fn receive(stream: &mut (impl Read + ?Sized)) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer in time");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = bytes.split_off(end + 4);
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Answer { status, head, body: if is_chunked { unchunked(&body) } else { body } }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("the length of a chunk");
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
    }
}
