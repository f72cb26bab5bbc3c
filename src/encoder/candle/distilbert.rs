//! DistilBERT (Sanh et al. 2019): BERT without token types, its tensors named otherwise. `candle-transformers` has one, but
//! with the tanh approximation of GELU where checkpoints mean the error function, 8e-3 off in the hidden states.

use candle_core::{D, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear};

use crate::encoder::EncoderConfig;
use crate::encoder::config::Activation;

pub(super) struct DistilBert {
    words: Embedding,
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    /// A
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: Activation,
    output: Linear,
    output_norm: LayerNorm,
}

impl DistilBert {
    pub(super) fn load(builder: &VarBuilder<'_>, config: &EncoderConfig) -> Result<Self> {
        let h = config.hidden_size;
        let embeddings = builder.pp("embeddings");
        let layer = |index: usize| Layer::load(&builder.pp(format!("transformer.layer.{index}")), config);
        Ok(Self {
            words: embedding(config.vocab_size, h, embeddings.pp("word_embeddings"))?,
            positions: embeddings.pp("position_embeddings").get((config.max_tokens, h), "weight")?,
            norm: layer_norm(h, config.layer_norm_eps, embeddings.pp("LayerNorm"))?,
            layers: (0..config.layers).map(layer).collect::<Result<_>>()?,
        })
    }

    /// (1, T) ids to (1, T, H) hidden states.
    pub(super) fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let positions = self.positions.narrow(0, 0, ids.dim(1)?)?; // (T, H)
        let embedded = self.words.forward(ids)?.broadcast_add(&positions)?; // (1, T, H)
        let first = self.norm.forward(&embedded)?;
        self.layers.iter().try_fold(first, |x, layer| layer.forward(&x))
    }
}

impl Layer {
    fn load(builder: &VarBuilder<'_>, config: &EncoderConfig) -> Result<Self> {
        let (h, i) = (config.hidden_size, config.intermediate_size);
        let attention = |name: &str| linear(h, h, builder.pp("attention").pp(name));
        Ok(Self {
            heads: config.heads,
            query: attention("q_lin")?,
            key: attention("k_lin")?,
            value: attention("v_lin")?,
            attention_output: attention("out_lin")?,
            attention_norm: layer_norm(h, config.layer_norm_eps, builder.pp("sa_layer_norm"))?,
            intermediate: linear(h, i, builder.pp("ffn.lin1"))?,
            activation: config.activation,
            output: linear(i, h, builder.pp("ffn.lin2"))?,
            output_norm: layer_norm(h, config.layer_norm_eps, builder.pp("output_layer_norm"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.attention_norm.forward(&(self.attention(x)? + x)?)?;
        let wide = self.intermediate.forward(&x)?; // (1, T, I)
        let wide = match self.activation {
            Activation::Gelu => wide.gelu_erf()?,
            Activation::GeluTanh => wide.gelu()?,
            Activation::Relu => wide.relu()?,
        };
        self.output_norm.forward(&(self.output.forward(&wide)? + &x)?) // (1, T, H)
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (_, t, h) = x.dims3()?;
        let size = h / self.heads;
        let split = |linear: &Linear| -> Result<Tensor> {
            linear.forward(x)?.reshape((1, t, self.heads, size))?.transpose(1, 2)?.contiguous() // (1, A, T, H / A)
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scores = (query / (size as f64).sqrt())?.matmul(&key.transpose(D::Minus2, D::Minus1)?.contiguous()?)?; // (1, A, T, T)
        let context = softmax_last_dim(&scores)?.matmul(&value)?; // (1, A, T, H / A)
        self.attention_output.forward(&context.transpose(1, 2)?.reshape((1, t, h))?) // (1, T, H)
    }
}
