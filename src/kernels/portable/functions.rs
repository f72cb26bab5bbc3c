//! Functions of numbers in registers.

use crate::kernels::portable::{ROUNDER, Register};

/// Below it, e^x counts as 0.
const LEAST: f32 = -87.0;

/// e^x for x ≤ 0 by reduction to 2^n · e^r with |r| ≤ ln 2 / 2 and a polynomial of degree 6; relative error below 3e-7
/// down to -87, and 0 below.
#[inline(always)]
pub(super) fn exp<R: Register>(x: R) -> R {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = R::splat(LEAST).larger(x);
    let shifted = clamped.mul_add(R::splat(std::f32::consts::LOG2_E), R::splat(ROUNDER));
    let n = shifted.sub(R::splat(ROUNDER));
    let r = n.mul_add(R::splat(-LN2_LOW), n.mul_add(R::splat(-LN2_HIGH), clamped));
    let mut p = R::splat(1.388_889e-3);
    for coefficient in [8.333_334e-3, 4.166_666_7e-2, 0.166_666_67, 0.5, 1.0, 1.0] {
        p = p.mul_add(r, R::splat(coefficient));
    }
    x.sub(R::splat(LEAST)).where_negative(R::splat(0.0), p.mul(shifted.power_of_two()))
}

/// x · (1 + erf(x / √2)) / 2 with erf by Abramowitz and Stegun (1964), 7.1.26.
#[inline(always)]
pub(super) fn gelu<R: Register>(x: R) -> R {
    let z = x.abs().mul(R::splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = R::splat(1.0).div(z.mul_add(R::splat(0.327_591_1), R::splat(1.0)));
    let mut p = R::splat(1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = p.mul_add(t, R::splat(coefficient));
    }
    // 1 - erf(z)
    let rest = p.mul(t).mul(exp(R::splat(0.0).sub(z.mul(z))));
    let half = x.mul(R::splat(0.5));
    x.where_negative(half.mul(rest), half.mul(R::splat(2.0).sub(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::portable::{LANES, Lane};

    fn one(function: impl Fn(Lane) -> Lane, x: f32) -> f32 {
        function([x; LANES])[0]
    }

    /// erf by its Maclaurin series in f64, for |z| up to 4 good to 1e-9 and beyond that 1.
    fn erf(z: f64) -> f64 {
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

    /// Bound on the absolute error of GELU, per unit of |x| above 1: that of the erf approximation (1.5e-7) halved, and
    /// f32 rounding.
    const GELU_BOUND: f32 = 5e-7;

    #[test]
    fn gelu_is_within_its_bound() {
        let mut worst = (0.0, 0.0);
        for index in -80_000..=80_000 {
            let x = index as f32 * 1e-4;
            let exact = f64::from(x) * (1.0 + erf(f64::from(x) / std::f64::consts::SQRT_2)) / 2.0;
            let error = (f64::from(one(gelu, x)) - exact).abs() as f32 / x.abs().max(1.0);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 < GELU_BOUND, "error {} at {}", worst.0, worst.1);
        assert_eq!([0.0, 40.0, -40.0].map(|x| one(gelu, x)), [0.0, 40.0, 0.0]);
    }

    #[test]
    fn exp_is_within_its_bound() {
        for index in -86_999..=0 {
            let x = index as f32 * 1e-3;
            let exact = f64::from(x).exp();
            let error = ((f64::from(one(exp, x)) - exact) / exact).abs();
            assert!(error < 3e-7, "error {error} at {x}");
        }
        assert_eq!([f32::NEG_INFINITY, -87.1, 0.0].map(|x| one(exp, x)), [0.0, 0.0, 1.0]);
        assert!(one(exp, f32::NAN).is_nan());
    }
}
