//! 16 numbers in one register of 512 bits, or in two of 256.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::x86_64::{
    __m256, __m512, _CMP_LT_OQ, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_blendv_ps,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_div_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_epi32,
    _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use crate::kernels::portable::{LANES, Lane, Register};

/// Bits of 1.0: the exponent that 2^0 has.
const ONE: i32 = 0x3f80_0000;
/// Place of the exponent in a number.
const EXPONENT: u32 = 23;

/// Quarters 0 and 2 of one register, then of another.
const EVEN: i32 = 0b10_00_10_00;
/// Quarters 1 and 3 of one register, then of another.
const ODD: i32 = 0b11_01_11_01;

#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

#[derive(Clone, Copy)]
pub(super) struct Avx2([__m256; 2]);

impl Register for Avx512 {
    const EIGHT_FIT: bool = true;

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
    fn of_integers(integers: &[i32; LANES]) -> Self {
        // SAFETY: as above; 16 numbers are read from an array of 16.
        Self(unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(integers.as_ptr().cast())) })
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
    fn where_negative(self, then: Self, otherwise: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, _mm512_setzero_ps());
            _mm512_mask_blend_ps(negative, otherwise.0, then.0)
        })
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            let exponent = _mm512_slli_epi32::<EXPONENT>(_mm512_castps_si512(self.0));
            _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(ONE)))
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

    #[inline(always)]
    fn transpose(square: &mut [Self; LANES]) {
        // SAFETY: as above.
        unsafe {
            // quads[block][k]: of rows 4 · block to 4 · block + 3, columns k, 4 + k, 8 + k and 12 + k.
            let mut quads = [[_mm512_setzero_ps(); 4]; 4];
            for (quads, rows) in quads.iter_mut().zip(square.as_chunks::<4>().0) {
                let (low, high) = (_mm512_unpacklo_ps(rows[0].0, rows[1].0), _mm512_unpackhi_ps(rows[0].0, rows[1].0));
                let (low2, high2) =
                    (_mm512_unpacklo_ps(rows[2].0, rows[3].0), _mm512_unpackhi_ps(rows[2].0, rows[3].0));
                quads[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(low), _mm512_castps_pd(low2)));
                quads[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(low), _mm512_castps_pd(low2)));
                quads[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(high), _mm512_castps_pd(high2)));
                quads[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(high), _mm512_castps_pd(high2)));
            }
            for k in 0..4 {
                let even = _mm512_shuffle_f32x4::<EVEN>(quads[0][k], quads[1][k]);
                let even2 = _mm512_shuffle_f32x4::<EVEN>(quads[2][k], quads[3][k]);
                let odd = _mm512_shuffle_f32x4::<ODD>(quads[0][k], quads[1][k]);
                let odd2 = _mm512_shuffle_f32x4::<ODD>(quads[2][k], quads[3][k]);
                square[k].0 = _mm512_shuffle_f32x4::<EVEN>(even, even2);
                square[4 + k].0 = _mm512_shuffle_f32x4::<EVEN>(odd, odd2);
                square[8 + k].0 = _mm512_shuffle_f32x4::<ODD>(even, even2);
                square[12 + k].0 = _mm512_shuffle_f32x4::<ODD>(odd, odd2);
            }
        }
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
    const EIGHT_FIT: bool = false;

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
    fn of_integers(integers: &[i32; LANES]) -> Self {
        let halves = integers.as_chunks::<8>().0;
        // 8 numbers are read from each array of 8.
        both!(half => _mm256_cvtepi32_ps(_mm256_loadu_si256(halves[half].as_ptr().cast())))
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
    fn where_negative(self, then: Self, otherwise: Self) -> Self {
        both!(half => {
            let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0[half], _mm256_setzero_ps());
            _mm256_blendv_ps(otherwise.0[half], then.0[half], negative)
        })
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        both!(half => {
            let exponent = _mm256_slli_epi32::<{ EXPONENT as i32 }>(_mm256_castps_si256(self.0[half]));
            _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(ONE)))
        })
    }
}
