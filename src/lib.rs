//! Labels every paragraph of a news text, in any language, with its topics and how escalatory its stance is.
//!
//! A bundle (a folder, or the one compiled into the program) holds a multilingual transformer, its heads, their
//! calibration and the label scheme. A [`Classifier`] opens it once; after that it is immutable and can be shared.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use detente::{Classifier, Document};
//!
//! let classifier = Classifier::embedded()?;
//! let document = Document::from_text("report", "Truce in the valley\n\nBoth sides withdrew their guns on Sunday.\n");
//! let predictions = classifier.classify_document(&document)?;
//!
//! let texts: Vec<&str> = document.paragraphs().map(|paragraph| paragraph.text()).collect();
//! assert_eq!(texts, ["Truce in the valley", "Both sides withdrew their guns on Sunday."]);
//! assert_eq!(predictions.len(), texts.len());
//!
//! let topics: Vec<&str> = predictions[1].topics().map(|topic| topic.name).collect();
//! assert_eq!(topics, ["military", "diplomacy", "sanctions"]);
//! assert_eq!(predictions[1].escalation_probabilities().len(), 5);
//! assert!(predictions[1].expected_escalation().is_some_and(|expected| (-2.0..=2.0).contains(&expected)));
//! # }
//! # Ok::<(), detente::Error>(())
//! ```
//!
//! # Architecture
//!
//! ```text
//! bytes -> Document -> Paragraph -> Encoding -> Batch -> vectors -> logits -> probabilities -> Prediction -> record
//!          text        text         encode      encode   encoder    head      calibration      label         output
//! ```
//!
//! Everything from the encoding to the prediction is one call of [`Classifier`], in `classifier`. What a module may know
//! of the others is fixed: it imports only from those above it in this table, and `tests/layers.rs` fails otherwise.
//!
//! | module | responsible for |
//! |---|---|
//! | `error` | the one error type: what was being done, to what, what to try |
//! | `threads` | a fixed number of workers, each job wholly on one of them |
//! | `kernels` | the arithmetic of the encoder, one implementation for each instruction set, all with the same bits |
//! | `hub` | the name of a repository on the Hugging Face Hub to a verified folder (feature `hub`) |
//! | [`label`] | the scheme and the prediction: the only place that knows names, order and codes of labels |
//! | [`text`] | bytes to documents to paragraphs: decoding, extraction, records, the paragraph rule, languages |
//! | `encode` | texts to token ids, in windows, in batches of like length |
//! | `encoder` | batches to one vector a window: the transformer |
//! | `head` | the vectors of a text to its logits: heads of bundles, those of checkpoints mapped to a scheme, and hypotheses judged by an NLI head |
//! | [`calibration`] | logits to probabilities, probabilities to decisions |
//! | `bundle` | opening a bundle or a checkpoint and checking everything in it; writing it with another calibration or other heads |
//! | `classifier` | the pipeline |
//! | `nli` | pairs of texts to entailment, neutral and contradiction |
//! | [`explain`] | a text read again without each of its words: which ones moved its labels |
//! | [`output`] | predictions to records and their summary; JSON Lines, CSV, table, HTML, Parquet |
//! | [`eval`] | gold and predictions, of any system, to figures with their uncertainty; gold and logits to a calibration; gold and vectors to heads |
//! | [`sample`] | predictions and vectors to the paragraphs that are most worth labelling, and files for those who label |
//! | `serve` | requests over HTTP to batches, predictions to answers (feature `serve`) |
//!
//! The command line stands above all of them, in the binary; it is the only part that prints, and the only one that the
//! feature `cli` is needed for.
//!
//! Three rules hold everywhere. A text's numbers depend on that text, the bundle and the precision alone, bit for bit (on Candle and in bf16: on the CPU too): not
//! on the batch, the neighbours, the order or the threads. Nothing is cut off: a long paragraph is read in windows. And
//! labels are data: names and number of topics and levels come from the bundle.
//!
//! More: `docs/embedding.md` (this crate in a service), `docs/reading.md` (paragraphs), `docs/windows.md`,
//! `docs/output.md` (every field), `docs/checkpoints.md`, `docs/hub.md`, `docs/zero-shot.md`, `docs/fitting.md`, `docs/serving.md`,
//! `docs/performance.md`, `models/README.md` (the bundle format).

mod bundle;
pub mod calibration;
mod classifier;
mod encode;
mod encoder;
mod error;
pub mod eval;
pub mod explain;
mod head;
#[cfg(feature = "hub")]
pub mod hub;
mod kernels;
pub mod label;
mod nli;
pub mod output;
pub mod sample;
#[cfg(feature = "serve")]
pub mod serve;
pub mod text;
mod threads;

pub use crate::bundle::checkpoint::is_checkpoint;
pub use crate::bundle::{
    BundleInfo, BundleSource, CheckpointInfo, FORMAT, HeadKind, LabelMap, NliOutputs, Refit, ZeroShotInfo,
    ZeroShotScheme,
};
pub use crate::classifier::{Classifier, ClassifierBuilder};
pub use crate::encoder::{Device, Precision};
#[cfg(feature = "hub")]
pub use crate::error::HubFault;
pub use crate::error::{BundleFault, CheckpointFault, Error, InputFault, RecordFault, Result};
pub use crate::head::{HeadRow, HeadRows, Logits, ScaleHead, TextVectors, VectorSpace};
pub use crate::kernels::Peak;
pub use crate::label::{Level, Prediction, Scheme, TopicScore};
pub use crate::nli::{Nli, NliLogits};
pub use crate::text::{Document, Paragraph};

/// The code blocks of the pages outside `src/`, compiled and run as doctests.
#[cfg(all(doctest, feature = "embedded"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../docs/checkpoints.md")]
    struct Checkpoints;
    #[doc = include_str!("../docs/zero-shot.md")]
    struct ZeroShot;
    #[cfg(feature = "hub")]
    #[doc = include_str!("../docs/hub.md")]
    struct Hub;
}
