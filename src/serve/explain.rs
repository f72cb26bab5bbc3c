//! Explanations: readings of texts without some of their words, which pass through the queue as every other text does.
//!
//! In: texts and their predictions. Out: explanations, bit for bit those of [`crate::explain::explain()`].
//!
//! What they cost is known before anything is computed, and is paid where all others pay: the bytes of the readings take room
//! in the queue, and their tokens fill batches, in which requests take turns window by window. So an explained request weighs as
//! much as a plain one with the text of all its readings, and takes no more turns than that one. When its client leaves, what
//! has not been read is not read.

use std::sync::Arc;

use tokio::time::Instant;

use crate::classifier::Classifier;
use crate::error::Error;
use crate::explain::{ExplainOptions, Explanation, Occlusion, words};
use crate::label::Prediction;
use crate::serve::answer::Refused;
use crate::serve::engine::Engine;
use crate::serve::input::apart;
use crate::serve::queue::{Purpose, Room};

/// Bytes of text that the readings of these texts have together.
///
/// # Errors
/// 413 if they are more than `most`.
pub(crate) async fn cost(classifier: &Arc<Classifier>, texts: Vec<String>, most: usize) -> Result<usize, Refused> {
    let classifier = Arc::clone(classifier);
    apart(move || {
        // The fewest first: texts that are far too long are not even tokenized.
        total(&texts, most, |_| Ok(usize::MAX))?;
        total(&texts, most, |text| classifier.tokenize(text).map(|encoding| encoding.tokens))
    })
    .await?
}

fn total(texts: &[String], most: usize, tokens: impl Fn(&str) -> Result<usize, Error>) -> Result<usize, Refused> {
    let options = ExplainOptions::default();
    let mut total = 0_usize;
    for text in texts {
        let tokens = tokens(text).map_err(|error| {
            tracing::error!(%error, "a text could not be tokenized");
            Refused::broken("a text could not be read; the request id stands in the server's log beside the cause")
        })?;
        let readings = words(text).len().min(options.readings(tokens));
        total = total.saturating_add(readings.saturating_mul(text.len()));
    }
    if total > most {
        let what = format!(
            "to explain this, {total} bytes of text or more would be read, a request may have {most} read; ask for the explanation \
             of fewer paragraphs at once"
        );
        return Err(Refused::too_large(what));
    }
    Ok(total)
}

impl Engine {
    /// Explains the predictions of texts, which must be those of the classifier. The texts of all of them that are read in one
    /// round are together one entry in the queue.
    ///
    /// # Errors
    /// 503 when the explanations are not there in time, 500 when the classifier broke.
    pub(crate) async fn explain(
        &self,
        classifier: &Arc<Classifier>,
        texts: Vec<String>,
        predictions: Vec<Prediction>,
        room: &Room,
        deadline: Instant,
    ) -> Result<Vec<Explanation>, Refused> {
        let begin = move || {
            let options = ExplainOptions::default();
            let pairs = texts.into_iter().zip(predictions);
            pairs.map(|(text, prediction)| Occlusion::new(text, prediction, &options)).collect::<Vec<_>>()
        };
        let mut occlusions = self.within(deadline, apart(begin)).await?;
        loop {
            let rounds: Vec<Vec<String>> = occlusions.iter().map(Occlusion::texts).collect();
            let counts: Vec<usize> = rounds.iter().map(Vec::len).collect();
            let texts: Vec<String> = rounds.into_iter().flatten().collect();
            if texts.is_empty() {
                return Ok(occlusions.into_iter().map(Occlusion::finish).collect());
            }
            let ticket = self.submit(Arc::clone(classifier), texts, Purpose::Explanation, room.clone());
            let found = self.wait(ticket, deadline).await?;
            let mut rest = found.as_slice();
            for (occlusion, count) in occlusions.iter_mut().zip(counts) {
                let (own, others) = rest.split_at(count);
                rest = others;
                if count > 0 {
                    occlusion.accept(own);
                }
            }
        }
    }
}
