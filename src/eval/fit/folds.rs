//! Parts of the items that cross-validation leaves out in turn: clusters stay whole, labels are spread evenly.

use std::collections::BTreeMap;

use crate::eval::bootstrap::Random;
use crate::eval::gold::GoldItem;
use crate::label::Scheme;

/// A part for each item, and the cluster of each.
pub(crate) struct Folds {
    pub(crate) count: usize,
    /// Of each item, below `count`.
    pub(crate) of: Vec<usize>,
    /// Of each item: 0, 1 … in the order of their first items.
    pub(crate) clusters: Vec<usize>,
}

/// The numbers of the clusters that the items belong to.
pub(crate) fn clusters(gold: &[GoldItem]) -> Vec<usize> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut number = |item| {
        let next = numbers.len();
        *numbers.entry(GoldItem::cluster(item)).or_insert(next)
    };
    gold.iter().map(&mut number).collect()
}

/// Deals clusters to folds: in an order drawn by the seed, large ones first, each goes where the labels that it brings are scarcest
/// (as scikit-learn's `StratifiedGroupKFold` does).
pub(crate) fn deal(gold: &[GoldItem], scheme: &Scheme, count: usize, seed: u64) -> Folds {
    let clusters = clusters(gold);
    let size = clusters.iter().max().map_or(0, |last| last + 1);
    let classes: Vec<Vec<usize>> = gold.iter().map(|item| classes(item, scheme)).collect();
    let width = 1 + 2 * (scheme.topics.len() + 1) + scheme.level_count();
    let mut held = vec![vec![0.0_f64; width]; size];
    let mut totals = vec![0.0; width];
    for (&cluster, classes) in clusters.iter().zip(&classes) {
        for &class in classes {
            held[cluster][class] += 1.0;
            totals[class] += 1.0;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    let mut random = Random::new(seed, 0);
    for place in (1..order.len()).rev() {
        order.swap(place, random.below(place + 1));
    }
    order.sort_by(|&a, &b| held[b][0].total_cmp(&held[a][0]));
    let mut fold_of = vec![0; size];
    let mut folds = vec![vec![0.0; width]; count];
    for cluster in order {
        let crowd = |fold: &Vec<f64>| {
            let shares = fold.iter().zip(&held[cluster]).zip(&totals);
            shares
                .map(|((fold, held), total)| if *total > 0.0 { fold * held / (total * total) } else { 0.0 })
                .sum::<f64>()
        };
        let crowds: Vec<f64> = folds.iter().map(crowd).collect();
        let fold = (0..count).min_by(|&a, &b| crowds[a].total_cmp(&crowds[b])).unwrap_or(0);
        fold_of[cluster] = fold;
        folds[fold].iter_mut().zip(&held[cluster]).for_each(|(fold, held)| *fold += held);
    }
    Folds { count, of: clusters.iter().map(|&cluster| fold_of[cluster]).collect(), clusters }
}

/// Everything that is to be spread: the item itself, each flag's yes and no, each level.
fn classes(item: &GoldItem, scheme: &Scheme) -> Vec<usize> {
    let topics = scheme.topics.len();
    let labels = &item.labels;
    let flags = labels.topics.iter().flatten().copied().enumerate();
    let flags = flags.chain(labels.boilerplate.map(|holds| (topics, holds)));
    let flags = flags.map(|(flag, holds)| 1 + 2 * flag + usize::from(holds));
    let level = labels.level.map(|level| 1 + 2 * (topics + 1) + level);
    [0].into_iter().chain(flags).chain(level).collect()
}
