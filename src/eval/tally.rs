//! Everything about one system on one sample that figures need, so arranged that a weighting of the clusters (a bootstrap
//! replicate) is evaluated in one pass: counts and sums by cluster, and the items sorted by each probability.
//!
//! In: gold, predictions, a [`Sample`]. Out: [`Totals`] under given weights; [`crate::eval::evaluate`] makes figures of them.

use std::collections::HashMap;

use crate::eval::gold::GoldItem;
use crate::eval::metrics::calibration::{
    BINS, bin, brier, brier_distribution, log_loss, most_probable, ranked_probability_score,
};
use crate::eval::metrics::rank::{RankSums, Ranks};
use crate::eval::metrics::topics::PrecisionSums;
use crate::eval::predicted::Predicted;
use crate::label::Scheme;

/// Weightings that one pass evaluates: wide enough that memory is read seldom, small enough that a cluster's weights are a
/// quarter of a cache line.
pub(crate) const LANES: usize = 16;

/// How often one cluster was drawn, in each of the weightings. More than 255 times does not occur: of `c` clusters drawn `c`
/// times, the chance is below c · (c choose 256) / c^256 < 1e-500 each.
pub(crate) type Weights = [u8; LANES];

/// Halves that the correction of prevalence uses: one is the labelled sample, the other the target.
pub(crate) const HALVES: usize = 2;

/// Items of the gold, cluster by cluster.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    items: Vec<usize>,
    /// Where each cluster begins in `items`; then the end.
    starts: Vec<usize>,
    halves: Vec<usize>,
}

impl Sample {
    /// Those of the items that are at `places` in the gold.
    pub(crate) fn new(gold: &[GoldItem], places: &[usize]) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut halves = Vec::new();
        let mut clusters: Vec<Vec<usize>> = Vec::new();
        for &place in places {
            let name = gold[place].cluster();
            let number = *numbers.entry(name).or_insert(clusters.len());
            if number == clusters.len() {
                clusters.push(Vec::new());
                halves.push(half(name));
            }
            clusters[number].push(place);
        }
        let mut starts = vec![0];
        for cluster in &clusters {
            starts.push(starts[starts.len() - 1] + cluster.len());
        }
        Self { items: clusters.concat(), starts, halves }
    }

    pub(crate) fn items(&self) -> &[usize] {
        &self.items
    }

    pub(crate) fn clusters(&self) -> usize {
        self.halves.len()
    }

    fn cluster(&self, number: usize) -> &[usize] {
        &self.items[self.starts[number]..self.starts[number + 1]]
    }
}

/// The half of a cluster: the highest bit of FNV-1a (Fowler, Noll, Vo) of its name, mixed by MurmurHash3's finalizer. By the
/// name, so that a cluster is on the same side in every slice.
fn half(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 63) as usize
}

/// Where counts and sums stand. A flag is a topic or, after the topics, boilerplate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) topics: usize,
    pub(crate) flags: usize,
    pub(crate) levels: usize,
}

impl Layout {
    const FLAG_COUNTS: usize = 4 * HALVES + 2 * BINS;
    const SUMS: usize = BINS + 3;
    const BRIER: usize = BINS;
    const LOG_LOSS: usize = BINS + 1;
    const RPS: usize = BINS + 2;

    fn new(scheme: &Scheme) -> Self {
        let topics = scheme.topics.len();
        Self { topics, flags: topics + usize::from(scheme.boilerplate), levels: scheme.level_count() }
    }

    /// Neither, predicted only, gold only, both.
    pub(crate) fn flag_cells(self, flag: usize, half: usize) -> usize {
        flag * Self::FLAG_COUNTS + 4 * half
    }

    /// Items of each bin, then hits of each bin.
    pub(crate) fn flag_bins(self, flag: usize) -> usize {
        flag * Self::FLAG_COUNTS + 4 * HALVES
    }

    /// Items with known topics, those with all topics right, those without topic, those without topic but with a predicted one.
    pub(crate) fn topic_sets(self) -> usize {
        self.flags * Self::FLAG_COUNTS
    }

    pub(crate) fn level_cells(self, half: usize) -> usize {
        self.topic_sets() + 4 + half * self.levels * self.levels
    }

    pub(crate) fn level_bins(self) -> usize {
        self.level_cells(HALVES)
    }

    fn counts(self) -> usize {
        self.level_bins() + 2 * BINS
    }

    /// Sums of the flag (of the scale: `flags`): probability by bin, Brier, log-loss, ranked probability score.
    pub(crate) fn sums(self, flag: usize) -> usize {
        flag * Self::SUMS
    }

    pub(crate) fn brier(self, flag: usize) -> usize {
        self.sums(flag) + Self::BRIER
    }

    pub(crate) fn log_loss(self, flag: usize) -> usize {
        self.sums(flag) + Self::LOG_LOSS
    }

    pub(crate) fn ranked_probability_score(self) -> usize {
        self.sums(self.flags) + Self::RPS
    }

    fn all_sums(self) -> usize {
        self.sums(self.flags + 1)
    }
}

