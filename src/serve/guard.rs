//! What every request passes on its way in and out: an id, the keys, the origin, the log, the counts.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use crate::serve::App;
use crate::serve::answer::{Reason, Refused};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The route that requests without one are counted under.
const NO_ROUTE: &str = "none";

/// Longest request id that is taken over from a client.
const LONGEST_ID: usize = 64;

/// Gives the request an id, which stands in the log and on the answer; counts and logs it.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id);
    let mut response = next.run(request).instrument(span.clone()).await;
    let seconds = begun.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    app.metrics.request(&route, method, status, seconds);
    if let Some(Reason(reason)) = response.extensions().get() {
        app.metrics.refuse(reason);
    }
    span.in_scope(|| tracing::info!(method, route, status, seconds, "answered"));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(&REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses what comes without a key, if the server has keys.
pub(crate) async fn keys(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.keys.is_empty() || app.keys.admit(request.headers()) || app.admin_keys.admit(request.headers()) {
        next.run(request).await
    } else {
        Refused::unauthorized().into_response()
    }
}

/// Refuses what comes without an admin key, always.
pub(crate) async fn admin_keys(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.admin_keys.is_empty() {
        return Refused::forbidden("this server has no admin key; start it with one").into_response();
    }
    if app.admin_keys.admit(request.headers()) {
        next.run(request).await
    } else if app.keys.admit(request.headers()) {
        Refused::forbidden("this key may not administer").into_response()
    } else {
        Refused::unauthorized().into_response()
    }
}

/// Refuses what a page of another origin makes a browser send: without this, any page could use a server on loopback.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    let said = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = matches!(said, Some(b"cross-site" | b"same-site"));
    if is_foreign && request.method() != Method::GET {
        return Refused::forbidden("pages of other origins may not send requests to this server").into_response();
    }
    next.run(request).await
}

/// The client's own id, if it is a plain one, else a new one.
fn request_id(request: &Request) -> String {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let is_plain = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain)
    };
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_plain);
    given.map_or_else(|| format!("{:08x}-{:x}", *START as u32, COUNT.fetch_add(1, Ordering::Relaxed)), str::to_owned)
}

/// A method under its name, or under one name for all that no route has: clients may invent methods.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
