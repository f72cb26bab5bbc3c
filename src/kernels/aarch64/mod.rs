//! The kernel for 64-bit ARM with dot products of bytes (`sdot`): a type that [`available`] makes only after it has seen
//! the CPU's instructions.

mod integers;
mod register;

use std::arch::aarch64::{int8x16_t, int32x4_t, vdupq_n_s8, veorq_s8, vld1q_s8, vld1q_s32, vst1q_s32};
use std::arch::{asm, is_aarch64_feature_detected};

use crate::kernels::aarch64::register::Neon;
use crate::kernels::fast::{Sums, kernel};
use crate::kernels::pack::{BLOCK, FloatRows, GROUP, PANEL, PackedFloats, PackedLinear, QuantisedRows};
use crate::kernels::portable::{self, AttentionScratch, FloatScratch};
use crate::kernels::{Finish, HeadLayout, Kernel};

/// Rows that have their sums in registers at once.
const ROWS: usize = 4;

/// Channels in one register of sums.
const QUAD: usize = 4;

/// Adds the kernel if this CPU can run it.
pub(super) fn available(kernels: &mut Vec<Box<dyn Kernel>>) {
    if is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod") {
        kernels.push(Box::new(NeonDot(())));
    }
}

/// Exists only on CPUs with NEON and its dot products.
struct NeonDot(());

kernel!(NeonDot, "neon-dot", "neon,dotprod", 1, tile, Neon);

/// `sdot` takes signed bytes, so 128 is taken from the activations, and the sums begin where that puts it back.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn tile<const PANELS: usize>(
    block: &[[u8; BLOCK * GROUP]],
    panels: &[&[[i8; PANEL * GROUP]]; PANELS],
    start: &[[i32; PANEL]; PANELS],
) -> Sums<PANELS> {
    let sign = vdupq_n_s8(i8::MIN);
    let mut out = [[[0; PANEL]; BLOCK]; PANELS];
    for panel in 0..PANELS {
        for first in (0..BLOCK).step_by(ROWS) {
            let quads = start[panel].as_chunks::<QUAD>().0;
            // SAFETY: 4 numbers are read from an array of 4.
            let begin: [int32x4_t; PANEL / QUAD] =
                std::array::from_fn(|quad| unsafe { vld1q_s32(quads[quad].as_ptr()) });
            let mut sums = [begin; ROWS];
            for (activations, weights) in block.iter().zip(panels[panel]) {
                let rows: &[u8; ROWS * GROUP] = &activations.as_chunks().0[first / ROWS];
                // SAFETY: 16 bytes are read from an array of 16.
                let rows = veorq_s8(unsafe { vld1q_s8(rows.as_ptr().cast()) }, sign);
                for (quad, weights) in weights.as_chunks::<{ QUAD * GROUP }>().0.iter().enumerate() {
                    // SAFETY: as above.
                    let weights = unsafe { vld1q_s8(weights.as_ptr()) };
                    sums[0][quad] = dot::<0>(sums[0][quad], weights, rows);
                    sums[1][quad] = dot::<1>(sums[1][quad], weights, rows);
                    sums[2][quad] = dot::<2>(sums[2][quad], weights, rows);
                    sums[3][quad] = dot::<3>(sums[3][quad], weights, rows);
                }
            }
            for row in 0..ROWS {
                for (target, sums) in out[panel][first + row].as_chunks_mut::<QUAD>().0.iter_mut().zip(sums[row]) {
                    // SAFETY: 4 numbers are written to an array of 4.
                    unsafe { vst1q_s32(target.as_mut_ptr(), sums) };
                }
            }
        }
    }
    out
}

/// Adds to each sum the products of four weights with the four activations of one row. The intrinsic for it is not stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot<const ROW: i32>(mut sums: int32x4_t, weights: int8x16_t, rows: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction, which the function's features include, reads and writes the named registers alone.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {rows:v}.4b[{row}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            rows = in(vreg) rows,
            row = const ROW,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}
