//! Float code of all kernels, written once.
//!
//! Everything is `inline(always)`: each kernel compiles it again with its own instructions. Sums run in 16 lanes that
//! are added in a fixed order, and products that are added are fused explicitly, so the result does not depend on the
//! instructions: not in its last bit.

use crate::kernels::HeadLayout;
use crate::kernels::pack::{BLOCK, GROUP, PANEL, PackedLinear, QuantisedRows};

/// f32 numbers that are worked on at once.
pub(super) const LANES: usize = 16;

/// 1.5 · 2^23: adding it rounds a number below 2^22 to an integer, ties to even, whose low byte is the sum's low byte.
const ROUNDER: f32 = 12_582_912.0;

type Lane = [f32; LANES];

/// 16 numbers in registers, for loops that the compiler does not keep there by itself. Every implementation gives the
/// same bits.
pub(super) trait Register: Copy {
    fn splat(number: f32) -> Self;
    fn load(lane: &Lane) -> Self;
    fn store(self, lane: &mut Lane);
    /// `self · factor + sum`, rounded once.
    fn mul_add(self, factor: Self, sum: Self) -> Self;
}

/// Registers of the reference.
impl Register for Lane {
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
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        std::array::from_fn(|index| self[index].mul_add(factor[index], sum[index]))
    }
}

/// Largest steps of an int8 row.
const STEPS: f32 = 127.0;

#[inline(always)]
fn reduce_sum(lane: Lane) -> f32 {
    let mut lane = lane;
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
fn reduce_max(lane: Lane) -> f32 {
    lane.iter().fold(lane[0], |best, &value| if value > best { value } else { best })
}

/// Sum of `map(x)` over all numbers.
#[inline(always)]
fn sum(x: &[f32], map: impl Fn(f32) -> f32) -> f32 {
    let mut lane = [0.0; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for index in 0..LANES {
            lane[index] += map(chunk[index]);
        }
    }
    let mut total = reduce_sum(lane);
    for &value in rest {
        total += map(value);
    }
    total
}

#[inline(always)]
pub(super) fn quantise(x: &[f32], rows: &mut QuantisedRows) {
    let (inputs, groups) = (rows.inputs, rows.groups);
    for (row, values) in x.chunks_exact(inputs).enumerate() {
        let mut lane = [0.0f32; LANES];
        let (whole, rest) = values.as_chunks::<LANES>();
        for chunk in whole {
            for index in 0..LANES {
                let magnitude = chunk[index].abs();
                lane[index] = if magnitude > lane[index] { magnitude } else { lane[index] };
            }
        }
        let mut largest = reduce_max(lane);
        for value in rest {
            largest = if value.abs() > largest { value.abs() } else { largest };
        }
        rows.scales[row] = largest / STEPS;
        let inverse = if largest > 0.0 { STEPS / largest } else { 0.0 };
        let (block, place) = (row / BLOCK, (row % BLOCK) * GROUP);
        let blocks = &mut rows.blocks[block * groups..(block + 1) * groups];
        let (quads, tail) = values.as_chunks::<GROUP>();
        for (target, quad) in blocks.iter_mut().zip(quads) {
            for index in 0..GROUP {
                target[place + index] = step(quad[index], inverse);
            }
        }
        for (index, &value) in tail.iter().enumerate() {
            blocks[groups - 1][place + index] = step(value, inverse);
        }
    }
}

/// q + 128 of one number.
#[inline(always)]
fn step(value: f32, inverse: f32) -> u8 {
    (value.mul_add(inverse, ROUNDER).to_bits() as u8).wrapping_add(128)
}

/// Exact sums of one block of rows with some panels of channels: [panel][row][channel].
pub(super) type Sums<const PANELS: usize> = [[[i32; PANEL]; BLOCK]; PANELS];

/// Writes `fma(sum, row scale · weight scale, bias)` of one block of rows and of the panels from `panel` on.
#[inline(always)]
pub(super) fn write_sums<const PANELS: usize>(
    sums: &Sums<PANELS>,
    rows: &QuantisedRows,
    block: usize,
    weights: &PackedLinear,
    panel: usize,
    out: &mut [f32],
) {
    let first = block * BLOCK;
    for (row, scale) in rows.scales[first..].iter().enumerate().take(BLOCK.min(rows.rows - first)) {
        let line = &mut out[(first + row) * weights.outputs..][..weights.outputs];
        for (offset, sums) in sums.iter().enumerate() {
            let (scales, bias) = (&weights.scales[panel + offset], &weights.bias[panel + offset]);
            let mut lane = [0.0f32; PANEL];
            for channel in 0..PANEL {
                lane[channel] = (sums[row][channel] as f32).mul_add(scale * scales[channel], bias[channel]);
            }
            let target = &mut line[(panel + offset) * PANEL..];
            let count = target.len().min(PANEL);
            target[..count].copy_from_slice(&lane[..count]);
        }
    }
}

#[inline(always)]
pub(super) fn add_layer_norm(x: &mut [f32], residual: &[f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    let size = gain.len();
    for (x, residual) in x.chunks_exact_mut(size).zip(residual.chunks_exact(size)) {
        for (x, residual) in x.iter_mut().zip(residual) {
            *x += residual;
        }
        layer_norm_row(x, gain, bias, epsilon);
    }
}

#[inline(always)]
fn layer_norm_row(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    let count = x.len() as f32;
    let mean = sum(x, |value| value) / count;
    let variance = sum(x, |value| (value - mean) * (value - mean)) / count;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    for ((x, gain), bias) in x.iter_mut().zip(gain).zip(bias) {
        *x = ((*x - mean) * inverse).mul_add(*gain, *bias);
    }
}

/// e^x by reduction to 2^n · e^r with |r| ≤ ln 2 / 2 and a polynomial of degree 6; relative error below 3e-7 for
/// -87 ≤ x ≤ 88, and 0 below -87.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let clamped = if clamped > 88.0 { 88.0 } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let mut p = 1.388_889e-3f32;
    for coefficient in [8.333_334e-3, 4.166_666_7e-2, 0.166_666_67, 0.5, 1.0, 1.0] {
        p = p.mul_add(r, coefficient);
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { p * power }
}

#[inline(always)]
pub(super) fn gelu(x: &mut [f32]) {
    for x in x {
        *x = gelu_one(*x);
    }
}

/// x · (1 + erf(x / √2)) / 2 with erf by Abramowitz and Stegun (1964), 7.1.26.
#[inline(always)]
fn gelu_one(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4f32;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = p.mul_add(t, coefficient);
    }
    // 1 - erf(z)
    let rest = p * t * exp(-z * z);
    let half = 0.5 * x;
    if x < 0.0 { half * rest } else { half * (2.0 - rest) }
}

/// Memory of one attention head, kept between calls.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    /// (size, columns): keys transposed.
    keys: Vec<Lane>,
    /// (T, size filled up to lanes)
    values: Vec<Lane>,
    /// (ROWS, columns)
    scores: Vec<Lane>,
}

