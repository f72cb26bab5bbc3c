//! AVX-512 with bf16: 32 products an instruction, sums in f32.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_storeu_ps, _mm512_storeu_si512,
};

use crate::kernels::pack::{BLOCK, FloatRows, PAIR, PANEL, PackedBf16, to_bf16};
use crate::kernels::portable::{Lane, Register, finish_lane};
use crate::kernels::x86_64::has_avx512;
use crate::kernels::x86_64::registers::Avx512;
use crate::kernels::{Bf16Kernel, Finish};

/// Panels that are worked on at once.
const PANELS: usize = 3;

/// Exists only on CPUs with AVX-512 F, BW, DQ, VL and BF16.
pub(super) struct Avx512Bf16(());

impl Avx512Bf16 {
    pub(super) fn new() -> Option<Self> {
        (has_avx512() && is_x86_feature_detected!("avx512bf16")).then_some(Self(()))
    }
}

impl Bf16Kernel for Avx512Bf16 {
    fn title(&self) -> &'static str {
        "bf16 avx512-bf16"
    }

    fn linear(&self, x: &[f32], weights: &PackedBf16, finish: Finish<'_>, rows: &mut FloatRows, out: &mut [f32]) {
        // SAFETY: a value of this type exists only where `new` found the features that `linear` needs.
        unsafe { linear(x, weights, finish, rows, out) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn linear(x: &[f32], weights: &PackedBf16, finish: Finish<'_>, rows: &mut FloatRows, out: &mut [f32]) {
    let count = x.len() / weights.inputs;
    block_up(x, weights.inputs, &mut rows.pairs);
    let panels = weights.bias.len();
    let whole = panels / PANELS * PANELS;
    for panel in (0..whole).step_by(PANELS) {
        columns::<PANELS>(&rows.pairs, count, weights, panel, finish, out);
    }
    for panel in whole..panels {
        columns::<1>(&rows.pairs, count, weights, panel, finish, out);
    }
}

/// Rows (M, K) to [block][pair of K][row], a missing last number as 0. Rows beyond M keep what is there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn block_up(x: &[f32], inputs: usize, blocks: &mut Vec<[u32; BLOCK]>) {
    let count = x.len() / inputs;
    let pairs = inputs.div_ceil(PAIR);
    blocks.resize(count.div_ceil(BLOCK) * pairs, [0; BLOCK]);
    for (row, numbers) in x.chunks_exact(inputs).enumerate() {
        let block = &mut blocks[row / BLOCK * pairs..][..pairs];
        let (whole, rest) = numbers.as_chunks::<{ PAIR * PANEL }>();
        let (places, last) = block.split_at_mut(whole.len() * PANEL);
        for (places, numbers) in places.as_chunks_mut::<PANEL>().0.iter_mut().zip(whole) {
            let mut rounded = [0; PANEL];
            // SAFETY: 32 numbers are read from an array of 32, 64 bytes are written to an array of 16 numbers of 4 bytes; a
            // register of 32 bf16 is one of 512 bits.
            unsafe {
                let low = _mm512_loadu_ps(numbers.as_ptr());
                let high = _mm512_loadu_ps(numbers[PANEL..].as_ptr());
                let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_si512(rounded.as_mut_ptr().cast(), both);
            }
            for (place, pair) in places.iter_mut().zip(rounded) {
                place[row % BLOCK] = pair;
            }
        }
        for (place, pair) in last.iter_mut().zip(rest.chunks(PAIR)) {
            let high = pair.get(1).map_or(0, |&number| to_bf16(number));
            place[row % BLOCK] = u32::from(to_bf16(pair[0])) | u32::from(high) << 16;
        }
    }
}

/// All rows with some panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn columns<const N: usize>(
    blocks: &[[u32; BLOCK]],
    count: usize,
    weights: &PackedBf16,
    panel: usize,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let pairs = weights.inputs.div_ceil(PAIR);
    let panels: [&[[u16; PANEL * PAIR]]; N] =
        std::array::from_fn(|offset| &weights.panels[(panel + offset) * pairs..][..pairs]);
    for first in (0..count).step_by(BLOCK) {
        let block = &blocks[first / BLOCK * pairs..][..pairs];
        // SAFETY: 64 bytes are read from an array of 16 numbers of 4 bytes.
        let begin: [__m512; N] =
            std::array::from_fn(|offset| unsafe { _mm512_loadu_ps(weights.bias[panel + offset].as_ptr()) });
        let mut sums = [begin; BLOCK];
        for pair in 0..pairs {
            let loaded: [__m512bh; N] = std::array::from_fn(|offset| {
                // SAFETY: 64 bytes are read from an array of 32 numbers of 2 bytes; both types are 512 bits that mean nothing by themselves.
                unsafe { std::mem::transmute(_mm512_loadu_si512(panels[offset][pair].as_ptr().cast())) }
            });
            for row in 0..BLOCK {
                // SAFETY: as above.
                let numbers: __m512bh =
                    unsafe { std::mem::transmute(_mm512_set1_epi32(block[pair][row].cast_signed())) };
                for offset in 0..N {
                    sums[row][offset] = _mm512_dpbf16_ps(sums[row][offset], numbers, loaded[offset]);
                }
            }
        }
        for row in 0..BLOCK.min(count - first) {
            for offset in 0..N {
                let mut lane: Lane = [0.0; PANEL];
                // SAFETY: 64 bytes are written to an array of 16 numbers of 4 bytes.
                unsafe { _mm512_storeu_ps(lane.as_mut_ptr(), sums[row][offset]) };
                let numbers = Avx512::load(&lane);
                finish_lane(numbers, first + row, (panel + offset) * PANEL, weights.outputs, finish, out);
            }
        }
    }
}
