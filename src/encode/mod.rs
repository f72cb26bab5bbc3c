//! From text to batches of token ids.
//!
//! In: texts. Out: [`Encoding`]s (ids cut into windows), then [`Batch`]es of windows for the encoder.

mod batch;
mod pair;
mod tokenizer;

pub(crate) use batch::{Batch, batches};
pub(crate) use pair::PairFrame;
pub(crate) use tokenizer::{Encoding, PairSpan, Prompt, TextTokenizer, Window};