/// Queries that are worked on at once.
const ROWS: usize = 4;

#[inline(always)]
pub(super) fn attention<R: Register>(qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch, out: &mut [f32]) {
    let HeadLayout { tokens, stride, query, key, value, size, .. } = layout;
    // Two lanes at a time, so an even number of them.
    let columns = tokens.div_ceil(2 * LANES) * 2;
    let width = size.div_ceil(2 * LANES) * 2;
    scratch.keys.clear();
    scratch.keys.resize(size * columns, [0.0; LANES]);
    scratch.values.clear();
    scratch.values.resize(tokens * width, [0.0; LANES]);
    scratch.scores.resize(ROWS * columns, [0.0; LANES]);
    for token in 0..tokens {
        let row = &qkv[token * stride..(token + 1) * stride];
        for (dimension, &number) in row[key..key + size].iter().enumerate() {
            scratch.keys[dimension * columns + token / LANES][token % LANES] = number;
        }
        let place = scratch.values[token * width..(token + 1) * width].as_flattened_mut();
        place[..size].copy_from_slice(&row[value..value + size]);
    }
    let factor = 1.0 / (size as f32).sqrt();
    let mut first = 0;
    while first < tokens {
        // A last block of fewer rows computes its last row several times over.
        let rows = ROWS.min(tokens - first);
        let query_row = |row: usize| {
            let start = (first + row.min(rows - 1)) * stride + query;
            &qkv[start..start + size]
        };
        let queries: [&[f32]; ROWS] = [query_row(0), query_row(1), query_row(2), query_row(3)];
        score::<R>(queries, &scratch.keys, columns, &mut scratch.scores);
        let mut sums = [0.0; ROWS];
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = exponentials(&mut scratch.scores[row * columns..(row + 1) * columns], tokens, factor);
        }
        for pair in 0..width / 2 {
            let mixed = mix::<R>(&scratch.scores, columns, &scratch.values, width, pair * 2, tokens);
            let from = pair * 2 * LANES;
            for row in 0..rows {
                let numbers = mixed[row].as_flattened();
                let take = (size - from).min(2 * LANES);
                let start = (first + row) * layout.out_stride + layout.out + from;
                for (target, number) in out[start..start + take].iter_mut().zip(numbers) {
                    *target = number / sums[row];
                }
            }
        }
        first += rows;
    }
}

