//! Weights in the arithmetic that a bundle is opened with.

use crate::encoder::weights::Int8Matrix;
use crate::encoder::{Precision, Weights};
use crate::error::BundleFault;
use crate::kernels::{Finish, FloatRows, Kernel, PackedBf16, PackedFloats, PackedLinear, QuantisedRows};

/// What computes, for people.
pub(super) fn title(precision: Precision, kernel: &dyn Kernel) -> &'static str {
    let [int8, f32] = kernel.titles();
    match precision {
        Precision::F32 => f32,
        Precision::Bf16 => kernel.bf16().map_or(f32, |kernel| kernel.title()),
        Precision::Int8 => int8,
    }
}

/// A linear map with its bias, packed.
pub(super) enum Linear {
    F32(PackedFloats),
    Bf16(PackedBf16),
    Int8(PackedLinear),
}

/// Memory of one matrix product, kept for the next.
#[derive(Default)]
pub(super) struct Rows {
    quantised: QuantisedRows,
    floats: FloatRows,
}

impl Linear {
    /// The maps of these names, (N, K) each, as one with their outputs side by side.
    pub(super) fn load(
        weights: &Weights<'_>,
        precision: Precision,
        names: &[String],
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, BundleFault> {
        let matrices = names.iter().map(|name| format!("{name}.weight"));
        if precision == Precision::Int8 {
            let mut all = Int8Matrix { values: Vec::new(), scales: Vec::new() };
            for name in matrices {
                let matrix = weights.int8(&name, outputs, inputs)?;
                if all.scales.is_empty() {
                    all = matrix;
                } else {
                    all.values.extend(matrix.values);
                    all.scales.extend(matrix.scales);
                }
            }
            let bias = biases(weights, names, outputs)?;
            return Ok(Self::Int8(PackedLinear::pack(&all.values, &all.scales, &bias, inputs)));
        }
        let mut all = Vec::new();
        for name in matrices {
            all.extend(weights.f32(&name, &[outputs, inputs])?);
        }
        let bias = biases(weights, names, outputs)?;
        Ok(match precision {
            Precision::Bf16 => Self::Bf16(PackedBf16::pack(&all, &bias, inputs)),
            _ => Self::F32(PackedFloats::pack(&all, &bias, inputs)),
        })
    }

    /// `out = finish(b + x · Wᵀ)`: (M, K) to (M, N).
    pub(super) fn apply(&self, kernel: &dyn Kernel, x: &[f32], finish: Finish<'_>, rows: &mut Rows, out: &mut [f32]) {
        match self {
            Self::F32(weights) => kernel.linear_f32(x, weights, finish, &mut rows.floats, out),
            Self::Bf16(weights) => {
                let kernel = kernel.bf16().expect("weights are packed in bf16 for kernels that have its products");
                kernel.linear(x, weights, finish, &mut rows.floats, out);
            }
            Self::Int8(weights) => {
                rows.quantised.resize(x.len() / weights.inputs, weights.inputs);
                kernel.quantise(x, &mut rows.quantised);
                kernel.linear(&rows.quantised, weights, finish, out);
            }
        }
    }
}

/// The biases of the maps of these names, one after the other.
fn biases(weights: &Weights<'_>, names: &[String], outputs: usize) -> Result<Vec<f32>, BundleFault> {
    let mut all = Vec::with_capacity(names.len() * outputs);
    for name in names {
        all.extend(weights.f32(&format!("{name}.bias"), &[outputs])?);
    }
    Ok(all)
}

/// The embeddings of the pieces, as they are stored: int8 rows with a scale each, or f32.
pub(super) enum Words {
    F32(Vec<f32>),
    Int8(Int8Matrix),
}

impl Words {
    /// (V, H). Floats become int8 where the arithmetic is.
    pub(super) fn load(
        weights: &Weights<'_>,
        precision: Precision,
        rows: usize,
        columns: usize,
    ) -> Result<Self, BundleFault> {
        const NAME: &str = "embeddings.word_embeddings.weight";
        Ok(if precision == Precision::Int8 || weights.is_int8(NAME) {
            Self::Int8(weights.int8(NAME, rows, columns)?)
        } else {
            Self::F32(weights.f32(NAME, &[rows, columns])?)
        })
    }

    /// Adds the embedding of a piece to H numbers.
    pub(super) fn add(&self, id: usize, numbers: &mut [f32]) {
        let h = numbers.len();
        let span = id * h..(id + 1) * h;
        match self {
            Self::F32(words) => numbers.iter_mut().zip(&words[span]).for_each(|(number, word)| *number += word),
            Self::Int8(Int8Matrix { values, scales }) => {
                let steps = numbers.iter_mut().zip(&values[span]);
                steps.for_each(|(number, &step)| *number += f32::from(step) * scales[id]);
            }
        }
    }
}
