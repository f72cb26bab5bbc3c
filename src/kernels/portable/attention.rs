//! Attention of one head over one sequence, on pairs of 16-bit integers.
//!
//! Queries, keys and values are rounded to integers, each by one step for the head and the sequence, and so are the
//! weights of each query; the steps leave so much room that no sum of products goes beyond 32 bits. A lane holds 16
//! queries while their weights are made, so largest scores and sums of weights need nothing from other lanes.

use crate::kernels::HeadLayout;
use crate::kernels::portable::{IntegerLane, Integers, LANES, Lane, ROUNDER, Register, functions, load, reduce_max};

/// The largest weight: the largest 16-bit integer.
const MOST: f32 = 32_767.0;

/// The largest sum of the weights of one query, before they are rounded. More would take bits from the values.
const MOST_TOGETHER: u32 = 1 << 18;

/// Memory of one attention head, kept between calls.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    /// [16 queries][pair of dimensions]: a query a lane.
    queries: Vec<IntegerLane>,
    /// [16 keys][pair of dimensions]: a key a lane.
    keys: Vec<IntegerLane>,
    /// [16 dimensions][pair of tokens]: a dimension a lane.
    values: Vec<IntegerLane>,
    /// [lane of a group][key]: a query a lane.
    scores: Vec<Lane>,
    /// [lane of a group][pair of keys]: a query a lane.
    weights: Vec<IntegerLane>,
}

/// What one step of an integer stands for.
struct Steps {
    score: f32,
    value: f32,
}

#[inline(always)]
pub(in crate::kernels) fn attention<R: Register>(
    qkv: &[f32],
    layout: HeadLayout,
    scratch: &mut AttentionScratch,
    out: &mut [f32],
) {
    let steps = scratch.fill::<R>(qkv, layout);
    let lanes = layout.tokens.div_ceil(LANES);
    let mut lane = 0;
    while lane < lanes {
        if R::TWO_FIT && lane + 2 <= lanes {
            scratch.group::<R, 2>(lane, &steps, layout, out);
            lane += 2;
        } else {
            scratch.group::<R, 1>(lane, &steps, layout, out);
            lane += 1;
        }
    }
}

impl AttentionScratch {
    /// Rounds and lays out queries, keys and values of one head.
    #[inline(always)]
    fn fill<R: Register>(&mut self, qkv: &[f32], layout: HeadLayout) -> Steps {
        let HeadLayout { tokens, query, key, value, size, .. } = layout;
        let columns = tokens.div_ceil(LANES);
        let pairs = tokens.div_ceil(2);
        self.queries.resize(columns * size.div_ceil(2), [0; LANES]);
        self.keys.resize(columns * size.div_ceil(2), [0; LANES]);
        self.values.resize(pairs * size.div_ceil(LANES), [0; LANES]);
        let lanes = if R::TWO_FIT { 2 } else { 1 };
        self.scores.resize(lanes * tokens, [0.0; LANES]);
        self.weights.resize(lanes * pairs, [0; LANES]);

        // The square of this, `size` times, is below 2^31.
        let most = (f64::from(i32::MAX) / size as f64).sqrt().floor() as f32;
        let query_step = Step::new(largest::<R>(qkv, layout, query), most.min(MOST));
        let key_step = Step::new(largest::<R>(qkv, layout, key), most.min(MOST));
        // Rounding makes the sum of the weights larger by at most half of `tokens`, and by less than that the rounding
        // of the f32 numbers that it is made of.
        let most = (f64::from(i32::MAX) / (f64::from(MOST_TOGETHER) + tokens as f64)).floor() as f32;
        let value_step = Step::new(largest::<R>(qkv, layout, value), most.min(MOST));
        lay_out_tokens::<R>(qkv, layout, query, query_step.inverse, &mut self.queries);
        lay_out_tokens::<R>(qkv, layout, key, key_step.inverse, &mut self.keys);
        lay_out_dimensions::<R>(qkv, layout, value_step.inverse, &mut self.values);
        let score = query_step.size * key_step.size * std::f32::consts::LOG2_E / (size as f32).sqrt();
        Steps { score, value: value_step.size }
    }

