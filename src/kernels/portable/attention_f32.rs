//! Attention of one head over one sequence in f32, four queries at a time.

use crate::kernels::HeadLayout;
use crate::kernels::portable::{LANES, Lane, Register, functions, load, reduce_max, reduce_sum, store_start};

/// Queries that are worked on at once.
const ROWS: usize = 4;

/// Memory of one attention head, kept between calls.
#[derive(Default)]
pub(crate) struct FloatScratch {
    /// [16 tokens][dimension]: keys, a token a lane.
    keys: Vec<Lane>,
    /// [16 dimensions][token]: values, a dimension a lane.
    values: Vec<Lane>,
    /// (ROWS, columns)
    scores: Vec<Lane>,
}

#[inline(always)]
pub(in crate::kernels) fn attention<R: Register>(
    qkv: &[f32],
    layout: HeadLayout,
    scratch: &mut FloatScratch,
    out: &mut [f32],
) {
    let HeadLayout { tokens, stride, query, size, .. } = layout;
    scratch.fill::<R>(qkv, layout);
    let FloatScratch { keys, values, scores } = scratch;
    let columns = tokens.div_ceil(LANES);
    let factor = 1.0 / (size as f32).sqrt();
    for first in (0..tokens).step_by(ROWS) {
        // A last block of fewer rows computes its last row several times over.
        let rows = ROWS.min(tokens - first);
        let queries: [&[f32]; ROWS] = std::array::from_fn(|row| {
            let start = (first + row.min(rows - 1)) * stride + query;
            &qkv[start..start + size]
        });
        let step = if R::TWO_FIT { 2 } else { 1 };
        let paired = columns / step * step;
        for column in (0..paired).step_by(step) {
            if R::TWO_FIT {
                score::<R, 2>(&queries, keys, column, columns, scores);
            } else {
                score::<R, 1>(&queries, keys, column, columns, scores);
            }
        }
        for column in paired..columns {
            score::<R, 1>(&queries, keys, column, columns, scores);
        }
        let mut sums = [0.0; ROWS];
        for (scores, sum) in scores.chunks_exact_mut(columns).zip(&mut sums) {
            *sum = exponentials::<R>(scores, tokens, factor);
        }
        let lanes = size.div_ceil(LANES);
        let mut lane = 0;
        while lane < lanes {
            let at = Place { first, rows, lane };
            if R::TWO_FIT && lane + 2 <= lanes {
                mix::<R, 2>(scores, values, &sums, layout, at, out);
                lane += 2;
            } else {
                mix::<R, 1>(scores, values, &sums, layout, at, out);
                lane += 1;
            }
        }
    }
}

impl FloatScratch {
    /// Lays out the keys and the values of one head.
    #[inline(always)]
    fn fill<R: Register>(&mut self, qkv: &[f32], layout: HeadLayout) {
        let HeadLayout { tokens, stride, key, value, size, .. } = layout;
        let columns = tokens.div_ceil(LANES);
        let lanes = size.div_ceil(LANES);
        self.keys.resize(size * columns, [0.0; LANES]);
        self.values.resize(tokens * lanes, [0.0; LANES]);
        self.scores.resize(ROWS * columns, [0.0; LANES]);
        for token in 0..tokens {
            let numbers = &qkv[token * stride + key..][..size];
            let keys = &mut self.keys[token / LANES * size..][..size];
            for (keys, &number) in keys.iter_mut().zip(numbers) {
                keys[token % LANES] = number;
            }
        }
        for (lane, values) in self.values.chunks_exact_mut(tokens).enumerate() {
            let count = LANES.min(size - lane * LANES);
            for (token, values) in values.iter_mut().enumerate() {
                let start = token * stride + value + lane * LANES;
                load::<R>(&qkv[start..start + count]).store(values);
            }
        }
    }
}

/// Sums of the products of four rows of numbers, each with all of N lanes.
#[inline(always)]
fn products<R: Register, const N: usize>(rows: &[&[f32]; ROWS], lanes: &[&[Lane]; N]) -> [[R; N]; ROWS] {
    let count = rows[0].len();
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row][..count]);
    let lanes: [&[Lane]; N] = std::array::from_fn(|lane| &lanes[lane][..count]);
    let mut sums = [[R::splat(0.0); N]; ROWS];
    for place in 0..count {
        let mut loaded = [R::splat(0.0); N];
        for lane in 0..N {
            loaded[lane] = R::load(&lanes[lane][place]);
        }
        for row in 0..ROWS {
            let number = R::splat(rows[row][place]);
            for lane in 0..N {
                sums[row][lane] = number.mul_add(loaded[lane], sums[row][lane]);
            }
        }
    }
    sums
}

/// Dot products of four queries with the keys of N lanes.
#[inline(always)]
fn score<R: Register, const N: usize>(
    queries: &[&[f32]; ROWS],
    keys: &[Lane],
    column: usize,
    columns: usize,
    scores: &mut [Lane],
) {
    let size = queries[0].len();
    let sums = products::<R, N>(queries, &std::array::from_fn(|lane| &keys[(column + lane) * size..]));
    for row in 0..ROWS {
        for lane in 0..N {
            sums[row][lane].store(&mut scores[row * columns + column + lane]);
        }
    }
}

/// Scores of one query to e^(factor · (score - largest)), next to 0 beyond the last token; returns their sum.
#[inline(always)]
fn exponentials<R: Register>(scores: &mut [Lane], tokens: usize, factor: f32) -> f32 {
    scores.as_flattened_mut()[tokens..].fill(f32::NEG_INFINITY);
    let mut largest = R::splat(f32::NEG_INFINITY);
    for lane in scores.iter() {
        largest = R::load(lane).larger(largest);
    }
    let (largest, factor) = (R::splat(reduce_max(largest)), R::splat(factor));
    let mut sum = R::splat(0.0);
    for lane in scores.iter_mut() {
        let power = functions::exp(R::load(lane).sub(largest).mul(factor));
        power.store(lane);
        sum = sum.add(power);
    }
    reduce_sum(sum)
}

/// Rows and lanes of the output.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    rows: usize,
    lane: usize,
}

/// Values mixed by four rows of weights, divided by the sums of the weights: N lanes of the output.
#[inline(always)]
fn mix<R: Register, const N: usize>(
    scores: &[Lane],
    values: &[Lane],
    sums: &[f32; ROWS],
    layout: HeadLayout,
    at: Place,
    out: &mut [f32],
) {
    let tokens = layout.tokens;
    let columns = tokens.div_ceil(LANES);
    let weights: [&[f32]; ROWS] =
        std::array::from_fn(|row| &scores[row * columns..(row + 1) * columns].as_flattened()[..tokens]);
    let mixed = products::<R, N>(&weights, &std::array::from_fn(|lane| &values[(at.lane + lane) * tokens..]));
    for row in 0..at.rows {
        for lane in 0..N {
            let from = (at.lane + lane) * LANES;
            let numbers = mixed[row][lane].div(R::splat(sums[row]));
            let start = (at.first + row) * layout.out_stride + layout.out + from;
            let target = &mut out[start..start + (layout.size - from).min(LANES)];
            store_start(numbers, target);
        }
    }
}
