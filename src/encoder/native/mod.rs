//! BERT and RoBERTa on our own kernels: matrix products in f32, bf16 or int8; attention in f32 or, with int8 and in windows
//! that are not very long, on 16-bit integers; everything else in f32.
//!
//! Windows of a batch lie one after the other in (M, H) rows without padding; only attention looks at more than one row,
//! and at those of its own window. So a window's vector does not depend on what else is in the batch.

mod linear;

use std::sync::{Mutex, PoisonError};

use crate::encode::{Batch, Window};
use crate::encoder::native::linear::{Linear, Rows, Words};
use crate::encoder::{Encoder, EncoderConfig, Family, Pooling, Precision, Weights};
use crate::error::{BundleFault, Error, Result};
use crate::kernels::{AttentionScratch, Finish, FloatScratch, HeadLayout, Kernel};

/// Rows that go through the feed-forward block together: their 4H activations stay in the second-level cache, and they
/// are enough to make up for fetching the weights again.
const FEED_FORWARD_ROWS: usize = 64;

/// Windows up to so many tokens have their attention on integers, where that is at all: the share of the weight that such
/// attention may round away grows with the length.
const LONGEST_ON_INTEGERS: usize = 512;

/// Rows of a pass whose memory is kept for the next one.
const MOST_ROWS_KEPT: usize = 4096;

pub(crate) struct NativeEncoder {
    kernel: Box<dyn Kernel>,
    precision: Precision,
    pooling: Pooling,
    /// H
    hidden_size: usize,
    /// A
    heads: usize,
    intermediate_size: usize,
    epsilon: f32,
    words: Words,
    /// (positions, H)
    positions: Vec<f32>,
    /// Position of the first token.
    first_position: usize,
    /// RoBERTa counts on past tokens with this id, which all have the position before the first: their id's.
    uncounted: Option<u32>,
    /// (token types, H)
    types: Vec<f32>,
    /// Whether the two texts of a pair are told apart by their token types.
    has_types: bool,
    norm: Norm,
    layers: Vec<Layer>,
    scratch: Mutex<Vec<Scratch>>,
}

struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

struct Layer {
    /// Query, key and value in one: (3H, H).
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

/// Memory of one forward pass, kept for the next.
#[derive(Default)]
struct Scratch {
    rows: Rows,
    attention: AttentionScratch,
    attention_f32: FloatScratch,
    /// (M, 3H)
    query_key_value: Vec<f32>,
    /// (M, H)
    context: Vec<f32>,
    /// (M, H)
    next: Vec<f32>,
    /// (FEED_FORWARD_ROWS, 4H)
    wide: Vec<f32>,
}

impl NativeEncoder {
    pub(crate) fn load(
        config: &EncoderConfig,
        pooling: Pooling,
        weights: &Weights<'_>,
        kernel: Box<dyn Kernel>,
        precision: Precision,
    ) -> Result<Self, BundleFault> {
        let (h, i) = (config.hidden_size, config.intermediate_size);
        let norm = |prefix: String| -> Result<Norm, BundleFault> {
            Ok(Norm {
                gain: weights.f32(&format!("{prefix}.LayerNorm.weight"), &[h])?,
                bias: weights.f32(&format!("{prefix}.LayerNorm.bias"), &[h])?,
            })
        };
        let linear =
            |names: &[String], rows: usize, columns: usize| Linear::load(weights, precision, names, rows, columns);
        let layer = |index: usize| -> Result<Layer, BundleFault> {
            let prefix = format!("encoder.layer.{index}");
            let parts = ["query", "key", "value"].map(|part| format!("{prefix}.attention.self.{part}"));
            Ok(Layer {
                query_key_value: linear(&parts, h, h)?,
                attention_output: linear(&[format!("{prefix}.attention.output.dense")], h, h)?,
                attention_norm: norm(format!("{prefix}.attention.output"))?,
                intermediate: linear(&[format!("{prefix}.intermediate.dense")], i, h)?,
                output: linear(&[format!("{prefix}.output.dense")], h, i)?,
                output_norm: norm(format!("{prefix}.output"))?,
            })
        };
        let rows = config.first_position + config.max_tokens;
        let is_roberta = config.family == Family::Roberta;
        Ok(Self {
            kernel,
            precision,
            pooling,
            hidden_size: h,
            heads: config.heads,
            intermediate_size: i,
            epsilon: config.layer_norm_eps as f32,
            words: Words::load(weights, precision, config.vocab_size, h)?,
            positions: weights.f32("embeddings.position_embeddings.weight", &[rows, h])?,
            first_position: config.first_position,
            uncounted: is_roberta.then(|| config.first_position as u32 - 1),
            types: weights.f32("embeddings.token_type_embeddings.weight", &[config.token_types, h])?,
            // RoBERTa's tokenizer gives all tokens one type, whatever the configuration has room for.
            has_types: !is_roberta && config.token_types > 1,
            norm: norm("embeddings".into())?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            scratch: Mutex::default(),
        })
    }