    /// All of the attention of N lanes of queries, the first of them `lane`.
    #[inline(always)]
    fn group<R: Register, const N: usize>(&mut self, lane: usize, steps: &Steps, layout: HeadLayout, out: &mut [f32]) {
        let HeadLayout { tokens, size, .. } = layout;
        let (half, pairs) = (size.div_ceil(2), tokens.div_ceil(2));
        let queries: [&[IntegerLane]; N] = std::array::from_fn(|side| &self.queries[(lane + side) * half..][..half]);
        let mut best = [R::splat(f32::NEG_INFINITY); N];
        for (column, keys) in self.keys.chunks_exact(half).enumerate() {
            let scores = &mut self.scores[column * LANES..];
            let rows = LANES.min(tokens - column * LANES);
            let mut at = 0;
            while at < rows {
                if R::ROWS == 8 && rows - at > 4 {
                    score::<R, 8, N>(keys, &queries, at, rows, tokens, scores, &mut best);
                    at += 8;
                } else if R::ROWS >= 4 {
                    score::<R, 4, N>(keys, &queries, at, rows, tokens, scores, &mut best);
                    at += 4;
                } else {
                    score::<R, 2, N>(keys, &queries, at, rows, tokens, scores, &mut best);
                    at += 2;
                }
            }
        }
        for side in 0..N {
            let scores = &mut self.scores[side * tokens..][..tokens];
            let weights = &mut self.weights[side * pairs..][..pairs];
            let totals = weigh::<R>(scores, best[side], R::splat(steps.score), weights);
            let mut scales = [0.0; LANES];
            R::splat(steps.value).div(totals).store(&mut scales);
            let first = (lane + side) * LANES;
            let rows = LANES.min(tokens - first);
            let lanes = size.div_ceil(LANES);
            let mut dimensions = 0;
            while dimensions < lanes {
                if R::TWO_FIT && dimensions + 2 <= lanes {
                    mix_all::<R, 2>(
                        weights,
                        &self.values,
                        &scales,
                        Place { first, rows, lane: dimensions },
                        layout,
                        out,
                    );
                    dimensions += 2;
                } else {
                    mix_all::<R, 1>(
                        weights,
                        &self.values,
                        &scales,
                        Place { first, rows, lane: dimensions },
                        layout,
                        out,
                    );
                    dimensions += 1;
                }
            }
        }
    }
}

/// How numbers become integers.
struct Step {
    size: f32,
    inverse: f32,
}

impl Step {
    /// `largest` becomes `most`; where it is too small for that, all numbers become 0.
    fn new(largest: f32, most: f32) -> Self {
        let size = largest / most;
        if size < f32::MIN_POSITIVE { Self { size: 0.0, inverse: 0.0 } } else { Self { size, inverse: 1.0 / size } }
    }
}

/// The largest of the head's |x| at `offset` of all tokens; NaN is passed over.
#[inline(always)]
fn largest<R: Register>(qkv: &[f32], layout: HeadLayout, offset: usize) -> f32 {
    let mut least = R::splat(0.0);
    let mut largest = R::splat(0.0);
    for token in 0..layout.tokens {
        let start = token * layout.stride + offset;
        for numbers in qkv[start..start + layout.size].chunks(LANES) {
            let lane: R = load(numbers);
            least = lane.smaller(least);
            largest = lane.larger(largest);
        }
    }
    reduce_max(largest.larger(R::splat(0.0).sub(least)))
}

/// Rounded numbers of 16 tokens a column, a token a lane: dimension d in a pair with d + half of the dimensions.
#[inline(always)]
fn lay_out_tokens<R: Register>(
    qkv: &[f32],
    layout: HeadLayout,
    offset: usize,
    inverse: f32,
    columns: &mut [IntegerLane],
) {
    let HeadLayout { tokens, stride, size, .. } = layout;
    let half = size.div_ceil(2);
    let (inverse, rounder) = (R::splat(inverse), R::splat(ROUNDER));
    for (column, pairs) in columns.chunks_exact_mut(half).enumerate() {
        for (lane, pairs) in pairs.chunks_mut(LANES).enumerate() {
            let mut square = [R::Integers::splat(0); LANES];
            for (token, row) in square.iter_mut().enumerate().take(tokens - column * LANES) {
                let start = (column * LANES + token) * stride + offset;
                let (low, high) = qkv[start..start + size].split_at(half);
                let low = &low[lane * LANES..][..pairs.len()];
                let high = &high[lane * LANES..];
                let low: R = load(low);
                let high: R = load(&high[..high.len().min(LANES)]);
                *row = R::pair(low.mul_add(inverse, rounder), high.mul_add(inverse, rounder));
            }
            R::Integers::transpose(&mut square);
            for (pairs, register) in pairs.iter_mut().zip(square) {
                register.store(pairs);
            }
        }
    }
}

/// Rounded values, a dimension a lane: two neighbouring tokens a pair.
#[inline(always)]
fn lay_out_dimensions<R: Register>(qkv: &[f32], layout: HeadLayout, inverse: f32, values: &mut [IntegerLane]) {
    let HeadLayout { tokens, stride, value, size, .. } = layout;
    let (inverse, rounder) = (R::splat(inverse), R::splat(ROUNDER));
    for (lane, pairs) in values.chunks_exact_mut(tokens.div_ceil(2)).enumerate() {
        let count = LANES.min(size - lane * LANES);
        let start = value + lane * LANES;
        for (pair, target) in pairs.iter_mut().enumerate() {
            let token = 2 * pair;
            let rounded = |token: usize| load::<R>(&qkv[token * stride + start..][..count]).mul_add(inverse, rounder);
            let high = if token + 1 < tokens { rounded(token + 1) } else { rounder };
            R::pair(rounded(token), high).store(target);
        }
    }
}

