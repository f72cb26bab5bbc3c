//! The classifier as a server over HTTP.
//!
//! In: requests of four protocols (`/v1`, JSON Lines, text-embeddings-inference, Open Inference Protocol). Out: labels,
//! bit for bit those of [`Classifier::classify_batch`]. `docs/serving.md` describes every route.
//!
//! ```text
//! connection -> guard -> routes -> input -> queue -> Classifier -> decide -> answer
//!  (limits, tls)  (id, keys)         (paragraphs)  (batches)
//! ```
//!
//! ```no_run
//! use detente::serve::{Options, Server};
//!
//! # #[cfg(feature = "embedded")]
//! # async fn example() -> detente::Result<()> {
//! let server = Server::bind(Options::default(), Box::new(detente::Classifier::embedded)).await?;
//! let handle = server.handle();
//! println!("http://{}", server.address());
//! server.run().await // until handle.stop()
//! # }
//! ```

mod answer;
mod body;
mod connection;
mod decide;
mod engine;
mod explain;
mod guard;
mod input;
mod keys;
mod limits;
mod metrics;
mod openapi;
mod page;
mod queue;
mod routes;
mod tls;
mod types;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::label::Prediction;
use crate::serve::answer::Refused;
use crate::serve::body::Bodies;
use crate::serve::connection::Connections;
use crate::serve::engine::Engine;
use crate::serve::input::PAGES;
use crate::serve::metrics::Metrics;
use crate::serve::queue::Purpose;
use crate::serve::routes::LONG_LINES;
use crate::serve::tls::Tls;

pub use crate::serve::engine::Opener;
pub use crate::serve::keys::Keys;
pub use crate::serve::limits::Limits;
pub use crate::serve::tls::TlsFiles;

/// How to serve. By default: on loopback, without keys, within [`Limits::default`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// How much a client may ask for.
    pub limits: Limits,
    /// Keys that clients must show; empty: none is needed.
    pub keys: Keys,
    /// Keys that may change the bundle as well; empty: nobody may, over HTTP.
    pub admin_keys: Keys,
    /// Whether a server without keys may be reached from other machines.
    pub allows_anyone: bool,
    /// Certificate and key; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Whether the texts of requests are written into the log.
    pub logs_texts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            limits: Limits::default(),
            keys: Keys::default(),
            admin_keys: Keys::default(),
            allows_anyone: false,
            tls: None,
            logs_texts: false,
        }
    }
}

/// What the routes share.
struct App {
    engine: Arc<Engine>,
    limits: Limits,
    keys: Keys,
    admin_keys: Keys,
    tls: Option<Arc<Tls>>,
    metrics: Arc<Metrics>,
    logs_texts: bool,
    stop: watch::Receiver<bool>,
    bodies: Bodies,
    /// Room for long lines of streams, see [`LONG_LINES`].
    long_lines: Arc<Semaphore>,
    /// Room for long pages that are read, see [`input::PAGES`].
    pages: Arc<Semaphore>,
    /// The OpenAPI document, as JSON.
    openapi: String,
}

