//! Lines to documents in the queue.

use std::sync::Arc;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::error::{Error, RecordFault};
use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::explain;
use crate::serve::input::aside;
use crate::serve::queue::Purpose;
use crate::serve::routes::stream::{End, Line, NAME, Waiting, Work};
use crate::text::{Document, RecordShape, detect_language};

/// Bytes of a line from which on it must have one of the [`LONG_LINES`]: far more than a post has, and little even for every
/// connection at once.
const LONG_BYTES: usize = 32 * 1024;
/// Longer lines that streams hold at the same time before they are in the queue, as many as there is room for largest bodies.
pub(crate) const LONG_LINES: usize = 16;

/// Reads the lines of one stream.
pub(super) struct Reader {
    pub(super) app: Arc<App>,
    pub(super) lines: mpsc::Sender<Line>,
    pub(super) shape: RecordShape,
    /// Whether labels are explained.
    pub(super) explains: bool,
    /// Bytes of text that may be held until they are written: as many as the longest line has.
    pub(super) held: Arc<Semaphore>,
    pub(super) number: u64,
}

impl Reader {
    /// Reads lines until the end of the body, or until nobody takes them.
    pub(super) async fn run(mut self, mut body: BodyDataStream) -> End {
        let mut line = Vec::new();
        let mut is_too_long = false;
        let mut long = None;
        let limit = self.app.limits.body_bytes;
        loop {
            let patience = Instant::now() + self.app.limits.body_timeout;
            let until = long.as_ref().map_or(patience, |long: &LongLine| patience.min(long.due));
            let next = tokio::select! {
                next = tokio::time::timeout_at(until, body.next()) => next,
                () = self.app.stopped() => return self.end("the server is shutting down").await,
            };
            let bytes = match next {
                Err(_) if long.is_some() => return self.end("a long line did not come whole in time").await,
                Err(_) => return self.end("no more bytes came in time").await,
                Ok(Some(Err(error))) if is_broken(&error) => return End::Broken,
                Ok(Some(Err(error))) => return self.end(&format!("the body cannot be read: {error}")).await,
                Ok(Some(Ok(bytes))) => bytes,
                Ok(None) => {
                    if !line.is_empty() || is_too_long {
                        self.line(line, is_too_long, long).await;
                    }
                    return End::Read;
                }
            };
            let mut parts = bytes.split(|&byte| byte == b'\n');
            let mut part = parts.next();
            while let Some(bytes) = part {
                is_too_long |= line.len() + bytes.len() > limit;
                if is_too_long {
                    (line, long) = (Vec::new(), None);
                } else {
                    if long.is_none() && line.len() + bytes.len() > LONG_BYTES {
                        long = tokio::select! {
                            long = LongLine::new(&self.app) => Some(long),
                            () = self.app.stopped() => return self.end("the server is shutting down").await,
                        };
                    }
                    line.extend_from_slice(bytes);
                }
                part = parts.next();
                if part.is_some() {
                    let line = std::mem::take(&mut line);
                    if self.line(line, std::mem::take(&mut is_too_long), long.take()).await.is_none() {
                        return End::Read;
                    }
                }
            }
        }
    }

    /// One line; `None` when nobody takes lines any more.
    async fn line(&mut self, line: Vec<u8>, is_too_long: bool, long: Option<LongLine>) -> Option<()> {
        self.number += 1;
        let limit = self.app.limits.body_bytes as u64;
        let mark = if self.number == 1 { line.strip_prefix("\u{feff}".as_bytes()) } else { None };
        let text = mark.unwrap_or(&line);
        let document = match is_too_long {
            true => Err(RecordFault::TooLarge { limit }),
            false if text.trim_ascii().is_empty() => return Some(()),
            false => self.shape.json_line(self.number, text, "UTF-8"),
        };
        let line = match document {
            Ok(document) => match self.submit(document, long).await {
                Ok(line) => line,
                Err(refused) => Line::fault(format!("{NAME}:{}: {}", self.number, refused.message())),
            },
            Err(what) => {
                drop(long);
                Line::fault(Error::Record { path: NAME.into(), line: self.number, what }.to_string())
            }
        };
        self.lines.send(line).await.ok()
    }

    async fn submit(&self, document: Document, long: Option<LongLine>) -> Result<Line, Refused> {
        let bytes = document.text().len();
        let share = u32::try_from(bytes.min(self.app.limits.body_bytes)).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.held).acquire_many_owned(share).await;
        let engine = &self.app.engine;
        let room = engine.admit_stream(bytes).await?;
        drop(long);
        let classifier = engine.classifier();
        let split = move || {
            let texts: Vec<String> = document.paragraphs().map(|paragraph| paragraph.text().to_owned()).collect();
            let languages = texts.iter().map(|text| detect_language(text)).collect();
            (document, texts, languages)
        };
        let (document, texts, languages) = engine.within(engine.deadline(), aside(bytes, split)).await?;
        self.app.log_texts(texts.iter().map(String::as_str));
        let explain = match self.explains {
            true => {
                let cost = explain::cost(&classifier, texts.clone(), self.app.limits.explain_bytes);
                Some(engine.within(engine.deadline(), cost).await?)
            }
            false => None,
        };
        let ticket = engine.submit(Arc::clone(&classifier), texts, Purpose::Labels, room);
        // The semaphore is never closed.
        let waiting = Waiting { document, languages, classifier, ticket, explain };
        Ok(Line { what: Work::Document(waiting), _held: held.ok() })
    }

    /// Says why the rest of the input is not read.
    async fn end(&mut self, why: &str) -> End {
        let what = format!("{NAME}:{}: {why}; this line and those after it were not read", self.number + 1);
        let _ = self.lines.send(Line::fault(what)).await;
        End::Read
    }
}

/// One of the long lines that streams may hold.
struct LongLine {
    app: Arc<App>,
    /// When it must be there, since others wait.
    due: Instant,
    _permit: Option<OwnedSemaphorePermit>,
}

impl LongLine {
    /// When there is room for it.
    async fn new(app: &Arc<App>) -> Self {
        // The semaphore is never closed.
        let permit = Arc::clone(&app.long_lines).acquire_owned().await.ok();
        app.metrics.long_lines.inc();
        Self { app: Arc::clone(app), due: Instant::now() + app.limits.body_timeout, _permit: permit }
    }
}

impl Drop for LongLine {
    fn drop(&mut self) {
        self.app.metrics.long_lines.dec();
    }
}

/// Whether the connection broke, and not what came over it.
fn is_broken(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<hyper::Error>() || error.source().is_some_and(is_broken)
}
