//! What every request passes on its way in and out: an id, the keys, the origin, the log, the counts.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
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
    // Not `no-referrer`: with that some browsers send `Origin: null` from our own page, too, see `is_foreign`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
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
    if !request.method().is_safe() && is_foreign(&request) {
        return Refused::forbidden("pages of other origins may not send requests to this server").into_response();
    }
    next.run(request).await
}

/// Whether a page of another origin sent it. Browsers say so in `Sec-Fetch-Site`; where they do not, since they are old or the
/// address is neither loopback nor https, `Origin` names the page's host, and `Host` the one that it asked. Other programs
/// send neither `Sec-Fetch-Site` nor `Origin`.
fn is_foreign(request: &Request) -> bool {
    let headers = request.headers();
    match (headers.get("sec-fetch-site"), headers.get(ORIGIN)) {
        (Some(site), _) => matches!(site.as_bytes(), b"cross-site" | b"same-site"),
        (None, Some(origin)) => {
            let asked = request.uri().authority().map(Authority::as_str);
            let asked = asked.or_else(|| headers.get(HOST)?.to_str().ok());
            let asker = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            let is_own = asker.zip(asked).is_some_and(|((scheme, asker), asked)| {
                let is_page = ["http", "https"].iter().any(|page| scheme.eq_ignore_ascii_case(page));
                is_page && !asker.is_empty() && host(asker, scheme).eq_ignore_ascii_case(host(asked, scheme))
            });
            !is_own
        }
        (None, None) => false,
    }
}

/// Host and port, without the port that the scheme has anyway: some proxies add it.
fn host<'a>(authority: &'a str, scheme: &str) -> &'a str {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// Refuses bodies in an encoding that is not read, and names the others as the decompression behind it knows them: it
/// refuses without a word.
pub(crate) async fn encoding(mut request: Request, next: Next) -> Response {
    let mut said = request.headers().get_all(CONTENT_ENCODING).iter();
    match (said.next().map(|value| value.as_bytes().to_ascii_lowercase()).as_deref(), said.next()) {
        (None, _) => {}
        (Some(b"identity"), None) => {
            request.headers_mut().remove(CONTENT_ENCODING);
        }
        (Some(b"gzip"), None) => {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => return Refused::encoding().into_response(),
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
