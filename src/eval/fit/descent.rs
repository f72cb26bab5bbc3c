//! The lowest point of a smooth convex function of many parameters, by its slope.

use std::collections::VecDeque;

/// Ends when no part of the slope is larger, or after so many steps.
const SLOPE: f64 = 1e-6;
const STEPS: usize = 500;
/// Earlier steps that the curvature is guessed from.
const MEMORY: usize = 10;
/// Share of the drop that the slope promises which a step must make (Armijo 1966), and the shortest step tried.
const SUFFICIENT: f64 = 1e-4;
const SHORTEST: f64 = 1e-12;

/// A step, the change of the slope over it, and 1 / their product.
type Step = (Vec<f64>, Vec<f64>, f64);

/// Minimises `function` from `start` by L-BFGS (Nocedal 1980; Liu and Nocedal 1989) with halved steps. `function` gives
/// its value at a point and writes its slope there; a point outside its domain has the value infinity.
pub(crate) fn lowest(start: Vec<f64>, function: impl Fn(&[f64], &mut [f64]) -> f64) -> Vec<f64> {
    let mut point = start;
    let mut slope = vec![0.0; point.len()];
    let mut value = function(&point, &mut slope);
    let mut memory: VecDeque<Step> = VecDeque::new();
    for _ in 0..STEPS {
        if slope.iter().all(|slope| slope.abs() <= SLOPE) {
            break;
        }
        let mut direction = direction(&memory, &slope);
        let mut descent = dot(&direction, &slope);
        if descent >= 0.0 {
            memory.clear();
            direction = slope.iter().map(|slope| -slope).collect();
            descent = -dot(&slope, &slope);
        }
        let mut share = 1.0;
        let mut next_slope = vec![0.0; point.len()];
        let (next, next_value) = loop {
            let next: Vec<f64> = point.iter().zip(&direction).map(|(point, step)| point + share * step).collect();
            let next_value = function(&next, &mut next_slope);
            if next_value <= value + SUFFICIENT * share * descent || share < SHORTEST {
                break (next, next_value);
            }
            share /= 2.0;
        };
        if next_value >= value || next_value.is_nan() {
            break;
        }
        let moved: Vec<f64> = next.iter().zip(&point).map(|(next, point)| next - point).collect();
        let bent: Vec<f64> = next_slope.iter().zip(&slope).map(|(next, slope)| next - slope).collect();
        let product = dot(&moved, &bent);
        if product > f64::EPSILON * dot(&bent, &bent) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((moved, bent, 1.0 / product));
        }
        (point, slope, value) = (next, next_slope, next_value);
    }
    point
}

/// Minus the slope, times the inverse curvature that the last steps tell (two-loop recursion, Nocedal 1980).
fn direction(memory: &VecDeque<Step>, slope: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = slope.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for (moved, bent, inverse) in memory.iter().rev() {
        let share = inverse * dot(moved, &direction);
        add(&mut direction, -share, bent);
        shares.push(share);
    }
    if let Some((_, bent, inverse)) = memory.back() {
        let size = 1.0 / (inverse * dot(bent, bent));
        direction.iter_mut().for_each(|value| *value *= size);
    }
    for ((moved, bent, inverse), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = inverse * dot(bent, &direction);
        add(&mut direction, share - back, moved);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], share: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += share * what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_lowest_point() {
        for size in [1, 3, 50] {
            let bowl = |point: &[f64], slope: &mut [f64]| {
                let mut value = 0.0;
                for ((x, slope), k) in point.iter().zip(slope).zip(1..) {
                    let k = f64::from(k);
                    value += k * k * (x - k).powi(2);
                    *slope = 2.0 * k * k * (x - k);
                }
                value
            };
            let found = lowest(vec![0.0; size], bowl);
            for (x, k) in found.iter().zip(1..) {
                assert!((x - f64::from(k)).abs() < 1e-5, "{size}: {found:?}");
            }
        }
        // Boyd and Vandenberghe 2004, eq. 9.20: lowest at (-ln 2 / 2, 0).
        let steep = |p: &[f64], slope: &mut [f64]| {
            let [up, down, left] = [p[0] + 3.0 * p[1], p[0] - 3.0 * p[1], -p[0]].map(|power| f64::exp(power - 0.1));
            slope[0] = up + down - left;
            slope[1] = 3.0 * (up - down);
            up + down + left
        };
        for start in [[-1.0, 0.7], [3.0, -5.0], [0.0, 0.0]] {
            let found = lowest(start.to_vec(), steep);
            let near = (found[0] + 2.0_f64.ln() / 2.0).abs() < 1e-5 && found[1].abs() < 1e-5;
            assert!(near, "{start:?}: {found:?}");
        }
    }

    #[test]
    fn it_stays_inside_the_domain() {
        // x - ln x: infinite from 0 downwards, lowest at 1.
        let inside = |p: &[f64], slope: &mut [f64]| {
            if p[0] <= 0.0 {
                return f64::INFINITY;
            }
            slope[0] = 1.0 - 1.0 / p[0];
            p[0] - p[0].ln()
        };
        for start in [1e-3, 30.0] {
            assert!((lowest(vec![start], inside)[0] - 1.0).abs() < 1e-5, "{start}");
        }
    }
}
