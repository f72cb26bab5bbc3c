//! Queries, keys and values of one head as integers, laid out so that every loop reads them front to back.

use crate::kernels::HeadLayout;
use crate::kernels::portable::attention::{MIDDLE, MOST_TOGETHER};
use crate::kernels::portable::{IntegerLane, Integers, LANES, Lane, ROUNDER, Register, load, reduce_max};

/// The largest of queries, keys and values: the largest 16-bit integer.
const MOST: f32 = 32_767.0;

/// Memory of one attention head, kept between calls.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    /// [16 queries][pair of dimensions]: a query a lane.
    pub(super) queries: Vec<IntegerLane>,
    /// [16 keys][pair of dimensions]: a key a lane.
    pub(super) keys: Vec<IntegerLane>,
    /// [16 dimensions][pair of tokens]: a dimension a lane.
    pub(super) values: Vec<IntegerLane>,
    /// [16 dimensions]: sum of the values, times [`MIDDLE`].
    pub(super) middles: Vec<IntegerLane>,
    /// [lane of a group][key]: a query a lane.
    pub(super) scores: Vec<Lane>,
    /// [lane of a group][pair of keys]: a query a lane.
    pub(super) weights: Vec<IntegerLane>,
}

/// What one step of an integer stands for.
pub(super) struct Steps {
    pub(super) score: f32,
    pub(super) value: f32,
}

impl AttentionScratch {
    /// Rounds and lays out queries, keys and values of one head.
    #[inline(always)]
    pub(super) fn fill<R: Register>(&mut self, qkv: &[f32], layout: HeadLayout) -> Steps {
        let HeadLayout { tokens, size, .. } = layout;
        let columns = tokens.div_ceil(LANES);
        let pairs = tokens.div_ceil(2);
        self.queries.resize(columns * size.div_ceil(2), [0; LANES]);
        self.keys.resize(columns * size.div_ceil(2), [0; LANES]);
        self.values.resize(pairs * size.div_ceil(LANES), [0; LANES]);
        self.middles.resize(size.div_ceil(LANES), [0; LANES]);
        let lanes = if R::TWO_FIT { 2 } else { 1 };
        self.scores.resize(lanes * tokens, [0.0; LANES]);
        self.weights.resize(lanes * pairs, [0; LANES]);

        // The square of this, `size` times, is below 2^31.
        let most = (f64::from(i32::MAX) / size as f64).sqrt().floor() as f32;
        let largest = largest::<R>(qkv, layout);
        let query_step = Step::new(largest[0], most.min(MOST));
        let key_step = Step::new(largest[1], most.min(MOST));
        // Rounding makes the sum of the weights larger by at most half of `tokens`, and by less than that the rounding
        // of the f32 numbers that it is made of.
        let most = (f64::from(i32::MAX) / (f64::from(MOST_TOGETHER) + tokens as f64)).floor() as f32;
        let value_step = Step::new(largest[2], most.min(MOST));
        lay_out_tokens::<R>(qkv, layout, layout.query, query_step.inverse, &mut self.queries);
        lay_out_tokens::<R>(qkv, layout, layout.key, key_step.inverse, &mut self.keys);
        lay_out_dimensions::<R>(qkv, layout, value_step.inverse, &mut self.values, &mut self.middles);
        let score = query_step.size * key_step.size * std::f32::consts::LOG2_E / (size as f32).sqrt();
        Steps { score, value: value_step.size }
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

/// The largest |x| of the head's queries, of its keys and of its values; NaN is passed over.
#[inline(always)]
fn largest<R: Register>(qkv: &[f32], layout: HeadLayout) -> [f32; 3] {
    let HeadLayout { tokens, stride, query, key, value, size, .. } = layout;
    let mut least = [R::splat(0.0); 3];
    let mut largest = [R::splat(0.0); 3];
    for token in 0..tokens {
        for (part, offset) in [query, key, value].into_iter().enumerate() {
            let (whole, rest) = qkv[token * stride + offset..][..size].as_chunks::<LANES>();
            for lane in whole {
                least[part] = R::load(lane).smaller(least[part]);
                largest[part] = R::load(lane).larger(largest[part]);
            }
            if !rest.is_empty() {
                least[part] = load::<R>(rest).smaller(least[part]);
                largest[part] = load::<R>(rest).larger(largest[part]);
            }
        }
    }
    let mut ends = [0.0; 3];
    for part in 0..3 {
        ends[part] = reduce_max(R::splat(0.0).sub(least[part]).larger(largest[part]));
    }
    ends
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

/// Rounded values, a dimension a lane: two neighbouring tokens a pair; and their sums times [`MIDDLE`].
#[inline(always)]
fn lay_out_dimensions<R: Register>(
    qkv: &[f32],
    layout: HeadLayout,
    inverse: f32,
    values: &mut [IntegerLane],
    middles: &mut [IntegerLane],
) {
    let HeadLayout { tokens, stride, value, size, .. } = layout;
    let (inverse, rounder) = (R::splat(inverse), R::splat(ROUNDER));
    // Half of the middle, which is no signed 16-bit integer itself.
    let halves = R::Integers::splat((MIDDLE as i32 / 2) * 0x1_0001);
    for ((lane, pairs), middles) in values.chunks_exact_mut(tokens.div_ceil(2)).enumerate().zip(middles) {
        let mut sums = R::Integers::no_sums();
        let count = LANES.min(size - lane * LANES);
        let start = value + lane * LANES;
        for (pair, target) in pairs.iter_mut().enumerate() {
            let token = 2 * pair;
            let low = load::<R>(&qkv[token * stride + start..][..count]).mul_add(inverse, rounder);
            let mut high = rounder;
            if token + 1 < tokens {
                high = load::<R>(&qkv[(token + 1) * stride + start..][..count]).mul_add(inverse, rounder);
            }
            let pair = R::pair(low, high);
            pair.store(target);
            sums = R::Integers::add_products(sums, pair, halves);
        }
        let half = R::Integers::total(sums);
        half.add(half).store(middles);
    }
}
