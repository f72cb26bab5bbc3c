//! Functions of numbers in registers.

use crate::kernels::portable::{ROUNDER, Register};

/// Below it, 2^x counts as 2 to this.
const LEAST: f32 = -100.0;

/// (2^x - 1) / x for |x| ≤ 1/2, constant term first. Fitted by reweighted least squares to the least relative error of 2^x.
const POWER: [f32; 4] = [0.693_124_2, 0.240_240_99, 0.055_906_44, 0.009_582_856];

/// 2^x for x ≤ 0; relative error below 3.2e-6 down to -100, and 2^-100 below and for NaN.
#[inline(always)]
pub(super) fn power_of_two<R: Register>(x: R) -> R {
    let clamped = x.larger(R::splat(LEAST));
    let shifted = clamped.add(R::splat(ROUNDER));
    let r = clamped.sub(shifted.sub(R::splat(ROUNDER)));
    let mut p = R::splat(POWER[3]);
    for coefficient in [POWER[2], POWER[1], POWER[0], 1.0] {
        p = p.mul_add(r, R::splat(coefficient));
    }
    p.times_power_of_two(shifted)
}

/// Below it, e^x counts as e to this.
const LEAST_EXPONENT: f32 = -87.0;

/// e^x for x ≤ 0 by reduction to 2^n · e^r with |r| ≤ ln 2 / 2 and a polynomial of degree 6; relative error below 3e-7
/// down to -87, and e^-87 (1.6e-38) below.
#[inline(always)]
pub(super) fn exp<R: Register>(x: R) -> R {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = R::splat(LEAST_EXPONENT).larger(x);
    let shifted = clamped.mul_add(R::splat(std::f32::consts::LOG2_E), R::splat(ROUNDER));
    let n = shifted.sub(R::splat(ROUNDER));
    let r = n.mul_add(R::splat(-LN2_LOW), n.mul_add(R::splat(-LN2_HIGH), clamped));
    let mut p = R::splat(1.388_889e-3);
    for coefficient in [8.333_334e-3, 4.166_666_7e-2, 0.166_666_67, 0.5, 1.0, 1.0] {
        p = p.mul_add(r, R::splat(coefficient));
    }
    p.times_power_of_two(shifted)
}

/// Where the polynomial of [`gelu`] ends: beyond it the normal distribution function counts as 0 or 1.
const GELU_END: f32 = 5.0;

/// (Φ(x) - 1/2) / x as a polynomial of t = 2 · (x / 5)² - 1, constant term first; Φ is the normal distribution function.
/// Fitted by reweighted least squares to the least error of x · Φ(x) relative to max(1, |x|); in t, which stays in
/// [-1, 1], the powers do not cancel each other.
const GELU: [f32; 13] = [
    0.141_363_78,
    -0.070_296_355,
    0.051_520_664,
    -0.040_440_585,
    0.031_439_38,
    -0.023_283_247,
    0.016_420_033,
    -0.011_122_419,
    0.006_362_303_6,
    -0.002_737_209,
    0.001_780_039,
    -0.001_590_521,
    0.000_584_099_5,
];

/// x · Φ(x) = x · (1 + erf(x / √2)) / 2.
#[inline(always)]
pub(super) fn gelu<R: Register>(x: R) -> R {
    let near = R::splat(-GELU_END).larger(x).smaller(R::splat(GELU_END));
    let t = near.mul(near).mul_add(R::splat(2.0 / (GELU_END * GELU_END)), R::splat(-1.0));
    let (last, rest) = (GELU[GELU.len() - 1], &GELU[..GELU.len() - 1]);
    let mut p = R::splat(last);
    for &coefficient in rest.iter().rev() {
        p = p.mul_add(t, R::splat(coefficient));
    }
    x.mul(near.mul_add(p, R::splat(0.5)))
}

/// erf by its Maclaurin series in f64, for |z| up to 4 good to 1e-9 and beyond 5 as 1, to hold [`gelu`] against.
#[cfg(test)]
pub(in crate::kernels) fn erf(z: f64) -> f64 {
    if z.abs() > 5.0 {
        return z.signum();
    }
    let (mut term, mut total) = (z, z);
    for n in 1..200 {
        term *= -z * z / f64::from(n);
        total += term / f64::from(2 * n + 1);
    }
    total * 2.0 / std::f64::consts::PI.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::portable::{LANES, Lane};

    fn one(function: impl Fn(Lane) -> Lane, x: f32) -> f32 {
        function([x; LANES])[0]
    }

    /// Bound on the absolute error of GELU, per unit of |x| above 1: that of the polynomial (3e-7) and f32 rounding.
    const GELU_BOUND: f32 = 5e-7;

    #[test]
    fn gelu_is_within_its_bound() {
        let mut worst = (0.0, 0.0);
        for x in (-80_000..=80_000).map(|index| index as f32 * 1e-4).chain([-1e30, -40.0, 40.0, 1e30]) {
            let exact = f64::from(x) * (1.0 + erf(f64::from(x) / std::f64::consts::SQRT_2)) / 2.0;
            let error = (f64::from(one(gelu, x)) - exact).abs() as f32 / x.abs().max(1.0);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 < GELU_BOUND, "error {} at {}", worst.0, worst.1);
        assert_eq!(one(gelu, 0.0), 0.0);
        assert!(one(gelu, f32::NAN).is_nan());
    }

    #[test]
    fn exp_is_within_its_bound() {
        for index in -86_999..=0 {
            let x = index as f32 * 1e-3;
            let exact = f64::from(x).exp();
            let error = ((f64::from(one(exp, x)) - exact) / exact).abs();
            assert!(error < 3e-7, "error {error} at {x}");
        }
        assert_eq!(one(exp, 0.0), 1.0);
        assert!([f32::NEG_INFINITY, -87.1].iter().all(|&x| (0.0..2e-38).contains(&one(exp, x))));
        assert!(one(exp, f32::NAN).is_nan());
    }

    #[test]
    fn power_of_two_is_within_its_bound() {
        for index in -99_999..=0 {
            let x = index as f32 * 1e-3;
            let exact = f64::from(x).exp2();
            let error = ((f64::from(one(power_of_two, x)) - exact) / exact).abs();
            assert!(error < 3.2e-6, "error {error} at {x}");
        }
        let least = 2f32.powi(-100);
        let found = [f32::NEG_INFINITY, f32::NAN, -100.1, 0.0].map(|x| one(power_of_two, x));
        assert_eq!(found, [least, least, least, 1.0]);
    }
}
