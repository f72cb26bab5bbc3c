//! `detente serve`: flags to a running server, signals to its handle.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum, ValueHint};
use detente::serve::{Handle, Keys, Limits, Options, Server, TlsFiles};
use tokio::runtime::Runtime;
use tracing_subscriber::fmt::time::SystemTime;

use crate::cli::args::{Engine, parse_bytes};
use crate::cli::classify::classifier_builder;
use crate::cli::exit::Exit;
use crate::cli::signals::{Signals, Wish};

/// Threads that move requests and answers; the arithmetic has its own.
const IO_THREADS: usize = 2;
/// Threads that cut long documents into paragraphs and open bundles.
const BLOCKING_THREADS: usize = 8;
/// Holds keys, one a line.
const KEYS: &str = "DETENTE_API_KEYS";
/// Holds keys of those who may change the bundle, one a line.
const ADMIN_KEYS: &str = "DETENTE_ADMIN_KEYS";

pub(crate) const EXAMPLES: &str = "\
Examples:
  detente serve                                   http://127.0.0.1:8080, for this machine alone
  detente serve --listen 0.0.0.0:8443 --keys keys.txt --tls-certificate chain.pem --tls-key key.pem
  curl -s localhost:8080/v1/classify --json '{\"texts\": [\"The truce holds.\"]}'
  curl -s localhost:8080/v1/classify/stream -T posts.jsonl -X POST -H content-type:application/jsonl

Signals:
  SIGTERM and SIGINT stop it when everything accepted is answered; a second one stops it at once.
  SIGHUP opens the bundle and the certificate anew, without losing a request.

Keys stand in files or in the environment (DETENTE_API_KEYS, DETENTE_ADMIN_KEYS), one a line.
docs/serving.md says more.";

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What to label with.
    #[command(flatten)]
    engine: Engine,
    /// Who may ask.
    #[command(flatten)]
    access: Access,
    /// How much.
    #[command(flatten)]
    limits: LimitFlags,
    /// Form of the log, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, help_heading = "Log")]
    log_format: LogFormat,
    /// Write the texts of requests into the log, too.
    #[arg(long, help_heading = "Log")]
    log_texts: bool,
}

/// Flags about access.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
struct Access {
    /// File of keys, one a line, of which clients must show one. More may stand in DETENTE_API_KEYS.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    keys: Option<PathBuf>,
    /// File of keys that may change the bundle (POST /admin/reload). More may stand in DETENTE_ADMIN_KEYS.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    admin_keys: Option<PathBuf>,
    /// Serve other machines without any key.
    #[arg(long)]
    allow_anyone: bool,
    /// Certificate chain in PEM; with it the server speaks TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", value_hint = ValueHint::FilePath)]
    tls_key: Option<PathBuf>,
}

/// Flags about limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitFlags {
    /// Largest body of a request, and line of a stream, after decompression; K, M and G may follow.
    #[arg(long, value_name = "BYTES", default_value = "2M", value_parser = parse_bytes)]
    max_body: u64,
    /// Most texts, or paragraphs of a document, in a request.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    max_texts: u32,
    /// Bytes of text that may wait; beyond them the answer is 429.
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = parse_bytes)]
    queue: u64,
    /// Bytes of text that the readings of an explained request may have together; K, M and G may follow.
    #[arg(long, value_name = "BYTES", default_value = "2M", value_parser = parse_bytes)]
    max_explain: u64,
    /// Tokens that one thread computes at a time.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    batch_tokens: u32,
    /// Most open connections; further ones wait.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Longest wait for the head of a request, also between two requests of a connection, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = parse_seconds)]
    head_timeout: Duration,
    /// Longest wait for the body of a request, or for more of a stream, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    body_timeout: Duration,
    /// Longest time that labels may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    request_timeout: Duration,
    /// Longest wait for a client that does not take its answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    write_timeout: Duration,
    /// Longest time that a stop waits for what was accepted, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = parse_seconds)]
    stop_timeout: Duration,
}

/// Forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs the verb.
///
/// # Errors
/// If the server cannot start, or could not answer everything before its stop.
pub(crate) fn serve(args: &Serve) -> anyhow::Result<Exit> {
    start_log(args.log_format)?;
    let options = Options {
        address: args.listen,
        limits: limits(&args.limits),
        keys: keys(args.access.keys.as_deref(), KEYS)?,
        admin_keys: keys(args.access.admin_keys.as_deref(), ADMIN_KEYS)?,
        allows_anyone: args.access.allow_anyone,
        tls: args.access.tls_certificate.clone().zip(args.access.tls_key.clone()).map(tls_files),
        logs_texts: args.log_texts,
    };
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let builder = classifier_builder(&args.engine)?;
    let model = args.engine.model.as_ref().map(|model| model.folder().map(Path::to_owned)).transpose()?;
    let open = move || match &model {
        Some(folder) => builder.clone().open(folder),
        None => builder.clone().embedded(),
    };
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let server = Server::bind(options, Box::new(open)).await?;
        // Before anybody hears that it serves: a signal that comes then must find somebody who listens.
        listen_to_signals(server.handle())?;
        let (address, classifier) = (server.address(), server.classifier());
        let info = classifier.info();
        let (bundle, kernel, threads) = (&info.id, info.kernel, classifier.threads());
        tracing::info!(bundle, kernel, threads, "serving {scheme}://{address}");
        drop(classifier);
        server.run().await?;
        tracing::info!("stopped; everything accepted was answered");
        Ok(Exit::Done)
    });
    // What was answered or cut off is waited for no more: a page that is still read, a bundle that is still opened.
    runtime.shutdown_background();
    done
}

fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(IO_THREADS).max_blocking_threads(BLOCKING_THREADS).enable_all();
    builder.build().context("cannot start the threads for requests")
}

fn start_log(format: LogFormat) -> anyhow::Result<()> {
    let colors = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_timer(SystemTime);
    let log = log.with_target(false).with_ansi(colors);
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("cannot start the log: {error}"))
}

/// Stops at the first signal to stop, breaks off at the second; opens the bundle anew at one to reload.
fn listen_to_signals(handle: Handle) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        let mut is_stopping = false;
        loop {
            match signals.next().await {
                Wish::Reload => {
                    let handle = handle.clone();
                    // By itself, so that a stop is heard while a bundle is opened.
                    tokio::spawn(async move {
                        if let Err(error) = handle.reload().await {
                            tracing::error!(%error, "nothing was changed");
                        }
                    });
                }
                Wish::Stop if is_stopping => std::process::exit(i32::from(Exit::Interrupted.code())),
                Wish::Stop => {
                    is_stopping = true;
                    tracing::info!("stopping when everything accepted is answered; once more stops at once");
                    handle.stop();
                }
            }
        }
    });
    Ok(())
}

/// The keys of a file and of a variable.
fn keys(file: Option<&Path>, variable: &str) -> anyhow::Result<Keys> {
    let from_file = file.map(Keys::read).transpose()?.unwrap_or_default();
    let value = std::env::var_os(variable).map(OsString::into_string).transpose();
    let value = value.map_err(|_| anyhow!("{variable} is not valid UTF-8"))?.filter(|value| !value.trim().is_empty());
    let from_variable = value.map(|value| Keys::parse(Path::new(variable), &value)).transpose()?;
    Ok(from_file.and(from_variable.unwrap_or_default()))
}

fn tls_files((certificate, key): (PathBuf, PathBuf)) -> TlsFiles {
    TlsFiles { certificate, key }
}

fn limits(flags: &LimitFlags) -> Limits {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.body_bytes = size(flags.max_body);
    limits.texts = flags.max_texts as usize;
    limits.queue_bytes = size(flags.queue);
    limits.explain_bytes = size(flags.max_explain);
    limits.batch_tokens = flags.batch_tokens as usize;
    limits.connections = flags.max_connections as usize;
    limits.head_timeout = flags.head_timeout;
    limits.body_timeout = flags.body_timeout;
    limits.request_timeout = flags.request_timeout;
    limits.write_timeout = flags.write_timeout;
    limits.stop_timeout = flags.stop_timeout;
    limits
}

/// A number of seconds above 0, at most a year.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=31_536_000.0).contains(seconds));
    let seconds = seconds.ok_or("a number of seconds above 0 was expected, for example 30")?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read() {
        for (text, milliseconds) in
            [("30", Some(30_000)), ("0.5", Some(500)), ("0", None), ("-1", None), ("nan", None), ("1e99", None)]
        {
            assert_eq!(parse_seconds(text).ok().map(|one| one.as_millis()), milliseconds, "{text}");
        }
    }
}
