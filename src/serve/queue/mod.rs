//! The queue between requests and workers: bounded, fair, in batches of a token budget.
//!
//! In: the texts of a request. Out: their predictions, bit for bit those of [`Classifier::classify_batch`], since a text's
//! numbers depend on that text alone.
//!
//! Each worker takes what is ready, up to the budget, without waiting for more: a lone request is not held back, and under
//! load the batches fill by themselves. Requests take turns window by window, so that a long document does not keep a short
//! one waiting. A request that nobody waits for any more is taken out at once and costs no more arithmetic.

mod state;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::classifier::Classifier;
use crate::error::Result;
use crate::label::Prediction;
use crate::serve::metrics::Metrics;
use crate::serve::queue::state::{Job, Piece, State, Work};

/// Most seconds that a client is asked to wait.
const LONGEST_RETRY_S: u32 = 60;

/// How much may wait, and how much is computed at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueOptions {
    /// Bytes of text that requests may have in the queue together; a larger request is admitted to an empty queue.
    pub(crate) bytes: usize,
    /// Tokens that one worker computes at a time; a single longer window is computed alone.
    pub(crate) batch_tokens: usize,
}

/// Why a request gets no predictions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The classifier failed, or a text broke it.
    #[error("the texts could not be labelled; the request id stands in the server's log beside the cause")]
    Broken,
    /// The server stops.
    #[error("the server is shutting down")]
    Closed,
}

/// What a request gets: one prediction for each text, in their order.
pub(crate) type Outcome = Result<Vec<Prediction>, Failure>;

/// The queue is full.
#[derive(Debug)]
pub(crate) struct Full;

/// The queue and its workers.
pub(crate) struct Queue {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    stream_room: Arc<Semaphore>,
    bytes: u32,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// What the workers and the tickets share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    metrics: Arc<Metrics>,
    batch_tokens: usize,
    /// Milliseconds that the request which was answered last spent here.
    last_ms: AtomicU32,
}

/// Room in the queue for one request; given back when everything that shares it is done or dropped.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// What texts are in the queue for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Their labels are asked for.
    Labels,
    /// They are what is left of a text whose labels are explained.
    Explanation,
}

/// The claim on the predictions of a request; dropping it takes the request out of the queue.
pub(crate) struct Ticket {
    id: u64,
    answer: oneshot::Receiver<Outcome>,
    shared: Arc<Shared>,
}

impl Queue {
    /// Starts `workers` threads.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub(crate) fn start(options: QueueOptions, workers: usize, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let bytes = u32::try_from(options.bytes.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX).max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            metrics,
            batch_tokens: options.batch_tokens.max(1),
            last_ms: AtomicU32::new(0),
        });
        let start = |worker: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("detente-serve-{worker}")).spawn(move || shared.work(worker))
        };
        let workers = (0..workers.max(1)).map(start).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self {
            shared,
            room: Arc::new(Semaphore::new(bytes as usize)),
            stream_room: Arc::new(Semaphore::new(bytes as usize)),
            bytes,
            workers: Mutex::new(workers),
        })
    }

    /// Room for a request with so many bytes of text, at once or not at all.
    pub(crate) fn admit(&self, bytes: usize) -> Result<Room, Full> {
        let permit = Arc::clone(&self.room).try_acquire_many_owned(self.permits(bytes)).map_err(|_| Full)?;
        Ok(Room { _permit: Arc::new(permit) })
    }

    /// Room for a piece of a stream, which waits for it. Streams have as much room as all other requests together, and do
    /// not take any from them.
    pub(crate) async fn admit_stream(&self, bytes: usize) -> Result<Room, Failure> {
        let room = Arc::clone(&self.stream_room).acquire_many_owned(self.permits(bytes)).await;
        room.map(|permit| Room { _permit: Arc::new(permit) }).map_err(|_| Failure::Closed)
    }

    /// Seconds after which a request that found the queue full may try again: as long as the request that was answered
    /// last took from its entry on.
    pub(crate) fn retry_after_s(&self) -> u32 {
        self.shared.last_ms.load(Ordering::Relaxed).div_ceil(1000).clamp(1, LONGEST_RETRY_S)
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.bytes)
    }

    /// Puts a request into the queue. No text may be blank.
    pub(crate) fn submit(
        &self,
        classifier: Arc<Classifier>,
        texts: Vec<String>,
        purpose: Purpose,
        room: Room,
    ) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let mut state = self.shared.lock();
        let job = Job::new(classifier, texts, purpose, sender, room, Instant::now());
        let id = state.add(job);
        self.shared.observe(&state);
        drop(state);
        self.shared.changed.notify_all();
        Ticket { id, answer, shared: Arc::clone(&self.shared) }
    }

    /// Takes no more requests, and returns when those in the queue are done.
    pub(crate) fn close(&self) {
        self.refuse();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A worker catches the panics of its work; there is nobody else to tell.
            let _ = worker.join();
        }
    }

    /// Takes no more requests; the workers end when those in the queue are done.
    fn refuse(&self) {
        self.shared.lock().close();
        self.stream_room.close();
        self.shared.changed.notify_all();
    }
}

