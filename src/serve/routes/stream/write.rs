//! Predictions to records.

use std::io;
use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::mpsc;

use crate::bundle::BundleInfo;
use crate::explain::Explanation;
use crate::label::Prediction;
use crate::output::ParagraphRecord;
use crate::serve::App;
use crate::serve::answer::Refused;
use crate::serve::routes::stream::{Line, StreamFault, Waiting, Work};
use crate::text::{Document, Language};

/// Writes the records of lines in their order, until the reader ends or the client leaves.
pub(super) async fn write(
    app: Arc<App>,
    mut lines: mpsc::Receiver<Line>,
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
) {
    loop {
        // A client that leaves while nothing is ready for it is noticed too: its lines are not computed.
        let line = tokio::select! {
            line = lines.recv() => line,
            () = pieces.closed() => return,
        };
        let Some(line) = line else { return };
        let piece = tokio::select! {
            piece = piece(&app, line.what) => piece,
            () = pieces.closed() => return,
        };
        if pieces.send(piece.map(Bytes::from).map_err(io::Error::from)).await.is_err() {
            return;
        }
    }
}

/// What a line gives.
async fn piece(app: &App, work: Work) -> serde_json::Result<Vec<u8>> {
    match work {
        Work::Fault(error) => json_line(&StreamFault { error }),
        Work::Document(document) => {
            let id = document.document.id().to_owned();
            match records(app, document).await {
                Ok(records) => records,
                Err(refused) => json_line(&StreamFault { error: format!("{id}: {}", refused.message()) }),
            }
        }
    }
}

async fn records(app: &App, waiting: Waiting) -> Result<serde_json::Result<Vec<u8>>, Refused> {
    let Waiting { document, languages, classifier, ticket, explain } = waiting;
    let deadline = app.engine.deadline();
    let predictions = app.engine.wait(ticket, deadline).await?;
    let explanations = match explain {
        Some(bytes) => {
            let room = app.engine.admit_stream(bytes).await?;
            let texts = document.paragraphs().map(|paragraph| paragraph.text().to_owned()).collect();
            app.engine.explain(&classifier, texts, predictions.clone(), &room, deadline).await?
        }
        None => Vec::new(),
    };
    Ok(lines(&document, &languages, classifier.info(), &predictions, &explanations))
}

fn lines(
    document: &Document,
    languages: &[Language],
    info: &BundleInfo,
    predictions: &[Prediction],
    explanations: &[Explanation],
) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    let labelled = document.paragraphs().zip(languages).zip(predictions);
    for (place, ((paragraph, &language), prediction)) in labelled.enumerate() {
        let record = ParagraphRecord {
            document,
            paragraph: &paragraph,
            prediction,
            language,
            language_validated: info.is_validated_for(language),
            bundle: &info.id,
            explanation: explanations.get(place),
        };
        serde_json::to_writer(&mut out, &record)?;
        out.push(b'\n');
    }
    Ok(out)
}

fn json_line(value: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
