//! 16 numbers in one register of 512 bits, or in two of 256.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::x86_64::{
    __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

use crate::kernels::portable::{LANES, Register};

#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

#[derive(Clone, Copy)]
pub(super) struct Avx2([__m256; 2]);

impl Register for Avx512 {
    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that exist where AVX-512 F was found use this type.
        Self(unsafe { _mm512_set1_ps(number) })
    }

    #[inline(always)]
    fn load(lane: &[f32; LANES]) -> Self {
        // SAFETY: as above; 16 numbers are read from an array of 16.
        Self(unsafe { _mm512_loadu_ps(lane.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, lane: &mut [f32; LANES]) {
        // SAFETY: as above; 16 numbers are written to an array of 16.
        unsafe { _mm512_storeu_ps(lane.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }
}

impl Register for Avx2 {
    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only kernels that exist where AVX2 and FMA were found use this type.
        Self([unsafe { _mm256_set1_ps(number) }; 2])
    }

    #[inline(always)]
    fn load(lane: &[f32; LANES]) -> Self {
        let (halves, _) = lane.as_chunks::<8>();
        // SAFETY: as above; 8 numbers are read from each array of 8.
        Self(unsafe { [_mm256_loadu_ps(halves[0].as_ptr()), _mm256_loadu_ps(halves[1].as_ptr())] })
    }

    #[inline(always)]
    fn store(self, lane: &mut [f32; LANES]) {
        for (half, register) in lane.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            // SAFETY: as above; 8 numbers are written to an array of 8.
            unsafe { _mm256_storeu_ps(half.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        let fused = |half: usize| {
            // SAFETY: as above.
            unsafe { _mm256_fmadd_ps(self.0[half], factor.0[half], sum.0[half]) }
        };
        Self([fused(0), fused(1)])
    }
}
