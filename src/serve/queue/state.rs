//! What is in the queue: jobs, whose turn it is, and what each still needs. Nothing here computes or waits.
//!
//! A job's texts pass through `raw` (not tokenized yet) and `ready` (windows that no worker has taken). Both are rings of
//! jobs: a job takes its turn, then goes to the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::classifier::Classifier;
use crate::encode::Encoding;
use crate::label::Prediction;
use crate::serve::queue::{Failure, Outcome, Purpose, Room};

/// Bytes of text that a job has tokenized in one turn, about; a text is never split. Some 500 tokens.
const TURN_BYTES: usize = 2048;

/// The texts of one request, and what is known of them so far.
pub(crate) struct Job {
    classifier: Arc<Classifier>,
    texts: Vec<Text>,
    purpose: Purpose,
    bytes: usize,
    /// First text that no worker has taken to tokenize.
    next_raw: usize,
    /// Windows that no worker has taken to encode: text, window.
    ready: VecDeque<(usize, usize)>,
    /// Texts without a prediction.
    open: usize,
    entered: Instant,
    answer: oneshot::Sender<Outcome>,
    _room: Room,
}

enum Text {
    /// As it came; empty while a worker has it.
    Raw(String),
    /// Tokenized; so many vectors are missing.
    Encoding { encoding: Arc<Encoding>, vectors: Vec<Vec<f32>>, missing: usize },
    /// Its windows are with a worker.
    Concluding,
    /// Labelled.
    Done(Prediction),
}

/// A text for a worker to tokenize.
pub(crate) struct RawText {
    pub(crate) job: u64,
    pub(crate) index: usize,
    pub(crate) text: String,
    pub(crate) classifier: Arc<Classifier>,
    pub(crate) entered: Instant,
    /// Whether it is the first of its job.
    pub(crate) is_first: bool,
}

/// A window for a worker to encode.
pub(crate) struct Piece {
    pub(crate) job: u64,
    pub(crate) index: usize,
    pub(crate) window: usize,
    pub(crate) encoding: Arc<Encoding>,
}

/// A text all of whose windows are encoded.
pub(crate) struct EncodedText {
    pub(crate) job: u64,
    pub(crate) index: usize,
    pub(crate) purpose: Purpose,
    pub(crate) encoding: Arc<Encoding>,
    pub(crate) vectors: Vec<Vec<f32>>,
}

/// What a worker does next.
pub(crate) enum Work {
    /// Texts to tokenize.
    Tokenize(Vec<RawText>),
    /// Windows to encode together; all belong to one bundle.
    Encode { classifier: Arc<Classifier>, pieces: Vec<Piece> },
}

/// Everything in the queue.
#[derive(Default)]
pub(crate) struct State {
    jobs: BTreeMap<u64, Job>,
    raw: VecDeque<u64>,
    ready: VecDeque<u64>,
    ready_tokens: usize,
    next_id: u64,
    texts: usize,
    bytes: usize,
    is_closed: bool,
}

impl Job {
    pub(crate) fn new(
        classifier: Arc<Classifier>,
        texts: Vec<String>,
        purpose: Purpose,
        answer: oneshot::Sender<Outcome>,
        room: Room,
        entered: Instant,
    ) -> Self {
        let bytes = texts.iter().map(String::len).sum();
        let open = texts.len();
        let texts = texts.into_iter().map(Text::Raw).collect();
        let ready = VecDeque::new();
        Self { classifier, texts, purpose, bytes, next_raw: 0, ready, open, entered, answer, _room: room }
    }

    /// When it came into the queue.
    pub(crate) fn entered(&self) -> Instant {
        self.entered
    }

    /// Hands over the predictions, all of which must be there.
    pub(crate) fn deliver(self) {
        let Self { texts, answer, .. } = self;
        let done = |text| match text {
            Text::Done(prediction) => Some(prediction),
            Text::Raw(_) | Text::Encoding { .. } | Text::Concluding => None,
        };
        // An error means that nobody waits any more.
        let _ = answer.send(Ok(texts.into_iter().filter_map(done).collect()));
    }

    /// Hands over an outcome.
    pub(crate) fn answer(self, outcome: Outcome) {
        let _ = self.answer.send(outcome);
    }

    fn tokens(&self, &(text, window): &(usize, usize)) -> usize {
        match &self.texts[text] {
            Text::Encoding { encoding, .. } => encoding.windows[window].ids.len(),
            Text::Raw(_) | Text::Concluding | Text::Done(_) => 0,
        }
    }
}

