//! 16 integers, or pairs of 16-bit integers, in one register of 512 bits, or in two of 256.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_storeu_si256,
    _mm512_add_epi32, _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use crate::kernels::portable::{IntegerLane, Integers, LANES};

/// Quarters 0 and 2 of one register, then of another.
const EVEN: i32 = 0b10_00_10_00;
/// Quarters 1 and 3 of one register, then of another.
const ODD: i32 = 0b11_01_11_01;

#[derive(Clone, Copy)]
pub(super) struct Integers512(pub(super) __m512i);

#[derive(Clone, Copy)]
pub(super) struct Integers256(pub(super) [__m256i; 2]);

impl Integers for Integers512 {
    type Sums = Self;

    #[inline(always)]
    fn splat(integer: i32) -> Self {
        // SAFETY: only kernels that exist where AVX-512 F, BW, DQ and VNNI were found use this type.
        Self(unsafe { _mm512_set1_epi32(integer) })
    }

    #[inline(always)]
    fn load(lane: &IntegerLane) -> Self {
        // SAFETY: as above; 16 numbers are read from an array of 16.
        Self(unsafe { _mm512_loadu_si512(lane.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, lane: &mut IntegerLane) {
        // SAFETY: as above; 16 numbers are written to an array of 16.
        unsafe { _mm512_storeu_si512(lane.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn no_sums() -> Self {
        Self::splat(0)
    }

    #[inline(always)]
    fn add_products(sums: Self, pairs: Self, others: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_dpwssd_epi32(sums.0, pairs.0, others.0) })
    }

    #[inline(always)]
    fn total(sums: Self) -> Self {
        sums
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn transpose(square: &mut [Self; LANES]) {
        // SAFETY: as above.
        unsafe {
            // quads[block][k]: of rows 4 · block to 4 · block + 3, columns k, 4 + k, 8 + k and 12 + k.
            let mut quads = [[_mm512_setzero_si512(); 4]; 4];
            for (quads, rows) in quads.iter_mut().zip(square.as_chunks::<4>().0) {
                let (low, high) =
                    (_mm512_unpacklo_epi32(rows[0].0, rows[1].0), _mm512_unpackhi_epi32(rows[0].0, rows[1].0));
                let (low2, high2) =
                    (_mm512_unpacklo_epi32(rows[2].0, rows[3].0), _mm512_unpackhi_epi32(rows[2].0, rows[3].0));
                quads[0] = _mm512_unpacklo_epi64(low, low2);
                quads[1] = _mm512_unpackhi_epi64(low, low2);
                quads[2] = _mm512_unpacklo_epi64(high, high2);
                quads[3] = _mm512_unpackhi_epi64(high, high2);
            }
            for k in 0..4 {
                let even = _mm512_shuffle_i32x4::<EVEN>(quads[0][k], quads[1][k]);
                let even2 = _mm512_shuffle_i32x4::<EVEN>(quads[2][k], quads[3][k]);
                let odd = _mm512_shuffle_i32x4::<ODD>(quads[0][k], quads[1][k]);
                let odd2 = _mm512_shuffle_i32x4::<ODD>(quads[2][k], quads[3][k]);
                square[k].0 = _mm512_shuffle_i32x4::<EVEN>(even, even2);
                square[4 + k].0 = _mm512_shuffle_i32x4::<EVEN>(odd, odd2);
                square[8 + k].0 = _mm512_shuffle_i32x4::<ODD>(even, even2);
                square[12 + k].0 = _mm512_shuffle_i32x4::<ODD>(odd, odd2);
            }
        }
    }
}

impl Integers for Integers256 {
    type Sums = Self;

    #[inline(always)]
    fn splat(integer: i32) -> Self {
        // SAFETY: only kernels that exist where AVX2 was found use this type.
        Self([unsafe { _mm256_set1_epi32(integer) }; 2])
    }

    #[inline(always)]
    fn load(lane: &IntegerLane) -> Self {
        let halves = lane.as_chunks::<8>().0;
        // SAFETY: as above; 8 numbers are read from each array of 8.
        unsafe {
            let [low, high] = [halves[0].as_ptr(), halves[1].as_ptr()];
            Self([_mm256_loadu_si256(low.cast()), _mm256_loadu_si256(high.cast())])
        }
    }

    #[inline(always)]
    fn store(self, lane: &mut IntegerLane) {
        for (half, register) in lane.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            // SAFETY: as above; 8 numbers are written to an array of 8.
            unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), register) }
        }
    }

    #[inline(always)]
    fn no_sums() -> Self {
        Self::splat(0)
    }

    #[inline(always)]
    fn add_products(sums: Self, pairs: Self, others: Self) -> Self {
        // SAFETY: as above. No closure: it would not have the features of the function around it.
        unsafe {
            let products = [_mm256_madd_epi16(pairs.0[0], others.0[0]), _mm256_madd_epi16(pairs.0[1], others.0[1])];
            Self([_mm256_add_epi32(sums.0[0], products[0]), _mm256_add_epi32(sums.0[1], products[1])])
        }
    }

    #[inline(always)]
    fn total(sums: Self) -> Self {
        sums
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self([_mm256_add_epi32(self.0[0], other.0[0]), _mm256_add_epi32(self.0[1], other.0[1])]) }
    }
}