/// One system on one sample.
pub(crate) struct Tally {
    pub(crate) layout: Layout,
    /// Codes of the scale's levels.
    pub(crate) codes: Vec<i32>,
    /// Columns that the items of each cluster raise by 1.
    counts: Rows<()>,
    /// Columns that the items of each cluster raise, and by how much.
    sums: Rows<f64>,
    /// For each flag, the items from high to low probability, if there are probabilities.
    pub(crate) flag_orders: Vec<Option<Order>>,
    /// The items from low to high mean code, if there are probabilities.
    pub(crate) level_order: Option<Order>,
}

/// Statistics under one weighting.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    pub(crate) counts: Vec<f64>,
    pub(crate) sums: Vec<f64>,
    pub(crate) average_precisions: Vec<f64>,
    pub(crate) expected_ranks: Option<Ranks>,
}

/// A list for each cluster, one after the other.
struct Rows<T> {
    ends: Vec<usize>,
    columns: Vec<u32>,
    amounts: Vec<T>,
}

impl<T> Rows<T> {
    fn new() -> Self {
        Self { ends: Vec::new(), columns: Vec::new(), amounts: Vec::new() }
    }

    fn push(&mut self, column: usize, amount: T) {
        self.columns.push(u32::try_from(column).expect("a scheme has fewer than four thousand million label pairs"));
        self.amounts.push(amount);
    }

    fn end_cluster(&mut self) {
        self.ends.push(self.columns.len());
    }

    fn clusters(&self) -> impl Iterator<Item = (&[u32], &[T])> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| (&self.columns[start..end], &self.amounts[start..end]))
    }
}

/// Items in the order of a score, with their label (gold flag or level) and whether the next item has another score.
pub(crate) struct Order {
    clusters: Vec<u32>,
    labels: Vec<u32>,
    last: Vec<bool>,
}

impl Order {
    /// From (score, cluster, label).
    fn new(mut entries: Vec<(f64, u32, u32)>, descending: bool) -> Option<Self> {
        if entries.is_empty() {
            return None;
        }
        entries.sort_by(|a, b| if descending { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
        let next_differs = |index: usize| entries.get(index + 1).is_none_or(|next| next.0 != entries[index].0);
        Some(Self {
            last: (0..entries.len()).map(next_differs).collect(),
            clusters: entries.iter().map(|entry| entry.1).collect(),
            labels: entries.iter().map(|entry| entry.2).collect(),
        })
    }

    fn walk(&self, weights: &[Weights], mut each: impl FnMut(u32, bool, &[f64; LANES])) {
        for ((&cluster, &label), &last) in self.clusters.iter().zip(&self.labels).zip(&self.last) {
            each(label, last, &weights[cluster as usize].map(f64::from));
        }
    }
}

impl Tally {
    pub(crate) fn new(scheme: &Scheme, gold: &[GoldItem], predicted: &[Predicted], sample: &Sample) -> Self {
        let layout = Layout::new(scheme);
        let codes: Vec<i32> = scheme.scale.iter().flat_map(|scale| &scale.levels).map(|level| level.code).collect();
        let mut builder = Builder {
            layout,
            codes: &codes,
            counts: Rows::new(),
            sums: Rows::new(),
            flags: vec![Vec::new(); layout.flags],
            levels: Vec::new(),
            half: 0,
            cluster: 0,
        };
        for cluster in 0..sample.clusters() {
            builder.half = sample.halves[cluster];
            builder.cluster = u32::try_from(cluster).expect("fewer than four thousand million items");
            for &item in sample.cluster(cluster) {
                builder.add(&gold[item], &predicted[item]);
            }
            builder.counts.end_cluster();
            builder.sums.end_cluster();
        }
        let Builder { counts, sums, flags, levels, .. } = builder;
        let flag_orders = flags.into_iter().map(|entries| Order::new(entries, true)).collect();
        Self { layout, counts, sums, flag_orders, level_order: Order::new(levels, false), codes }
    }

    /// The statistics when every cluster counts once.
    pub(crate) fn unweighted(&self) -> Totals {
        self.pass(&vec![[1; LANES]; self.counts.ends.len()]).swap_remove(0)
    }

    /// Clusters that raise at least one of the columns of the counts.
    pub(crate) fn clusters_with(&self, columns: &[usize]) -> usize {
        let is_one = |&column: &u32| columns.contains(&(column as usize));
        self.counts.clusters().filter(|(raised, _)| raised.iter().any(is_one)).count()
    }

    /// The statistics under each of the weightings.
    pub(crate) fn pass(&self, weights: &[Weights]) -> Vec<Totals> {
        let mut counts = vec![[0_u32; LANES]; self.layout.counts()];
        for ((columns, _), weights) in self.counts.clusters().zip(weights) {
            let weights = weights.map(u32::from);
            for &column in columns {
                for (count, weight) in counts[column as usize].iter_mut().zip(weights) {
                    *count += weight;
                }
            }
        }
        let mut sums = vec![[0.0; LANES]; self.layout.all_sums()];
        for ((columns, amounts), weights) in self.sums.clusters().zip(weights) {
            let weights = weights.map(f64::from);
            for (&column, amount) in columns.iter().zip(amounts) {
                for (sum, weight) in sums[column as usize].iter_mut().zip(weights) {
                    *sum += weight * amount;
                }
            }
        }
        let precisions: Vec<[f64; LANES]> =
            self.flag_orders.iter().map(|order| average_precisions(order.as_ref(), weights)).collect();
        let ranks = self.level_order.as_ref().map(|order| {
            let mut sums = RankSums::new(self.layout.levels);
            order.walk(weights, |level, last, weights| {
                sums.add(level as usize, weights);
                if last {
                    sums.close();
                }
            });
            sums.finish()
        });
        let lane = |lane: usize| Totals {
            counts: counts.iter().map(|lanes| f64::from(lanes[lane])).collect(),
            sums: sums.iter().map(|lanes| lanes[lane]).collect(),
            average_precisions: precisions.iter().map(|lanes| lanes[lane]).collect(),
            expected_ranks: ranks.map(|lanes| lanes[lane]),
        };
        (0..LANES).map(lane).collect()
    }
}

fn average_precisions(order: Option<&Order>, weights: &[Weights]) -> [f64; LANES] {
    let Some(order) = order else { return [f64::NAN; LANES] };
    let mut sums = PrecisionSums::new();
    order.walk(weights, |positive, last, weights| {
        sums.add(positive == 1, weights);
        if last {
            sums.close();
        }
    });
    sums.finish()
}

struct Builder<'a> {
    layout: Layout,
    codes: &'a [i32],
    counts: Rows<()>,
    sums: Rows<f64>,
    flags: Vec<Vec<(f64, u32, u32)>>,
    levels: Vec<(f64, u32, u32)>,
    half: usize,
    cluster: u32,
}

impl Builder<'_> {
    fn add(&mut self, gold: &GoldItem, predicted: &Predicted) {
        if let Some(gold) = &gold.labels.topics {
            if let Some(predicted) = &predicted.labels.topics {
                for (flag, (&gold, &predicted)) in gold.iter().zip(predicted).enumerate() {
                    self.flag(flag, gold, predicted);
                }
                let (none, none_predicted) = (!gold.contains(&true), !predicted.contains(&true));
                let facts = [true, gold == predicted, none, none && !none_predicted];
                for (offset, _) in facts.into_iter().enumerate().filter(|(_, holds)| *holds) {
                    self.counts.push(self.layout.topic_sets() + offset, ());
                }
            }
            for (flag, (&gold, &p)) in gold.iter().zip(predicted.topic_probabilities.iter().flatten()).enumerate() {
                self.flag_probability(flag, gold, p);
            }
        }
        if let Some(gold) = gold.labels.boilerplate {
            if let Some(predicted) = predicted.labels.boilerplate {
                self.flag(self.layout.topics, gold, predicted);
            }
            if let Some(probability) = predicted.boilerplate_probability {
                self.flag_probability(self.layout.topics, gold, probability);
            }
        }
        if let Some(gold) = gold.labels.level {
            if let Some(predicted) = predicted.labels.level {
                let cell = gold * self.layout.levels + predicted;
                self.counts.push(self.layout.level_cells(self.half) + cell, ());
            }
            if let Some(probabilities) = &predicted.level_probabilities {
                self.level_probabilities(gold, probabilities);
            }
        }
    }

