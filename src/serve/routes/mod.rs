//! The routes, and what stands before each.

mod admin;
mod classify;
pub(crate) mod infer;
mod model;
mod predict;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::OpenApi;

use crate::serve::answer::{Kind, Refusal, Refused};
use crate::serve::openapi::Refusals;
use crate::serve::{App, guard, metrics, page};

pub(crate) use crate::serve::routes::stream::LONG_LINES;

/// The OpenAPI document of every route.
#[derive(OpenApi)]
#[openapi(
    paths(
        classify::classify,
        stream::stream,
        model::model,
        predict::predict,
        infer::server,
        infer::live,
        infer::ready,
        infer::model,
        infer::model_ready,
        infer::infer,
        model::live,
        model::ready,
        metrics_text,
        admin::reload,
    ),
    components(schemas(Refusal, Kind)),
    tags(
        (name = "classify", description = "Labels of paragraphs"),
        (name = "other protocols", description = "Routes for clients of other servers"),
        (name = "operation", description = "Health, counts, change of bundle"),
    )
)]
pub(crate) struct Document;

/// Everything that the server answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let classify = Router::new()
        .route("/v1/classify", post(classify::classify))
        .route("/v1/classify/stream", post(stream::stream))
        .route("/v1/model", get(model::model))
        .route("/predict", post(predict::predict))
        .route("/v2", get(infer::server))
        .route("/v2/models/{name}", get(infer::model))
        .route("/v2/models/{name}/ready", get(infer::model_ready))
        .route("/v2/models/{name}/infer", post(infer::infer))
        .route("/v2/models/{name}/versions/{version}", get(infer::model))
        .route("/v2/models/{name}/versions/{version}/ready", get(infer::model_ready))
        .route("/v2/models/{name}/versions/{version}/infer", post(infer::infer))
        .route("/metrics", get(metrics_text))
        .route_layer(from_fn_with_state(Arc::clone(&app), guard::keys));
    let admin = Router::new()
        .route("/admin/reload", post(admin::reload))
        .route_layer(from_fn_with_state(Arc::clone(&app), guard::admin_keys));
    let open = Router::new()
        .route("/health", get(model::live))
        .route("/health/live", get(model::live))
        .route("/health/ready", get(model::ready))
        .route("/v2/health/live", get(infer::live))
        .route("/v2/health/ready", get(infer::ready))
        .route("/openapi.json", get(openapi))
        .merge(page::router());
    let around = ServiceBuilder::new()
        .layer(from_fn_with_state(Arc::clone(&app), guard::observe))
        .layer(CatchPanicLayer::custom(broken))
        .layer(from_fn(guard::same_origin))
        .layer(from_fn(guard::encoding))
        .layer(RequestDecompressionLayer::new().gzip(true));
    classify
        .merge(admin)
        .merge(open)
        .fallback(async || Refused::not_found("there is no such route; /openapi.json lists them"))
        .method_not_allowed_fallback(async || Refused::method())
        .layer(around)
        .with_state(app)
}

/// Counts of requests, queue, batches and labels, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"), Refusals),
    security((), ("key" = []))
)]
async fn metrics_text(State(app): State<Arc<App>>) -> Response {
    typed(metrics::CONTENT_TYPE, app.metrics.render())
}

async fn openapi(State(app): State<Arc<App>>) -> Response {
    typed("application/json", app.openapi.clone())
}

fn typed(content_type: &'static str, body: impl IntoResponse) -> Response {
    let headers: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
    (headers, body).into_response()
}

fn broken(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request broke the server's own code; please report it");
    Refused::broken("the server broke on this request; its id stands in the server's log").into_response()
}
