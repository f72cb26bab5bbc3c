//! Attention in f32 and on integers against attention in f64, and at the ends of its integers.

use crate::kernels::portable::{AttentionScratch, FloatScratch};
use crate::kernels::scalar::Scalar;
use crate::kernels::tests::{Random, assert_same, fast_kernels};
use crate::kernels::{HeadLayout, Kernel, available};

/// Numbers that are nobody's, before, between and after those of the head.
const MARGIN: usize = 5;

fn layout(tokens: usize, size: usize) -> HeadLayout {
    let hidden = size + MARGIN;
    let (query, key, value) = (2, hidden + 1, 2 * hidden + 3);
    HeadLayout { tokens, stride: 3 * hidden, query, key, value, size, out_stride: hidden, out: 4 }
}

/// Attention in f64, by the book (Vaswani et al. 2017).
fn attention_f64(qkv: &[f32], layout: HeadLayout) -> Vec<f64> {
    let HeadLayout { tokens, stride, query, key, value, size, .. } = layout;
    let at = |token: usize, offset: usize| f64::from(qkv[token * stride + offset]);
    let mut out = Vec::new();
    for row in 0..tokens {
        let scores: Vec<f64> = (0..tokens)
            .map(|other| (0..size).map(|d| at(row, query + d) * at(other, key + d)).sum::<f64>() / (size as f64).sqrt())
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        out.extend((0..size).map(|d| (0..tokens).map(|other| powers[other] * at(other, value + d)).sum::<f64>() / sum));
    }
    out
}

/// The reference's output without margins, after every kernel has given the same bits and left the margins alone.
fn attended(case: &str, qkv: &[f32], layout: HeadLayout, scratch: &mut AttentionScratch) -> Vec<f32> {
    attended_by(case, layout, |kernel, out| kernel.attention(qkv, layout, scratch, out))
}

fn attended_f32(case: &str, qkv: &[f32], layout: HeadLayout, scratch: &mut FloatScratch) -> Vec<f32> {
    attended_by(case, layout, |kernel, out| kernel.attention_f32(qkv, layout, scratch, out))
}

fn attended_by(case: &str, layout: HeadLayout, mut attend: impl FnMut(&dyn Kernel, &mut [f32])) -> Vec<f32> {
    let HeadLayout { tokens, size, out_stride, out, .. } = layout;
    let mut expected = vec![7.0; tokens * out_stride];
    attend(&Scalar, &mut expected);
    for kernel in fast_kernels() {
        let mut found = vec![7.0; tokens * out_stride];
        attend(kernel.as_ref(), &mut found);
        assert_same(&format!("{}, {case}", kernel.name()), &found, &expected);
    }
    let mut own = Vec::new();
    for line in expected.chunks(out_stride) {
        let (before, rest) = line.split_at(out);
        let (numbers, after) = rest.split_at(size);
        assert!(before.iter().chain(after).all(|&value| value == 7.0), "{case}: nothing else is written");
        own.extend_from_slice(numbers);
    }
    own
}

#[test]
fn attention_is_right_and_has_the_same_bits() {
    /// Largest number of queries, keys and values, and the error that is allowed, relative to it. Scores of numbers up to
    /// 3 reach 20, and what they are wrong by weighs more than all else.
    const TOLERANCES: [(f32, f64); 2] = [(1.0, 1e-4), (3.0, 1e-3)];
    /// In f32: sums of some hundred products of numbers up to 3.
    const F32_TOLERANCE: f64 = 1e-5;
    let mut random = Random(4);
    let (mut scratch, mut floats) = (AttentionScratch::default(), FloatScratch::default());
    let mut shapes =
        vec![(1, 8), (2, 32), (3, 32), (4, 64), (5, 33), (16, 32), (31, 32), (33, 16), (70, 32), (256, 32)];
    shapes.extend((0..40).map(|_| (1 + random.below(70), 1 + random.below(80))));
    for (tokens, size) in shapes {
        let layout = layout(tokens, size);
        for (range, tolerance) in TOLERANCES {
            let case = format!("T {tokens}, size {size}, numbers up to {range}");
            let qkv: Vec<f32> = random.floats(tokens * layout.stride).iter().map(|value| value * range).collect();
            let exact = attention_f64(&qkv, layout);
            for (index, (found, exact)) in attended(&case, &qkv, layout, &mut scratch).iter().zip(&exact).enumerate() {
                let error = (f64::from(*found) - exact).abs() / f64::from(range);
                assert!(error < tolerance, "{case}, number {index}: {found}, {exact}");
            }
            for (index, (found, exact)) in attended_f32(&case, &qkv, layout, &mut floats).iter().zip(&exact).enumerate()
            {
                let error = (f64::from(*found) - exact).abs();
                assert!(error < F32_TOLERANCE, "{case}, f32, number {index}: {found}, {exact}");
            }
        }
    }
}

