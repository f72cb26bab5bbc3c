//! The matrix product of f32 numbers.

use crate::kernels::Finish;
use crate::kernels::pack::{BLOCK, FloatRows, PANEL, PackedFloats};
use crate::kernels::portable::rows::finish_lane;
use crate::kernels::portable::{Lane, Register};

/// Panels that are worked on at once where registers allow.
const PANELS: usize = 3;
/// Rows that are worked on at once where they do not.
const HALF: usize = BLOCK / 2;

/// `out = finish(b + x · Wᵀ)`, products added in the order of K, each fused.
#[inline(always)]
pub(in crate::kernels) fn linear<R: Register>(
    x: &[f32],
    weights: &PackedFloats,
    finish: Finish<'_>,
    rows: &mut FloatRows,
    out: &mut [f32],
) {
    let inputs = weights.inputs;
    let count = x.len() / inputs;
    block_up(x, inputs, &mut rows.floats);
    let panels = weights.bias.len();
    let paired = if R::TWO_FIT { panels / PANELS * PANELS } else { 0 };
    for panel in (0..paired).step_by(PANELS) {
        columns::<R, BLOCK, PANELS>(rows, count, weights, panel, finish, out);
    }
    for panel in paired..panels {
        if R::TWO_FIT {
            columns::<R, BLOCK, 1>(rows, count, weights, panel, finish, out);
        } else {
            columns::<R, HALF, 1>(rows, count, weights, panel, finish, out);
        }
    }
}

/// Rows (M, K) to [block][k][row]. Rows beyond M keep what is there.
#[inline(always)]
fn block_up(x: &[f32], inputs: usize, blocks: &mut Vec<[f32; BLOCK]>) {
    let count = x.len() / inputs;
    blocks.resize(count.div_ceil(BLOCK) * inputs, [0.0; BLOCK]);
    for (row, numbers) in x.chunks_exact(inputs).enumerate() {
        let block = &mut blocks[row / BLOCK * inputs..][..inputs];
        for (place, &number) in block.iter_mut().zip(numbers) {
            place[row % BLOCK] = number;
        }
    }
}

/// All rows with some panels.
#[inline(always)]
fn columns<R: Register, const ROWS: usize, const N: usize>(
    rows: &FloatRows,
    count: usize,
    weights: &PackedFloats,
    panel: usize,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let inputs = weights.inputs;
    let panels: [&[Lane]; N] = std::array::from_fn(|offset| &weights.panels[(panel + offset) * inputs..][..inputs]);
    for first in (0..count).step_by(ROWS) {
        let block = &rows.floats[first / BLOCK * inputs..][..inputs];
        let mut sums = [[R::splat(0.0); N]; ROWS];
        for row in 0..ROWS {
            for offset in 0..N {
                sums[row][offset] = R::load(&weights.bias[panel + offset]);
            }
        }
        for k in 0..inputs {
            let mut loaded = [R::splat(0.0); N];
            for offset in 0..N {
                loaded[offset] = R::load(&panels[offset][k]);
            }
            for row in 0..ROWS {
                let number = R::splat(block[k][first % BLOCK + row]);
                for offset in 0..N {
                    sums[row][offset] = number.mul_add(loaded[offset], sums[row][offset]);
                }
            }
        }
        for row in 0..ROWS.min(count - first) {
            for offset in 0..N {
                finish_lane(sums[row][offset], first + row, (panel + offset) * PANEL, weights.outputs, finish, out);
            }
        }
    }
}
