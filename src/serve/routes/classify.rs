//! `POST /v1/classify`: texts or a document in, the labels of each paragraph out.

use std::sync::Arc;

use axum::extract::State;

use crate::label::Prediction;
use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::body::Json;
use crate::serve::decide::Rules;
use crate::serve::explain;
use crate::serve::input::{Input, Paragraph};
use crate::serve::openapi::Refusals;
use crate::serve::queue::Purpose;
use crate::serve::types::{ClassifyAnswer, ClassifyRequest};

/// Labels texts, or the paragraphs of a document.
#[utoipa::path(
    post, path = "/v1/classify", tag = "classify", request_body = ClassifyRequest,
    responses((status = 200, description = "The labels", body = ClassifyAnswer), Refusals),
    security((), ("key" = []))
)]
pub(crate) async fn classify(
    State(app): State<Arc<App>>,
    Json(mut request): Json<ClassifyRequest>,
) -> Result<axum::Json<ClassifyAnswer>, Refused> {
    let (input, document) = Input::of(&mut request, app.limits.texts)?;
    let classifier = app.engine.classifier();
    let info = classifier.info();
    let rules = Rules::new(&request.options, info)?;
    let bytes = input.bytes();
    let mut room = app.engine.admit(bytes)?;
    let paragraphs = input.paragraphs(app.limits.texts).await?;
    app.log_texts(paragraphs.iter().map(|paragraph| paragraph.text.as_str()));
    let texts: Vec<String> = paragraphs.iter().map(|paragraph| paragraph.text.clone()).collect();
    let explained = request.options.explain.then(|| texts.clone());
    if let Some(texts) = &explained {
        let more = explain::cost(&classifier, texts.clone(), app.limits.explain_bytes).await?;
        // Given back first, since a request may take as much as there is.
        drop(room);
        room = app.engine.admit(bytes.saturating_add(more))?;
    }
    let deadline = app.engine.deadline();
    let ticket = app.engine.submit(Arc::clone(&classifier), texts, Purpose::Labels, room.clone());
    let predictions = app.engine.wait(ticket, deadline).await?;
    let explanations = match explained {
        Some(texts) => app.engine.explain(&classifier, texts, predictions.clone(), &room, deadline).await?,
        None => Vec::new(),
    };
    let answer = |(place, (paragraph, prediction)): (usize, (Paragraph, &Prediction))| {
        rules.answer(paragraph, prediction, explanations.get(place))
    };
    let paragraphs = paragraphs.into_iter().zip(&predictions).enumerate().map(answer).collect();
    Ok(axum::Json(ClassifyAnswer { bundle: info.id.clone(), document, paragraphs }))
}
