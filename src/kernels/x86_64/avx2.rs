//! AVX2: bytes are widened to 16 bits first, because `maddubs` saturates at sums that occur here.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16, _mm256_hadd_epi32,
    _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_setzero_si256, _mm256_storeu_si256,
};

use crate::kernels::fast::{Sums, kernel};
use crate::kernels::pack::{BLOCK, FloatRows, GROUP, PANEL, PackedFloats, PackedLinear, QuantisedRows};
use crate::kernels::portable::{self, AttentionScratch, FloatScratch};
use crate::kernels::x86_64::registers;
use crate::kernels::{Finish, HeadLayout};

/// Rows that have their sums in registers at once.
const ROWS: usize = 4;

/// Channels whose sums are made at once: two registers of four channels, each channel as two part sums.
const CHANNELS: usize = 8;

/// Exists only on CPUs with AVX2 and FMA.
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

kernel!(Avx2, "avx2", "avx2,fma", 1, tile, registers::Avx2);

#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile<const PANELS: usize>(
    block: &[[u8; BLOCK * GROUP]],
    panels: &[&[[i8; PANEL * GROUP]]; PANELS],
    _start: &[[i32; PANEL]; PANELS],
) -> Sums<PANELS> {
    let mut out = [[[0; PANEL]; BLOCK]; PANELS];
    for panel in 0..PANELS {
        for channel in (0..PANEL).step_by(CHANNELS) {
            for first in (0..BLOCK).step_by(ROWS) {
                let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
                for (activations, weights) in block.iter().zip(panels[panel]) {
                    let bytes: &[i8; CHANNELS * GROUP] = half(weights, channel);
                    // SAFETY: 16 bytes are read from each half of an array of 32 bytes.
                    let weights = [0, 16].map(|at| unsafe { _mm_loadu_si128(bytes.as_ptr().add(at).cast()) });
                    let weights: [__m256i; 2] = [_mm256_cvtepi8_epi16(weights[0]), _mm256_cvtepi8_epi16(weights[1])];
                    let rows = widened(&activations.as_chunks().0[first / ROWS]);
                    for row in 0..ROWS {
                        for pair in 0..2 {
                            let products = _mm256_madd_epi16(rows[row], weights[pair]);
                            sums[row][pair] = _mm256_add_epi32(sums[row][pair], products);
                        }
                    }
                }
                for row in 0..ROWS {
                    // Part sums of channels 0 1 4 5 | 2 3 6 7, then 0 to 7.
                    let added = _mm256_hadd_epi32(sums[row][0], sums[row][1]);
                    let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(added);
                    let target = out[panel][first + row][channel..channel + CHANNELS].as_mut_ptr();
                    // SAFETY: 32 bytes are written to 8 of the 16 numbers of a panel.
                    unsafe { _mm256_storeu_si256(target.cast(), ordered) };
                }
            }
        }
    }
    out
}

/// The bytes of channels `channel..channel + CHANNELS` of one group.
#[inline(always)]
fn half(weights: &[i8; PANEL * GROUP], channel: usize) -> &[i8; CHANNELS * GROUP] {
    &weights.as_chunks().0[channel / CHANNELS]
}

/// The bytes of one group in four rows as 16-bit numbers: each row's four, four times over.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(bytes: &[u8; ROWS * GROUP]) -> [__m256i; ROWS] {
    // SAFETY: 16 bytes are read from an array of 16 bytes.
    let all = _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
    [
        _mm256_permute4x64_epi64::<0b00_00_00_00>(all),
        _mm256_permute4x64_epi64::<0b01_01_01_01>(all),
        _mm256_permute4x64_epi64::<0b10_10_10_10>(all),
        _mm256_permute4x64_epi64::<0b11_11_11_11>(all),
    ]
}
