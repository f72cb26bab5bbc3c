//! Answers that are no labels: why a request was not done, in one form for every protocol.
//!
//! `error` is what clients of the Open Inference Protocol read, `error` with `error_type` what those of
//! text-embeddings-inference read.

use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::queue::Failure;

/// Reason of the refusal of a body that there is no room for.
const CROWDED: &str = "bodies";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// What is wrong, and what to try.
    pub(crate) error: String,
    /// The kind of fault, for programs.
    pub(crate) error_type: Kind,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The request is not as the protocol asks.
    Validation,
    /// The request is larger than a limit.
    TooLarge,
    /// The request's media type or content encoding is not read here.
    MediaType,
    /// A key is missing, or it is none of the server's.
    Unauthorized,
    /// The key does not allow this.
    Forbidden,
    /// There is no such route, model or method.
    NotFound,
    /// The client took too long to send its request.
    Slow,
    /// The queue is full, or there is no room for the body.
    Overloaded,
    /// The answer was not ready in time, or the server is stopping.
    Unhealthy,
    /// The server failed.
    Backend,
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    status: StatusCode,
    body: Refusal,
    retry_after_s: Option<u32>,
    /// For the metrics.
    pub(crate) reason: Option<&'static str>,
}

impl Refused {
    fn new(status: StatusCode, error_type: Kind, error: impl Into<String>) -> Self {
        Self { status, body: Refusal { error: error.into(), error_type }, retry_after_s: None, reason: None }
    }

    /// The words of the refusal.
    pub(crate) fn message(&self) -> &str {
        &self.body.error
    }

    /// 400: the body cannot be read as what it is said to be.
    pub(crate) fn malformed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Kind::Validation, error)
    }

    /// 422: the body can be read, but it asks for something that cannot be done.
    pub(crate) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Kind::Validation, error)
    }

    /// 413.
    pub(crate) fn too_large(error: impl Into<String>) -> Self {
        Self { reason: Some("too_large"), ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, Kind::TooLarge, error) }
    }

    /// 415.
    pub(crate) fn media_type(expected: &str) -> Self {
        let error = format!("this route reads {expected}; say so in the header Content-Type");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::MediaType, error)
    }

    /// 415: another content encoding than gzip.
    pub(crate) fn encoding() -> Self {
        let error =
            "bodies are read as they are or as gzip; send it so, and say in the header Content-Encoding: gzip if it is";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::MediaType, error)
    }

    /// 401.
    pub(crate) fn unauthorized() -> Self {
        let error = "a key is needed, in the header Authorization: Bearer KEY or X-API-Key: KEY";
        Self { reason: Some("key"), ..Self::new(StatusCode::UNAUTHORIZED, Kind::Unauthorized, error) }
    }

    /// 403.
    pub(crate) fn forbidden(error: impl Into<String>) -> Self {
        Self { reason: Some("key"), ..Self::new(StatusCode::FORBIDDEN, Kind::Forbidden, error) }
    }

    /// 404.
    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Kind::NotFound, error)
    }

    /// 405.
    pub(crate) fn method() -> Self {
        let error = "this route does not know the method; /openapi.json lists what it knows";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Kind::NotFound, error)
    }

    /// 408.
    pub(crate) fn slow() -> Self {
        let error = "the body of the request did not arrive in time";
        Self { reason: Some("slow"), ..Self::new(StatusCode::REQUEST_TIMEOUT, Kind::Slow, error) }
    }

    /// 429, with the seconds after which to try again.
    pub(crate) fn full(retry_after_s: u32) -> Self {
        let refused = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::Overloaded, "the queue is full; try again later");
        Self { retry_after_s: Some(retry_after_s), reason: Some("full"), ..refused }
    }

    /// 429: there is no room to receive the body.
    pub(crate) fn crowded(retry_after_s: u32) -> Self {
        let error = "too many bodies are being received at once; try again later";
        let refused = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::Overloaded, error);
        Self { retry_after_s: Some(retry_after_s), reason: Some(CROWDED), ..refused }
    }

    /// 503: not in time.
    pub(crate) fn late(retry_after_s: u32) -> Self {
        let error = "the labels were not ready in time; try again later, or send less at once";
        let refused = Self::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Unhealthy, error);
        Self { retry_after_s: Some(retry_after_s), reason: Some("late"), ..refused }
    }

    /// 503: the server stops.
    pub(crate) fn stopping() -> Self {
        let refused = Self::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Unhealthy, Failure::Closed.to_string());
        Self { retry_after_s: Some(1), reason: Some("stopping"), ..refused }
    }

    /// 500.
    pub(crate) fn broken(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Backend, error)
    }

    /// 409: a change of bundle did not come about.
    pub(crate) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Kind::Backend, error)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken => Self::broken(failure.to_string()),
            Failure::Closed => Self::stopping(),
        }
    }
}

/// The reason of a refusal, left on the answer for the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reason(pub(crate) &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let is_unread = matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT);
        if is_unread || self.reason == Some(CROWDED) {
            // What is left of the body is not read, so that nothing can follow on this connection.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(Reason(reason));
        }
        response
    }
}
