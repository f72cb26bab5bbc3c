//! The bundle in use and the queue in front of it; changing the bundle while requests are answered.
//!
//! A request takes hold of the bundle once, when it begins, and is answered wholly from that one. The old bundle goes when
//! the last request that holds it is done.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::classifier::Classifier;
use crate::error::{Error, Result};
use crate::label::Prediction;
use crate::serve::answer::Refused;
use crate::serve::limits::Limits;
use crate::serve::metrics::Metrics;
use crate::serve::queue::{Purpose, Queue, QueueOptions, Room, Ticket};

/// How the bundle is opened, at the start and at every change.
pub type Opener = Box<dyn Fn() -> Result<Classifier> + Send + Sync>;

/// What labels.
pub(crate) struct Engine {
    current: RwLock<Arc<Classifier>>,
    open: Opener,
    changing: tokio::sync::Mutex<()>,
    queue: Queue,
    metrics: Arc<Metrics>,
    request_timeout: Duration,
}

impl Engine {
    /// Opens the bundle and starts a worker for each of its threads.
    ///
    /// # Errors
    /// What `open` says; [`Error::Serve`] if the system gives no threads.
    pub(crate) fn start(open: Opener, limits: &Limits, metrics: Arc<Metrics>) -> Result<Self> {
        let classifier = open()?;
        classifier.check_labels()?;
        metrics.use_bundle(&classifier.info().id, classifier.info().kernel);
        let options = QueueOptions { bytes: limits.queue_bytes, batch_tokens: limits.batch_tokens };
        let queue = Queue::start(options, classifier.threads(), Arc::clone(&metrics));
        let queue = queue.map_err(|source| Error::Serve { doing: "start the workers".into(), source })?;
        let request_timeout = limits.request_timeout;
        let current = RwLock::new(Arc::new(classifier));
        Ok(Self { current, open, changing: tokio::sync::Mutex::new(()), queue, metrics, request_timeout })
    }

    /// The bundle for a request that begins now.
    pub(crate) fn classifier(&self) -> Arc<Classifier> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the bundle anew; requests that begin from then on are answered from it. Says the ids before and after.
    ///
    /// # Errors
    /// What opening says; the bundle in use stays.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<(String, String)> {
        let _one_at_a_time = self.changing.lock().await;
        let engine = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || (engine.open)());
        let broken = |join| Error::Serve { doing: "open the bundle".into(), source: std::io::Error::other(join) };
        let opened = opened.await.map_err(broken).and_then(|opened| opened);
        let opened = opened.and_then(|classifier| classifier.check_labels().map(|()| classifier));
        self.metrics.reload(if opened.is_ok() { "changed" } else { "failed" });
        let next = Arc::new(opened.inspect_err(|error| tracing::error!(%error, "the bundle in use stays"))?);
        let now = next.info().id.clone();
        self.metrics.use_bundle(&now, next.info().kernel);
        let before = std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), next);
        let before = before.info().id.clone();
        tracing::info!(before, now, "the bundle was opened anew");
        Ok((before, now))
    }

    /// Room in the queue, at once or not at all.
    ///
    /// # Errors
    /// 429, with the seconds after which to try again.
    pub(crate) fn admit(&self, bytes: usize) -> Result<Room, Refused> {
        self.queue.admit(bytes).map_err(|_| Refused::full(self.retry_after_s()))
    }

    /// Seconds after which a client that found too much here may try again.
    pub(crate) fn retry_after_s(&self) -> u32 {
        self.queue.retry_after_s()
    }

    /// Room for a piece of a stream, which waits for it.
    ///
    /// # Errors
    /// 503 when the server stops.
    pub(crate) async fn admit_stream(&self, bytes: usize) -> Result<Room, Refused> {
        Ok(self.queue.admit_stream(bytes).await?)
    }

    /// Puts texts into the queue. No text may be blank.
    pub(crate) fn submit(
        &self,
        classifier: Arc<Classifier>,
        texts: Vec<String>,
        purpose: Purpose,
        room: Room,
    ) -> Ticket {
        self.queue.submit(classifier, texts, purpose, room)
    }

    /// When what is asked for now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        // The timeout is a year at most, see `Limits::bounded`.
        Instant::now() + self.request_timeout
    }

    /// What `work` gives.
    ///
    /// # Errors
    /// 503 when it is not there in time.
    pub(crate) async fn within<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        let late = |_| Refused::late(self.retry_after_s());
        tokio::time::timeout_at(deadline, work).await.map_err(late)?
    }

    /// Waits for predictions, one for each text, in their order.
    ///
    /// # Errors
    /// 503 when they are not there in time, 500 when the classifier broke.
    pub(crate) async fn wait(&self, ticket: Ticket, deadline: Instant) -> Result<Vec<Prediction>, Refused> {
        self.within(deadline, async { Ok(ticket.wait().await?) }).await
    }

    /// Finishes what is in the queue, takes no more, and ends the workers.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}