#[test]
fn the_largest_sums_do_not_wrap_around() {
    let mut scratch = AttentionScratch::default();
    for tokens in [1, 2, 3, 7, 8, 9, 63, 200, 255, 350] {
        for size in [1, 2, 3, 32, 65, 400] {
            // All weight on the last token, or the same on all: values at the end of their range in both.
            for sharpness in [0.0, 100.0] {
                let layout = layout(tokens, size);
                let mut qkv = vec![0.0; tokens * layout.stride];
                for (token, row) in qkv.chunks_mut(layout.stride).enumerate() {
                    let is_last = token + 1 == tokens;
                    row[layout.query..][..size].fill(1e3);
                    row[layout.key..][..size].fill(if is_last { sharpness } else { -sharpness });
                    row[layout.value..][..size].fill(if is_last || sharpness == 0.0 { -2.0 } else { 2.0 });
                }
                let case = format!("T {tokens}, size {size}, sharpness {sharpness}");
                for found in attended(&case, &qkv, layout, &mut scratch) {
                    assert!((found + 2.0).abs() < 2e-6, "{case}: {found}");
                }
            }
        }
    }
}

#[test]
fn many_faint_weights_lose_no_more_than_half_a_step_each() {
    const TOKENS: usize = 256;
    const SIZE: usize = 32;
    let mut scratch = AttentionScratch::default();
    let layout = layout(TOKENS, SIZE);
    let mut qkv = vec![0.0; TOKENS * layout.stride];
    for (token, row) in qkv.chunks_mut(layout.stride).enumerate() {
        row[layout.query..][..SIZE].fill(1.0);
        row[layout.value..][..SIZE].fill(if token == 0 { 1.0 } else { -1.0 });
    }
    let mut worst = 0.0f64;
    // From 2^-12 to 2^-18 of the first key's weight on each of the others.
    for step in 0..=60 {
        let bits = 12.0 + f64::from(step) / 10.0;
        qkv[layout.key..][..SIZE].fill((bits * std::f64::consts::LN_2 / (SIZE as f64).sqrt()) as f32);
        let others = (TOKENS - 1) as f64 * (-bits).exp2();
        let exact = (1.0 - others) / (1.0 + others);
        for found in attended(&format!("faint by {bits}"), &qkv, layout, &mut scratch) {
            worst = worst.max((f64::from(found) - exact).abs());
        }
    }
    // It is met where they are just below half a step.
    let bound = TOKENS as f64 / 65_536.0;
    assert!((bound * 0.9..bound + 1e-4).contains(&worst), "{worst} of {bound}");
}

#[test]
fn numbers_that_are_none_end_nothing() {
    let mut random = Random(7);
    let (mut scratch, mut floats) = (AttentionScratch::default(), FloatScratch::default());
    let layout = layout(21, 19);
    for number in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45] {
        for share in [1, 40, layout.tokens * layout.stride] {
            let mut qkv = random.floats(layout.tokens * layout.stride);
            for _ in 0..share {
                let place = random.below(qkv.len());
                qkv[place] = number;
            }
            for kernel in available() {
                let mut outs = [(); 2].map(|()| vec![7.0; layout.tokens * layout.out_stride]);
                kernel.attention(&qkv, layout, &mut scratch, &mut outs[0]);
                kernel.attention_f32(&qkv, layout, &mut floats, &mut outs[1]);
                for out in outs {
                    let nobody = out.chunks(layout.out_stride).flat_map(|line| [&line[..4], &line[4 + layout.size..]]);
                    assert!(nobody.flatten().all(|&value| value == 7.0), "{} with {number}", kernel.name());
                }
            }
        }
    }
}
