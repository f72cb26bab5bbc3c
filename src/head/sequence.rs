//! The sequence classification head of a checkpoint, as each family has it in transformers (5.23, `modeling_*.py`).
//!
//! | family | on | head |
//! |---|---|---|
//! | BERT | first token | dense, tanh (the pooler); linear |
//! | RoBERTa, XLM-RoBERTa | first token | dense, tanh; linear |
//! | DistilBERT | first token | dense, relu; linear |
//! | DeBERTa-v2 and -v3 | first token | dense, `pooler_hidden_act` (the pooler); linear |
//! | ModernBERT | first token or mean (`classifier_pooling`) | dense, `classifier_activation`, layer norm; linear |

use candle_core::cpu::erf::erf_f32;
use serde::Deserialize;

use crate::encoder::{EncoderConfig, Family, Pooling, Weights};
use crate::error::BundleFault;
use crate::head::Linear;

/// A pooled vector to one number a label.
pub(crate) struct SequenceHead {
    dense: Linear,
    activation: Activation,
    norm: Option<Norm>,
    out: Linear,
}

/// The activation behind the dense layer.
#[derive(Debug, Clone, Copy, Deserialize)]
enum Activation {
    #[serde(rename = "gelu", alias = "gelu_python")]
    Gelu,
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluTanh,
    #[serde(rename = "relu")]
    Relu,
    #[serde(rename = "tanh")]
    Tanh,
}

/// Layer norm without bias, ModernBERT's.
struct Norm {
    gain: Vec<f32>,
    epsilon: f64,
}

/// What config.json says of the head.
#[derive(Deserialize)]
struct HeadJson {
    pooler_hidden_act: Option<Activation>,
    pooler_hidden_size: Option<usize>,
    classifier_activation: Option<Activation>,
    classifier_pooling: Option<Pooling>,
}

impl HeadJson {
    fn read(config: &[u8]) -> Result<Self, BundleFault> {
        serde_json::from_slice(config).map_err(|source| BundleFault::Json { file: "config.json".into(), source })
    }
}

impl SequenceHead {
    /// What the head looks at.
    pub(crate) fn pooling(config_json: &[u8], family: Family) -> Result<Pooling, BundleFault> {
        let pooling = HeadJson::read(config_json)?.classifier_pooling;
        Ok(if family == Family::ModernBert { pooling.unwrap_or(Pooling::Cls) } else { Pooling::Cls })
    }

    /// Reads the head with one output for each of `labels`.
    pub(crate) fn load(
        config_json: &[u8],
        config: &EncoderConfig,
        weights: &Weights<'_>,
        labels: usize,
    ) -> Result<Self, BundleFault> {
        let json = HeadJson::read(config_json)?;
        let h = config.hidden_size;
        if json.pooler_hidden_size.is_some_and(|size| size != h) {
            return Err(BundleFault::Inconsistent {
                file: "config.json".into(),
                problem: format!("pooler_hidden_size is not hidden_size, {h}, which alone can be computed"),
            });
        }
        let (dense, activation, out) = match config.family {
            Family::Bert | Family::Hash => ("bert.pooler.dense", Activation::Tanh, "classifier"),
            Family::Roberta => ("classifier.dense", Activation::Tanh, "classifier.out_proj"),
            Family::DistilBert => ("pre_classifier", Activation::Relu, "classifier"),
            Family::DebertaV2 => ("pooler.dense", json.pooler_hidden_act.unwrap_or(Activation::Gelu), "classifier"),
            Family::ModernBert => ("head.dense", json.classifier_activation.unwrap_or(Activation::Gelu), "classifier"),
        };
        let norm = (config.family == Family::ModernBert).then(|| {
            let gain = weights.f32("head.norm.weight", &[h])?;
            Ok(Norm { gain, epsilon: config.layer_norm_eps })
        });
        // ModernBERT's dense layer may have no bias; everywhere else a missing one is a fault.
        let dense = match config.family {
            Family::ModernBert if !weights.contains(&format!("{dense}.bias")) => Linear::load_any(weights, dense, h)?,
            _ => Linear::load(weights, dense, h, h)?,
        };
        Ok(Self { dense, activation, norm: norm.transpose()?, out: Linear::load(weights, out, labels, h)? })
    }

    /// The outputs, one a label, from a pooled vector (H).
    pub(crate) fn outputs(&self, vector: &[f32]) -> Vec<f32> {
        let mut features = self.dense.apply(vector); // (H)
        for value in &mut features {
            *value = self.activation.apply(*value);
        }
        if let Some(norm) = &self.norm {
            norm.apply(&mut features);
        }
        self.out.apply(&features) // (labels)
    }
}

impl Activation {
    fn apply(self, x: f32) -> f32 {
        match self {
            Self::Gelu => 0.5 * x * (1.0 + erf_f32(x * std::f32::consts::FRAC_1_SQRT_2)),
            // Hendrycks and Gimpel 2016.
            Self::GeluTanh => {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::Relu => x.max(0.0),
            Self::Tanh => x.tanh(),
        }
    }
}

impl Norm {
    fn apply(&self, x: &mut [f32]) {
        let count = x.len() as f64;
        let mean = x.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = x.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for (index, value) in x.iter_mut().enumerate() {
            *value = ((f64::from(*value) - mean) * scale) as f32 * self.gain[index];
        }
    }
}
