//! 16 numbers in four registers of 128 bits.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vbslq_f32, vcgtq_f32, vcltq_f32, vcvtq_f32_s32, vdivq_f32, vdupq_n_f32,
    vfmaq_f32, vld1q_f32, vmulq_f32, vreinterpretq_f32_s32, vreinterpretq_s32_f32, vshlq_n_s32, vsliq_n_s32, vst1q_f32,
    vsubq_f32,
};

use crate::kernels::aarch64::integers::NeonIntegers;
use crate::kernels::portable::{Integers, LANES, Lane, Register};

/// Place of the exponent in a number.
const EXPONENT: i32 = 23;
/// Place of the upper half of 32 bits.
const HALF: i32 = 16;
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
    type Integers = NeonIntegers;
    const ROWS: usize = 2;
    const TWO_FIT: bool = false;

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
    fn of_integers(integers: NeonIntegers) -> Self {
        quarters!(quarter => vcvtq_f32_s32(integers.0[quarter]))
    }

    #[inline(always)]
    fn pair(low: Self, high: Self) -> NeonIntegers {
        let mut out = NeonIntegers::splat(0);
        for quarter in 0..LANES / QUARTER {
            // SAFETY: as above.
            out.0[quarter] = unsafe {
                let [low, high] = [vreinterpretq_s32_f32(low.0[quarter]), vreinterpretq_s32_f32(high.0[quarter])];
                vsliq_n_s32::<HALF>(low, high)
            };
        }
        out
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
    fn times_power_of_two(self, other: Self) -> Self {
        quarters!(quarter => {
            let exponent = vshlq_n_s32::<EXPONENT>(vreinterpretq_s32_f32(other.0[quarter]));
            vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(self.0[quarter]), exponent))
        })
    }
}
