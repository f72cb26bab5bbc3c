//! Kernels for x86-64: each a type that [`available`] makes only after it has seen the CPU's instructions.

mod avx2;
mod avx512_bf16;
mod avx512_vnni;
mod avx_vnni;
mod integers;
mod registers;

use crate::kernels::Kernel;
use crate::kernels::pack::{BLOCK, GROUP};

/// Adds the kernels that this CPU can run, fastest first.
pub(super) fn available(kernels: &mut Vec<Box<dyn Kernel>>) {
    if let Some(kernel) = avx512_vnni::Avx512Vnni::new() {
        kernels.push(Box::new(kernel));
    }
    if let Some(kernel) = avx_vnni::AvxVnni::new() {
        kernels.push(Box::new(kernel));
    }
    if let Some(kernel) = avx2::Avx2::new() {
        kernels.push(Box::new(kernel));
    }
}

/// Four activations of one row as the 32 bits that are broadcast to all lanes.
#[inline(always)]
fn quad(group: &[u8; BLOCK * GROUP], row: usize) -> i32 {
    let at = row * GROUP;
    i32::from_le_bytes([group[at], group[at + 1], group[at + 2], group[at + 3]])
}

/// What the float code on registers of 512 bits needs.
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("fma")
}
