//! One suite for all kernels: whatever the CPU offers must give the bits of the scalar reference.

mod attention;
mod floats;

use crate::kernels::pack::{PackedLinear, QuantisedRows, Step};
use crate::kernels::scalar::Scalar;
use crate::kernels::{Finish, Kernel, available, measure_peak};

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// In [-1, 1).
    fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }
}

fn fast_kernels() -> Vec<Box<dyn Kernel>> {
    let mut kernels = available();
    let last = kernels.pop().map(|kernel| kernel.name());
    assert_eq!(last, Some("scalar"));
    kernels
}

fn assert_same(case: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.to_bits(), expected.to_bits(), "{case}, number {index}: {found} and {expected}");
    }
}

fn quantised(kernel: &dyn Kernel, x: &[f32], rows: usize, inputs: usize) -> QuantisedRows {
    let mut quantised = QuantisedRows::default();
    quantised.resize(rows, inputs);
    kernel.quantise(x, &mut quantised);
    quantised
}

/// One linear map on every kernel, with each finish, against the reference and, in the integers, against sums by the book.
fn check_linear(random: &mut Random, rows: usize, outputs: usize, inputs: usize) {
    let x = random.floats(rows * inputs);
    let residual = random.floats(rows * outputs);
    let weights: Vec<i8> = (0..outputs * inputs).map(|_| (random.bits() >> 56) as u8 as i8).collect();
    let (scales, bias) = (random.floats(outputs), random.floats(outputs));
    let packed = PackedLinear::pack(&weights, &scales, &bias, inputs);
    let reference = quantised(&Scalar, &x, rows, inputs);
    for finish in [Finish::Plain, Finish::Gelu, Finish::Add(&residual)] {
        let mut expected = vec![f32::NAN; rows * outputs];
        Scalar.linear(&reference, &packed, finish, &mut expected);
        assert!(expected.iter().all(|value| value.is_finite()));
        if matches!(finish, Finish::Plain) {
            for (index, found) in expected.iter().enumerate() {
                let (row, channel) = (index / outputs, index % outputs);
                let weight = |k: usize| i32::from(weights[channel * inputs + k]);
                let sum: i32 = (0..inputs).map(|k| i32::from(reference.byte(row, k)) * weight(k)).sum();
                let total: i32 = (0..inputs).map(weight).sum();
                let step = reference.steps[row];
                let moved = step.offset.mul_add(total as f32 * scales[channel], bias[channel]);
                let exact = (sum as f32).mul_add(step.size * scales[channel], moved);
                assert_eq!(found.to_bits(), exact.to_bits(), "M {rows} N {outputs} K {inputs}, row {row}, {channel}");
            }
        }
        for kernel in fast_kernels() {
            // Memory that held other rows before, and an output that begins anywhere.
            let mut dirty = QuantisedRows::default();
            dirty.resize(rows + 3, inputs + 9);
            kernel.quantise(&random.floats((rows + 3) * (inputs + 9)), &mut dirty);
            dirty.resize(rows, inputs);
            kernel.quantise(&x, &mut dirty);
            let offset = random.below(16);
            let mut found = vec![f32::NAN; offset + rows * outputs];
            kernel.linear(&dirty, &packed, finish, &mut found[offset..]);
            let case = format!("{}, M {rows} N {outputs} K {inputs}, {finish:.5?}", kernel.name());
            assert_same(&case, &found[offset..], &expected);
        }
    }
}

#[test]
fn linear_maps_of_all_shapes_have_the_same_bits() {
    let mut random = Random(1);
    for (rows, outputs, inputs) in
        [(1, 1, 1), (8, 16, 64), (9, 17, 65), (7, 48, 384), (64, 50, 33), (3, 400, 1536), (17, 1152, 384)]
    {
        check_linear(&mut random, rows, outputs, inputs);
    }
}

#[test]
fn linear_maps_of_random_shapes_have_the_same_bits() {
    let mut random = Random(5);
    for _ in 0..150 {
        let (rows, outputs, inputs) = (1 + random.below(20), 1 + random.below(100), 1 + random.below(200));
        check_linear(&mut random, rows, outputs, inputs);
    }
}