/// Sums of products of ROWS lanes of `singles`, from `at` on, each with all of N times 16 lanes of `lanes`.
#[inline(always)]
fn products<R: Register, const ROWS: usize, const N: usize>(
    singles: &[IntegerLane],
    at: usize,
    lanes: &[&[IntegerLane]; N],
) -> [[R; N]; ROWS] {
    let lanes: [&[IntegerLane]; N] = std::array::from_fn(|lane| &lanes[lane][..singles.len()]);
    let mut sums = [[R::Integers::no_sums(); N]; ROWS];
    for (pair, singles) in singles.iter().enumerate() {
        let singles: &[i32; ROWS] = &singles.as_chunks().0[at / ROWS];
        let mut loaded = [R::Integers::splat(0); N];
        for lane in 0..N {
            loaded[lane] = R::Integers::load(&lanes[lane][pair]);
        }
        for row in 0..ROWS {
            let single = R::Integers::splat(singles[row]);
            for lane in 0..N {
                sums[row][lane] = R::Integers::add_products(sums[row][lane], single, loaded[lane]);
            }
        }
    }
    let mut numbers = [[R::splat(0.0); N]; ROWS];
    for row in 0..ROWS {
        for lane in 0..N {
            numbers[row][lane] = R::of_integers(R::Integers::total(sums[row][lane]));
        }
    }
    numbers
}

/// Scores of N lanes of queries with the keys from `at` to, at most, `rows`; and the best of all scores so far.
#[inline(always)]
fn score<R: Register, const ROWS: usize, const N: usize>(
    keys: &[IntegerLane],
    queries: &[&[IntegerLane]; N],
    at: usize,
    rows: usize,
    tokens: usize,
    scores: &mut [Lane],
    best: &mut [R; N],
) {
    let numbers = products::<R, ROWS, N>(keys, at, queries);
    for row in 0..ROWS {
        if at + row < rows {
            for lane in 0..N {
                numbers[row][lane].store(&mut scores[lane * tokens + at + row]);
                best[lane] = numbers[row][lane].larger(best[lane]);
            }
        }
    }
}

/// Scores to integer weights, in proportion to 2^(step · (score - best)); returns the sums of the weights.
#[inline(always)]
fn weigh<R: Register>(scores: &mut [Lane], best: R, step: R, weights: &mut [IntegerLane]) -> R {
    let mut sum = R::splat(0.0);
    for lane in scores.iter_mut() {
        let power = functions::power_of_two(R::load(lane).sub(best).mul(step));
        power.store(lane);
        sum = sum.add(power);
    }
    let factor = R::splat(MOST_TOGETHER as f32).div(sum).smaller(R::splat(MOST));
    let rounder = R::splat(ROUNDER);
    let ones = R::Integers::splat(1 << 16 | 1);
    let mut totals = R::Integers::no_sums();
    for (lanes, target) in scores.chunks(2).zip(weights) {
        let low = R::load(&lanes[0]).mul_add(factor, rounder);
        let high = if lanes.len() == 2 { R::load(&lanes[1]).mul_add(factor, rounder) } else { rounder };
        let pair = R::pair(low, high);
        pair.store(target);
        totals = R::Integers::add_products(totals, pair, ones);
    }
    R::of_integers(R::Integers::total(totals))
}

/// Rows and lanes of the output.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    rows: usize,
    lane: usize,
}

/// Values mixed by the weights of up to 16 queries, each times its scale: N lanes of the output.
#[inline(always)]
fn mix_all<R: Register, const N: usize>(
    weights: &[IntegerLane],
    values: &[IntegerLane],
    scales: &Lane,
    place: Place,
    layout: HeadLayout,
    out: &mut [f32],
) {
    let pairs = weights.len();
    let values: [&[IntegerLane]; N] = std::array::from_fn(|lane| &values[(place.lane + lane) * pairs..][..pairs]);
    let mut at = 0;
    while at < place.rows {
        if R::ROWS == 8 && place.rows - at > 4 {
            mix::<R, 8, N>(weights, &values, at, scales, place, layout, out);
            at += 8;
        } else if R::ROWS >= 4 {
            mix::<R, 4, N>(weights, &values, at, scales, place, layout, out);
            at += 4;
        } else {
            mix::<R, 2, N>(weights, &values, at, scales, place, layout, out);
            at += 2;
        }
    }
}

#[inline(always)]
fn mix<R: Register, const ROWS: usize, const N: usize>(
    weights: &[IntegerLane],
    values: &[&[IntegerLane]; N],
    at: usize,
    scales: &Lane,
    place: Place,
    layout: HeadLayout,
    out: &mut [f32],
) {
    let mixed = products::<R, ROWS, N>(weights, at, values);
    for row in 0..ROWS {
        if at + row < place.rows {
            for lane in 0..N {
                let numbers = mixed[row][lane].mul(R::splat(scales[at + row]));
                let from = (place.lane + lane) * LANES;
                let start = (place.first + at + row) * layout.out_stride + layout.out + from;
                let target = &mut out[start..start + (layout.size - from).min(LANES)];
                if let Some(target) = target.first_chunk_mut::<LANES>() {
                    numbers.store(target);
                } else {
                    let mut last = [0.0; LANES];
                    numbers.store(&mut last);
                    target.copy_from_slice(&last[..target.len()]);
                }
            }
        }
    }
}
