//! 16 integers, or pairs of 16-bit integers, in four registers of 128 bits.
//!
//! The methods are compiled into functions that have the features; they are used nowhere else.

use std::arch::aarch64::{
    int32x4_t, vaddq_s32, vdupq_n_s32, vget_low_s16, vld1q_s32, vmlal_high_s16, vmlal_s16, vpaddq_s32,
    vreinterpretq_s16_s32, vst1q_s32,
};

use crate::kernels::portable::{IntegerLane, Integers, LANES};

/// Numbers in one register.
const QUARTER: usize = 4;

#[derive(Clone, Copy)]
pub(super) struct NeonIntegers(pub(super) [int32x4_t; LANES / QUARTER]);

impl Integers for NeonIntegers {
    /// Of each quarter two registers: of its first and its last two pairs, low and high numbers apart until [`Self::total`].
    type Sums = [[int32x4_t; 2]; LANES / QUARTER];

    #[inline(always)]
    fn splat(integer: i32) -> Self {
        // SAFETY: only the kernel that exists where NEON was found uses this type.
        Self([unsafe { vdupq_n_s32(integer) }; LANES / QUARTER])
    }

    #[inline(always)]
    fn load(lane: &IntegerLane) -> Self {
        let mut out = Self::splat(0);
        for (register, quarter) in out.0.iter_mut().zip(lane.as_chunks::<QUARTER>().0) {
            // SAFETY: as above; 4 numbers are read from an array of 4.
            *register = unsafe { vld1q_s32(quarter.as_ptr()) };
        }
        out
    }

    #[inline(always)]
    fn store(self, lane: &mut IntegerLane) {
        for (target, register) in lane.as_chunks_mut::<QUARTER>().0.iter_mut().zip(self.0) {
            // SAFETY: as above; 4 numbers are written to an array of 4.
            unsafe { vst1q_s32(target.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn no_sums() -> Self::Sums {
        Self::splat(0).0.map(|zeros| [zeros; 2])
    }

    #[inline(always)]
    fn add_products(mut sums: Self::Sums, pairs: Self, others: Self) -> Self::Sums {
        for quarter in 0..LANES / QUARTER {
            // SAFETY: as above.
            unsafe {
                let (pairs, others) =
                    (vreinterpretq_s16_s32(pairs.0[quarter]), vreinterpretq_s16_s32(others.0[quarter]));
                let [low, high] = sums[quarter];
                let low = vmlal_s16(low, vget_low_s16(pairs), vget_low_s16(others));
                sums[quarter] = [low, vmlal_high_s16(high, pairs, others)];
            }
        }
        sums
    }

    #[inline(always)]
    fn total(sums: Self::Sums) -> Self {
        let mut out = Self::splat(0);
        for quarter in 0..LANES / QUARTER {
            // SAFETY: as above.
            out.0[quarter] = unsafe { vpaddq_s32(sums[quarter][0], sums[quarter][1]) };
        }
        out
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut out = Self::splat(0);
        for quarter in 0..LANES / QUARTER {
            // SAFETY: as above.
            out.0[quarter] = unsafe { vaddq_s32(self.0[quarter], other.0[quarter]) };
        }
        out
    }
}