    /// (M, H): the embeddings of all windows, one after the other.
    fn embed(&self, windows: &[&Window]) -> Vec<f32> {
        let h = self.hidden_size;
        let tokens: usize = windows.iter().map(|window| window.ids.len()).sum();
        let mut x = Vec::with_capacity(tokens * h);
        for window in windows {
            let mut counted = self.first_position;
            for (index, &id) in window.ids.iter().enumerate() {
                let start = x.len();
                let kind = if self.has_types { window.type_ids.get(index).map_or(0, |&kind| kind as usize) } else { 0 };
                let kinds = &self.types[kind * h..(kind + 1) * h];
                let position = if self.uncounted == Some(id) {
                    self.first_position - 1
                } else {
                    counted += 1;
                    counted - 1
                };
                let places = &self.positions[position * h..(position + 1) * h];
                x.extend(places.iter().zip(kinds).map(|(place, kind)| place + kind));
                self.words.add(id as usize, &mut x[start..]);
            }
        }
        self.kernel.layer_norm(&mut x, &self.norm.gain, &self.norm.bias, self.epsilon);
        x
    }

    /// (M, H) hidden states to (M, H) hidden states, in place.
    fn layer(&self, layer: &Layer, windows: &[&Window], x: &mut Vec<f32>, scratch: &mut Scratch) {
        let (h, kernel) = (self.hidden_size, self.kernel.as_ref());
        let tokens = x.len() / h;
        let Scratch { rows, attention, attention_f32, query_key_value, context, next, wide } = scratch;

        query_key_value.resize(tokens * 3 * h, 0.0);
        layer.query_key_value.apply(kernel, x, Finish::Plain, rows, query_key_value); // (M, 3H)
        context.resize(tokens * h, 0.0);
        let size = h / self.heads;
        let mut first = 0;
        for window in windows {
            let tokens = window.ids.len();
            if tokens == 0 {
                continue;
            }
            let own = &query_key_value[first * 3 * h..(first + tokens) * 3 * h];
            let own_context = &mut context[first * h..(first + tokens) * h];
            for head in 0..self.heads {
                let column = head * size;
                let layout = HeadLayout {
                    tokens,
                    stride: 3 * h,
                    query: column,
                    key: h + column,
                    value: 2 * h + column,
                    size,
                    out_stride: h,
                    out: column,
                };
                if self.precision == Precision::Int8 && tokens <= LONGEST_ON_INTEGERS {
                    kernel.attention(own, layout, attention, own_context);
                } else {
                    kernel.attention_f32(own, layout, attention_f32, own_context);
                }
            }
            first += tokens;
        }
        next.resize(tokens * h, 0.0);
        layer.attention_output.apply(kernel, context, Finish::Add(x), rows, next);
        kernel.layer_norm(next, &layer.attention_norm.gain, &layer.attention_norm.bias, self.epsilon);
        std::mem::swap(x, next);

        next.resize(tokens * h, 0.0);
        for (x, next) in x.chunks_mut(FEED_FORWARD_ROWS * h).zip(next.chunks_mut(FEED_FORWARD_ROWS * h)) {
            wide.resize(x.len() / h * self.intermediate_size, 0.0);
            layer.intermediate.apply(kernel, x, Finish::Gelu, rows, wide);
            layer.output.apply(kernel, wide, Finish::Add(x), rows, next);
            kernel.layer_norm(next, &layer.output_norm.gain, &layer.output_norm.bias, self.epsilon);
        }
        std::mem::swap(x, next);
    }

    /// (B, H) from (M, H); zeros for a window without tokens.
    fn pool(&self, windows: &[&Window], x: &[f32]) -> Vec<f32> {
        let h = self.hidden_size;
        let mut vectors = Vec::with_capacity(windows.len() * h);
        let mut rows = x.chunks_exact(h);
        for window in windows {
            let tokens = window.ids.len();
            let mut vector = vec![0.0f32; h];
            for (position, row) in rows.by_ref().take(tokens).enumerate() {
                if self.pooling == Pooling::Mean || position == 0 {
                    vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            }
            if self.pooling == Pooling::Mean && tokens > 0 {
                vector.iter_mut().for_each(|sum| *sum /= tokens as f32);
            }
            vectors.extend(vector);
        }
        vectors
    }
}

impl Encoder for NativeEncoder {
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        if self.has_types {
            let types = self.types.len() / self.hidden_size;
            for (index, window) in batch.windows.iter().enumerate() {
                if let Some(kind) = window.type_ids.iter().find(|&&kind| kind as usize >= types) {
                    let problem = format!(
                        "has token type {kind}, the encoder has {types}; tokenizer.json and config.json do not fit"
                    );
                    return Err(Error::Window { index, problem });
                }
            }
        }
        let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_default();
        let mut x = self.embed(&batch.windows);
        for layer in &self.layers {
            self.layer(layer, &batch.windows, &mut x, &mut scratch);
        }
        if x.len() <= MOST_ROWS_KEPT * self.hidden_size {
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
        Ok(self.pool(&batch.windows, &x))
    }

    fn kernel(&self) -> &'static str {
        linear::title(self.precision, self.kernel.as_ref())
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}
