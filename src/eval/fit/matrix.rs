//! Vectors as a regression sees them: centred, and divided by one number.
//!
//! Centring and the common divisor leave the distances between vectors as the encoder made them, and make one L2 penalty mean
//! the same for every encoder: the mean squared length of a row is 1.

use crate::head::{HeadRow, TextVectors};

/// The vectors of all texts (N, H).
pub(crate) struct Matrix {
    columns: usize,
    /// (N, H), row-major.
    values: Vec<f32>,
    /// (H)
    mean: Vec<f64>,
    divisor: f64,
}

impl Matrix {
    pub(crate) fn new(vectors: &[TextVectors]) -> Self {
        let columns = vectors.first().map_or(0, |vector| vector.whole().len());
        let count = vectors.len().max(1) as f64;
        let mut mean = vec![0.0; columns];
        for vector in vectors {
            for (mean, &value) in mean.iter_mut().zip(vector.whole()) {
                *mean += f64::from(value) / count;
            }
        }
        let squares = |vector: &TextVectors| {
            let pairs = vector.whole().iter().zip(&mean);
            pairs.map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum::<f64>()
        };
        let length = (vectors.iter().map(squares).sum::<f64>() / count).sqrt();
        // Vectors that are all the same stay where they are, at 0.
        let divisor = if length > 0.0 { length } else { 1.0 };
        let scaled = |vector: &TextVectors| {
            let pairs = vector.whole().iter().zip(&mean);
            pairs.map(|(&value, mean)| ((f64::from(value) - mean) / divisor) as f32).collect::<Vec<_>>()
        };
        let values = vectors.iter().flat_map(scaled).collect();
        Self { columns, values, mean, divisor }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// (H)
    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// The head for the vectors as they were: slopes (H) and intercept of a row undo centre and divisor.
    pub(crate) fn head(&self, slopes: &[f64], intercept: f64) -> HeadRow {
        let weight: Vec<f64> = slopes.iter().map(|slope| slope / self.divisor).collect();
        let shift: f64 = weight.iter().zip(&self.mean).map(|(weight, mean)| weight * mean).sum();
        HeadRow { weight: weight.into_iter().map(|weight| weight as f32).collect(), bias: (intercept - shift) as f32 }
    }
}

/// Sum of products, in a fixed order; four sums side by side, which the compiler turns into vector instructions.
pub(crate) fn product(weights: &[f64], row: &[f32]) -> f64 {
    let (weights, weights_rest) = weights.as_chunks::<4>();
    let (row, row_rest) = row.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (weights, row) in weights.iter().zip(row) {
        for lane in 0..4 {
            sums[lane] += weights[lane] * f64::from(row[lane]);
        }
    }
    let rest: f64 = weights_rest.iter().zip(row_rest).map(|(weight, &value)| weight * f64::from(value)).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
