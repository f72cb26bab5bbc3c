//! `GET /v1/model` and the health of the server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::output::number::rounded;
use crate::serve::App;
use crate::serve::answer::{Refusal, Refused};
use crate::serve::openapi::Refusals;
use crate::serve::types::{HealthAnswer, LevelDeclared, LimitsDeclared, ModelAnswer, ScaleDeclared, TopicDeclared};

/// The bundle in use and the limits of a request.
#[utoipa::path(
    get, path = "/v1/model", operation_id = "model", tag = "classify",
    responses((status = 200, description = "The bundle", body = ModelAnswer), Refusals),
    security((), ("key" = []))
)]
pub(crate) async fn model(State(app): State<Arc<App>>) -> Json<ModelAnswer> {
    let classifier = app.engine.classifier();
    let info = classifier.info();
    let six = |threshold: f32| rounded(threshold.into()).unwrap_or_default();
    let topics = info.scheme.topics.iter().zip(&info.calibration.topics);
    let topics = topics.map(|(topic, calibration)| TopicDeclared {
        name: topic.name.clone(),
        description: topic.description.clone(),
        threshold: six(calibration.threshold),
    });
    let scale = info.scheme.scale.as_ref().map(|scale| ScaleDeclared {
        name: scale.name.clone(),
        levels: scale.levels.iter().map(|level| LevelDeclared { code: level.code, name: level.name.clone() }).collect(),
    });
    Json(ModelAnswer {
        id: info.id.clone(),
        name: info.name.clone(),
        version: info.version.clone(),
        sha256: info.sha256.clone(),
        license: info.license.clone(),
        languages: info.languages.clone(),
        topics: topics.collect(),
        scale,
        boilerplate_threshold: info.calibration.boilerplate.as_ref().map(|flag| six(flag.threshold)),
        encoder: info.encoder.clone(),
        max_length: info.max_length,
        kernel: info.kernel.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        limits: LimitsDeclared {
            body_bytes: app.limits.body_bytes,
            texts: app.limits.texts,
            explain_bytes: app.limits.explain_bytes,
        },
    })
}

/// Whether the server runs.
#[utoipa::path(
    get, path = "/health/live", tag = "operation",
    responses((status = 200, description = "It runs", body = HealthAnswer))
)]
pub(crate) async fn live() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "live" })
}

/// Whether the server takes requests.
#[utoipa::path(
    get, path = "/health/ready", tag = "operation",
    responses((status = 200, description = "It takes requests", body = HealthAnswer), (status = 503, description = "It is stopping", body = Refusal))
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<HealthAnswer>, Refused> {
    if app.is_stopping() { Err(Refused::stopping()) } else { Ok(Json(HealthAnswer { status: "ready" })) }
}
