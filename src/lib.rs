//! Labels every paragraph of a news text, in any language, with its topics and how escalatory its stance is.

mod error;
pub mod label;
pub mod text;

pub use crate::error::{BundleFault, Error, InputFault, RecordFault, Result};
pub use crate::label::{Level, Prediction, Scheme, TopicScore};
pub use crate::text::{Document, Paragraph};
