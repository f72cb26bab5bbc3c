//! Rank correlation between scores and gold levels, in one pass over the items sorted by score.

use crate::eval::metrics::{add_lanes, ratio};

/// Two rank correlations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranks {
    /// Spearman's rho: Pearson's correlation of the ranks, items of the same value sharing their mean rank (Spearman 1904).
    pub spearman: f64,
    /// Kendall's tau-b: (concordant − discordant) / √((pairs − ties of x) (pairs − ties of y)) (Kendall 1945).
    pub kendall_tau_b: f64,
}

/// Both correlations between scores and gold levels. Sorting is O(n log n), the pass that follows O(n · levels), as in
/// Knight 1966 with the merge sort replaced by one counter a level. NaN if all scores or all levels are the same.
pub fn rank_correlations(levels: &[usize], scores: &[f64], level_count: usize) -> Ranks {
    let mut order: Vec<usize> = (0..levels.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut sums = RankSums::<1>::new(level_count);
    for (place, &item) in order.iter().enumerate() {
        sums.add(levels[item], &[1.0]);
        if order.get(place + 1).is_none_or(|&next| scores[next] != scores[item]) {
            sums.close();
        }
    }
    sums.finish()[0]
}

/// The pass, over `L` weightings of the same items at once; weights are whole numbers: items drawn several times.
#[derive(Debug, Clone)]
pub(crate) struct RankSums<const L: usize> {
    /// Items of each level with lower scores.
    below: Vec<[f64; L]>,
    /// Items of each level with the current score.
    tied: Vec<[f64; L]>,
    /// Levels with items in `tied`.
    touched: Vec<usize>,
    /// Sum of the score ranks of each level's items.
    ranks: Vec<[f64; L]>,
    seen: [f64; L],
    concordance: [f64; L],
    tied_pairs: [f64; L],
    squares: [f64; L],
}

impl<const L: usize> RankSums<L> {
    pub(crate) fn new(level_count: usize) -> Self {
        let zeros = vec![[0.0; L]; level_count];
        Self {
            below: zeros.clone(),
            tied: zeros.clone(),
            touched: Vec::with_capacity(level_count),
            ranks: zeros,
            seen: [0.0; L],
            concordance: [0.0; L],
            tied_pairs: [0.0; L],
            squares: [0.0; L],
        }
    }

    /// One item of the current score.
    #[inline]
    pub(crate) fn add(&mut self, level: usize, weights: &[f64; L]) {
        if !self.touched.contains(&level) {
            self.touched.push(level);
        }
        add_lanes(&mut self.tied[level], weights);
    }

    /// Ends the score: the next item has a higher one.
    #[inline]
    pub(crate) fn close(&mut self) {
        let mut group = [0.0; L];
        for &level in &self.touched {
            let mut lower = [0.0; L];
            for below in &self.below[..level] {
                add_lanes(&mut lower, below);
            }
            for lane in 0..L {
                let tied = self.tied[level][lane];
                let upper = self.seen[lane] - lower[lane] - self.below[level][lane];
                self.concordance[lane] += tied * (lower[lane] - upper);
                group[lane] += tied;
            }
        }
        let rank: [f64; L] = std::array::from_fn(|lane| self.seen[lane] + 0.5 * (group[lane] + 1.0));
        for &level in &self.touched {
            let tied = std::mem::replace(&mut self.tied[level], [0.0; L]);
            add_lanes(&mut self.below[level], &tied);
            add_lanes(&mut self.ranks[level], &std::array::from_fn(|lane| rank[lane] * tied[lane]));
        }
        add_lanes(&mut self.squares, &std::array::from_fn(|lane| group[lane] * rank[lane] * rank[lane]));
        add_lanes(&mut self.tied_pairs, &group.map(|items| 0.5 * items * (items - 1.0)));
        add_lanes(&mut self.seen, &group);
        self.touched.clear();
    }

    pub(crate) fn finish(&self) -> [Ranks; L] {
        std::array::from_fn(|lane| {
            let items = self.seen[lane];
            let pairs = 0.5 * items * (items - 1.0);
            let (mut seen, mut tied_levels, mut squares, mut products) = (0.0, 0.0, 0.0, 0.0);
            for (below, ranks) in self.below.iter().zip(&self.ranks) {
                let level = below[lane];
                let rank = seen + 0.5 * (level + 1.0);
                tied_levels += 0.5 * level * (level - 1.0);
                squares += level * rank * rank;
                products += rank * ranks[lane];
                seen += level;
            }
            // Sum of squares about the mean rank, (items + 1) / 2.
            let centre = items * (0.5 * (items + 1.0)).powi(2);
            let spread = ((self.squares[lane] - centre) * (squares - centre)).sqrt();
            let untied = ((pairs - self.tied_pairs[lane]) * (pairs - tied_levels)).sqrt();
            let bound = |value: f64| value.clamp(-1.0, 1.0);
            Ranks {
                spearman: bound(ratio(products - centre, spread)),
                kendall_tau_b: bound(ratio(self.concordance[lane], untied)),
            }
        })
    }
}
