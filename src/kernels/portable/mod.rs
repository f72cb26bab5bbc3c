//! Float code of all kernels, written once.
//!
//! Everything is `inline(always)`: each kernel compiles it again with its own [`Register`]. Sums run in 16 lanes that
//! are added in a fixed order, and products that are added are fused explicitly, so the result does not depend on the
//! instructions: not in its last bit.

mod attention;
mod attention_f32;
mod floats;
mod functions;
mod integers;
mod rows;

pub(crate) use attention::AttentionScratch;
pub(super) use attention::attention;
pub(crate) use attention_f32::FloatScratch;
pub(super) use attention_f32::attention as attention_f32;
pub(super) use floats::linear as linear_f32;
#[cfg(test)]
pub(super) use functions::erf;
pub(super) use integers::{IntegerLane, Integers};
pub(super) use rows::{finish_lane, layer_norm, quantise, write_lane};

/// f32 numbers that are worked on at once.
pub(super) const LANES: usize = 16;

/// 1.5 · 2^23: adding it rounds a number below 2^22 to an integer, ties to even, whose low byte is the sum's low byte.
const ROUNDER: f32 = 12_582_912.0;

pub(super) type Lane = [f32; LANES];

/// 16 numbers in registers: the compiler does not keep them there by itself, and where it tries, it reads and writes
/// them one by one. Every implementation gives the same bits.
pub(super) trait Register: Copy {
    type Integers: Integers;
    /// Rows of sums of pairs of integers that fit beside what is multiplied: 8, 4 or 2.
    const ROWS: usize;
    /// Whether two lanes of each of these rows fit, or only one.
    const TWO_FIT: bool;

    fn splat(number: f32) -> Self;
    fn load(lane: &Lane) -> Self;
    fn store(self, lane: &mut Lane);
    /// Integers, rounded to f32.
    fn of_integers(integers: Self::Integers) -> Self;
    /// The low 16 bits of each number of one and, above them, of another.
    fn pair(low: Self, high: Self) -> Self::Integers;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self · factor + sum`, rounded once.
    fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// Each number that is larger than the other's, else the other's.
    fn larger(self, other: Self) -> Self;
    /// Each number that is smaller than the other's, else the other's.
    fn smaller(self, other: Self) -> Self;
    /// Each number times 2^n, where the other's low byte holds n and neither number nor product is below the least normal one.
    fn times_power_of_two(self, other: Self) -> Self;
    /// The low byte of each number.
    #[inline(always)]
    fn low_bytes(self) -> [u8; LANES] {
        let mut lane = [0.0; LANES];
        self.store(&mut lane);
        lane.map(|number| number.to_bits() as u8)
    }
}

/// Registers of the reference.
impl Register for Lane {
    type Integers = IntegerLane;
    const ROWS: usize = 4;
    const TWO_FIT: bool = false;

    #[inline(always)]
    fn splat(number: f32) -> Self {
        [number; LANES]
    }

    #[inline(always)]
    fn load(lane: &Lane) -> Self {
        *lane
    }

    #[inline(always)]
    fn store(self, lane: &mut Lane) {
        *lane = self;
    }

    #[inline(always)]
    fn of_integers(integers: IntegerLane) -> Self {
        integers.map(|integer| integer as f32)
    }

    #[inline(always)]
    fn pair(low: Self, high: Self) -> IntegerLane {
        let bits = |number: f32| number.to_bits();
        std::array::from_fn(|index| (bits(low[index]) & 0xffff | bits(high[index]) << 16) as i32)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|index| self[index] + other[index])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        std::array::from_fn(|index| self[index] - other[index])
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        std::array::from_fn(|index| self[index] * other[index])
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        std::array::from_fn(|index| self[index] / other[index])
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        std::array::from_fn(|index| self[index].mul_add(factor[index], sum[index]))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        std::array::from_fn(|index| if self[index] > other[index] { self[index] } else { other[index] })
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        std::array::from_fn(|index| if self[index] < other[index] { self[index] } else { other[index] })
    }

    #[inline(always)]
    fn times_power_of_two(self, other: Self) -> Self {
        std::array::from_fn(|index| f32::from_bits(self[index].to_bits().wrapping_add(other[index].to_bits() << 23)))
    }
}

/// As many registers at once as all kernels have room for, which hides a latency of four cycles on one unit of 512 bits; CPUs
/// with two such units can do more. See [`crate::kernels::Kernel::fuse`].
#[inline(always)]
pub(super) fn fuse<R: Register>(rounds: usize) -> (u64, f32) {
    const SIDES: usize = 6;
    let factor = R::splat(std::hint::black_box(0.5));
    let sum = R::splat(std::hint::black_box(0.25));
    let mut sides = [sum; SIDES];
    for _ in 0..rounds {
        for side in &mut sides {
            *side = side.mul_add(factor, sum);
        }
    }
    let mut total = sides[0];
    for side in &sides[1..] {
        total = total.add(*side);
    }
    ((rounds * SIDES * LANES) as u64, reduce_sum(total))
}

/// Sum of the lanes, halves added to halves.
#[inline(always)]
fn reduce_sum<R: Register>(register: R) -> f32 {
    let mut lane = [0.0; LANES];
    register.store(&mut lane);
    let mut width = LANES / 2;
    while width > 0 {
        for index in 0..width {
            lane[index] += lane[index + width];
        }
        width /= 2;
    }
    lane[0]
}

#[inline(always)]
fn reduce_max<R: Register>(register: R) -> f32 {
    let mut lane = [0.0; LANES];
    register.store(&mut lane);
    lane.iter().fold(lane[0], |best, &value| if value > best { value } else { best })
}

/// Up to 16 numbers, filled up with zeros.
#[inline(always)]
fn load<R: Register>(numbers: &[f32]) -> R {
    if let Some(lane) = numbers.first_chunk::<LANES>() {
        return R::load(lane);
    }
    let mut lane = [0.0; LANES];
    lane[..numbers.len()].copy_from_slice(numbers);
    R::load(&lane)
}

/// As many of the numbers as `target` has room for: one store where that is all of them.
#[inline(always)]
fn store_start<R: Register>(numbers: R, target: &mut [f32]) {
    if let Some(target) = target.first_chunk_mut::<LANES>() {
        numbers.store(target);
    } else {
        let mut lane = [0.0; LANES];
        numbers.store(&mut lane);
        target.copy_from_slice(&lane[..target.len()]);
    }
}
