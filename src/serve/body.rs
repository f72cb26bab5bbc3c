//! The body of a request: within the limits of size and time, decompressed, as bytes or as JSON.
//!
//! All bodies that are being received have room for so many bytes together, whatever the number of connections.

use std::pin::pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use tokio::sync::Semaphore;

use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::limits::Limits;
use crate::serve::metrics::Metrics;

/// Bodies of the largest size that there is room for at the same time. Few are in the making where clients send without pause.
const LARGEST_BODIES: usize = 16;

/// A whole body as JSON; the request must say that it is JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refused> {
        if !is_type(request.headers(), &["application/json"]) {
            return Err(Refused::media_type("application/json"));
        }
        parse(&whole(request.into_body(), app).await?.bytes).map(Self)
    }
}

/// Room for the bodies that are being received.
pub(crate) struct Bodies {
    free: Semaphore,
    metrics: Arc<Metrics>,
}

impl Bodies {
    /// All free.
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let bytes = limits.body_bytes.saturating_mul(LARGEST_BODIES).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Semaphore::new(bytes), metrics }
    }
}

/// A body that was received whole.
pub(crate) struct Whole<'a> {
    pub(crate) bytes: Bytes,
    _room: Room<'a>,
}

/// What a body takes of the room for all, given back when it is dropped.
struct Room<'a> {
    bodies: &'a Bodies,
    bytes: usize,
}

impl Room<'_> {
    /// For so many bytes more, at once or not at all.
    fn grow(&mut self, bytes: usize) -> Option<()> {
        self.bodies.free.try_acquire_many(u32::try_from(bytes).ok()?).ok()?.forget();
        self.bytes += bytes;
        self.bodies.metrics.body_bytes.inc_by(bytes as i64);
        Some(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.bodies.free.add_permits(self.bytes);
        self.bodies.metrics.body_bytes.dec_by(self.bytes as i64);
    }
}

/// The whole body.
///
/// # Errors
/// 413 for a body over the limit, 408 for one that does not arrive in time, 400 for one that breaks off or is no valid gzip,
/// 429 where there is no room for it.
pub(crate) async fn whole(body: Body, app: &App) -> Result<Whole<'_>, Refused> {
    let most = app.limits.body_bytes;
    let too_large =
        || Refused::too_large(format!("the body has more than {most} bytes; send less at once, or a stream"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let receive = async {
        let mut body = pin!(Limited::new(body, most));
        let mut room = Room { bodies: &app.bodies, bytes: 0 };
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match is_over(error.as_ref()) {
                true => too_large(),
                false => Refused::malformed(format!("the body cannot be read: {error}")),
            })?;
            if let Ok(data) = frame.into_data() {
                room.grow(data.len()).ok_or_else(|| Refused::crowded(app.engine.retry_after_s()))?;
                bytes.extend_from_slice(&data);
            }
        }
        Ok(Whole { bytes: bytes.into(), _room: room })
    };
    tokio::time::timeout(app.limits.body_timeout, receive).await.map_err(|_| Refused::slow())?
}

fn is_over(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_over)
}

/// JSON from bytes.
///
/// # Errors
/// 400 with line and column if it is no JSON, 422 if it is JSON of another form.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Refused::invalid("the body is a list, an object was expected; /openapi.json describes it"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let what = format!("the body is not the JSON that this route reads: {error}; /openapi.json describes it");
        if error.is_data() { Refused::invalid(what) } else { Refused::malformed(what) }
    })
}

/// An object, and nothing else: a list of the fields' values would be taken for one as well.
pub(crate) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let fields = serde_json::Map::deserialize(deserializer)?;
    serde_json::from_value(fields.into()).map_err(D::Error::custom)
}

/// An object or null.
pub(crate) fn optional_object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let fields = Option::<serde_json::Map<String, serde_json::Value>>::deserialize(deserializer)?;
    fields.map(|fields| serde_json::from_value(fields.into()).map_err(D::Error::custom)).transpose()
}

/// Whether the header says one of these types.
pub(crate) fn is_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.and_then(|value| value.split(';').next()).map(str::trim).unwrap_or_default();
    types.iter().any(|one| one.eq_ignore_ascii_case(said))
}
