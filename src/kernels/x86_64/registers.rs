//! 16 numbers in one register of 512 bits, or in two of 256.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::x86_64::{
    __m256, __m512, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_blend_epi16, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_cvtepi32_ps, _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps,
    _mm256_min_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_epi32,
    _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_div_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_blend_epi16, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use crate::kernels::portable::{LANES, Lane, Register};
use crate::kernels::x86_64::integers::{Integers256, Integers512};

/// Place of the exponent in a number.
const EXPONENT: u32 = 23;

/// Place of the upper half of 32 bits.
const HALF: u32 = 16;
/// Which of 32 numbers of 16 bits are upper halves.
const HIGH_HALVES: u32 = 0xaaaa_aaaa;
/// Which of 8 are, twice.
const HIGH_EIGHTS: i32 = 0xaa;

#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

#[derive(Clone, Copy)]
pub(super) struct Avx2([__m256; 2]);

impl Register for Avx512 {
    type Integers = Integers512;
    const ROWS: usize = 8;
    const TWO_FIT: bool = true;

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that exist where AVX-512 F, BW and DQ were found use this type.
        Self(unsafe { _mm512_set1_ps(number) })
    }

    #[inline(always)]
    fn load(lane: &Lane) -> Self {
        // SAFETY: as above; 16 numbers are read from an array of 16.
        Self(unsafe { _mm512_loadu_ps(lane.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, lane: &mut Lane) {
        // SAFETY: as above; 16 numbers are written to an array of 16.
        unsafe { _mm512_storeu_ps(lane.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn of_integers(integers: Integers512) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_cvtepi32_ps(integers.0) })
    }

    #[inline(always)]
    fn pair(low: Self, high: Self) -> Integers512 {
        // SAFETY: as above.
        Integers512(unsafe {
            let (low, high) = (_mm512_castps_si512(low.0), _mm512_castps_si512(high.0));
            _mm512_mask_blend_epi16(HIGH_HALVES, low, _mm512_slli_epi32::<HALF>(high))
        })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times_power_of_two(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            let exponent = _mm512_slli_epi32::<EXPONENT>(_mm512_castps_si512(other.0));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), exponent))
        })
    }

    #[inline(always)]
    fn low_bytes(self) -> [u8; LANES] {
        let mut bytes = [0; LANES];
        // SAFETY: as above; 16 bytes are written to an array of 16.
        unsafe {
            _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_castps_si512(self.0)));
        }
        bytes
    }
}

/// An operation on both halves of a register. No closure: it would not have the features of the function around it.
macro_rules! both {
    ($half:ident => $operation:expr) => {{
        let $half = 0;
        // SAFETY: only kernels that exist where AVX2 and FMA were found use this type.
        let first = unsafe { $operation };
        let $half = 1;
        // SAFETY: as above.
        let second = unsafe { $operation };
        Self([first, second])
    }};
}

impl Register for Avx2 {
    type Integers = Integers256;
    const ROWS: usize = 4;
    const TWO_FIT: bool = false;

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that exist where AVX2 and FMA were found use this type.
        Self([unsafe { _mm256_set1_ps(number) }; 2])
    }

    #[inline(always)]
    fn load(lane: &Lane) -> Self {
        let halves = lane.as_chunks::<8>().0;
        // 8 numbers are read from each array of 8.
        both!(half => _mm256_loadu_ps(halves[half].as_ptr()))
    }

    #[inline(always)]
    fn store(self, lane: &mut Lane) {
        for (half, register) in lane.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            // SAFETY: as above; 8 numbers are written to an array of 8.
            unsafe { _mm256_storeu_ps(half.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn of_integers(integers: Integers256) -> Self {
        both!(half => _mm256_cvtepi32_ps(integers.0[half]))
    }

    #[inline(always)]
    fn pair(low: Self, high: Self) -> Integers256 {
        let Self(pairs) = both!(half => {
            let (low, high) = (_mm256_castps_si256(low.0[half]), _mm256_castps_si256(high.0[half]));
            let pair = _mm256_blend_epi16::<HIGH_EIGHTS>(low, _mm256_slli_epi32::<{ HALF as i32 }>(high));
            _mm256_castsi256_ps(pair)
        });
        // SAFETY: as above.
        Integers256(pairs.map(|half| unsafe { _mm256_castps_si256(half) }))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        both!(half => _mm256_add_ps(self.0[half], other.0[half]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        both!(half => _mm256_sub_ps(self.0[half], other.0[half]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        both!(half => _mm256_mul_ps(self.0[half], other.0[half]))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        both!(half => _mm256_div_ps(self.0[half], other.0[half]))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        both!(half => _mm256_fmadd_ps(self.0[half], factor.0[half], sum.0[half]))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        both!(half => _mm256_max_ps(self.0[half], other.0[half]))
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        both!(half => _mm256_min_ps(self.0[half], other.0[half]))
    }

    #[inline(always)]
    fn times_power_of_two(self, other: Self) -> Self {
        both!(half => {
            let exponent = _mm256_slli_epi32::<{ EXPONENT as i32 }>(_mm256_castps_si256(other.0[half]));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0[half]), exponent))
        })
    }
}
