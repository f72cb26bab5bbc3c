//! Products of floats: f32 has the bits of the reference, bf16 is near enough.

use crate::kernels::pack::{FloatRows, PackedBf16, PackedFloats, to_bf16};
use crate::kernels::portable::erf;
use crate::kernels::scalar::Scalar;
use crate::kernels::tests::{Random, assert_same};
use crate::kernels::{Finish, Kernel, available};

/// `finish(b + x · Wᵀ)` in f64, and the sum of the magnitudes of what is added, for each number.
fn linear_f64(x: &[f32], weights: &[f32], bias: &[f32], inputs: usize, finish: Finish<'_>) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for row in x.chunks(inputs) {
        for (weights, &bias) in weights.chunks(inputs).zip(bias) {
            let products = row.iter().zip(weights).map(|(&a, &b)| f64::from(a) * f64::from(b));
            let magnitude = products.clone().map(f64::abs).sum::<f64>() + f64::from(bias).abs();
            let sum = products.sum::<f64>() + f64::from(bias);
            let finished = match finish {
                Finish::Plain => sum,
                Finish::Gelu => sum * (1.0 + erf(sum / std::f64::consts::SQRT_2)) / 2.0,
                Finish::Add(residual) => sum + f64::from(residual[out.len()]),
            };
            out.push((finished, magnitude));
        }
    }
    out
}

fn check_float_linear(random: &mut Random, rows: usize, outputs: usize, inputs: usize) {
    /// Rounding of one f32 product; a sum takes on no more than that of its parts.
    const F32: f64 = 1.0 / (1u64 << 23) as f64;
    let x = random.floats(rows * inputs);
    let residual = random.floats(rows * outputs);
    let (weights, bias) = (random.floats(outputs * inputs), random.floats(outputs));
    let packed = PackedFloats::pack(&weights, &bias, inputs);
    for finish in [Finish::Plain, Finish::Gelu, Finish::Add(&residual)] {
        let mut expected = vec![f32::NAN; rows * outputs];
        Scalar.linear_f32(&x, &packed, finish, &mut FloatRows::default(), &mut expected);
        let step = F32 * (inputs as f64).sqrt();
        let near = |case: &str, found: &[f32], exact: &[(f64, f64)]| {
            for (index, (found, (exact, magnitude))) in found.iter().zip(exact).enumerate() {
                // 1.2: the steepest slope of GELU. 5e-7: its own error.
                let most = 1.2 * step * (magnitude + 1.0) + 5e-7 * exact.abs().max(1.0);
                assert!((f64::from(*found) - exact).abs() <= most, "{case}, number {index}: {found}, {exact}");
            }
        };
        near("scalar", &expected, &linear_f64(&x, &weights, &bias, inputs, finish));
        for kernel in available() {
            let case = format!("{}, M {rows} N {outputs} K {inputs}, {finish:.5?}", kernel.name());
            // Memory that held other rows before, and an output that begins anywhere.
            let mut memory = FloatRows::default();
            let other = random.floats((rows + 3) * (inputs + 9));
            let dirty = PackedFloats::pack(&vec![1.0; inputs + 9], &[0.0], inputs + 9);
            kernel.linear_f32(&other, &dirty, Finish::Plain, &mut memory, &mut vec![0.0; rows + 3]);
            let offset = random.below(16);
            let mut found = vec![f32::NAN; offset + rows * outputs];
            kernel.linear_f32(&x, &packed, finish, &mut memory, &mut found[offset..]);
            assert_same(&case, &found[offset..], &expected);
            if let Some(bf16) = kernel.bf16() {
                let packed = PackedBf16::pack(&weights, &bias, inputs);
                let mut found = vec![f32::NAN; offset + rows * outputs];
                bf16.linear(&x, &packed, finish, &mut memory, &mut found[offset..]);
                let [x, weights] =
                    [&x, &weights].map(|numbers| numbers.iter().map(|&number| in_bf16(number)).collect::<Vec<_>>());
                near(&format!("bf16, {case}"), &found[offset..], &linear_f64(&x, &weights, &bias, inputs, finish));
            }
        }
    }
}

#[test]
fn float_linear_maps_are_right_and_have_the_same_bits() {
    let mut random = Random(7);
    for (rows, outputs, inputs) in [(1, 1, 1), (8, 16, 64), (9, 17, 65), (7, 48, 384), (3, 400, 1536)] {
        check_float_linear(&mut random, rows, outputs, inputs);
    }
    for _ in 0..60 {
        let (rows, outputs, inputs) = (1 + random.below(20), 1 + random.below(100), 1 + random.below(100));
        check_float_linear(&mut random, rows, outputs, inputs);
    }
}

fn in_bf16(number: f32) -> f32 {
    f32::from_bits(u32::from(to_bf16(number)) << 16)
}

#[test]
fn bf16_is_the_nearest() {
    let mut random = Random(8);
    for _ in 0..10_000 {
        let number = random.float() * 2f32.powi(random.below(60) as i32 - 30);
        let back = |bits: u16| f32::from_bits(u32::from(bits) << 16);
        let found = to_bf16(number);
        let error = (back(found) - number).abs();
        assert!([found - 1, found + 1].iter().all(|&other| (back(other) - number).abs() >= error), "{number}");
    }
    // Halfway, to the even one; too large; no number.
    let cases = [
        (f32::from_bits(0x3f80_8000), 0x3f80),
        (f32::from_bits(0x3f81_8000), 0x3f82),
        (f32::MAX, 0x7f80),
        (f32::NEG_INFINITY, 0xff80),
    ];
    assert_eq!(cases.map(|(number, _)| to_bf16(number)), cases.map(|(_, bits)| bits));
    assert!(in_bf16(f32::NAN).is_nan());
}
