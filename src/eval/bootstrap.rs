//! The bootstrap: how figures scatter when the clusters are drawn anew.
//!
//! In: one [`Tally`] a system, all on the same sample. Out: every figure in every replicate. The same draws serve all systems,
//! so that differences between them are paired. Replicate `i` depends on the seed and on `i` alone: results are
//! the same for any number of threads.
//!
//! Intervals are percentile intervals (Efron and Tibshirani 1993, ch. 13) over clusters drawn with replacement (Field and
//! Welsh 2007); expected calibration error has one of its own ([`crate::eval::inversion`]). `scripts/eval/coverage.sh` measures how
//! often they hold the truth.

use rayon::prelude::*;

use crate::eval::metrics::calibration::BINS;
use crate::eval::tally::{LANES, Tally, Weights};

/// How replicates are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// Replicates: 1,000 give the ends of a 95 % interval from 25 values each.
    pub replicates: usize,
    /// Where the draws begin.
    pub seed: u64,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self { replicates: 1000, seed: 1 }
    }
}

/// Share of replicates that an interval leaves out on each side.
const TAIL: f64 = 0.025;

/// Least share of replicates in which a figure must be defined for an interval.
pub(crate) const LEAST_DEFINED: f64 = 0.9;

/// One system's figures under one draw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replicate {
    /// In the order of [`Tally::values`].
    pub(crate) figures: Vec<f64>,
    /// [`Tally::gaps`].
    pub(crate) gaps: Vec<[f64; BINS]>,
}

/// Draws the replicates and evaluates them: for each system, the replicates in order.
pub(crate) fn bootstrap(tallies: &[Tally], clusters: usize, options: BootstrapOptions) -> Vec<Vec<Replicate>> {
    let blocks: Vec<Vec<Vec<Replicate>>> = (0..options.replicates.div_ceil(LANES))
        .into_par_iter()
        .map(|block| {
            let first = block * LANES;
            let lanes = LANES.min(options.replicates - first);
            let weights = draw(clusters, options.seed, first, lanes);
            let figures = |tally: &Tally| {
                let totals = tally.pass(&weights);
                let replicate = |totals| Replicate {
                    figures: tally.values(totals).iter().map(|value| value.value).collect(),
                    gaps: tally.gaps(totals),
                };
                totals[..lanes].iter().map(replicate).collect()
            };
            tallies.iter().map(figures).collect()
        })
        .collect();
    let mut replicates = vec![Vec::with_capacity(options.replicates); tallies.len()];
    for block in blocks {
        for (system, figures) in replicates.iter_mut().zip(block) {
            system.extend(figures);
        }
    }
    replicates
}

/// How often each cluster is drawn in the replicates `first..first + lanes`.
fn draw(clusters: usize, seed: u64, first: usize, lanes: usize) -> Vec<Weights> {
    let mut weights = vec![[0; LANES]; clusters];
    let mut drawn = vec![0_u8; clusters];
    for lane in 0..lanes {
        drawn.fill(0);
        let mut random = Random::new(seed, (first + lane) as u64);
        for _ in 0..clusters {
            let count = &mut drawn[random.below(clusters)];
            *count = count.saturating_add(1);
        }
        for (weights, &count) in weights.iter_mut().zip(&drawn) {
            weights[lane] = count;
        }
    }
    weights
}

/// SplitMix64 (Steele, Lea and Flood 2014), one stream a replicate.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut start = Self(seed);
        let mut own = Self(start.next() ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Self(own.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, by the high half of a product (Lemire 2019); its bias is below `bound` / 2^64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// The 95 % percentile interval of one figure's replicates. `None` if there are none, or if the figure is not defined in more
/// than a tenth of them.
pub(crate) fn percentile_interval(replicates: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let mut drawn = 0;
    let mut values: Vec<f64> = replicates.inspect(|_| drawn += 1).filter(|value| !value.is_nan()).collect();
    if values.is_empty() || (values.len() as f64) < LEAST_DEFINED * f64::from(drawn) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some([quantile(&values, TAIL), quantile(&values, 1.0 - TAIL)])
}

/// Linear between the sorted values (definition 7 of Hyndman and Fan 1996).
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

/// A proportion of 0 or 1 has no scatter in the bootstrap, yet is not certain: the other end of the exact interval
/// (Clopper and Pearson 1934), with as many independent trials as there are clusters that hold one, at most.
pub(crate) fn exact_extreme(proportion: f64, trials: f64, clusters: usize) -> [f64; 2] {
    let reach = TAIL.powf(1.0 / trials.min(clusters as f64));
    if proportion == 0.0 { [0.0, 1.0 - reach] } else { [reach, 1.0] }
}

/// Two-sided bootstrap p-value of a difference (Davison and Hinkley 1997, sec. 4.4): twice the smaller share of replicates
/// on one side of 0, both counted with one extra so that it is never 0. NaN where an interval would be `None`.
pub(crate) fn difference_p(replicates: &[f64]) -> f64 {
    let defined: Vec<f64> = replicates.iter().copied().filter(|value| !value.is_nan()).collect();
    if defined.is_empty() || (defined.len() as f64) < LEAST_DEFINED * replicates.len() as f64 {
        return f64::NAN;
    }
    let share = |count: usize| (count + 1) as f64 / (defined.len() + 1) as f64;
    let below = share(defined.iter().filter(|value| **value <= 0.0).count());
    let above = share(defined.iter().filter(|value| **value >= 0.0).count());
    (2.0 * below.min(above)).min(1.0)
}