#[test]
fn extreme_bytes_do_not_saturate() {
    for inputs in [4, 64, 1536, 4096] {
        for (activation, weight) in [(1.0, -128i8), (-1.0, -128), (1.0, 127), (-1.0, 127)] {
            let packed = PackedLinear::pack(&vec![weight; 3 * inputs], &[1.0; 3], &[0.0; 3], inputs);
            let exact = activation * f32::from(weight) * inputs as f32;
            for kernel in available() {
                let rows = quantised(kernel.as_ref(), &vec![activation; inputs], 1, inputs);
                let mut found = [0.0; 3];
                kernel.linear(&rows, &packed, Finish::Plain, &mut found);
                for value in found {
                    assert!((value / exact - 1.0).abs() < 2e-6, "{}: {value} instead of {exact}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn quantised_rows_are_the_rounded_numbers() {
    let mut random = Random(2);
    for (rows, inputs) in [(1, 1), (5, 7), (8, 16), (9, 33), (20, 384)] {
        let mut x = random.floats(rows * inputs);
        x[..inputs].fill(0.0);
        let expected = quantised(&Scalar, &x, rows, inputs);
        assert_eq!((expected.steps[0].size, expected.steps[0].offset), (0.0, 0.0));
        let identity: Vec<i8> = (0..inputs * inputs).map(|index| i8::from(index / inputs == index % inputs)).collect();
        let packed = PackedLinear::pack(&identity, &vec![1.0; inputs], &vec![0.0; inputs], inputs);
        let mut back = vec![0.0; rows * inputs];
        Scalar.linear(&expected, &packed, Finish::Plain, &mut back);
        for (row, (back, x)) in back.chunks(inputs).zip(x.chunks(inputs)).enumerate() {
            let [least, largest] = [f32::min, f32::max].map(|end| x.iter().fold(0.0, |best, &value| end(best, value)));
            for (back, x) in back.iter().zip(x) {
                assert!((back - x).abs() <= (largest - least) / 254.0 * 0.500_1, "row {row}: {x} came back as {back}");
            }
        }
        for kernel in fast_kernels() {
            let found = quantised(kernel.as_ref(), &x, rows, inputs);
            for row in 0..rows {
                for k in 0..inputs {
                    let case = format!("{}, {rows} rows of {inputs}, row {row}, {k}", kernel.name());
                    assert_eq!(found.byte(row, k), expected.byte(row, k), "{case}");
                }
            }
            for part in [|step: &Step| step.size, |step: &Step| step.offset] {
                let [found, expected] = [&found, &expected].map(|rows| rows.steps.iter().map(part).collect::<Vec<_>>());
                assert_same(kernel.name(), &found[..rows], &expected[..rows]);
            }
        }
    }
}

#[test]
fn no_end_of_a_row_wraps_around() {
    const WIDTH: usize = 3;
    let mut random = Random(6);
    for round in 0..30_000 {
        // From below the least step to the largest finite number; every other row by whole and half steps.
        let factor = 2f32.powi(random.below(240) as i32 - 126);
        let mut x = random.floats(WIDTH);
        if round % 2 == 0 {
            x = x.iter().map(|number| (number * 254.0).round() * 0.5).collect();
        }
        x.iter_mut().for_each(|number| *number *= factor);
        for kernel in available() {
            let rows = quantised(kernel.as_ref(), &x, 1, WIDTH);
            let Step { size, offset } = rows.steps[0];
            let most = if size == 0.0 { 1e-35 } else { size * 0.501 };
            for (k, &number) in x.iter().enumerate() {
                let back = size.mul_add(f32::from(rows.byte(0, k)), offset);
                assert!((back - number).abs() <= most, "{}: {x:?}, number {k} came back as {back}", kernel.name());
            }
        }
    }
}

#[test]
fn layer_norm_is_right_and_has_the_same_bits() {
    /// f32 sums of some hundred numbers near 1.
    const TOLERANCE: f64 = 1e-5;
    let mut random = Random(3);
    let sizes = [1, 2, 15, 16, 17, 31, 64, 100, 384].into_iter().chain((0..40).map(|index| 2 + index * 7));
    for size in sizes {
        let rows = 1 + random.below(5);
        let x = random.floats(rows * size);
        let [gain, bias] = [(); 2].map(|()| random.floats(size));
        let mut expected = x.clone();
        Scalar.layer_norm(&mut expected, &gain, &bias, 1e-5);
        for (row, (found, x)) in expected.chunks(size).zip(x.chunks(size)).enumerate() {
            let mean = x.iter().copied().map(f64::from).sum::<f64>() / size as f64;
            let variance = x.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / size as f64;
            for (index, (found, value)) in found.iter().zip(x).enumerate() {
                let normed = (f64::from(*value) - mean) / (variance + 1e-5).sqrt();
                let exact = normed * f64::from(gain[index]) + f64::from(bias[index]);
                assert!((f64::from(*found) - exact).abs() < TOLERANCE, "size {size}, row {row}: {found}, {exact}");
            }
        }
        for kernel in fast_kernels() {
            let mut found = x.clone();
            kernel.layer_norm(&mut found, &gain, &bias, 1e-5);
            assert_same(&format!("{} layer norm of {size}", kernel.name()), &found, &expected);
        }
    }
}

#[test]
fn the_peak_is_measured_with_every_kernel() {
    let (count, expected) = Scalar.fuse(100);
    assert_eq!(count % 100, 0);
    for kernel in available() {
        assert_eq!(kernel.fuse(100), (count, expected), "{}", kernel.name());
        let peak = measure_peak(Some(kernel.name()));
        assert!(peak.int8 > 0.0 && peak.int8.is_finite() && peak.f32 > 0.0 && peak.f32.is_finite(), "{peak:?}");
    }
}
