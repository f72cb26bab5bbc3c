//! 16 integers of 32 bits at once, or 16 pairs of 16-bit integers.

use crate::kernels::portable::LANES;

pub(in crate::kernels) type IntegerLane = [i32; LANES];

/// Integers in registers; sums wrap around, so they are the same in any order.
pub(in crate::kernels) trait Integers: Copy {
    /// Sums of products in the making.
    type Sums: Copy;

    fn splat(integer: i32) -> Self;
    fn load(lane: &IntegerLane) -> Self;
    fn store(self, lane: &mut IntegerLane);
    fn no_sums() -> Self::Sums;
    /// Adds to each sum the products of two pairs: low with low, high with high.
    fn add_products(sums: Self::Sums, pairs: Self, others: Self) -> Self::Sums;
    fn total(sums: Self::Sums) -> Self;
    fn add(self, other: Self) -> Self;
    /// Number j of register i to number i of register j.
    #[inline(always)]
    fn transpose(square: &mut [Self; LANES]) {
        let mut lanes = [[0; LANES]; LANES];
        for (register, lane) in square.iter().zip(&mut lanes) {
            register.store(lane);
        }
        for row in 1..LANES {
            for column in 0..row {
                let upper = lanes[column][row];
                lanes[column][row] = std::mem::replace(&mut lanes[row][column], upper);
            }
        }
        for (register, lane) in square.iter_mut().zip(&lanes) {
            *register = Self::load(lane);
        }
    }
}

/// Registers of the reference.
impl Integers for IntegerLane {
    type Sums = Self;

    #[inline(always)]
    fn splat(integer: i32) -> Self {
        [integer; LANES]
    }

    #[inline(always)]
    fn load(lane: &IntegerLane) -> Self {
        *lane
    }

    #[inline(always)]
    fn store(self, lane: &mut IntegerLane) {
        *lane = self;
    }

    #[inline(always)]
    fn no_sums() -> Self {
        [0; LANES]
    }

    #[inline(always)]
    fn add_products(sums: Self, pairs: Self, others: Self) -> Self {
        let product = |pair: i32, other: i32| i32::from(pair as i16) * i32::from(other as i16);
        std::array::from_fn(|index| {
            let (pair, other) = (pairs[index], others[index]);
            sums[index].wrapping_add(product(pair, other)).wrapping_add(product(pair >> 16, other >> 16))
        })
    }

    #[inline(always)]
    fn total(sums: Self) -> Self {
        sums
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|index| self[index].wrapping_add(other[index]))
    }
}
