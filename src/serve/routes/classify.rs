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
    let deadline = app.engine.deadline();
    let (input, document) = Input::of(&mut request, app.limits.texts)?;
    let classifier = app.engine.classifier();
    let info = classifier.info();
    let rules = Rules::new(&request.options, info)?;
    let bytes = input.bytes();
    let mut room = app.engine.admit(bytes)?;
    let paragraphs = app.engine.within(deadline, input.paragraphs(app.limits.texts, &app.pages)).await?;
    app.log_texts(paragraphs.iter().map(|paragraph| paragraph.text.as_str()));
    let texts: Vec<String> = paragraphs.iter().map(|paragraph| paragraph.text.clone()).collect();
    let explained = request.options.explain.then(|| texts.clone());
    if let Some(texts) = &explained {
        let cost = explain::cost(&classifier, texts.clone(), app.limits.explain_bytes);
        let more = app.engine.within(deadline, cost).await?;
        // Given back first, since a request may take as much as there is.
        drop(room);
        room = app.engine.admit(bytes.saturating_add(more))?;
    }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc;
    use std::time::Duration;

    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;
    use crate::classifier::Classifier;
    use crate::serve::input::PAGES;
    use crate::serve::{Options, Server};

    #[test]
    fn the_time_of_a_request_counts_from_its_beginning() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        let mut options = Options { address: ([127, 0, 0, 1], 0).into(), ..Options::default() };
        options.limits.request_timeout = Duration::from_millis(20);
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake");
        runtime.block_on(async {
            let server = Server::bind(options, Box::new(move || Classifier::open(&fixture))).await.unwrap();
            // The one thread for what is done apart never gets to it.
            let (go, gone) = mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || gone.recv());
            let long = "Die Waffenruhe hält.\n\n".repeat(2000);
            for body in [
                json!({"document": {"text": long}}),
                json!({"document": {"html": format!("<p>{long}</p>")}}),
                json!({"texts": ["Nein."], "options": {"explain": true}}),
            ] {
                let request = serde_json::from_value(body.clone()).unwrap();
                let answer = classify(State(Arc::clone(&server.app)), Json(request));
                let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.expect("an answer in time");
                assert_eq!(answer.expect_err("refused").into_response().status(), 503, "{body:.60}");
            }
            drop(go);
            assert!(busy.await.unwrap().is_err());
            let all = server.app.pages.acquire_many(PAGES as u32);
            assert!(tokio::time::timeout(Duration::from_secs(60), all).await.is_ok(), "a page keeps its room");
        });
    }
}
