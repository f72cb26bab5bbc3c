//! AVX-512 with VNNI: 64 products of bytes an instruction, 24 sums of 16 channels in registers.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
};

use crate::kernels::fast::{Sums, kernel};
use crate::kernels::pack::{BLOCK, FloatRows, GROUP, PANEL, PackedFloats, PackedLinear, QuantisedRows};
use crate::kernels::portable::{self, AttentionScratch, FloatScratch};
use crate::kernels::x86_64::avx512_bf16::Avx512Bf16;
use crate::kernels::x86_64::{has_avx512, quad, registers};
use crate::kernels::{Bf16Kernel, Finish, HeadLayout};

/// Exists only on CPUs with AVX-512 F, BW, DQ, VL and VNNI.
pub(super) struct Avx512Vnni {
    bf16: Option<Avx512Bf16>,
}

impl Avx512Vnni {
    pub(super) fn new() -> Option<Self> {
        (has_avx512() && is_x86_feature_detected!("avx512vnni")).then(|| Self { bf16: Avx512Bf16::new() })
    }
}

kernel!(
    Avx512Vnni,
    "avx512-vnni",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma",
    3,
    tile,
    registers::Avx512,
    fn bf16(&self) -> Option<&dyn Bf16Kernel> {
        self.bf16.as_ref().map(|kernel| kernel as _)
    }
);

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn tile<const PANELS: usize>(
    block: &[[u8; BLOCK * GROUP]],
    panels: &[&[[i8; PANEL * GROUP]]; PANELS],
    _start: &[[i32; PANEL]; PANELS],
) -> Sums<PANELS> {
    // SAFETY: 64 bytes are read from an array of 64 bytes.
    let load = |bytes: *const u8| unsafe { _mm512_loadu_si512(bytes.cast()) };
    let mut sums: [[__m512i; PANELS]; BLOCK] = [[_mm512_setzero_si512(); PANELS]; BLOCK];
    for (group, activations) in block.iter().enumerate() {
        let weights: [__m512i; PANELS] = std::array::from_fn(|panel| load(panels[panel][group].as_ptr().cast()));
        for row in 0..BLOCK {
            let activation = _mm512_set1_epi32(quad(activations, row));
            for panel in 0..PANELS {
                sums[row][panel] = _mm512_dpbusd_epi32(sums[row][panel], activation, weights[panel]);
            }
        }
    }
    let mut out = [[[0; PANEL]; BLOCK]; PANELS];
    for panel in 0..PANELS {
        for row in 0..BLOCK {
            // SAFETY: 64 bytes are written to an array of 16 numbers of 4 bytes.
            unsafe { _mm512_storeu_si512(out[panel][row].as_mut_ptr().cast(), sums[row][panel]) };
        }
    }
    out
}
