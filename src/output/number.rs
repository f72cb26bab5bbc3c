//! Numbers as they are written: probabilities and means rounded to six decimals for programs, to two for people.

/// Decimals of a written probability: finer than any calibration, coarse enough that records stay readable and equal on
/// machines whose sums differ in the last bits.
const UNITS: f64 = 1e6;

/// `value` rounded to six decimals, never `-0`; `None` if it is not finite.
pub(crate) fn rounded(value: f64) -> Option<f64> {
    // Adding 0 turns -0 into 0.
    value.is_finite().then(|| (value * UNITS).round() / UNITS + 0.0)
}

/// Probabilities rounded to six decimals so that they still sum to 1: what rounding takes away or adds, at most half a
/// unit each, goes to the largest. Values that do not sum to 1 beforehand are only rounded.
pub(crate) fn rounded_distribution(probabilities: &[f32]) -> Vec<Option<f64>> {
    let mut units: Vec<f64> = probabilities.iter().map(|&value| (f64::from(value) * UNITS).round() + 0.0).collect();
    let missing = UNITS - units.iter().sum::<f64>();
    let largest = (0..units.len()).rev().max_by(|&a, &b| units[a].total_cmp(&units[b]));
    if let Some(largest) = largest
        && missing.abs() <= units.len() as f64
    {
        units[largest] += missing;
    }
    units.into_iter().map(|value| rounded(value / UNITS)).collect()
}

/// A code with its sign: `-2`, `0`, `+1`.
pub(crate) fn signed_code(code: i32) -> String {
    if code == 0 { "0".to_owned() } else { format!("{code:+}") }
}

/// A mean with its sign and two decimals: `-0.25`, `0.00`, `+1.50`; `–` where there is none.
pub(crate) fn signed_mean(value: Option<f64>) -> String {
    match value {
        Some(value) if (value * 100.0).round() == 0.0 => "0.00".to_owned(),
        Some(value) if value.is_finite() => format!("{value:+.2}"),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_six_decimals() {
        for (value, expected) in [
            (0.123_456_789, Some(0.123_457)),
            (f64::from(0.1_f32), Some(0.1)),
            (-0.000_000_4, Some(0.0)),
            (1.0, Some(1.0)),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(rounded(value), expected, "{value}");
        }
        assert!(rounded(-0.0).unwrap().is_sign_positive());
    }

    #[test]
    fn a_distribution_keeps_its_sum() {
        let third = 1.0_f32 / 3.0;
        for probabilities in [
            vec![third, third, third],
            vec![0.2; 5],
            vec![1.0, 0.0, 0.0],
            vec![0.000_000_4; 2].into_iter().chain([0.999_999_2]).collect(),
            (1..=7).map(|n| n as f32 / 28.0).collect(),
        ] {
            let rounded = rounded_distribution(&probabilities);
            let units: f64 = rounded.iter().map(|value| (value.unwrap() * UNITS).round()).sum();
            assert_eq!(units, UNITS, "{probabilities:?} -> {rounded:?}");
        }
    }

    #[test]
    fn what_is_no_distribution_is_left_alone() {
        assert_eq!(rounded_distribution(&[0.5, 0.25]), [Some(0.5), Some(0.25)]);
        assert_eq!(rounded_distribution(&[f32::NAN, 1.0]), [None, Some(1.0)]);
        assert_eq!(rounded_distribution(&[]), []);
    }

    #[test]
    fn means_have_a_sign_unless_they_are_zero() {
        for (value, expected) in
            [(Some(0.421), "+0.42"), (Some(-0.001), "0.00"), (Some(-1.5), "-1.50"), (None, "–"), (Some(f64::NAN), "–")]
        {
            assert_eq!(signed_mean(value), expected);
        }
    }
}
