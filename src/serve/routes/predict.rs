//! `POST /predict`, as clients of text-embeddings-inference send it.
//!
//! That protocol knows texts with labels and scores. Here the labels of a text are each topic, with its probability; each
//! level of the scale, as `escalation:+1`, with its probability; and `boilerplate`. They come in descending order of their
//! scores. Scores of topics and boilerplate do not sum to 1; those of the levels do. Texts are never truncated.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::label::Prediction;
use crate::output::number::{rounded, rounded_distribution, signed_code};
use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::body;
use crate::serve::input::Input;
use crate::serve::openapi::Refusals;

/// A request of that protocol.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PredictRequest {
    inputs: PredictInput,
    /// Must not be true: scores are calibrated probabilities, there are no others.
    #[serde(default)]
    #[schema(default = false)]
    raw_scores: bool,
}

/// One text, or a list of lists that hold one text each.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PredictInput {
    /// One text.
    One(String),
    /// One text; two would be a pair, which this bundle has no use for.
    Pair(Vec<String>),
    /// Many texts.
    Many(Vec<Vec<String>>),
}

/// A label and its score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LabelScore {
    /// Probability, in [0, 1].
    score: f64,
    /// Name of a topic, `escalation:+1` of a level, or `boilerplate`.
    #[schema(example = "military")]
    label: String,
}

/// The labels of one text, or of each of many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PredictAnswer {
    /// Of one text.
    One(Vec<LabelScore>),
    /// Of many, in their order.
    Many(Vec<Vec<LabelScore>>),
}

/// Labels and scores, as text-embeddings-inference gives them.
#[utoipa::path(
    post, path = "/predict", tag = "other protocols", request_body = PredictRequest,
    responses((status = 200, description = "Labels with their scores, highest first", body = PredictAnswer), Refusals),
    security((), ("key" = []))
)]
pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    body::Json(request): body::Json<PredictRequest>,
) -> Result<Json<PredictAnswer>, Refused> {
    if request.raw_scores {
        return Err(Refused::invalid("raw_scores is not offered: scores are calibrated probabilities"));
    }
    let (texts, is_many) = match request.inputs {
        PredictInput::One(text) => (vec![text], false),
        PredictInput::Pair(texts) => (vec![alone(texts)?], false),
        PredictInput::Many(lists) => (lists.into_iter().map(alone).collect::<Result<_, _>>()?, true),
    };
    let Input::Texts(texts) = Input::texts(texts, app.limits.texts)? else {
        return Err(Refused::broken("texts were expected"));
    };
    let predictions = app.label(texts).await?;
    let mut scores: Vec<Vec<LabelScore>> = predictions.iter().map(scores_of).collect();
    Ok(Json(match (is_many, scores.len()) {
        (false, 1) => PredictAnswer::One(scores.remove(0)),
        _ => PredictAnswer::Many(scores),
    }))
}

/// The one text of a list.
fn alone(mut texts: Vec<String>) -> Result<String, Refused> {
    match texts.len() {
        1 => Ok(texts.remove(0)),
        2 => {
            Err(Refused::invalid("pairs of texts are not labelled here; give each text a list of its own: [[a], [b]]"))
        }
        count => Err(Refused::invalid(format!("a list with one text was expected, this one has {count}"))),
    }
}

fn scores_of(prediction: &Prediction) -> Vec<LabelScore> {
    let score = |label: String, probability: Option<f64>| LabelScore { score: probability.unwrap_or_default(), label };
    let topics = prediction.topics().map(|topic| score(topic.name.to_owned(), rounded(topic.probability.into())));
    let boilerplate =
        prediction.boilerplate().map(|probability| score("boilerplate".into(), rounded(probability.into())));
    let scheme = prediction.scheme();
    let distribution = rounded_distribution(prediction.escalation_probabilities());
    let levels = scheme.scale.iter().flat_map(|scale| scale.levels.iter().map(|level| (&scale.name, level.code)));
    let levels = levels.zip(distribution);
    let levels = levels.map(|((name, code), probability)| score(format!("{name}:{}", signed_code(code)), probability));
    let mut scores: Vec<LabelScore> = topics.chain(levels).chain(boilerplate).collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    scores
}
