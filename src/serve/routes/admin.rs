//! `POST /admin/reload`: the bundle is opened anew and the certificate read again, for those who have an admin key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::openapi::Refusals;
use crate::serve::types::ReloadAnswer;

/// Opens the bundle anew, from where it was opened at the start, and reads the certificate again. Requests that began before are answered from the old one.
#[utoipa::path(
    post, path = "/admin/reload", tag = "operation",
    responses((status = 200, description = "The new bundle is in use", body = ReloadAnswer), Refusals),
    security(("key" = []))
)]
pub(crate) async fn reload(State(app): State<Arc<App>>) -> Result<Json<ReloadAnswer>, Refused> {
    match app.reload().await {
        Ok((before, now)) => Ok(Json(ReloadAnswer { before, now })),
        Err(error) => Err(Refused::conflict(format!("the bundle in use stays: {error}"))),
    }
}
