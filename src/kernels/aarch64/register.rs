//! 16 numbers in four registers of 128 bits.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vbslq_f32, vcgtq_f32, vcltq_f32, vcltzq_f32, vcvtq_f32_s32, vdivq_f32,
    vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vld1q_f32, vld1q_s32, vmulq_f32, vreinterpretq_f32_s32, vreinterpretq_s32_f32,
    vshlq_n_s32, vst1q_f32, vsubq_f32,
};

use crate::kernels::portable::{LANES, Lane, Register};

/// Bits of 1.0: the exponent that 2^0 has.
const ONE: i32 = 0x3f80_0000;
/// Place of the exponent in a number.
const EXPONENT: i32 = 23;
/// Numbers in one register.
const QUARTER: usize = 4;

#[derive(Clone, Copy)]
pub(super) struct Neon([float32x4_t; LANES / QUARTER]);

/// An operation on all four quarters of a register. No closure: it would not have the features of the function around it.
macro_rules! quarters {
    ($quarter:ident => $operation:expr) => {{
        let mut out = Self::splat(0.0);
        for $quarter in 0..LANES / QUARTER {
            // SAFETY: only the kernel that exists where NEON was found uses this type.
            out.0[$quarter] = unsafe { $operation };
        }
        out
    }};
}

impl Register for Neon {
    const EIGHT_FIT: bool = false;

    #[inline(always)]
    fn splat(number: f32) -> Self {
        // SAFETY: only the kernel that exists where NEON was found uses this type.
        Self([unsafe { vdupq_n_f32(number) }; LANES / QUARTER])
    }

    #[inline(always)]
    fn load(lane: &Lane) -> Self {
        let lanes = lane.as_chunks::<QUARTER>().0;
        // 4 numbers are read from each array of 4.
        quarters!(quarter => vld1q_f32(lanes[quarter].as_ptr()))
    }

    #[inline(always)]
    fn store(self, lane: &mut Lane) {
        for (target, register) in lane.as_chunks_mut::<QUARTER>().0.iter_mut().zip(self.0) {
            // SAFETY: as above; 4 numbers are written to an array of 4.
            unsafe { vst1q_f32(target.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn of_integers(integers: &[i32; LANES]) -> Self {
        let lanes = integers.as_chunks::<QUARTER>().0;
        // 4 numbers are read from each array of 4.
        quarters!(quarter => vcvtq_f32_s32(vld1q_s32(lanes[quarter].as_ptr())))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        quarters!(quarter => vaddq_f32(self.0[quarter], other.0[quarter]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        quarters!(quarter => vsubq_f32(self.0[quarter], other.0[quarter]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        quarters!(quarter => vmulq_f32(self.0[quarter], other.0[quarter]))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        quarters!(quarter => vdivq_f32(self.0[quarter], other.0[quarter]))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        quarters!(quarter => vfmaq_f32(sum.0[quarter], self.0[quarter], factor.0[quarter]))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        quarters!(quarter => {
            let is_larger = vcgtq_f32(self.0[quarter], other.0[quarter]);
            vbslq_f32(is_larger, self.0[quarter], other.0[quarter])
        })
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        quarters!(quarter => {
            let is_smaller = vcltq_f32(self.0[quarter], other.0[quarter]);
            vbslq_f32(is_smaller, self.0[quarter], other.0[quarter])
        })
    }

    #[inline(always)]
    fn where_negative(self, then: Self, otherwise: Self) -> Self {
        quarters!(quarter => vbslq_f32(vcltzq_f32(self.0[quarter]), then.0[quarter], otherwise.0[quarter]))
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        quarters!(quarter => {
            let exponent = vshlq_n_s32::<EXPONENT>(vreinterpretq_s32_f32(self.0[quarter]));
            vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(ONE)))
        })
    }
}
