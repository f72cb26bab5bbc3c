//! Arithmetic of the encoder: one safe entry ([`Kernel`]), one implementation for each instruction set.
//!
//! In: rows of activations, packed weights. Out: rows of activations. [`scalar`] is always there and defines the result;
//! every other kernel gives the same bits, in int8 and in f32. Integer sums are exact in any order, and float code is
//! written once, in [`portable`], in 16 lanes with explicit fused multiply-adds, so that every instruction set adds in the
//! same order. Only products in bf16 ([`Bf16Kernel`]) follow the rules of one instruction and have no reference.
//!
//! A kernel is a type that can only be made where its instructions exist ([`detect`]); its methods are safe.

#![allow(unsafe_code)]
// Loops over registers are written by index: rows, panels and lanes of several arrays run in step.
#![allow(clippy::needless_range_loop)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod fast;
mod pack;
mod peak;
mod portable;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(test)]
mod tests;

pub(crate) use pack::{FloatRows, PackedBf16, PackedFloats, PackedLinear, QuantisedRows};
pub use peak::Peak;
pub(crate) use peak::measure_peak;
pub(crate) use portable::{AttentionScratch, FloatScratch};

/// Where one attention head finds its numbers in the rows of a sequence, (T, `stride`) with query, key and value at their
/// offsets, `size` numbers each, and where it leaves its own: (T, `out_stride`) from offset `out` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLayout {
    pub(crate) tokens: usize,
    pub(crate) stride: usize,
    pub(crate) query: usize,
    pub(crate) key: usize,
    pub(crate) value: usize,
    pub(crate) size: usize,
    pub(crate) out_stride: usize,
    pub(crate) out: usize,
}

/// What becomes of a number of a matrix product before it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// Nothing.
    Plain,
    /// GELU with the error function; absolute error below 5e-7 · max(1, |x|).
    Gelu,
    /// The number at its place of (M, N) is added.
    Add(&'a [f32]),
}

/// The operations of an encoder layer.
pub(crate) trait Kernel: Send + Sync {
    /// Its instructions (`avx512-vnni`).
    fn name(&self) -> &'static str;

    /// What computes in int8 and what in f32, for people (`int8 avx512-vnni`).
    fn titles(&self) -> [&'static str; 2];

    /// Products of bf16 numbers, where the CPU has them.
    fn bf16(&self) -> Option<&dyn Bf16Kernel> {
        None
    }

    /// Whether it uses instructions made for the purpose; the scalar reference does not.
    fn is_fast(&self) -> bool {
        true
    }

    /// Rows (M, K) f32 to bytes, each row by its own step and offset: 254 steps from its least number, or 0, to its
    /// largest, or 0; rounded, ties to even. 0 stays exactly 0.
    fn quantise(&self, x: &[f32], rows: &mut QuantisedRows);

    /// `out = finish(x · Wᵀ + b)` with (M, K) rows and (N, K) weights: exact int32 sums, then
    /// `fma(sum, step · scale, fma(offset, scale · Σ w, bias))`. (M, N)
    fn linear(&self, rows: &QuantisedRows, weights: &PackedLinear, finish: Finish<'_>, out: &mut [f32]);

    /// `out = finish(b + x · Wᵀ)` with (M, K) rows and (N, K) weights in f32: products added in the order of K, each fused. (M, N)
    fn linear_f32(&self, x: &[f32], weights: &PackedFloats, finish: Finish<'_>, rows: &mut FloatRows, out: &mut [f32]);

    /// Layer normalisation of each row of `gain.len()` numbers, in place.
    fn layer_norm(&self, x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32);

    /// Scaled dot-product attention of one head over one sequence, on 16-bit integers; writes nothing but the head's own
    /// columns of `out`. Numbers that are not finite make the head's output of this sequence meaningless.
    fn attention(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch, out: &mut [f32]);

    /// The same in f32.
    fn attention_f32(&self, qkv: &[f32], layout: HeadLayout, scratch: &mut FloatScratch, out: &mut [f32]);

    /// Multiplies and adds f32 numbers in registers alone, `rounds` times; returns how many, and a number that depends on all.
    fn fuse(&self, rounds: usize) -> (u64, f32);
}

/// The matrix product of bf16 numbers.
pub(crate) trait Bf16Kernel {
    /// What computes, for people (`bf16 avx512-bf16`).
    fn title(&self) -> &'static str;

    /// `out = finish(b + x · Wᵀ)` with (M, K) rows, rounded to bf16, and (N, K) weights; sums in f32, by the rules of the
    /// CPU's instruction. (M, N)
    fn linear(&self, x: &[f32], weights: &PackedBf16, finish: Finish<'_>, rows: &mut FloatRows, out: &mut [f32]);
}

/// Every kernel that this CPU can run, fastest first; the last is the scalar reference.
pub(crate) fn available() -> Vec<Box<dyn Kernel>> {
    let mut kernels: Vec<Box<dyn Kernel>> = Vec::new();
    #[cfg(target_arch = "aarch64")]
    aarch64::available(&mut kernels);
    #[cfg(target_arch = "x86_64")]
    x86_64::available(&mut kernels);
    kernels.push(Box::new(scalar::Scalar));
    kernels
}

/// Names of the kernels that this CPU can run (`avx512-vnni`, `avx-vnni`, `avx2`, `neon-dot`, `scalar`), fastest first.
pub(crate) fn names() -> Vec<&'static str> {
    available().iter().map(|kernel| kernel.name()).collect()
}

/// The wanted kernel if this CPU has it, else the fastest.
pub(crate) fn detect(wanted: Option<&str>) -> Box<dyn Kernel> {
    let mut kernels = available();
    let chosen = kernels.iter().position(|kernel| wanted == Some(kernel.name()));
    kernels.swap_remove(chosen.unwrap_or(0))
}
