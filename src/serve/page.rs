//! The page at `/`, and the one about the interface: everything they need is inside the program, and their policy lets a
//! browser ask for nothing else.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::serve::{App, openapi};

/// Own scripts, styles and requests; no inline code, no frames, no forms that leave.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = include_str!("page/index.html");
const CSS: &str = concat!(include_str!("../output/html/palette.css"), include_str!("page/page.css"));
const JS: &str = include_str!("page/page.js");
const WHY: &str = include_str!("page/why.js");

/// The routes of both pages.
pub(crate) fn router() -> Router<Arc<App>> {
    let docs = async || {
        static DOCS: LazyLock<String> =
            LazyLock::new(|| openapi::page(&serde_json::to_value(openapi::document()).unwrap_or_default()));
        file("text/html; charset=utf-8", DOCS.as_str())
    };
    Router::new()
        .route("/", get(async || file("text/html; charset=utf-8", HTML)))
        .route("/page.css", get(async || file("text/css; charset=utf-8", CSS)))
        .route("/page.js", get(async || file("text/javascript; charset=utf-8", JS)))
        .route("/why.js", get(async || file("text/javascript; charset=utf-8", WHY)))
        .route("/docs", get(docs))
}

fn file(content_type: &'static str, body: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}
