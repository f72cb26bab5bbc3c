//! Attention of one head over one sequence, on pairs of 16-bit integers.
//!
//! Queries, keys and values are rounded to integers, each by one step for the head and the sequence, and so are the
//! weights of each query; the steps leave so much room that no sum of products goes beyond 32 bits. A lane holds 16
//! queries while their weights are made, so largest scores and sums of weights need nothing from other lanes.
//!
//! With Q, K and V the largest |x| of each, a score is wrong by at most `size` · Q · K / 32,000, and the output by twice
//! that times V, and by V · (1 / 14,000 + T / 2^18) for the rounding of values and weights, or T / 2^16 instead of
//! T / 2^18 where one key has most of the weight. Errors mostly cancel; see the tests.

mod layout;

use crate::kernels::HeadLayout;
pub(crate) use crate::kernels::portable::attention::layout::AttentionScratch;
use crate::kernels::portable::attention::layout::Steps;
use crate::kernels::portable::{IntegerLane, Integers, LANES, Lane, ROUNDER, Register, functions, store_start};

/// The largest weight: the largest unsigned 16-bit integer.
const MOST_ALONE: f32 = 65_535.0;

/// What a weight is stored less, so that a signed 16-bit integer holds it.
const MIDDLE: f32 = 32_768.0;

/// The largest sum of the weights of one query, before they are rounded. 2^31 bounds it times the largest value, so more
/// would round values more coarsely, and less would round weights so: either costs about 1e-4 of the largest value.
const MOST_TOGETHER: u32 = 1 << 18;

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

/// Runs an expression for up to `$rows` rows, `$count` at a time from `$at` on: as many as fit, and fewer at the end
/// where fewer do.
macro_rules! tiles {
    ($register:ident, $rows:expr, $at:ident, $count:ident => $tile:expr) => {
        let mut $at = 0;
        while $at < $rows {
            if $register::ROWS == 8 && $rows - $at > 4 {
                const $count: usize = 8;
                $tile;
                $at += $count;
            } else if $register::ROWS >= 4 {
                const $count: usize = 4;
                $tile;
                $at += $count;
            } else {
                const $count: usize = 2;
                $tile;
                $at += $count;
            }
        }
    };
}

impl AttentionScratch {
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
            tiles!(R, rows, at, ROWS => score::<R, ROWS, N>(keys, &queries, at, rows, tokens, scores, &mut best));
        }
        for side in 0..N {
            let scores = &mut self.scores[side * tokens..][..tokens];
            let weights = &mut self.weights[side * pairs..][..pairs];
            let totals = weigh::<R>(scores, best[side], R::splat(steps.score), weights);
            let mut scales = [0.0; LANES];
            R::splat(steps.value).div(totals).store(&mut scales);
            let first = (lane + side) * LANES;
            let lanes = size.div_ceil(LANES);
            let mut place = Place { first, rows: LANES.min(tokens - first), lane: 0, scales };
            while place.lane < lanes {
                if R::TWO_FIT && place.lane + 2 <= lanes {
                    mix::<R, 2>(weights, &self.values, &self.middles, &place, layout, out);
                    place.lane += 2;
                } else {
                    mix::<R, 1>(weights, &self.values, &self.middles, &place, layout, out);
                    place.lane += 1;
                }
            }
        }
    }
}

/// Sums of products of ROWS lanes of `singles`, from `at` on, each with all of N times 16 lanes of `lanes`; and `moved`.
#[inline(always)]
fn products<R: Register, const ROWS: usize, const N: usize>(
    singles: &[IntegerLane],
    at: usize,
    lanes: &[&[IntegerLane]; N],
    moved: &[R::Integers; N],
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
            numbers[row][lane] = R::of_integers(R::Integers::total(sums[row][lane]).add(moved[lane]));
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
    let numbers = products::<R, ROWS, N>(keys, at, queries, &[R::Integers::splat(0); N]);
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
    let factor = R::splat(MOST_TOGETHER as f32).div(sum).smaller(R::splat(MOST_ALONE));
    let rounder = R::splat(ROUNDER - MIDDLE);
    let ones = R::Integers::splat(0x1_0001);
    let count = weights.len() as i32;
    let mut totals = R::Integers::no_sums();
    for (lanes, target) in scores.chunks(2).zip(weights) {
        let low = R::load(&lanes[0]).mul_add(factor, rounder);
        let high = if lanes.len() == 2 { R::load(&lanes[1]).mul_add(factor, rounder) } else { rounder };
        let pair = R::pair(low, high);
        pair.store(target);
        totals = R::Integers::add_products(totals, pair, ones);
    }
    let middles = R::Integers::splat((2 * MIDDLE as i32).wrapping_mul(count));
    R::of_integers(R::Integers::total(totals).add(middles))
}

/// Rows and lanes of the output, and what one step of each row stands for.
struct Place {
    first: usize,
    rows: usize,
    lane: usize,
    scales: Lane,
}

/// Values mixed by the weights of up to 16 queries, times their scales: N lanes of the output.
#[inline(always)]
fn mix<R: Register, const N: usize>(
    weights: &[IntegerLane],
    values: &[IntegerLane],
    middles: &[IntegerLane],
    place: &Place,
    layout: HeadLayout,
    out: &mut [f32],
) {
    let pairs = weights.len();
    let values: [&[IntegerLane]; N] = std::array::from_fn(|lane| &values[(place.lane + lane) * pairs..][..pairs]);
    let mut moved = [R::Integers::splat(0); N];
    for lane in 0..N {
        moved[lane] = R::Integers::load(&middles[place.lane + lane]);
    }
    tiles!(R, place.rows, at, ROWS => mix_rows::<R, ROWS, N>(weights, &values, &moved, at, place, layout, out));
}

#[inline(always)]
fn mix_rows<R: Register, const ROWS: usize, const N: usize>(
    weights: &[IntegerLane],
    values: &[&[IntegerLane]; N],
    moved: &[R::Integers; N],
    at: usize,
    place: &Place,
    layout: HeadLayout,
    out: &mut [f32],
) {
    let mixed = products::<R, ROWS, N>(weights, at, values, moved);
    for row in 0..ROWS {
        if at + row < place.rows {
            for lane in 0..N {
                let numbers = mixed[row][lane].mul(R::splat(place.scales[at + row]));
                let from = (place.lane + lane) * LANES;
                let start = (place.first + at + row) * layout.out_stride + layout.out + from;
                let target = &mut out[start..start + (layout.size - from).min(LANES)];
                store_start(numbers, target);
            }
        }
    }
}