/// Dot products of four queries with all keys. (ROWS, columns)
#[inline(always)]
fn score<R: Register>(queries: [&[f32]; ROWS], keys: &[Lane], columns: usize, scores: &mut [Lane]) {
    for pair in (0..columns).step_by(2) {
        let mut sums = [[R::splat(0.0); 2]; ROWS];
        for (dimension, keys) in keys.chunks_exact(columns).enumerate() {
            let both = [R::load(&keys[pair]), R::load(&keys[pair + 1])];
            for row in 0..ROWS {
                let query = R::splat(queries[row][dimension]);
                for half in 0..2 {
                    sums[row][half] = query.mul_add(both[half], sums[row][half]);
                }
            }
        }
        for row in 0..ROWS {
            for half in 0..2 {
                sums[row][half].store(&mut scores[row * columns + pair + half]);
            }
        }
    }
}

/// Scores of one query to e^(factor · (score - largest)), 0 beyond the last token; returns their sum.
#[inline(always)]
fn exponentials(scores: &mut [Lane], tokens: usize, factor: f32) -> f32 {
    let flat = scores.as_flattened_mut();
    flat[tokens..].fill(f32::NEG_INFINITY);
    let mut largest = [f32::NEG_INFINITY; LANES];
    for chunk in scores.iter() {
        for index in 0..LANES {
            largest[index] = if chunk[index] > largest[index] { chunk[index] } else { largest[index] };
        }
    }
    let largest = reduce_max(largest);
    let mut sums = [0.0; LANES];
    for chunk in scores.iter_mut() {
        for index in 0..LANES {
            chunk[index] = exp((chunk[index] - largest) * factor);
            sums[index] += chunk[index];
        }
    }
    reduce_sum(sums)
}

/// Values mixed by four rows of weights: lanes `at` and `at + 1`.
#[inline(always)]
fn mix<R: Register>(
    scores: &[Lane],
    columns: usize,
    values: &[Lane],
    width: usize,
    at: usize,
    tokens: usize,
) -> [[Lane; 2]; ROWS] {
    let weights: [&[f32]; ROWS] =
        std::array::from_fn(|row| &scores[row * columns..(row + 1) * columns].as_flattened()[..tokens]);
    let mut sums = [[R::splat(0.0); 2]; ROWS];
    for (token, values) in values.chunks_exact(width).enumerate().take(tokens) {
        let both = [R::load(&values[at]), R::load(&values[at + 1])];
        for row in 0..ROWS {
            let weight = R::splat(weights[row][token]);
            for half in 0..2 {
                sums[row][half] = weight.mul_add(both[half], sums[row][half]);
            }
        }
    }
    let mut mixed = [[[0.0; LANES]; 2]; ROWS];
    for row in 0..ROWS {
        for half in 0..2 {
            sums[row][half].store(&mut mixed[row][half]);
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its Maclaurin series in f64, for |z| up to 4 good to 1e-9 and beyond that 1.
    fn erf(z: f64) -> f64 {
        if z.abs() > 5.0 {
            return z.signum();
        }
        let (mut term, mut total) = (z, z);
        for n in 1..200 {
            term *= -z * z / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * 2.0 / std::f64::consts::PI.sqrt()
    }

    /// Bound on the absolute error of GELU, per unit of |x| above 1: that of the erf approximation (1.5e-7) halved, and
    /// f32 rounding.
    const GELU_BOUND: f32 = 5e-7;

    #[test]
    fn gelu_is_within_its_bound() {
        let mut worst = (0.0, 0.0);
        for index in -80_000..=80_000 {
            let x = index as f32 * 1e-4;
            let exact = f64::from(x) * (1.0 + erf(f64::from(x) / std::f64::consts::SQRT_2)) / 2.0;
            let error = (f64::from(gelu_one(x)) - exact).abs() as f32 / x.abs().max(1.0);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 < GELU_BOUND, "error {} at {}", worst.0, worst.1);
        assert_eq!([gelu_one(0.0), gelu_one(40.0), gelu_one(-40.0)], [0.0, 40.0, 0.0]);
    }

    #[test]
    fn exp_is_within_its_bound() {
        for index in -86_999..88_000 {
            let x = index as f32 * 1e-3;
            let exact = f64::from(x).exp();
            let error = ((f64::from(exp(x)) - exact) / exact).abs();
            assert!(error < 3e-7, "error {error} at {x}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }
}
