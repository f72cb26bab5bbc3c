//! The lowest point of a function of a few parameters, without its slope.

/// How the simplex ends: when its values differ by less, or after so many evaluations a parameter.
const SPREAD: f64 = 1e-9;
const EVALUATIONS: usize = 500;
/// Runs from the point found so far; a simplex that shrank too early gets new room.
const RESTARTS: usize = 3;
/// Size of the first simplex, in each parameter.
const STEP: f64 = 0.5;

/// Minimises `function` from `start` by the method of Nelder and Mead (1965) with the coefficients of Gao and Han (2012),
/// which depend on the number of parameters; started again from its end, since it may stop short.
pub(crate) fn minimum(start: &[f64], function: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut best = start.to_vec();
    let mut step = STEP;
    for _ in 0..=RESTARTS {
        best = nelder_mead(&best, step, &function);
        step *= 0.5;
    }
    best
}

type Vertex = (f64, Vec<f64>);

fn nelder_mead(start: &[f64], step: f64, function: &impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let size = start.len();
    let count = size.max(2) as f64;
    let (expand, contract, shrink) = (1.0 + 2.0 / count, 0.75 - 0.5 / count, 1.0 - 1.0 / count);
    let vertex = |point: Vec<f64>| (function(&point), point);
    let mut simplex: Vec<Vertex> = vec![vertex(start.to_vec())];
    for parameter in 0..size {
        let mut point = start.to_vec();
        point[parameter] += step;
        simplex.push(vertex(point));
    }
    for _ in 0..EVALUATIONS * size {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (lowest, worst) = (simplex[0].0, simplex[size].clone());
        if worst.0 - lowest < SPREAD {
            break;
        }
        let centre: Vec<f64> = (0..size)
            .map(|parameter| simplex[..size].iter().map(|(_, point)| point[parameter]).sum::<f64>() / size as f64)
            .collect();
        // From the worst vertex through the centre: 1 mirrors it, more goes beyond, less than 0 stays on its side.
        let along = |share: f64| {
            vertex(centre.iter().zip(&worst.1).map(|(centre, worst)| centre + share * (centre - worst)).collect())
        };
        let mirrored = along(1.0);
        let accepted = if mirrored.0 < lowest {
            let beyond = along(expand);
            Some(if beyond.0 < mirrored.0 { beyond } else { mirrored })
        } else if mirrored.0 < simplex[size - 1].0 {
            Some(mirrored)
        } else {
            let outside = mirrored.0 < worst.0;
            let nearer = along(if outside { contract } else { -contract });
            (nearer.0 < mirrored.0.min(worst.0)).then_some(nearer)
        };
        match accepted {
            Some(accepted) => simplex[size] = accepted,
            None => {
                let best = simplex[0].1.clone();
                for (value, point) in &mut simplex[1..] {
                    for (coordinate, best) in point.iter_mut().zip(&best) {
                        *coordinate = best + shrink * (*coordinate - best);
                    }
                    *value = function(point);
                }
            }
        }
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    simplex.swap_remove(0).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_lowest_point() {
        let bowl = |point: &[f64]| point.iter().zip(1..).map(|(x, k)| f64::from(k) * (x - f64::from(k)).powi(2)).sum();
        for size in [1, 2, 6] {
            let found = minimum(&vec![0.0; size], bowl);
            for (x, expected) in found.iter().zip(1..) {
                assert!((x - f64::from(expected)).abs() < 1e-3, "{size}: {found:?}");
            }
        }
        // Rosenbrock (1960): a bent valley, lowest at (1, 1).
        let valley = |p: &[f64]| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2);
        let found = minimum(&[-1.2, 1.0], valley);
        assert!(found.iter().all(|x| (x - 1.0).abs() < 1e-3), "{found:?}");
    }
}
