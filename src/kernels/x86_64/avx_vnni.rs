//! AVX-VNNI (256 bits, without AVX-512): 32 products of bytes an instruction, four rows at a time.

use std::arch::x86_64::{
    __m256i, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
};

use crate::kernels::fast::{Sums, kernel};
use crate::kernels::pack::{BLOCK, FloatRows, GROUP, PANEL, PackedFloats, PackedLinear, QuantisedRows};
use crate::kernels::portable::{self, AttentionScratch, FloatScratch};
use crate::kernels::x86_64::{quad, registers};
use crate::kernels::{Finish, HeadLayout};

/// Rows that have their sums in registers at once.
const ROWS: usize = 4;

/// Channels in one 256-bit register.
const HALF: usize = PANEL / 2;

/// Exists only on CPUs with AVX-VNNI, AVX2 and FMA.
pub(super) struct AvxVnni(());

impl AvxVnni {
    pub(super) fn new() -> Option<Self> {
        let found =
            is_x86_feature_detected!("avxvnni") && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

kernel!(AvxVnni, "avx-vnni", "avxvnni,avx2,fma", 1, tile, registers::Avx2);

#[inline]
#[target_feature(enable = "avxvnni,avx2,fma")]
fn tile<const PANELS: usize>(
    block: &[[u8; BLOCK * GROUP]],
    panels: &[&[[i8; PANEL * GROUP]]; PANELS],
    _start: &[[i32; PANEL]; PANELS],
) -> Sums<PANELS> {
    // SAFETY: 32 bytes are read from one half of an array of 64 bytes.
    let load = |bytes: *const u8, half: usize| unsafe { _mm256_loadu_si256(bytes.add(half * 32).cast()) };
    let mut out = [[[0; PANEL]; BLOCK]; PANELS];
    for panel in 0..PANELS {
        for first in (0..BLOCK).step_by(ROWS) {
            let mut sums: [[__m256i; 2]; ROWS] = [[_mm256_setzero_si256(); 2]; ROWS];
            for (activations, weights) in block.iter().zip(panels[panel]) {
                let weights = [load(weights.as_ptr().cast(), 0), load(weights.as_ptr().cast(), 1)];
                for row in 0..ROWS {
                    let activation = _mm256_set1_epi32(quad(activations, first + row));
                    for half in 0..2 {
                        sums[row][half] = _mm256_dpbusd_avx_epi32(sums[row][half], activation, weights[half]);
                    }
                }
            }
            for row in 0..ROWS {
                for half in 0..2 {
                    let target = out[panel][first + row][half * HALF..].as_mut_ptr();
                    // SAFETY: 32 bytes are written to one half of an array of 16 numbers of 4 bytes.
                    unsafe { _mm256_storeu_si256(target.cast(), sums[row][half]) };
                }
            }
        }
    }
    out
}
