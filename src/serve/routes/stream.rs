//! `POST /v1/classify/stream`: JSON Lines in, the records of the command line out, while the input still comes.
//!
//! The answer equals what `detente classify --input-format jsonl` writes for the same lines. A line that cannot be used
//! gives one line with `error`, those after it go on. Flow control is that of the connection: when the client does not
//! take records, or the queue has no room, no more lines are read.

use std::io;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument;
use utoipa::{IntoParams, ToSchema};

use crate::classifier::Classifier;
use crate::error::{Error, RecordFault};
use crate::label::Prediction;
use crate::output::ParagraphRecord;
use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::body::is_type;
use crate::serve::input::aside;
use crate::serve::openapi::Refusals;
use crate::serve::queue::Ticket;
use crate::text::{Document, Language, ReadOptions, RecordShape, detect_language};

/// Lines of a stream that may be between reading and writing.
const LINES_AHEAD: usize = 64;
/// Pieces of the answer that may wait for the connection.
const PIECES_AHEAD: usize = 4;
/// What stands for the body in ids and messages.
const NAME: &str = "<stdin>";

/// Which fields of the lines to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Field that holds the text.
    #[param(default = "text")]
    text_field: String,
    /// Field that holds the id; `id` where there is one, else `<stdin>:` and the number of the line.
    #[param(required = false)]
    id_field: Option<String>,
}

impl Default for StreamQuery {
    fn default() -> Self {
        Self { text_field: "text".into(), id_field: None }
    }
}

/// A line that could not be used, or the end of a stream that could not be finished.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(crate) struct StreamFault {
    error: String,
}

/// Labels documents, one JSON object with a text a line, and answers with one record a paragraph, in the order of the input.
#[utoipa::path(
    post, path = "/v1/classify/stream", tag = "classify", params(StreamQuery),
    request_body(content = String, content_type = "application/x-ndjson", description = "One object a line", example = "{\"id\": \"a\", \"text\": \"Die Waffenruhe hält.\"}\n"),
    responses((status = 200, description = "Records as docs/output.md specifies them, one a line; a line that cannot be used gives an object with `error`", body = String, content_type = "application/x-ndjson"), Refusals),
    security((), ("key" = []))
)]
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    query: Result<Query<StreamQuery>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Refused::malformed(error.body_text()))?;
    if !is_type(
        &headers,
        &["application/x-ndjson", "application/jsonl", "application/jsonlines", "application/json-lines"],
    ) {
        return Err(Refused::media_type("application/x-ndjson"));
    }
    let options = ReadOptions {
        text_field: query.text_field,
        id_field: query.id_field,
        max_document_bytes: app.limits.body_bytes as u64,
        ..ReadOptions::default()
    };
    let shape = RecordShape::new(NAME, &options);
    let (lines, waiting) = mpsc::channel(LINES_AHEAD);
    let (pieces, mut answer) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES_AHEAD);
    let held = Arc::new(Semaphore::new(app.limits.body_bytes.clamp(1, u32::MAX as usize)));
    let reader = Reader { app: Arc::clone(&app), lines, shape, held, number: 0 };
    tokio::spawn(work(reader, body.into_data_stream(), write(app, waiting, pieces)).in_current_span());
    let answer = Body::from_stream(stream::poll_fn(move |context| answer.poll_recv(context)));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], answer).into_response())
}

/// Reads and writes at the same time. It ends when everything is written, when nobody takes records any more, or when the
/// client broke off; what it had sent is then taken out of the queue.
async fn work(reader: Reader, body: BodyDataStream, write: impl Future<Output = ()>) {
    tokio::pin!(write);
    tokio::select! {
        end = reader.run(body) => match end {
            End::Read => write.await,
            End::Broken => {}
        },
        () = &mut write => {}
    }
}

/// How reading ended.
enum End {
    /// Everything that will be read was read.
    Read,
    /// The client broke off.
    Broken,
}

/// A line on its way to the client.
struct Line {
    what: Work,
    /// Its share of what may be held for this stream.
    _held: Option<OwnedSemaphorePermit>,
}

enum Work {
    /// A document whose paragraphs are in the queue.
    Document { document: Document, languages: Vec<Language>, classifier: Arc<Classifier>, ticket: Ticket },
    /// What was wrong.
    Fault(String),
}

struct Reader {
    app: Arc<App>,
    lines: mpsc::Sender<Line>,
    shape: RecordShape,
    /// Bytes of text that may be held until they are written: as many as the longest line has.
    held: Arc<Semaphore>,
    number: u64,
}