impl Drop for Queue {
    /// Without waiting: who drops it may be a thread that answers everybody.
    fn drop(&mut self) {
        self.refuse();
    }
}

impl Ticket {
    /// Waits for the predictions, one for each text, in their order.
    pub(crate) async fn wait(mut self) -> Outcome {
        (&mut self.answer).await.unwrap_or(Err(Failure::Closed))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.remove(self.id).is_some() {
            self.shared.metrics.cancelled.inc();
            self.shared.observe(&state);
            self.shared.wake_if_finished(&state);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves the state whole: what may panic is done outside the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, state: &State) {
        let (requests, texts, bytes) = state.waiting();
        self.metrics.queue_requests.set(requests as i64);
        self.metrics.queue_texts.set(texts as i64);
        self.metrics.queue_bytes.set(bytes as i64);
    }

    /// Workers that wait for more must hear that there will be none.
    fn wake_if_finished(&self, state: &State) {
        if state.is_finished() {
            self.changed.notify_all();
        }
    }

    /// What one worker does until the queue is closed and empty.
    fn work(&self, worker: usize) {
        let mut tokenized_last = false;
        loop {
            let mut state = self.lock();
            let work = loop {
                match state.take(self.batch_tokens, tokenized_last) {
                    Some(work) => break work,
                    None if state.is_finished() => return,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            tokenized_last = matches!(work, Work::Tokenize(_));
            match work {
                Work::Tokenize(texts) => self.tokenize(texts),
                Work::Encode { classifier, pieces } => self.encode(worker, &classifier, pieces),
            }
        }
    }

    fn tokenize(&self, texts: Vec<state::RawText>) {
        let now = Instant::now();
        let mut encodings = Vec::with_capacity(texts.len());
        for text in texts {
            if text.is_first {
                self.metrics.queue_seconds.observe(now.duration_since(text.entered).as_secs_f64());
            }
            let tokenize = || text.classifier.tokenize(&text.text);
            encodings.push((text.job, text.index, guarded(tokenize).map(Arc::new)));
        }
        let mut state = self.lock();
        let mut failed = Vec::new();
        for (job, index, encoding) in encodings {
            match encoding {
                Some(encoding) => state.tokenized(job, index, encoding),
                None => failed.extend(state.remove(job)),
            }
        }
        self.observe(&state);
        drop(state);
        self.changed.notify_all();
        failed.into_iter().for_each(|job: Job| job.answer(Err(Failure::Broken)));
    }

    fn encode(&self, worker: usize, classifier: &Classifier, pieces: Vec<Piece>) {
        let windows = pieces.iter().map(|piece| &piece.encoding.windows[piece.window]).collect::<Vec<_>>();
        let tokens: usize = windows.iter().map(|window| window.ids.len()).sum();
        self.metrics.batch_tokens.observe(tokens as f64);
        self.metrics.batch_windows.observe(windows.len() as f64);
        let vectors = guarded(|| classifier.encode_on(worker, windows));
        let mut state = self.lock();
        let mut failed = Vec::new();
        let mut complete = Vec::new();
        match vectors {
            Some(vectors) => {
                for (piece, vector) in pieces.into_iter().zip(vectors) {
                    complete.extend(state.encoded(piece, vector));
                }
            }
            None => failed.extend(pieces.into_iter().filter_map(|piece| state.remove(piece.job))),
        }
        drop(state);
        let mut predictions = Vec::with_capacity(complete.len());
        for text in complete {
            let vectors: Vec<&[f32]> = text.vectors.iter().map(Vec::as_slice).collect();
            let prediction = guarded(|| Ok(classifier.conclude(&text.encoding, &vectors)));
            match (&prediction, text.purpose) {
                (Some(prediction), Purpose::Labels) => self.metrics.count(prediction),
                (Some(prediction), Purpose::Explanation) => self.metrics.count_reading(prediction),
                (None, _) => {}
            }
            predictions.push((text.job, text.index, prediction));
        }
        let mut state = self.lock();
        let mut done = Vec::new();
        for (job, index, prediction) in predictions {
            match prediction {
                Some(prediction) => done.extend(state.predicted(job, index, prediction)),
                None => failed.extend(state.remove(job)),
            }
        }
        self.observe(&state);
        self.wake_if_finished(&state);
        drop(state);
        for job in done {
            let elapsed = u32::try_from(job.entered().elapsed().as_millis()).unwrap_or(u32::MAX);
            self.last_ms.store(elapsed, Ordering::Relaxed);
            job.deliver();
        }
        failed.into_iter().for_each(|job| job.answer(Err(Failure::Broken)));
    }
}

/// What `work` gives; `None` if it failed or broke off. A text that breaks the classifier costs its request alone.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "a batch could not be labelled");
            None
        }
        Err(_) => {
            tracing::error!("the classifier broke on a text; please report it");
            None
        }
    }
}
