//! `POST /v1/classify/stream`: JSON Lines in, the records of the command line out, while the input still comes.
//!
//! The answer equals what `detente classify --input-format jsonl` writes for the same lines, also with `--explain`. A line that cannot be used
//! gives one line with `error`, those after it go on. Flow control is that of the connection: when the client does not
//! take records, or the queue has no room, no more lines are read.

mod read;
mod write;

use std::io;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument;
use utoipa::{IntoParams, ToSchema};

use crate::classifier::Classifier;
use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::body::is_type;
use crate::serve::openapi::Refusals;
use crate::serve::queue::Ticket;
use crate::serve::routes::stream::read::Reader;
use crate::serve::routes::stream::write::write;
use crate::text::{Document, Language, ReadOptions, RecordShape};

pub(crate) use crate::serve::routes::stream::read::LONG_LINES;

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
    /// Whether to say which words moved the labels, in the field `explanation`.
    #[param(default = false)]
    explain: bool,
}

impl Default for StreamQuery {
    fn default() -> Self {
        Self { text_field: "text".into(), id_field: None, explain: false }
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
    let held = Arc::new(Semaphore::new(app.limits.body_bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))));
    let reader = Reader { app: Arc::clone(&app), lines, shape, explains: query.explain, held, number: 0 };
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

impl Line {
    fn fault(error: String) -> Self {
        Self { what: Work::Fault(error), _held: None }
    }
}

enum Work {
    /// A document whose paragraphs are in the queue.
    Document(Waiting),
    /// What was wrong.
    Fault(String),
}

/// A document whose labels are waited for.
struct Waiting {
    document: Document,
    languages: Vec<Language>,
    classifier: Arc<Classifier>,
    ticket: Ticket,
    /// Bytes of text that are read to explain the labels, if that is wanted.
    explain: Option<usize>,
}