impl State {
    /// Adds a job; one without texts, or to a closed queue, is answered at once.
    pub(crate) fn add(&mut self, job: Job) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        if self.is_closed {
            job.answer(Err(Failure::Closed));
        } else if job.texts.is_empty() {
            job.deliver();
        } else {
            self.texts += job.open;
            self.bytes += job.bytes;
            self.jobs.insert(id, job);
            self.raw.push_back(id);
        }
        id
    }

    /// Takes a job out, whatever was done of it. Its windows that are with workers come back to nothing.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.texts -= job.open;
        self.bytes -= job.bytes;
        self.ready_tokens -= job.ready.iter().map(|place| job.tokens(place)).sum::<usize>();
        Some(job)
    }

    /// No more jobs from now on.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Closed, and nothing left.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_closed && self.jobs.is_empty()
    }

    /// Requests, texts without a prediction, and bytes.
    pub(crate) fn waiting(&self) -> (usize, usize, usize) {
        (self.jobs.len(), self.texts, self.bytes)
    }

    /// What to do next, if there is anything. Texts are tokenized while fewer windows are ready than a batch holds; and at
    /// every other step, so that what comes in gets its turn beside a text of a thousand windows.
    pub(crate) fn take(&mut self, batch_tokens: usize, tokenized_last: bool) -> Option<Work> {
        if self.ready_tokens < batch_tokens || !tokenized_last {
            let texts = self.take_raw();
            if !texts.is_empty() {
                return Some(Work::Tokenize(texts));
            }
        }
        self.take_batch(batch_tokens)
    }

    fn take_raw(&mut self) -> Vec<RawText> {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        while bytes < TURN_BYTES
            && let Some(id) = self.raw.pop_front()
        {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            while bytes < TURN_BYTES && job.next_raw < job.texts.len() {
                let index = job.next_raw;
                job.next_raw += 1;
                if let Text::Raw(text) = &mut job.texts[index] {
                    let text = std::mem::take(text);
                    bytes += text.len();
                    let (classifier, entered) = (Arc::clone(&job.classifier), job.entered);
                    texts.push(RawText { job: id, index, text, classifier, entered, is_first: index == 0 });
                }
            }
            if job.next_raw < job.texts.len() {
                self.raw.push_back(id);
            }
        }
        texts
    }

    /// A text came back tokenized.
    pub(crate) fn tokenized(&mut self, id: u64, index: usize, encoding: Arc<Encoding>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let windows = encoding.windows.len();
        self.ready_tokens += encoding.windows.iter().map(|window| window.ids.len()).sum::<usize>();
        job.texts[index] = Text::Encoding { encoding, vectors: vec![Vec::new(); windows], missing: windows };
        if job.ready.is_empty() {
            self.ready.push_back(id);
        }
        job.ready.extend((0..windows).map(|window| (index, window)));
    }

    fn take_batch(&mut self, batch_tokens: usize) -> Option<Work> {
        let mut batch: Option<(Arc<Classifier>, Vec<Piece>)> = None;
        let (mut tokens, mut passed) = (0, 0);
        // Jobs of another bundle are passed over; the round ends when all that are left were.
        while passed < self.ready.len()
            && let Some(id) = self.ready.pop_front()
        {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let Some(&place) = job.ready.front() else { continue };
            let length = job.tokens(&place);
            let (classifier, pieces) = batch.get_or_insert_with(|| (Arc::clone(&job.classifier), Vec::new()));
            if !Arc::ptr_eq(classifier, &job.classifier) {
                self.ready.push_back(id);
                passed += 1;
                continue;
            }
            if !pieces.is_empty() && tokens + length > batch_tokens {
                self.ready.push_front(id);
                break;
            }
            job.ready.pop_front();
            if let Text::Encoding { encoding, .. } = &job.texts[place.0] {
                let encoding = Arc::clone(encoding);
                pieces.push(Piece { job: id, index: place.0, window: place.1, encoding });
            }
            tokens += length;
            passed = 0;
            if !job.ready.is_empty() {
                self.ready.push_back(id);
            }
        }
        self.ready_tokens -= tokens;
        batch.map(|(classifier, pieces)| Work::Encode { classifier, pieces })
    }

    /// A window came back encoded; gives the text if it was the last of it.
    pub(crate) fn encoded(&mut self, piece: Piece, vector: Vec<f32>) -> Option<EncodedText> {
        let job = self.jobs.get_mut(&piece.job)?;
        let purpose = job.purpose;
        let text = job.texts.get_mut(piece.index)?;
        let Text::Encoding { vectors, missing, .. } = text else { return None };
        vectors[piece.window] = vector;
        *missing -= 1;
        if *missing > 0 {
            return None;
        }
        match std::mem::replace(text, Text::Concluding) {
            Text::Encoding { encoding, vectors, .. } => {
                Some(EncodedText { job: piece.job, index: piece.index, purpose, encoding, vectors })
            }
            Text::Raw(_) | Text::Concluding | Text::Done(_) => None,
        }
    }

    /// A text is labelled; gives the job if it was the last of it.
    pub(crate) fn predicted(&mut self, id: u64, index: usize, prediction: Prediction) -> Option<Job> {
        let job = self.jobs.get_mut(&id)?;
        job.texts[index] = Text::Done(prediction);
        job.open -= 1;
        self.texts -= 1;
        if job.open == 0 { self.remove(id) } else { None }
    }
}
