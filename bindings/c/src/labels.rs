//! A text to JSON.

use std::ffi::CString;

use classifier::explain::{ExplainOptions, Explanation, explain};
use classifier::output::ParagraphRecord;
use classifier::text::detect_language;
use classifier::{Classifier, Document, Prediction};
use serde_json::json;

use crate::border::Failure;
use crate::{DETENTE_EXPLAIN, DETENTE_HTML};

/// The records of the paragraphs of a text, as a JSON list.
pub(crate) fn labels(classifier: &Classifier, id: &str, text: &str, flags: u32) -> Result<CString, Failure> {
    if flags & !(DETENTE_EXPLAIN | DETENTE_HTML) != 0 {
        return Err(Failure::Flags(flags));
    }
    let has = |flag: u32| flags & flag != 0;
    let document = if has(DETENTE_HTML) { Document::from_html(id, text) } else { Document::from_text(id, text) };
    let paragraphs: Vec<_> = document.paragraphs().collect();
    let labels: Vec<(Prediction, Option<Explanation>)> = if has(DETENTE_EXPLAIN) {
        let options = ExplainOptions::default();
        let explained = paragraphs.iter().map(|paragraph| {
            let explanation = explain(classifier, paragraph.text(), &options)?;
            Ok((explanation.prediction().clone(), Some(explanation)))
        });
        explained.collect::<Result<_, Failure>>()?
    } else {
        let predictions = classifier.classify_document(&document)?.into_iter();
        predictions.map(|prediction| (prediction, None)).collect()
    };
    let info = classifier.info();
    let records = paragraphs.iter().zip(&labels).map(|(paragraph, (prediction, explanation))| {
        let language = detect_language(paragraph.text());
        ParagraphRecord {
            document: &document,
            paragraph,
            prediction,
            language,
            language_validated: info.is_validated_for(language),
            bundle: &info.id,
            explanation: explanation.as_ref(),
        }
    });
    string(serde_json::to_string(&records.collect::<Vec<_>>())?)
}

/// What a bundle says of itself, as a JSON object.
pub(crate) fn info(classifier: &Classifier) -> Result<CString, Failure> {
    let info = classifier.info();
    let json = json!({
        "name": info.name,
        "version": info.version,
        "id": info.id,
        "sha256": info.sha256,
        "license": info.license,
        "languages": info.languages,
        "scheme": info.scheme.as_ref(),
        "kernel": info.kernel,
    });
    string(json.to_string())
}

/// JSON writes a NUL as `\u0000`, so that none is left in it.
fn string(json: String) -> Result<CString, Failure> {
    Ok(CString::new(json).expect("JSON holds no NUL"))
}
