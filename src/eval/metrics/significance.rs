//! Tests of a difference: McNemar's on paired decisions, Holm's correction for several.

/// McNemar's test (McNemar 1947), exact at every size: the probability, if both systems were equally good, of discordant
/// items as uneven as these or more, from the binomial distribution with 1/2. 1 without a discordant item. Items count
/// as independent, so where they come in documents the p-value is too small.
pub fn mcnemar(only_first_right: u64, only_second_right: u64) -> f64 {
    let discordant = only_first_right + only_second_right;
    let fewer = only_first_right.min(only_second_right);
    if only_first_right == only_second_right {
        return 1.0;
    }
    let mut logarithm = -(discordant as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for successes in 0..=fewer {
        sum += logarithm.exp();
        logarithm += ((discordant - successes) as f64).ln() - ((successes + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

/// Holm's step-down correction (Holm 1979): the p-values as they may be held against one level when several
/// are looked at. NaN (not tested) stays NaN and does not count.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&index| !p_values[index].is_nan()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![f64::NAN; p_values.len()];
    let mut highest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        highest = highest.max(p_values[index] * (order.len() - rank) as f64).min(1.0);
        corrected[index] = highest;
    }
    corrected
}
