//! Agreement between two coders, or between a coder and a system, beyond what chance gives.

use crate::eval::metrics::ordinal::Confusion;
use crate::eval::metrics::ratio;

/// Cohen's kappa (Cohen 1960): (observed − expected) / (1 − expected) agreement, expected from the two sides' margins.
/// NaN if both know one and the same label only.
pub fn cohen_kappa(table: &Confusion<'_>) -> f64 {
    let items = table.items();
    let (mut observed, mut expected) = (0.0, 0.0);
    for label in 0..table.size() {
        observed += table.gold(label) - table.cell(label, label);
        expected += table.gold(label) * (items - table.predicted(label)) / items;
    }
    1.0 - ratio(observed, expected)
}

/// What counts as how far apart, in Krippendorff's alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Two labels differ or do not.
    Nominal,
    /// Levels differ by the number of items that are ranked between them.
    Ordinal,
}

/// Krippendorff's alpha of two coders without gaps (Krippendorff 2011, "Computing Krippendorff's alpha-reliability"):
/// 1 − observed / expected disagreement over the coincidences o_ck = n_ck + n_kc, with n_c = Σ_k o_ck and n = Σ n_c.
/// Squared ordinal distance: (n_c / 2 + n_{c+1} + … + n_{k−1} + n_k / 2)². NaN if only one label occurs.
pub fn krippendorff_alpha(table: &Confusion<'_>, distance: Distance) -> f64 {
    let size = table.size();
    let margins: Vec<f64> = (0..size).map(|label| table.gold(label) + table.predicted(label)).collect();
    let total: f64 = margins.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for low in 0..size {
        for high in low + 1..size {
            let apart = match distance {
                Distance::Nominal => 1.0,
                Distance::Ordinal => {
                    let between: f64 = margins[low..=high].iter().sum();
                    (between - 0.5 * (margins[low] + margins[high])).powi(2)
                }
            };
            observed += apart * (table.cell(low, high) + table.cell(high, low));
            expected += apart * margins[low] * margins[high];
        }
    }
    // A product of two margins is 0 unless two labels occur, and then the distance is above 0.
    1.0 - (total - 1.0) * ratio(observed, expected)
}
