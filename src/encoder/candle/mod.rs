//! The transformers on Candle in f32: the reference that other paths are measured against.
//!
//! The graphs are those of `candle-transformers`, but for DistilBERT's, which means another GELU there. What every family
//! does the same is here: tensors are checked when a graph asks for them, hidden states are pooled.

mod distilbert;
mod families;
mod tensors;

use candle_core::{Device, IndexOp, Tensor};
use candle_transformers::models::bert::BertModel;
use candle_transformers::models::debertav2::DebertaV2Model;
use candle_transformers::models::modernbert::ModernBert;
use candle_transformers::models::xlm_roberta::XLMRobertaModel;

use crate::encode::{Batch, Window};
use crate::encoder::candle::distilbert::DistilBert;
use crate::encoder::{Encoder, EncoderConfig, Family, Pooling, Weights};
use crate::error::{BundleFault, Result};

pub(crate) struct CandleEncoder {
    graph: Graph,
    pooling: Pooling,
    device: Device,
    /// Whether the two texts of a pair are told apart by their token types.
    has_types: bool,
}

enum Graph {
    Bert(BertModel),
    Roberta(XLMRobertaModel),
    DistilBert(DistilBert),
    Deberta(Box<DebertaV2Model>),
    ModernBert(ModernBert),
}

impl CandleEncoder {
    pub(crate) fn load(
        config: &EncoderConfig,
        pooling: Pooling,
        weights: &Weights<'_>,
        device: &Device,
    ) -> Result<Self, BundleFault> {
        let graph = tensors::load(weights, config.family, device, |builder| {
            Ok(match config.family {
                Family::Bert => Graph::Bert(BertModel::load(builder, &families::bert(config))?),
                Family::Roberta => Graph::Roberta(XLMRobertaModel::new(&families::roberta(config), builder)?),
                Family::DistilBert => Graph::DistilBert(DistilBert::load(&builder, config)?),
                Family::DebertaV2 => {
                    Graph::Deberta(Box::new(DebertaV2Model::load(builder, &families::deberta(config)?)?))
                }
                Family::ModernBert => Graph::ModernBert(ModernBert::load(builder, &families::modernbert(config)?)?),
                Family::Hash => candle_core::bail!("there is no graph to load"),
            })
        })?;
        Ok(Self { graph, pooling, device: device.clone(), has_types: config.token_types > 1 })
    }

    /// (T, H): the last hidden states of one window.
    fn hidden_states(&self, window: &Window) -> candle_core::Result<Tensor> {
        let ids = Tensor::new(window.ids.as_slice(), &self.device)?.unsqueeze(0)?; // (1, T)
        let types = if self.has_types && !window.type_ids.is_empty() {
            Tensor::new(window.type_ids.as_slice(), &self.device)?.unsqueeze(0)?
        } else {
            ids.zeros_like()?
        }; // (1, T)
        let hidden_states = match &self.graph {
            Graph::Bert(model) => model.forward(&ids, &types, None)?,
            Graph::Roberta(model) => {
                // RoBERTa's tokenizer gives all tokens one type, whatever the configuration has room for.
                model.forward(&ids, &ids.ones_like()?, &ids.zeros_like()?, None, None, None)?
            }
            Graph::DistilBert(model) => model.forward(&ids)?,
            Graph::Deberta(model) => model.forward(&ids, Some(types), None)?,
            Graph::ModernBert(model) => model.forward(&ids, &ids.ones_like()?)?,
        }; // (1, T, H)
        hidden_states.squeeze(0)
    }
}

impl Encoder for CandleEncoder {
    /// One window at a time: no padding, so no other window can touch a vector, not even in its last bit.
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>> {
        let mut vectors = Vec::new();
        for window in &batch.windows {
            let hidden_states = self.hidden_states(window)?;
            let vector = match self.pooling {
                Pooling::Mean => hidden_states.mean(0)?,
                Pooling::Cls => hidden_states.i(0)?,
            }; // (H)
            vectors.extend(vector.to_vec1::<f32>()?);
        }
        Ok(vectors)
    }

    fn kernel(&self) -> &'static str {
        match self.device {
            Device::Cpu => "candle f32",
            Device::Cuda(_) => "candle f32 cuda",
            Device::Metal(_) => "candle f32 metal",
        }
    }
}
