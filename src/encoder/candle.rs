//! The transformer on Candle in f32: the reference that other paths are measured against.

use std::collections::HashMap;

use candle_core::{DType, Device, IndexOp, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, HiddenAct, PositionEmbeddingType};

use crate::encode::Batch;
use crate::encoder::config::Activation;
use crate::encoder::{Encoder, EncoderConfig, Pooling, Weights};
use crate::error::{BundleFault, Result};

pub(crate) struct BertEncoder {
    model: BertModel,
    pooling: Pooling,
}

impl BertEncoder {
    pub(crate) fn load(config: &EncoderConfig, pooling: Pooling, weights: &Weights<'_>) -> Result<Self, BundleFault> {
        let mut tensors = HashMap::new();
        for (name, shape) in config.tensors() {
            let values = weights.f32(&name, &shape)?;
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).map_err(refused)?;
            tensors.insert(name, tensor);
        }
        let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = BertModel::load(builder, &candle_config(config)).map_err(refused)?;
        Ok(Self { model, pooling })
    }
}

impl Encoder for BertEncoder {
    /// One window at a time: no padding, so no other window can touch a vector, not even in its last bit.
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let mut vectors = Vec::new();
        for window in &batch.windows {
            let ids = Tensor::new(window.ids.as_slice(), &Device::Cpu)?.unsqueeze(0)?; // (1, T)
            let hidden_states = self.model.forward(&ids, &ids.zeros_like()?, None)?.squeeze(0)?; // (T, H)
            let vector = match self.pooling {
                Pooling::Mean => hidden_states.mean(0)?,
                Pooling::Cls => hidden_states.i(0)?,
            }; // (H)
            vectors.extend(vector.to_vec1::<f32>()?);
        }
        Ok(vectors)
    }

    fn kernel(&self) -> &'static str {
        "candle f32"
    }
}

fn candle_config(config: &EncoderConfig) -> Config {
    Config {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        intermediate_size: config.intermediate_size,
        hidden_act: match config.activation {
            Activation::Gelu => HiddenAct::Gelu,
            Activation::GeluTanh => HiddenAct::GeluApproximate,
            Activation::Relu => HiddenAct::Relu,
        },
        hidden_dropout_prob: 0.0,
        max_position_embeddings: config.max_positions,
        type_vocab_size: config.token_types,
        layer_norm_eps: config.layer_norm_eps,
        position_embedding_type: PositionEmbeddingType::Absolute,
        ..Config::default()
    }
}

/// Names, shapes and types were checked before: what Candle still refuses is a configuration it cannot build.
fn refused(error: candle_core::Error) -> BundleFault {
    BundleFault::Inconsistent {
        file: "config.json".into(),
        problem: format!("Candle cannot build this encoder: {error}"),
    }
}
