//! `config.json` as transformers writes it, reduced to what an encoder needs.

use serde::Deserialize;

use crate::error::BundleFault;

/// The architectures that can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Family {
    /// BERT: MiniLM, multilingual-e5-small, LaBSE and ours.
    Bert,
    /// No transformer: a vector from a hash of the ids, for tests without arithmetic.
    Hash,
}

/// The activation between the two linear maps of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Activation {
    /// GELU with the error function, exact.
    #[serde(rename = "gelu")]
    Gelu,
    /// GELU by its tanh approximation.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluTanh,
    /// max(0, x).
    #[serde(rename = "relu")]
    Relu,
}

/// Shape and constants of an encoder.
#[derive(Debug, Clone)]
pub(crate) struct EncoderConfig {
    pub(crate) family: Family,
    /// H
    pub(crate) hidden_size: usize,
    pub(crate) vocab_size: usize,
    pub(crate) layers: usize,
    /// A
    pub(crate) heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) max_positions: usize,
    pub(crate) token_types: usize,
    pub(crate) layer_norm_eps: f64,
    pub(crate) activation: Activation,
}

#[derive(Deserialize)]
struct BertJson {
    hidden_size: usize,
    vocab_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "bert_eps")]
    layer_norm_eps: f64,
    hidden_act: Activation,
    position_embedding_type: Option<String>,
}

#[derive(Deserialize)]
struct HashJson {
    hidden_size: usize,
}

/// transformers' defaults of `BertConfig`, for configurations that leave them out.
fn two() -> usize {
    2
}

fn bert_eps() -> f64 {
    1e-12
}

impl EncoderConfig {
    /// Reads a `config.json` of the given family.
    pub(crate) fn read(json: &[u8], family: Family) -> Result<Self, BundleFault> {
        let fault = |source| BundleFault::Json { file: "config.json".into(), source };
        match family {
            Family::Hash => {
                let HashJson { hidden_size } = serde_json::from_slice(json).map_err(fault)?;
                Ok(Self {
                    family,
                    hidden_size,
                    vocab_size: 0,
                    layers: 0,
                    heads: 0,
                    intermediate_size: 0,
                    max_positions: usize::MAX,
                    token_types: 0,
                    layer_norm_eps: 0.0,
                    activation: Activation::Relu,
                })
            }
            Family::Bert => Self::bert(serde_json::from_slice(json).map_err(fault)?),
        }
    }

    fn bert(json: BertJson) -> Result<Self, BundleFault> {
        let inconsistent = |problem| Err(BundleFault::Inconsistent { file: "config.json".into(), problem });
        if let Some(kind) = json.position_embedding_type.filter(|kind| kind != "absolute") {
            return inconsistent(format!("position_embedding_type is {kind:?}, only \"absolute\" can be computed"));
        }
        if json.num_attention_heads == 0 || !json.hidden_size.is_multiple_of(json.num_attention_heads) {
            return inconsistent(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                json.hidden_size, json.num_attention_heads
            ));
        }
        Ok(Self {
            family: Family::Bert,
            hidden_size: json.hidden_size,
            vocab_size: json.vocab_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            intermediate_size: json.intermediate_size,
            max_positions: json.max_position_embeddings,
            token_types: json.type_vocab_size,
            layer_norm_eps: json.layer_norm_eps,
            activation: json.hidden_act,
        })
    }

    /// Every tensor of the encoder with its shape, names as in transformers' `BertModel`.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        if self.family == Family::Hash {
            return Vec::new();
        }
        let (h, i) = (self.hidden_size, self.intermediate_size);
        let norm = |prefix: &str| {
            [(format!("{prefix}.LayerNorm.weight"), vec![h]), (format!("{prefix}.LayerNorm.bias"), vec![h])]
        };
        let linear = |prefix: String, rows: usize, columns: usize| {
            [(format!("{prefix}.weight"), vec![rows, columns]), (format!("{prefix}.bias"), vec![rows])]
        };
        let mut tensors = vec![
            ("embeddings.word_embeddings.weight".into(), vec![self.vocab_size, h]),
            ("embeddings.position_embeddings.weight".into(), vec![self.max_positions, h]),
            ("embeddings.token_type_embeddings.weight".into(), vec![self.token_types, h]),
        ];
        tensors.extend(norm("embeddings"));
        for layer in 0..self.layers {
            let prefix = format!("encoder.layer.{layer}");
            for part in ["query", "key", "value"] {
                tensors.extend(linear(format!("{prefix}.attention.self.{part}"), h, h));
            }
            tensors.extend(linear(format!("{prefix}.attention.output.dense"), h, h));
            tensors.extend(norm(&format!("{prefix}.attention.output")));
            tensors.extend(linear(format!("{prefix}.intermediate.dense"), i, h));
            tensors.extend(linear(format!("{prefix}.output.dense"), h, i));
            tensors.extend(norm(&format!("{prefix}.output")));
        }
        tensors
    }

    /// Number of weights.
    pub(crate) fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}