    fn flag(&mut self, flag: usize, gold: bool, predicted: bool) {
        let cell = 2 * usize::from(gold) + usize::from(predicted);
        self.counts.push(self.layout.flag_cells(flag, self.half) + cell, ());
    }

    fn flag_probability(&mut self, flag: usize, gold: bool, probability: f64) {
        self.bin(self.layout.flag_bins(flag), flag, probability, gold);
        self.sums.push(self.layout.brier(flag), brier(probability, gold));
        let of_gold = if gold { probability } else { 1.0 - probability };
        self.sums.push(self.layout.log_loss(flag), log_loss(of_gold));
        self.flags[flag].push((probability, self.cluster, u32::from(gold)));
    }

    fn level_probabilities(&mut self, gold: usize, probabilities: &[f64]) {
        let flag = self.layout.flags;
        let mode = most_probable(probabilities);
        self.bin(self.layout.level_bins(), flag, probabilities[mode], mode == gold);
        self.sums.push(self.layout.brier(flag), brier_distribution(probabilities, gold));
        self.sums.push(self.layout.log_loss(flag), log_loss(probabilities[gold]));
        self.sums.push(self.layout.ranked_probability_score(), ranked_probability_score(probabilities, gold));
        let expected = self.codes.iter().zip(probabilities).map(|(&code, p)| f64::from(code) * p).sum();
        let level = u32::try_from(gold).expect("a scale has fewer than four thousand million levels");
        self.levels.push((expected, self.cluster, level));
    }

    fn bin(&mut self, counts: usize, flag: usize, probability: f64, hit: bool) {
        let bin = bin(probability);
        self.counts.push(counts + bin, ());
        if hit {
            self.counts.push(counts + BINS + bin, ());
        }
        self.sums.push(self.layout.sums(flag) + bin, probability);
    }
}
