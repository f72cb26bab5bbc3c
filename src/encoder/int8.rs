//! BERT and RoBERTa on our own kernels: int8 matrix products, attention on 16-bit integers, everything else in f32.
//!
//! Windows of a batch lie one after the other in (M, H) rows without padding; only attention looks at more than one row,
//! and at those of its own window. So a window's vector does not depend on what else is in the batch.

use std::sync::{Mutex, PoisonError};

use crate::encode::{Batch, Window};
use crate::encoder::weights::Int8Matrix;
use crate::encoder::{Encoder, EncoderConfig, Pooling, Precision, Weights};
use crate::error::{BundleFault, Result};
use crate::kernels::{AttentionScratch, Finish, HeadLayout, Kernel, PackedLinear, QuantisedRows};

/// Rows that go through the feed-forward block together: their 4H activations stay in the second-level cache, and they
/// are enough to make up for fetching the weights again.
const FEED_FORWARD_ROWS: usize = 64;

pub(crate) struct Int8Encoder {
    kernel: Box<dyn Kernel>,
    pooling: Pooling,
    /// H
    hidden_size: usize,
    /// A
    heads: usize,
    intermediate_size: usize,
    epsilon: f32,
    words: Int8Matrix,
    /// (positions, H) from the first token's on, the embedding of token type 0 added.
    positions: Vec<f32>,
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
    query_key_value: PackedLinear,
    attention_output: PackedLinear,
    attention_norm: Norm,
    intermediate: PackedLinear,
    output: PackedLinear,
    output_norm: Norm,
}

/// Memory of one forward pass, kept for the next.
#[derive(Default)]
struct Scratch {
    quantised: QuantisedRows,
    attention: AttentionScratch,
    /// (M, 3H)
    query_key_value: Vec<f32>,
    /// (M, H)
    context: Vec<f32>,
    /// (M, H)
    next: Vec<f32>,
    /// (FEED_FORWARD_ROWS, 4H)
    wide: Vec<f32>,
}

impl Int8Encoder {
    pub(crate) fn load(
        config: &EncoderConfig,
        pooling: Pooling,
        weights: &Weights<'_>,
        kernel: Box<dyn Kernel>,
    ) -> Result<Self, BundleFault> {
        let (h, i) = (config.hidden_size, config.intermediate_size);
        let norm = |prefix: String| -> Result<Norm, BundleFault> {
            Ok(Norm {
                gain: weights.f32(&format!("{prefix}.LayerNorm.weight"), &[h])?,
                bias: weights.f32(&format!("{prefix}.LayerNorm.bias"), &[h])?,
            })
        };
        let linear = |names: &[String], rows: usize, columns: usize| -> Result<PackedLinear, BundleFault> {
            let mut all = Int8Matrix { values: Vec::new(), scales: Vec::new() };
            let mut bias = Vec::new();
            for name in names {
                let matrix = weights.int8(&format!("{name}.weight"), rows, columns)?;
                if all.scales.is_empty() {
                    all = matrix;
                } else {
                    all.values.extend(matrix.values);
                    all.scales.extend(matrix.scales);
                }
                bias.extend(weights.f32(&format!("{name}.bias"), &[rows])?);
            }
            Ok(PackedLinear::pack(&all.values, &all.scales, &bias, columns))
        };
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
        let mut positions = weights.f32("embeddings.position_embeddings.weight", &[rows, h])?;
        positions.drain(..config.first_position * h);
        let types = weights.f32("embeddings.token_type_embeddings.weight", &[config.token_types, h])?;
        for row in positions.chunks_exact_mut(h) {
            row.iter_mut().zip(&types).for_each(|(number, kind)| *number += kind);
        }
        Ok(Self {
            kernel,
            pooling,
            hidden_size: h,
            heads: config.heads,
            intermediate_size: i,
            epsilon: config.layer_norm_eps as f32,
            words: weights.int8("embeddings.word_embeddings.weight", config.vocab_size, h)?,
            positions,
            norm: norm("embeddings".into())?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            scratch: Mutex::default(),
        })
    }

    /// (M, H): the embeddings of all windows, one after the other.
    fn embed(&self, windows: &[&Window]) -> Vec<f32> {
        let h = self.hidden_size;
        let ids = || windows.iter().flat_map(|window| window.ids.iter().enumerate());
        let mut x = Vec::with_capacity(ids().count() * h);
        for (position, &id) in ids() {
            let id = id as usize;
            let scale = self.words.scales[id];
            let place = &self.positions[position * h..(position + 1) * h];
            let word = self.words.values[id * h..(id + 1) * h].iter().map(|&step| f32::from(step) * scale);
            x.extend(word.zip(place).map(|(word, place)| word + place));
        }
        self.kernel.layer_norm(&mut x, &self.norm.gain, &self.norm.bias, self.epsilon);
        x
    }

    /// (M, H) hidden states to (M, H) hidden states, in place.
    fn layer(&self, layer: &Layer, windows: &[&Window], x: &mut Vec<f32>, scratch: &mut Scratch) {
        let (h, kernel) = (self.hidden_size, self.kernel.as_ref());
        let rows = x.len() / h;
        let Scratch { quantised, attention, query_key_value, context, next, wide } = scratch;

        quantised.resize(rows, h);
        kernel.quantise(x, quantised);
        query_key_value.resize(rows * 3 * h, 0.0);
        kernel.linear(quantised, &layer.query_key_value, Finish::Plain, query_key_value); // (M, 3H)
        context.resize(rows * h, 0.0);
        let size = h / self.heads;
        let mut first = 0;
        for window in windows {
            let tokens = window.ids.len();
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
                kernel.attention(own, layout, attention, own_context);
            }
            first += tokens;
        }
        quantised.resize(rows, h);
        kernel.quantise(context, quantised);
        next.resize(rows * h, 0.0);
        kernel.linear(quantised, &layer.attention_output, Finish::Add(x), next);
        kernel.layer_norm(next, &layer.attention_norm.gain, &layer.attention_norm.bias, self.epsilon);
        std::mem::swap(x, next);

        next.resize(rows * h, 0.0);
        for (x, next) in x.chunks_mut(FEED_FORWARD_ROWS * h).zip(next.chunks_mut(FEED_FORWARD_ROWS * h)) {
            let rows = x.len() / h;
            quantised.resize(rows, h);
            kernel.quantise(x, quantised);
            wide.resize(rows * self.intermediate_size, 0.0);
            kernel.linear(quantised, &layer.intermediate, Finish::Gelu, wide);
            quantised.resize(rows, self.intermediate_size);
            kernel.quantise(wide, quantised);
            kernel.linear(quantised, &layer.output, Finish::Add(x), next);
            kernel.layer_norm(next, &layer.output_norm.gain, &layer.output_norm.bias, self.epsilon);
        }
        std::mem::swap(x, next);
    }

    /// (B, H) from (M, H).
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
            if self.pooling == Pooling::Mean {
                vector.iter_mut().for_each(|sum| *sum /= tokens as f32);
            }
            vectors.extend(vector);
        }
        vectors
    }
}

impl Encoder for Int8Encoder {
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_default();
        let mut x = self.embed(&batch.windows);
        for layer in &self.layers {
            self.layer(layer, &batch.windows, &mut x, &mut scratch);
        }
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        Ok(self.pool(&batch.windows, &x))
    }

    fn kernel(&self) -> &'static str {
        self.kernel.name()
    }

    fn precision(&self) -> Precision {
        Precision::Int8
    }
}
