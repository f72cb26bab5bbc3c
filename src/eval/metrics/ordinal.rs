//! Ordered levels: figures of the table of gold levels by predicted levels.
//!
//! Distances are counted in levels, not in codes; for codes without gaps that is the same.

use crate::eval::metrics::rank::{RankSums, Ranks};
use crate::eval::metrics::topics::BinaryCounts;
use crate::eval::metrics::{mean_defined, ratio};

/// A square table of counts: rows are gold, columns predicted (or a first and a second coder), row by row.
#[derive(Debug, Clone, Copy)]
pub struct Confusion<'a> {
    cells: &'a [f64],
    size: usize,
}

impl<'a> Confusion<'a> {
    /// A table of `size` × `size` cells.
    ///
    /// # Panics
    /// If the number of cells is another.
    pub fn new(cells: &'a [f64], size: usize) -> Self {
        assert_eq!(cells.len(), size * size, "a square table");
        Self { cells, size }
    }

    /// Number of labels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Items of this gold and this predicted label.
    pub fn cell(&self, gold: usize, predicted: usize) -> f64 {
        self.cells[gold * self.size + predicted]
    }

    /// All items.
    pub fn items(&self) -> f64 {
        self.cells.iter().sum()
    }

    /// Gold items of a label.
    pub fn gold(&self, label: usize) -> f64 {
        self.cells[label * self.size..][..self.size].iter().sum()
    }

    /// Items predicted to have a label.
    pub fn predicted(&self, label: usize) -> f64 {
        (0..self.size).map(|gold| self.cell(gold, label)).sum()
    }

    /// One label against all others.
    pub fn one_against_rest(&self, label: usize) -> BinaryCounts {
        let both = self.cell(label, label);
        let (gold, predicted) = (self.gold(label), self.predicted(label));
        BinaryCounts {
            both,
            predicted_only: predicted - both,
            gold_only: gold - both,
            neither: self.items() - gold - predicted + both,
        }
    }

    /// Share of items with the right label.
    pub fn accuracy(&self) -> f64 {
        ratio((0..self.size).map(|label| self.cell(label, label)).sum(), self.items())
    }

    /// Mean of the levels' F1; levels neither in gold nor predicted are left out.
    pub fn macro_f1(&self) -> f64 {
        mean_defined((0..self.size).map(|label| self.one_against_rest(label).f1()))
    }

    /// Kappa with squared distances as weights (Cohen 1968): 1 − Σ d² O / Σ d² E, where E is what the margins alone would
    /// give. NaN if both sides know one and the same level only.
    pub fn quadratic_weighted_kappa(&self) -> f64 {
        let items = self.items();
        let (mut observed, mut expected) = (0.0, 0.0);
        let predicted: Vec<f64> = (0..self.size).map(|label| self.predicted(label)).collect();
        for gold in 0..self.size {
            let row = self.gold(gold);
            for (label, column) in predicted.iter().enumerate() {
                let weight = (gold.abs_diff(label) as f64).powi(2);
                observed += weight * self.cell(gold, label);
                expected += weight * row * column / items;
            }
        }
        1.0 - ratio(observed, expected)
    }

    /// Mean absolute error, in levels.
    pub fn mean_absolute_error(&self) -> f64 {
        ratio((0..self.size).map(|gold| self.absolute_error(gold)).sum(), self.items())
    }

    /// Mean over the gold levels of the mean absolute error of each: MAE^M (Baccianella, Esuli and Sebastiani 2009,
    /// "Evaluation measures for ordinal regression"; SemEval 2016 and 2017, task 4 C). Levels without gold are left out.
    pub fn macro_mean_absolute_error(&self) -> f64 {
        mean_defined((0..self.size).map(|gold| ratio(self.absolute_error(gold), self.gold(gold))))
    }

    fn absolute_error(&self, gold: usize) -> f64 {
        (0..self.size).map(|label| gold.abs_diff(label) as f64 * self.cell(gold, label)).sum()
    }

    /// Spearman's rho and Kendall's tau-b between gold and predicted levels; the same as of the two lists of levels.
    pub fn ranks(&self) -> Ranks {
        let mut sums = RankSums::<1>::new(self.size);
        for predicted in 0..self.size {
            for gold in 0..self.size {
                sums.add(gold, &[self.cell(gold, predicted)]);
            }
            sums.close();
        }
        sums.finish()[0]
    }

    /// Among gold items whose code is not 0, those that are predicted with the same sign, and those predicted with the
    /// opposite sign. The shares of the two (own definition) say how often the direction is right, and how often
    /// it is reversed; what is left is predicted neutral.
    ///
    /// # Panics
    /// If there is not one code a level.
    pub fn signs(&self, codes: &[i32]) -> Signs {
        assert_eq!(codes.len(), self.size, "one code a level");
        let mut signs = Signs::default();
        for (gold, code) in codes.iter().enumerate().filter(|(_, code)| **code != 0) {
            signs.items += self.gold(gold);
            for (predicted, other) in codes.iter().enumerate() {
                match code.signum() * other.signum() {
                    1 => signs.same += self.cell(gold, predicted),
                    -1 => signs.opposite += self.cell(gold, predicted),
                    _ => {}
                }
            }
        }
        signs
    }
}

/// See [`Confusion::signs`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Signs {
    /// Gold items whose code is not 0.
    pub items: f64,
    /// Of these, predicted with the same sign.
    pub same: f64,
    /// Of these, predicted with the opposite sign.
    pub opposite: f64,
}

impl Signs {
    /// Share predicted with the same sign.
    pub fn accuracy(&self) -> f64 {
        ratio(self.same, self.items)
    }

    /// Share predicted with the opposite sign.
    pub fn opposite_share(&self) -> f64 {
        ratio(self.opposite, self.items)
    }
}
