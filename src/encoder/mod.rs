//! The transformer: batches of token ids to one vector a window.
//!
//! In: [`Batch`]es. Out: B vectors of H numbers, pooled. [`candle`] is the reference for every family; [`native`] runs
//! BERT and RoBERTa on our own [`crate::kernels`]; [`hash`] stands in for a transformer where text, batching, output and
//! long runs are tested without arithmetic.

mod candle;
mod config;
mod device;
mod hash;
mod native;
mod weights;

use serde::Deserialize;

use crate::encode::Batch;
use crate::error::{BundleFault, Error, Result};
use crate::kernels;

pub(crate) use config::{Activation, EncoderConfig, Family};
pub use device::Device;
pub(crate) use weights::Weights;

/// One implementation of the encoder.
pub(crate) trait Encoder: Send + Sync {
    /// (B, H), row-major, in the order of the batch's windows. A row depends on its own window alone, bit for bit.
    fn forward(&self, batch: &Batch<'_>) -> Result<Vec<f32>>;

    /// What computes, for people (`candle f32`).
    fn kernel(&self) -> &'static str;

    /// Its arithmetic.
    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// How (T, H) hidden states become one vector of H numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pooling {
    /// The mean over all tokens, special tokens included (sentence-transformers, `pooling_mode_mean_tokens`).
    Mean,
    /// The first token (sentence-transformers, `pooling_mode_cls_token`).
    Cls,
}

/// The arithmetic of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: BERT and RoBERTa on our own kernels, other families and other devices on Candle.
    F32,
    /// Products of 16-bit floats (bf16), sums and everything else in 32 bits; BERT and RoBERTa on x86-64 with AVX512-BF16.
    Bf16,
    /// 8-bit integers: weights by output channel, activations by token, sums in 32 bits; attention on 16-bit integers in windows
    /// of up to 512 tokens; everything else in 32-bit floats.
    Int8,
}

impl Precision {
    /// `f32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// In place of a kernel's name: f32 on Candle, the reference.
const CANDLE: &str = "candle";

/// How an encoder is to compute.
#[derive(Debug, Clone, Default)]
pub(crate) struct EncoderOptions {
    /// `None`: int8 where the bundle stores its weights so and the CPU has instructions for it, else f32.
    pub(crate) precision: Option<Precision>,
    /// Name of a kernel to force (`scalar`), for debugging; it must be among [`kernels::names`] or [`CANDLE`].
    pub(crate) kernel: Option<String>,
    pub(crate) device: Device,
}

impl EncoderOptions {
    /// Refuses a kernel that this CPU does not have.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.kernel {
            Some(wanted) if wanted != CANDLE && !kernels::names().contains(&wanted.as_str()) => {
                Err(Error::Kernel { wanted: wanted.clone(), found: kernels::names() })
            }
            _ => Ok(()),
        }
    }
}

/// Builds the encoder that a configuration asks for; every tensor it needs is checked for presence, shape, type and finiteness.
pub(crate) fn load(
    config: &EncoderConfig,
    pooling: Pooling,
    weights: Option<&Weights<'_>>,
    options: &EncoderOptions,
) -> Result<Box<dyn Encoder>, BundleFault> {
    let missing = || BundleFault::Inconsistent {
        file: "bundle.json".into(),
        problem: format!("a {} bundle needs encoder.safetensors among its files", config.family.name()),
    };
    if config.family == Family::Hash {
        return Ok(Box::new(hash::HashEncoder::new(config.hidden_size)));
    }
    let weights = weights.ok_or_else(missing)?;
    let on_candle = || -> Result<Box<dyn Encoder>, BundleFault> {
        Ok(Box::new(candle::CandleEncoder::load(config, pooling, weights, &options.device.open()?)?))
    };
    if options.kernel.as_deref() == Some(CANDLE) {
        return match options.precision {
            None | Some(Precision::F32) => on_candle(),
            Some(Precision::Bf16 | Precision::Int8) => Err(BundleFault::Inconsistent {
                file: "config.json".into(),
                problem: "the kernel \"candle\" computes in f32 alone; leave --precision out".into(),
            }),
        };
    }
    let kernel = kernels::detect(options.kernel.as_deref());
    let obstacle = no_kernels(config, options.device);
    if let (Some(wanted), Some(reason)) = (&options.kernel, &obstacle) {
        return Err(BundleFault::Inconsistent {
            file: "config.json".into(),
            problem: format!("the kernel {wanted:?} {reason}; leave DETENTE_KERNEL unset"),
        });
    }
    let is_wanted = options.kernel.is_some() || kernel.is_fast();
    let is_stored_int8 = weights.is_int8("encoder.layer.0.output.dense.weight");
    let precision = match options.precision {
        None | Some(Precision::F32) if obstacle.is_some() || !is_wanted => return on_candle(),
        Some(precision) => precision,
        None if is_stored_int8 => Precision::Int8,
        None => Precision::F32,
    };
    let obstacle = obstacle.or_else(|| {
        let lacks = precision == Precision::Bf16 && kernel.bf16().is_none();
        lacks.then(|| format!("needs a CPU with AVX512-BF16; the kernel here is {}", kernel.name()))
    });
    match obstacle {
        None => Ok(Box::new(native::NativeEncoder::load(config, pooling, weights, kernel, precision)?)),
        Some(reason) => Err(BundleFault::Inconsistent {
            file: "config.json".into(),
            problem: format!("{} arithmetic {reason}; use --precision f32", precision.name()),
        }),
    }
}

/// Why our own kernels cannot compute this, if they cannot.
fn no_kernels(config: &EncoderConfig, device: Device) -> Option<String> {
    if !matches!(config.family, Family::Bert | Family::Roberta) {
        return Some(format!("is there for bert and roberta, not for {}", config.family.name()));
    }
    if config.activation != Activation::Gelu {
        return Some(format!("computes the activation \"gelu\" only, not {:?}", config.activation));
    }
    (device != Device::Cpu).then(|| "runs on the CPU only".into())
}
