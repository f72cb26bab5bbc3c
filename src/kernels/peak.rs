//! What a machine can do at most, to hold against what it does.

use std::hint::black_box;
use std::time::Instant;

use crate::kernels::{Finish, FloatRows, PackedBf16, PackedLinear, QuantisedRows, detect};

/// Multiplications with additions a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Peak {
    /// Of int8 numbers, in the kernel's own matrix product on operands that stay in the first-level cache.
    pub int8: f64,
    /// Of bf16 numbers, likewise; `None` where the CPU has no products of them.
    pub bf16: Option<f64>,
    /// Of f32 numbers, in registers alone.
    pub f32: f64,
}

impl Peak {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        let bf16 =
            if self == Self::default() { other.bf16 } else { self.bf16.zip(other.bf16).map(|(one, two)| one + two) };
        Self { int8: self.int8 + other.int8, bf16, f32: self.f32 + other.f32 }
    }
}

/// (M, K) · (N, K): 3 KiB of activations and 18 KiB of weights.
const ROWS: usize = 8;
const INPUTS: usize = 384;
const OUTPUTS: usize = 48;

/// The best of so many tries counts: others on the machine can only slow it down.
const TRIES: usize = 5;
/// Seconds of one try at least.
const SECONDS: f64 = 0.01;

/// The peak of one thread, with the named kernel or the fastest.
pub(crate) fn measure_peak(name: Option<&str>) -> Peak {
    let kernel = detect(name);
    let mut rows = QuantisedRows::default();
    rows.resize(ROWS, INPUTS);
    kernel.quantise(&[1.0; ROWS * INPUTS], &mut rows);
    let weights = PackedLinear::pack(&[1; OUTPUTS * INPUTS], &[1.0; OUTPUTS], &[0.0; OUTPUTS], INPUTS);
    let mut out = [0.0; ROWS * OUTPUTS];
    let int8 = best(|rounds| {
        for _ in 0..rounds {
            kernel.linear(black_box(&rows), &weights, Finish::Plain, black_box(&mut out));
        }
        (rounds * ROWS * OUTPUTS * INPUTS) as u64
    });
    let bf16 = kernel.bf16().map(|kernel| {
        let x = [1.0; ROWS * INPUTS];
        let weights = PackedBf16::pack(&[1.0; OUTPUTS * INPUTS], &[0.0; OUTPUTS], INPUTS);
        let mut rows = FloatRows::default();
        best(|rounds| {
            for _ in 0..rounds {
                kernel.linear(black_box(&x), &weights, Finish::Plain, &mut rows, black_box(&mut out));
            }
            (rounds * ROWS * OUTPUTS * INPUTS) as u64
        })
    });
    let f32 = best(|rounds| {
        let (count, number) = kernel.fuse(rounds * 100);
        black_box(number);
        count
    });
    Peak { int8, bf16, f32 }
}

/// The highest rate of what `work` counts in so many rounds.
fn best(mut work: impl FnMut(usize) -> u64) -> f64 {
    let mut rate = 0.0f64;
    let mut rounds = 1;
    let mut tries = 0;
    while tries < TRIES {
        let begun = Instant::now();
        let count = work(rounds);
        let seconds = begun.elapsed().as_secs_f64();
        if seconds < SECONDS {
            rounds *= 2;
            continue;
        }
        tries += 1;
        rate = rate.max(count as f64 / seconds);
    }
    rate
}