impl App {
    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns when a stop is asked for.
    async fn stopped(&self) {
        // An error means that the server is gone.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// Opens the bundle anew and reads the certificate again; if either fails, both stay. Gives the ids of the bundles
    /// before and after.
    async fn reload(&self) -> Result<(String, String)> {
        let config = self.tls.as_ref().map(|tls| tls.read_again()).transpose().inspect_err(|error| {
            self.metrics.reload("failed");
            tracing::error!(%error, "the bundle and the certificate in use stay");
        })?;
        let ids = self.engine.reload().await?;
        if let Some((tls, config)) = self.tls.as_ref().zip(config) {
            tls.renew(config);
        }
        Ok(ids)
    }

    /// Labels texts with the bundle in use.
    async fn label(&self, texts: Vec<String>) -> Result<Vec<Prediction>, Refused> {
        self.label_with(&self.engine.classifier(), texts).await
    }

    /// Labels texts, none of which may be blank.
    async fn label_with(&self, classifier: &Arc<Classifier>, texts: Vec<String>) -> Result<Vec<Prediction>, Refused> {
        let room = self.engine.admit(texts.iter().map(String::len).sum())?;
        self.log_texts(texts.iter().map(String::as_str));
        let deadline = self.engine.deadline();
        self.engine.wait(self.engine.submit(Arc::clone(classifier), texts, Purpose::Labels, room), deadline).await
    }

    fn log_texts<'a>(&self, texts: impl Iterator<Item = &'a str>) {
        if self.logs_texts {
            texts.for_each(|text| tracing::info!(text, "a text to label"));
        }
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    stop: Arc<watch::Sender<bool>>,
}

/// Steers a server from outside.
#[derive(Clone)]
pub struct Handle {
    app: Arc<App>,
    stop: Arc<watch::Sender<bool>>,
}

impl Server {
    /// Opens the bundle and listens. Connections wait until [`Self::run`].
    ///
    /// # Errors
    /// What `open` says; [`Error::Serve`] if the address cannot be listened on, if certificate and key cannot be used, or if
    /// a server without keys would be open to other machines.
    pub async fn bind(options: Options, open: Opener) -> Result<Self> {
        let Options { address, limits, keys, admin_keys, allows_anyone, tls, logs_texts } = options;
        let limits = limits.bounded();
        let fault = |source| Error::Serve { doing: format!("listen on {address}"), source };
        if !address.ip().is_loopback() && keys.is_empty() && !allows_anyone {
            let why = "other machines reach this address, and there is no key; give --keys, or --allow-anyone";
            return Err(fault(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let tls = tls.map(Tls::read).transpose()?.map(Arc::new);
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let metrics = Metrics::new();
        let engine = Arc::new(Engine::start(open, &limits, Arc::clone(&metrics))?);
        let (stop, stopped) = watch::channel(false);
        let openapi = serde_json::to_string(&openapi::document()).unwrap_or_default();
        let bodies = Bodies::new(&limits, Arc::clone(&metrics));
        let (long_lines, pages) = (Arc::new(Semaphore::new(LONG_LINES)), Arc::new(Semaphore::new(PAGES)));
        let app = App {
            engine,
            limits,
            keys,
            admin_keys,
            tls,
            metrics,
            logs_texts,
            stop: stopped,
            bodies,
            long_lines,
            pages,
            openapi,
        };
        Ok(Self { listener, address, app: Arc::new(app), stop: Arc::new(stop) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bundle that answers.
    pub fn classifier(&self) -> Arc<Classifier> {
        self.app.engine.classifier()
    }

    /// To stop it or to change its bundle.
    pub fn handle(&self) -> Handle {
        Handle { app: Arc::clone(&self.app), stop: Arc::clone(&self.stop) }
    }

    /// Answers until [`Handle::stop`]; then takes no more requests, answers those that it took, and returns.
    ///
    /// # Errors
    /// [`Error::Serve`] if some were not answered within [`Limits::stop_timeout`].
    pub async fn run(self) -> Result<()> {
        let Self { listener, app, stop, .. } = self;
        let connections = Connections {
            router: routes::router(Arc::clone(&app)),
            tls: app.tls.clone(),
            limits: app.limits.clone(),
            metrics: Arc::clone(&app.metrics),
            stop: stop.subscribe(),
        };
        let cut = connections.take(listener).await;
        let engine = Arc::clone(&app.engine);
        // It waits for threads. What it could say is said by those.
        let _ = tokio::task::spawn_blocking(move || engine.close()).await;
        if cut == 0 {
            return Ok(());
        }
        let source = io::Error::new(io::ErrorKind::TimedOut, format!("{cut} connections were cut off"));
        Err(Error::Serve { doing: "answer everything before the stop".into(), source })
    }
}

impl Handle {
    /// Asks for a stop; [`Server::run`] returns when everything is answered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Opens the bundle anew, and reads the certificate again. Requests that began before are answered from the old bundle.
    /// Gives the ids of the bundles before and after.
    ///
    /// # Errors
    /// What opening or reading says; bundle and certificate in use then stay.
    pub async fn reload(&self) -> Result<(String, String)> {
        self.app.reload().await
    }
}
