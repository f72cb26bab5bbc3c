//! Agreement: coder with coder, the ceiling, and each system with either coder beside it.
//!
//! In: gold with a second coder, systems. Out: an [`AgreementReport`] with the figures that treat both sides alike.

use serde::Serialize;

use crate::eval::figure::Metric;
use crate::eval::gold::GoldItem;
use crate::eval::predicted::Predicted;
use crate::eval::report::{
    BootstrapInfo, Dimension, Figure, GoldInfo, REPORT_SCHEMA, ReportOptions, System, measure, split, warning,
};
use crate::eval::tally::Sample;
use crate::label::Scheme;

/// The first coder, as a side of a [`Pair`].
pub const FIRST_CODER: &str = "first coder";
/// The second coder, as a side of a [`Pair`].
pub const SECOND_CODER: &str = "second coder";

/// How far coders and systems agree, on the items that were coded twice.
#[derive(Debug, Clone, Serialize)]
pub struct AgreementReport {
    /// [`REPORT_SCHEMA`].
    pub schema: u32,
    /// The items that were coded twice, and by whom.
    pub gold: GoldInfo,
    /// How intervals were made.
    pub bootstrap: BootstrapInfo,
    /// All items first, then the slices of each dimension.
    pub slices: Vec<AgreementSlice>,
}

/// Agreement on some of the items.
#[derive(Debug, Clone, Serialize)]
pub struct AgreementSlice {
    /// What the slice is made by; null for all items.
    pub by: Option<Dimension>,
    /// Which slice it is; null for all items.
    pub value: Option<String>,
    /// Items that were coded twice.
    pub items: usize,
    /// Clusters of items, over which the bootstrap draws.
    pub clusters: usize,
    /// What to beware of.
    pub warning: Option<String>,
    /// The two coders first, then each system with the first and with the second coder.
    pub pairs: Vec<Pair>,
}

/// Two sides.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// [`FIRST_CODER`] or [`SECOND_CODER`].
    pub one: String,
    /// [`SECOND_CODER`] or a system's name.
    pub other: String,
    /// Kappas, alphas, shares of equal labels, mean distance of levels.
    pub figures: Vec<Figure>,
}

/// Agreement of the coders with one another, and of systems with each of them, on the items that have a second coder.
///
/// # Panics
/// If a system does not have one prediction for each gold item.
pub fn agreement(scheme: &Scheme, gold: &[GoldItem], systems: &[System], options: &ReportOptions) -> AgreementReport {
    let twice: Vec<usize> = (0..gold.len()).filter(|&place| gold[place].second.is_some()).collect();
    let first: Vec<GoldItem> = twice.iter().map(|&place| gold[place].clone()).collect();
    let labels_of_second = |item: &GoldItem| item.second.clone().unwrap_or_default();
    let second: Vec<GoldItem> =
        first.iter().map(|item| GoldItem { labels: labels_of_second(item), ..item.clone() }).collect();
    let by_second: Vec<Predicted> = first.iter().map(|item| Predicted::from_labels(labels_of_second(item))).collect();
    let by_systems: Vec<Vec<Predicted>> = systems
        .iter()
        .map(|system| {
            assert_eq!(system.predicted.len(), gold.len(), "one prediction for each gold item from {}", system.name);
            twice.iter().map(|&place| system.predicted[place].clone()).collect()
        })
        .collect();

    let slice = |part: Option<(Dimension, String)>, places: &[usize]| {
        let sample = Sample::new(&first, places);
        let pairs = |coder: &str, gold: &[GoldItem], others: &[(&str, &[Predicted])]| -> Vec<Pair> {
            let predicted: Vec<&[Predicted]> = others.iter().map(|(_, predicted)| *predicted).collect();
            let measured = measure(scheme, gold, &predicted, &sample, options);
            let pair = |((other, _), measured): (&(&str, &[Predicted]), crate::eval::report::Measured)| {
                let mut figures = measured.figures(scheme);
                figures.retain(|figure| Metric::is_agreement(figure.metric));
                Pair { one: coder.into(), other: (*other).into(), figures }
            };
            others.iter().zip(measured).map(pair).collect()
        };
        let names = systems.iter().map(|system| system.name.as_str());
        let systems: Vec<(&str, &[Predicted])> = names.zip(by_systems.iter().map(Vec::as_slice)).collect();
        let with_first: Vec<_> = [(SECOND_CODER, by_second.as_slice())].into_iter().chain(systems.clone()).collect();
        let mut all = pairs(FIRST_CODER, &first, &with_first);
        all.extend(pairs(SECOND_CODER, &second, &systems));
        let (by, value) = part.map_or((None, None), |(by, value)| (Some(by), Some(value)));
        let (items, clusters) = (sample.items().len(), sample.clusters());
        AgreementSlice { by, value, items, clusters, warning: warning(&sample), pairs: all }
    };
    let everything: Vec<usize> = (0..first.len()).collect();
    let mut slices = vec![slice(None, &everything)];
    for &dimension in &options.by {
        for ((_, value), places) in split(&first, dimension) {
            slices.push(slice(Some((dimension, value)), &places));
        }
    }
    AgreementReport {
        schema: REPORT_SCHEMA,
        gold: GoldInfo::new(&first, options),
        bootstrap: BootstrapInfo::new(options),
        slices,
    }
}
