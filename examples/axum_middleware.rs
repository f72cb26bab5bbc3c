//! Labels as middleware of an axum service: handlers find the labels of the text that was sent to them, and clients find them in
//! the headers of the answer. Handlers themselves know nothing of the classifier.
//!
//! Command: `cargo run --release --example axum_middleware [ADDRESS]`
//! In:      with an address (`127.0.0.1:3000`), `curl --data-binary @examples/kouan.txt http://127.0.0.1:3000/articles`; without
//!          one, a request that it makes itself
//! Out:     the answer: which desk gets the article

#![allow(clippy::print_stdout, reason = "the output of this program is what it prints")]

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::HeaderValue;
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use detente::{Classifier, Document, Prediction};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Largest text that is taken, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Texts that are classified at once. More would only wait for the classifier's threads; a request that finds no place is
/// turned away, so that a crowd does not pile up in memory.
const AT_ONCE: usize = 4;
/// The header of the answer with the level of the paragraph that lies farthest from 0.
const PEAK: HeaderName = HeaderName::from_static("x-escalation-peak");

/// What the middleware needs, for all requests.
struct Labelling {
    classifier: Classifier,
    places: Arc<Semaphore>,
}

/// What a handler finds: one prediction a paragraph.
#[derive(Clone)]
struct Labels(Arc<Vec<Prediction>>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let classifier = tokio::task::spawn_blocking(Classifier::embedded).await??;
    let labelling = Arc::new(Labelling { classifier, places: Arc::new(Semaphore::new(AT_ONCE)) });
    let app = Router::new().route("/articles", post(desk)).layer(from_fn_with_state(labelling, label));
    if let Some(address) = env::args().nth(1) {
        let listener = TcpListener::bind(&address).await?;
        println!("listening on {}", listener.local_addr()?);
        axum::serve(listener, app).await?;
        return Ok(());
    }
    let article = include_str!("grain-corridor.txt");
    let answer = app.oneshot(Request::post("/articles").body(Body::from(article))?).await?;
    let (status, peak) = (answer.status(), answer.headers().get(PEAK).cloned());
    let body = to_bytes(answer.into_body(), MAX_BYTES).await?;
    println!("{status}, {PEAK}: {peak:?}\n{}", String::from_utf8_lossy(&body));
    assert!(status.is_success() && peak.is_some(), "the middleware labels what is sent");
    Ok(())
}

/// The middleware: reads the body, labels it on a thread that may block, hands both on.
async fn label(
    State(labelling): State<Arc<Labelling>>,
    request: Request,
    next: Next,
) -> Result<Response, (StatusCode, String)> {
    let (mut parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BYTES).await.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?;
    let document =
        Document::from_bytes("request", &bytes).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let Ok(place) = Arc::clone(&labelling.places).try_acquire_owned() else {
        return Err((StatusCode::TOO_MANY_REQUESTS, "busy; try again in a second".into()));
    };
    let predictions = tokio::task::spawn_blocking(move || {
        // The place goes with the work, which a client that leaves does not stop.
        let _place = place;
        labelling.classifier.classify_document(&document)
    });
    let predictions = predictions.await.map_err(failed)?.map_err(failed)?;
    let content = predictions.iter().filter(|prediction| !prediction.is_boilerplate());
    let peak = content.filter_map(Prediction::escalation).max_by_key(|level| level.code.abs()).map(|level| level.code);
    parts.extensions.insert(Labels(Arc::new(predictions)));
    let mut response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if let Some(code) = peak {
        response.headers_mut().insert(PEAK, HeaderValue::from(code));
    }
    Ok(response)
}

fn failed(error: impl Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// A handler: the desk of the topic that most paragraphs have.
async fn desk(Extension(Labels(predictions)): Extension<Labels>, article: String) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for topic in predictions.iter().flat_map(Prediction::topics).filter(|topic| topic.applies) {
        match counts.iter_mut().find(|(name, _)| *name == topic.name) {
            Some((_, count)) => *count += 1,
            None => counts.push((topic.name, 1)),
        }
    }
    let desk = counts.iter().max_by_key(|(_, count)| *count).map_or("general", |(name, _)| *name);
    format!("{} bytes, {} paragraphs: to the desk for {desk}", article.len(), predictions.len())
}
