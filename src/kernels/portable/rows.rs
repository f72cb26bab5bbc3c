//! Rows between the matrix products: to int8, from sums, normalised.

use crate::kernels::Finish;
use crate::kernels::pack::{BLOCK, GROUP, PANEL, PackedLinear, QuantisedRows, Step};
use crate::kernels::portable::{
    Integers, LANES, ROUNDER, Register, functions, load, reduce_max, reduce_sum, store_start,
};

/// Steps from the least to the largest number of a row: one fewer than the bytes have, so that 0, which is moved to a
/// whole step, pushes neither end out.
const STEPS: f32 = 254.0;

/// Registers that look for the ends of a row side by side, so that none waits for the one before it.
const SIDES: usize = 4;

const _: () = assert!(PANEL == LANES, "a lane of channels is a lane of numbers");

#[inline(always)]
pub(in crate::kernels) fn quantise<R: Register>(x: &[f32], rows: &mut QuantisedRows) {
    let (inputs, groups) = (rows.inputs, rows.groups);
    for (row, values) in x.chunks_exact(inputs).enumerate() {
        let (least, largest) = ends::<R>(values);
        // Divided first: the distance of two finite numbers need not be finite.
        let size = largest / STEPS - least / STEPS;
        let is_flat = size < f32::MIN_POSITIVE;
        let (size, inverse) = if is_flat { (0.0, 0.0) } else { (size, 1.0 / size) };
        // The least number comes to lie between this and the byte before it.
        let zero = (-least * inverse).floor() + 1.0;
        rows.steps[row] = Step { size, offset: -zero * size };
        let (factor, rounder) = (R::splat(inverse), R::splat(ROUNDER + zero));
        let (block, place) = (row / BLOCK, (row % BLOCK) * GROUP);
        let blocks = &mut rows.blocks[block * groups..(block + 1) * groups];
        let (whole, rest) = values.as_chunks::<LANES>();
        let (targets, last) = blocks.split_at_mut(whole.len() * (LANES / GROUP));
        for (targets, lane) in targets.as_chunks_mut::<{ LANES / GROUP }>().0.iter_mut().zip(whole) {
            let bytes = R::load(lane).mul_add(factor, rounder).low_bytes();
            for (target, quad) in targets.iter_mut().zip(bytes.as_chunks::<GROUP>().0) {
                target[place..place + GROUP].copy_from_slice(quad);
            }
        }
        if !rest.is_empty() {
            let bytes = load::<R>(rest).mul_add(factor, rounder).low_bytes();
            for (target, quad) in last.iter_mut().zip(bytes.as_chunks::<GROUP>().0) {
                target[place..place + GROUP].copy_from_slice(quad);
            }
        }
    }
}

/// The least number, or 0, and the largest, or 0; NaN is passed over.
#[inline(always)]
fn ends<R: Register>(values: &[f32]) -> (f32, f32) {
    let mut least = [R::splat(0.0); SIDES];
    let mut largest = [R::splat(0.0); SIDES];
    let (many, few) = values.as_chunks::<{ SIDES * LANES }>();
    for chunk in many {
        let lanes = chunk.as_chunks::<LANES>().0;
        for side in 0..SIDES {
            let lane = R::load(&lanes[side]);
            least[side] = lane.smaller(least[side]);
            largest[side] = lane.larger(largest[side]);
        }
    }
    for lane in few.chunks(LANES) {
        let lane: R = load(lane);
        least[0] = lane.smaller(least[0]);
        largest[0] = lane.larger(largest[0]);
    }
    let least = least[0].smaller(least[1]).smaller(least[2].smaller(least[3]));
    let largest = largest[0].larger(largest[1]).larger(largest[2].larger(largest[3]));
    (-reduce_max(R::splat(0.0).sub(least)), reduce_max(largest))
}

/// Writes what [`Finish`] makes of `fma(sum, step · scale, fma(offset, total, bias))`, of one row and the channels of one panel.
#[inline(always)]
pub(in crate::kernels) fn write_lane<R: Register>(
    sums: &[i32; PANEL],
    step: Step,
    row: usize,
    weights: &PackedLinear,
    panel: usize,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let scale = R::splat(step.size).mul(R::load(&weights.scales[panel]));
    let moved = R::splat(step.offset).mul_add(R::load(&weights.totals[panel]), R::load(&weights.bias[panel]));
    finish_lane(
        R::of_integers(R::Integers::load(sums)).mul_add(scale, moved),
        row,
        panel * PANEL,
        weights.outputs,
        finish,
        out,
    );
}

/// Writes what [`Finish`] makes of the numbers of one row from `column` on, as many as the `outputs` numbers of a row leave.
#[inline(always)]
pub(in crate::kernels) fn finish_lane<R: Register>(
    mut numbers: R,
    row: usize,
    column: usize,
    outputs: usize,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let count = (outputs - column).min(PANEL);
    let at = row * outputs + column;
    match finish {
        Finish::Plain => {}
        Finish::Gelu => numbers = functions::gelu(numbers),
        Finish::Add(residual) => numbers = numbers.add(load(&residual[at..at + count])),
    }
    store_start(numbers, &mut out[at..at + count]);
}

#[inline(always)]
pub(in crate::kernels) fn layer_norm<R: Register>(x: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    let count = gain.len() as f32;
    let (gains, last_gain) = gain.as_chunks::<LANES>();
    let (biases, last_bias) = bias.as_chunks::<LANES>();
    for row in x.chunks_exact_mut(gain.len()) {
        let (whole, rest) = row.as_chunks_mut::<LANES>();
        let mut sum = R::splat(0.0);
        for lane in whole.iter() {
            sum = sum.add(R::load(lane));
        }
        let mean = rest.iter().fold(reduce_sum(sum), |sum, value| sum + value) / count;
        let mut sum = R::splat(0.0);
        for lane in whole.iter() {
            let deviation = R::load(lane).sub(R::splat(mean));
            sum = sum.add(deviation.mul(deviation));
        }
        let squares = rest.iter().fold(reduce_sum(sum), |sum, value| sum + (value - mean) * (value - mean));
        let inverse = 1.0 / (squares / count + epsilon).sqrt();
        for ((lane, gain), bias) in whole.iter_mut().zip(gains).zip(biases) {
            let normed = R::load(lane).sub(R::splat(mean)).mul(R::splat(inverse));
            normed.mul_add(R::load(gain), R::load(bias)).store(lane);
        }
        for ((value, gain), bias) in rest.iter_mut().zip(last_gain).zip(last_bias) {
            *value = ((*value - mean) * inverse).mul_add(*gain, *bias);
        }
    }
}
