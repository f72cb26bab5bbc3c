//! The Open Inference Protocol, version 2, as Triton, KServe and their clients speak it; tensors as JSON or as bytes.
//!
//! The model is named after the bundle. Its input is `text`, BYTES of shape [N] or [N, 1]. Its outputs are named after the
//! labels of the bundle; [`outputs`] lists them.

pub(crate) mod outputs;
mod tensor;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::bundle::BundleInfo;
use crate::serve::App;
use crate::serve::answer::{Refusal, Refused};
use crate::serve::body;
use crate::serve::input::Input;
use crate::serve::openapi::Refusals;
use crate::serve::routes::infer::outputs::Output;
use crate::serve::routes::infer::tensor::{InferAnswer, InferRequest};

/// Says how many bytes of a body are JSON, where tensors follow as bytes.
static JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Name of the input.
const TEXT: &str = "text";

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

/// What the model takes and gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelMetadata {
    name: String,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

/// A tensor of the model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TensorMetadata {
    name: String,
    datatype: &'static str,
    /// -1 stands for any number.
    shape: Vec<i64>,
}

/// Whether the model takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelReady {
    name: String,
    ready: bool,
}

/// Whether the server runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerLive {
    live: bool,
}

/// Whether the server takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerReady {
    ready: bool,
}

/// The model that a path names.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    name: String,
    version: Option<String>,
}

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let named = Path::from_request_parts(parts, app).await;
        let unread = |why: PathRejection| Refused::malformed(format!("the path cannot be read: {}", why.body_text()));
        named.map(|Path(named)| named).map_err(unread)
    }
}

impl Named {
    fn check(&self, info: &BundleInfo) -> Result<(), Refused> {
        let is_same = self.name == info.name && self.version.as_ref().is_none_or(|version| *version == info.version);
        let known = || format!("the model here is {:?}, version {:?}", info.name, info.version);
        if is_same { Ok(()) } else { Err(Refused::not_found(known())) }
    }
}

/// Name, version and extensions of the server.
#[utoipa::path(
    get, path = "/v2", operation_id = "v2_server", tag = "other protocols",
    responses((status = 200, description = "The server", body = ServerMetadata), Refusals), security((), ("key" = []))
)]
pub(crate) async fn server() -> Json<ServerMetadata> {
    let version = env!("CARGO_PKG_VERSION");
    Json(ServerMetadata { name: "detente", version, extensions: ["binary_tensor_data"] })
}

/// Whether the server runs.
#[utoipa::path(
    get, path = "/v2/health/live", operation_id = "v2_live", tag = "other protocols",
    responses((status = 200, description = "It runs", body = ServerLive))
)]
pub(crate) async fn live() -> Json<ServerLive> {
    Json(ServerLive { live: true })
}

/// Whether the server takes requests.
#[utoipa::path(
    get, path = "/v2/health/ready", operation_id = "v2_ready", tag = "other protocols",
    responses((status = 200, description = "It takes requests", body = ServerReady), (status = 503, description = "It is stopping", body = Refusal))
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<ServerReady>, Refused> {
    if app.is_stopping() { Err(Refused::stopping()) } else { Ok(Json(ServerReady { ready: true })) }
}

/// Inputs and outputs of the model.
#[utoipa::path(
    get, path = "/v2/models/{name}", operation_id = "v2_model", tag = "other protocols", params(("name" = String, Path, description = "Name of the bundle")),
    responses((status = 200, description = "The model", body = ModelMetadata), Refusals), security((), ("key" = []))
)]
pub(crate) async fn model(State(app): State<Arc<App>>, named: Named) -> Result<Json<ModelMetadata>, Refused> {
    let classifier = app.engine.classifier();
    let info = classifier.info();
    named.check(info)?;
    let outputs = Output::all(&info.scheme).into_iter().map(|output| {
        let shape = std::iter::once(-1).chain(output.width.map(|width| width as i64)).collect();
        TensorMetadata { datatype: output.datatype(), name: output.name, shape }
    });
    Ok(Json(ModelMetadata {
        name: info.name.clone(),
        versions: vec![info.version.clone()],
        platform: "detente",
        inputs: vec![TensorMetadata { name: TEXT.into(), datatype: "BYTES", shape: vec![-1] }],
        outputs: outputs.collect(),
    }))
}

/// Whether the model takes requests.
#[utoipa::path(
    get, path = "/v2/models/{name}/ready", operation_id = "v2_model_ready", tag = "other protocols", params(("name" = String, Path, description = "Name of the bundle")),
    responses((status = 200, description = "It takes requests", body = ModelReady), Refusals), security((), ("key" = []))
)]
pub(crate) async fn model_ready(State(app): State<Arc<App>>, named: Named) -> Result<Json<ModelReady>, Refused> {
    named.check(app.engine.classifier().info())?;
    if app.is_stopping() { Err(Refused::stopping()) } else { Ok(Json(ModelReady { name: named.name, ready: true })) }
}

/// Labels texts. Tensors may follow the JSON as bytes, and come back so, as the extension `binary_tensor_data` says.
#[utoipa::path(
    post, path = "/v2/models/{name}/infer", operation_id = "v2_infer", tag = "other protocols", request_body = InferRequest,
    params(("name" = String, Path, description = "Name of the bundle")),
    responses((status = 200, description = "The labels", body = InferAnswer), Refusals), security((), ("key" = []))
)]
pub(crate) async fn infer(
    State(app): State<Arc<App>>,
    named: Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let whole = body::whole(body, &app).await?;
    let (json, binary) = parts(&headers, &whole.bytes)?;
    let request: InferRequest = body::parse(&json)?;
    // Checked before anything is labelled, and again by the bundle that answers.
    let classifier = app.engine.classifier();
    named.check(classifier.info())?;
    let wanted = request.wanted(&Output::all(&classifier.info().scheme))?;
    let Input::Texts(texts) = Input::texts(request.texts(&binary)?, app.limits.texts)? else {
        return Err(Refused::broken("texts were expected"));
    };
    drop((json, binary, whole));
    let predictions = app.label_with(&classifier, texts).await?;
    let (answer, binary) = request.answer(classifier.info(), &wanted, &predictions);
    let json = serde_json::to_vec(&answer).map_err(|error| Refused::broken(error.to_string()))?;
    if binary.is_empty() {
        return Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response());
    }
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (JSON_LENGTH.clone(), HeaderValue::from(json.len())),
    ];
    Ok((headers, [json, binary].concat()).into_response())
}

/// The JSON of a body and the bytes behind it.
fn parts(headers: &HeaderMap, body: &Bytes) -> Result<(Bytes, Bytes), Refused> {
    let Some(length) = headers.get(&JSON_LENGTH) else { return Ok((body.clone(), Bytes::new())) };
    let length = length.to_str().ok().and_then(|length| length.parse::<usize>().ok());
    match length.filter(|&length| length <= body.len()) {
        Some(length) => Ok((body.slice(..length), body.slice(length..))),
        None => {
            let what = format!("the header Inference-Header-Content-Length must be a number up to {}", body.len());
            Err(Refused::malformed(what))
        }
    }
}
