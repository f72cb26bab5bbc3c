//! The body of a request: within the limits of size and time, decompressed, as bytes or as JSON.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::limits::Limits;

/// A whole body as JSON; the request must say that it is JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refused> {
        if !is_type(request.headers(), &["application/json"]) {
            return Err(Refused::media_type("application/json"));
        }
        parse(&whole(request.into_body(), &app.limits).await?).map(Self)
    }
}

/// The whole body.
///
/// # Errors
/// 413 for a body over the limit, 408 for one that does not arrive in time, 400 for one that breaks off or is no valid gzip.
pub(crate) async fn whole(body: Body, limits: &Limits) -> Result<Bytes, Refused> {
    let most = limits.body_bytes;
    let too_large =
        || Refused::too_large(format!("the body has more than {most} bytes; send less at once, or a stream"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(limits.body_timeout, Limited::new(body, most).collect()).await {
        Err(_) => Err(Refused::slow()),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if is_over(error.as_ref()) => Err(too_large()),
        Ok(Err(error)) => Err(Refused::malformed(format!("the body cannot be read: {error}"))),
    }
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