impl Reader {
    /// Reads lines until the end of the body, or until nobody takes them.
    async fn run(mut self, mut body: BodyDataStream) -> End {
        let mut line = Vec::new();
        let mut is_too_long = false;
        let limit = self.app.limits.body_bytes;
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout(self.app.limits.body_timeout, body.next()) => next,
                () = self.app.stopped() => return self.end("the server is shutting down").await,
            };
            let bytes = match next {
                Err(_) => return self.end("no more bytes came in time").await,
                Ok(Some(Err(error))) if is_broken(&error) => return End::Broken,
                Ok(Some(Err(error))) => return self.end(&format!("the body cannot be read: {error}")).await,
                Ok(Some(Ok(bytes))) => bytes,
                Ok(None) => {
                    if !line.is_empty() || is_too_long {
                        self.line(line, is_too_long).await;
                    }
                    return End::Read;
                }
            };
            let mut parts = bytes.split(|&byte| byte == b'\n');
            let mut part = parts.next();
            while let Some(bytes) = part {
                is_too_long |= line.len() + bytes.len() > limit;
                if is_too_long {
                    line = Vec::new()
                } else {
                    line.extend_from_slice(bytes)
                }
                part = parts.next();
                if part.is_some()
                    && self.line(std::mem::take(&mut line), std::mem::take(&mut is_too_long)).await.is_none()
                {
                    return End::Read;
                }
            }
        }
    }

    /// One line; `None` when nobody takes lines any more.
    async fn line(&mut self, line: Vec<u8>, is_too_long: bool) -> Option<()> {
        self.number += 1;
        let limit = self.app.limits.body_bytes as u64;
        let document = match is_too_long {
            true => Err(RecordFault::TooLarge { limit }),
            false if line.trim_ascii().is_empty() => return Some(()),
            false => self.shape.json_line(self.number, &line, "UTF-8"),
        };
        let line = match document {
            Ok(document) => match self.submit(document).await {
                Ok(line) => line,
                Err(refused) => fault(format!("{NAME}:{}: {}", self.number, refused.message())),
            },
            Err(what) => fault(Error::Record { path: NAME.into(), line: self.number, what }.to_string()),
        };
        self.lines.send(line).await.ok()
    }

    async fn submit(&self, document: Document) -> Result<Line, Refused> {
        let bytes = document.text().len();
        let share = u32::try_from(bytes.min(self.app.limits.body_bytes)).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.held).acquire_many_owned(share).await;
        let room = self.app.engine.admit_stream(bytes).await?;
        let classifier = self.app.engine.classifier();
        let split = move || {
            let texts: Vec<String> = document.paragraphs().map(|paragraph| paragraph.text().to_owned()).collect();
            let languages = texts.iter().map(|text| detect_language(text)).collect();
            (document, texts, languages)
        };
        let (document, texts, languages) = aside(bytes, split).await?;
        self.app.log_texts(texts.iter().map(String::as_str));
        let ticket = self.app.engine.submit(Arc::clone(&classifier), texts, room);
        // The semaphore is never closed.
        Ok(Line { what: Work::Document { document, languages, classifier, ticket }, _held: held.ok() })
    }

    /// Says why the rest of the input is not read.
    async fn end(&mut self, why: &str) -> End {
        let what = format!("{NAME}:{}: {why}; this line and those after it were not read", self.number + 1);
        let _ = self.lines.send(fault(what)).await;
        End::Read
    }
}

/// Whether the connection broke, and not what came over it.
fn is_broken(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<hyper::Error>() || error.source().is_some_and(is_broken)
}

fn fault(error: String) -> Line {
    Line { what: Work::Fault(error), _held: None }
}

/// Writes the records of lines in their order, until the reader ends or the client leaves.
async fn write(app: Arc<App>, mut lines: mpsc::Receiver<Line>, pieces: mpsc::Sender<Result<Bytes, io::Error>>) {
    loop {
        // A client that leaves while nothing is ready for it is noticed too: its lines are not computed.
        let line = tokio::select! {
            line = lines.recv() => line,
            () = pieces.closed() => return,
        };
        let Some(line) = line else { return };
        let piece = match line.what {
            Work::Fault(error) => json_line(&StreamFault { error }),
            Work::Document { document, languages, classifier, ticket } => {
                let predictions = tokio::select! {
                    predictions = app.engine.wait(ticket) => predictions,
                    () = pieces.closed() => return,
                };
                match predictions {
                    Ok(predictions) => records(&document, &languages, &classifier, &predictions),
                    Err(refused) => {
                        json_line(&StreamFault { error: format!("{}: {}", document.id(), refused.message()) })
                    }
                }
            }
        };
        if pieces.send(piece.map(Bytes::from).map_err(io::Error::from)).await.is_err() {
            return;
        }
    }
}

fn records(
    document: &Document,
    languages: &[Language],
    classifier: &Classifier,
    predictions: &[Prediction],
) -> serde_json::Result<Vec<u8>> {
    let info = classifier.info();
    let mut out = Vec::new();
    for ((paragraph, &language), prediction) in document.paragraphs().zip(languages).zip(predictions) {
        let language_validated = info.is_validated_for(language);
        let paragraph = &paragraph;
        let record = ParagraphRecord {
            document,
            paragraph,
            prediction,
            language,
            language_validated,
            bundle: &info.id,
            explanation: None,
        };
        serde_json::to_writer(&mut out, &record)?;
        out.push(b'\n');
    }
    Ok(out)
}

fn json_line(value: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
