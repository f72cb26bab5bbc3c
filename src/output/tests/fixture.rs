//! Schemes, predictions and documents with known numbers, and a run through a writer.

use std::sync::{Arc, Mutex};

use crate::label::{Prediction, PredictionParts, Scale, ScaleLevel, Scheme, Topic};
use crate::output::{DocumentRecord, ParagraphRecord, Summary, WriterOptions, writer};
use crate::text::{Document, Language};

pub(crate) const BUNDLE: &str = "detente-mini@0.1.0+1a2b3c4d";

/// The scheme that ships.
pub(crate) fn shipped() -> Arc<Scheme> {
    let names = ["strongly de-escalatory", "de-escalatory", "neutral", "escalatory", "strongly escalatory"];
    let levels = (-2..).zip(names).map(|(code, name)| ScaleLevel { code, name: name.into() }).collect();
    Arc::new(Scheme {
        topics: vec![
            topic("military", "use, threat, movement, strength or losses of armed force"),
            topic("diplomacy", "what states and organisations say to or agree with one another"),
            topic("sanctions", "restrictive measures imposed, threatened, eased or evaded for political ends"),
        ],
        scale: Some(Scale { name: "escalation".into(), levels }),
        boilerplate: true,
    })
}

/// A scheme of topics alone.
pub(crate) fn topics_alone() -> Arc<Scheme> {
    Arc::new(Scheme { topics: vec![topic("sport", ""), topic("weather", "")], scale: None, boilerplate: false })
}

/// A scheme of a scale alone, with another name and other codes.
pub(crate) fn scale_alone() -> Arc<Scheme> {
    let levels = [(1, "calm"), (3, "lively"), (7, "shrill")];
    let levels = levels.map(|(code, name)| ScaleLevel { code, name: name.into() }).to_vec();
    Arc::new(Scheme { topics: vec![], scale: Some(Scale { name: "tone".into(), levels }), boilerplate: false })
}

fn topic(name: &str, description: &str) -> Topic {
    Topic { name: name.into(), description: description.into() }
}

/// A prediction under any scheme: topics apply from 0.5, the level is the likeliest.
pub(crate) fn prediction(scheme: &Arc<Scheme>, topics: &[f32], levels: &[f32], boilerplate: Option<f32>) -> Prediction {
    let likeliest = (0..levels.len()).rev().max_by(|&a, &b| levels[a].total_cmp(&levels[b]));
    let parts = PredictionParts {
        topic_probabilities: topics.to_vec(),
        topic_applies: topics.iter().map(|&probability| probability >= 0.5).collect(),
        level_probabilities: levels.to_vec(),
        level: likeliest.unwrap_or(0),
        boilerplate_probability: boilerplate,
        is_boilerplate: boilerplate.is_some_and(|probability| probability >= 0.5),
        windows: 1,
        tokens: 31,
    };
    Prediction::from_parts(Arc::clone(scheme), parts)
}

/// A prediction under the shipped scheme with about this expected escalation.
pub(crate) fn rated(expected: f32, topics: [f32; 3]) -> Prediction {
    let weights: Vec<f32> = (-2..=2).map(|code| (-(code as f32 - expected).powi(2) * 1.4).exp()).collect();
    let total: f32 = weights.iter().sum();
    let levels: Vec<f32> = weights.iter().map(|weight| weight / total).collect();
    prediction(&shipped(), &topics, &levels, Some(0.02))
}

/// A boilerplate prediction under the shipped scheme.
pub(crate) fn boilerplate() -> Prediction {
    prediction(&shipped(), &[0.0123, 0.02, 0.004], &[0.0, 0.05, 0.9, 0.05, 0.0], Some(0.9876))
}

/// A document with its predictions, one a paragraph.
pub(crate) type Labelled = (Document, Vec<Prediction>);

/// What a writer makes of documents that are given to it as the command line gives them.
pub(crate) fn write(options: WriterOptions, documents: &[Labelled]) -> Vec<u8> {
    let scheme = Arc::clone(&options.scheme);
    let out = Arc::new(Mutex::new(Vec::new()));
    let mut writer = writer(Shared(Arc::clone(&out)), options).unwrap();
    for (document, predictions) in documents {
        let mut summary = Summary::new(Arc::clone(&scheme));
        assert_eq!(document.paragraphs().count(), predictions.len(), "{}", document.id());
        for (paragraph, prediction) in document.paragraphs().zip(predictions) {
            let language = Language::UNDETERMINED;
            summary.add(&paragraph, prediction, language);
            writer
                .paragraph(&ParagraphRecord {
                    document,
                    paragraph: &paragraph,
                    prediction,
                    language,
                    language_validated: true,
                    bundle: BUNDLE,
                    explanation: None,
                })
                .unwrap();
        }
        writer.document(&DocumentRecord { document, summary: &summary, bundle: BUNDLE }).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    Arc::into_inner(out).unwrap().into_inner().unwrap()
}

/// [`write`] as text.
pub(crate) fn written(options: WriterOptions, documents: &[Labelled]) -> String {
    String::from_utf8(write(options, documents)).unwrap()
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
