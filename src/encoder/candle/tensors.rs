//! Weights for Candle's graphs: each tensor is checked and widened when a graph asks for it.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use crate::encoder::{Family, Weights};
use crate::error::BundleFault;

/// Builds a graph from weights. A tensor that is missing, of another shape or type, or not finite is a fault of its own, even
/// where Candle would go on without it.
pub(super) fn load<G>(
    weights: &Weights<'_>,
    family: Family,
    device: &Device,
    build: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<G>,
) -> Result<G, BundleFault> {
    let fault = Mutex::new(None);
    let tensors: Box<dyn SimpleBackend + '_> = Box::new(Tensors { weights, family, fault: &fault });
    let built = build(VarBuilder::from_backend(tensors, DType::F32, device.clone()));
    match (fault.into_inner().unwrap_or_else(PoisonError::into_inner), built) {
        (Some(fault), _) => Err(fault),
        (None, Ok(graph)) => Ok(graph),
        (None, Err(error)) => Err(BundleFault::Inconsistent {
            file: "config.json".into(),
            problem: format!("Candle cannot build this encoder: {error}"),
        }),
    }
}

struct Tensors<'w, 'b> {
    weights: &'w Weights<'b>,
    family: Family,
    /// The first one.
    fault: &'w Mutex<Option<BundleFault>>,
}

impl Tensors<'_, '_> {
    /// Candle's ModernBERT names tensors as checkpoints with a head do.
    fn name<'n>(&self, name: &'n str) -> &'n str {
        match self.family {
            Family::ModernBert => name.strip_prefix(Family::ModernBert.prefix()).unwrap_or(name),
            _ => name,
        }
    }

    /// ModernBERT's first layer has no norm before its attention; Candle asks for it.
    fn may_be_missing(&self, name: &str) -> bool {
        self.family == Family::ModernBert && name == "layers.0.attn_norm.weight"
    }
}

impl SimpleBackend for Tensors<'_, '_> {
    fn get(&self, shape: Shape, name: &str, _: Init, _: DType, device: &Device) -> candle_core::Result<Tensor> {
        let name = self.name(name);
        match self.weights.f32(name, shape.dims()) {
            Ok(values) => Tensor::from_vec(values, shape, device),
            Err(fault) => {
                let error = candle_core::Error::Msg(fault.to_string());
                if !self.may_be_missing(name) {
                    self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
                }
                Err(error)
            }
        }
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        Err(candle_core::Error::Msg(format!("{name} is asked for without a shape")))
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.contains(self.name(name))
    }
}
