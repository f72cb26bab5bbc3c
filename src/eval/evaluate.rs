//! Totals to figures: which figures there are, in the order of a report.
//!
//! In: [`Totals`] under any weighting. Out: [`Value`]s, always the same ones in the same order for one [`Tally`].

use crate::eval::figure::{Metric, Scope, Value};
use crate::eval::inversion::Gaps;
use crate::eval::metrics::agreement::{Distance, cohen_kappa, krippendorff_alpha};
use crate::eval::metrics::calibration::{BINS, Bin, expected_calibration_error};
use crate::eval::metrics::ordinal::Confusion;
use crate::eval::metrics::prevalence::{adjusted_count, count_error, gold_share, prediction_powered};
use crate::eval::metrics::ratio;
use crate::eval::metrics::topics::{BinaryCounts, macro_f1, micro_f1};
use crate::eval::tally::{HALVES, Layout, Tally, Totals};

impl Tally {
    /// All figures that the system's predictions allow.
    pub(crate) fn values(&self, totals: &Totals) -> Vec<Value> {
        let mut figures = Figures { values: Vec::with_capacity(128), tally: self, totals };
        figures.topics();
        figures.scale();
        if self.layout.flags > self.layout.topics {
            figures.flag(self.layout.topics, Scope::Boilerplate);
        }
        figures.values
    }

    /// The reliability curves of all labels with probabilities: topics, scale, boilerplate, as [`Tally::values`] orders them.
    pub(crate) fn curves(&self, totals: &Totals) -> Vec<(Scope, Vec<Bin>)> {
        let layout = self.layout;
        let topics = (0..layout.topics).map(|topic| (topic, Scope::Topic(topic)));
        let scale = (layout.levels > 0).then_some((layout.flags, Scope::Scale));
        let boilerplate = (layout.flags > layout.topics).then_some((layout.topics, Scope::Boilerplate));
        let curve = |(flag, scope)| (scope, self.reliability(totals, flag));
        topics.chain(scale).chain(boilerplate).map(curve).filter(|(_, bins)| !bins.is_empty()).collect()
    }

    /// The gaps of all curves, in their order. NaN where the curve holds no item.
    pub(crate) fn gaps(&self, totals: &Totals) -> Vec<Gaps> {
        let gaps = |bins: &[Bin]| {
            let items: f64 = bins.iter().map(|bin| bin.items).sum();
            std::array::from_fn(|bin| ratio(bins[bin].hits - bins[bin].probability_sum, items))
        };
        self.curves(totals).iter().map(|(_, bins)| gaps(bins)).collect()
    }

    /// The columns of the counts that raise the trials of a proportion; none for any other figure.
    pub(crate) fn trial_columns(&self, scope: Scope, metric: Metric) -> Vec<usize> {
        let layout = self.layout;
        if scope == Scope::Scale {
            let is_trial = |gold: usize| match metric {
                Metric::Accuracy => true,
                Metric::SignAccuracy | Metric::OppositeSignShare => self.codes[gold] != 0,
                _ => false,
            };
            let cells = (0..layout.levels * layout.levels).filter(|cell| is_trial(cell / layout.levels));
            return cells.flat_map(|cell| (0..HALVES).map(move |half| layout.level_cells(half) + cell)).collect();
        }
        let flag = match scope {
            Scope::Topic(topic) => topic,
            _ => layout.topics,
        };
        // The offsets are those of `Layout::flag_cells` and of `Layout::topic_sets`.
        let cells: &[usize] = match metric {
            Metric::Precision => &[1, 3],
            Metric::Recall => &[2, 3],
            Metric::F1 => &[1, 2, 3],
            Metric::SubsetAccuracy => return vec![layout.topic_sets()],
            Metric::FalseAlarmRate => return vec![layout.topic_sets() + 2],
            _ => &[],
        };
        (0..HALVES).flat_map(|half| cells.iter().map(move |cell| layout.flag_cells(flag, half) + cell)).collect()
    }

    /// Gold by predicted level, row by row.
    pub(crate) fn level_table(&self, totals: &Totals) -> Vec<f64> {
        let cells = self.layout.levels * self.layout.levels;
        let half = |half| &totals.counts[self.layout.level_cells(half)..][..cells];
        half(0).iter().zip(half(1)).map(|(first, second)| first + second).collect()
    }

    /// The reliability curve of a topic or boilerplate (`flags`: of the scale), empty without probabilities.
    pub(crate) fn reliability(&self, totals: &Totals, flag: usize) -> Vec<Bin> {
        let layout = self.layout;
        let (order, counts) = match self.flag_orders.get(flag) {
            Some(order) => (order, layout.flag_bins(flag)),
            None => (&self.level_order, layout.level_bins()),
        };
        let bin = |bin: usize| Bin {
            items: totals.counts[counts + bin],
            probability_sum: totals.sums[layout.sums(flag) + bin],
            hits: totals.counts[counts + BINS + bin],
        };
        if order.is_some() { (0..BINS).map(bin).collect() } else { Vec::new() }
    }
}

fn binary(totals: &Totals, layout: Layout, flag: usize, half: usize) -> BinaryCounts {
    let cells = &totals.counts[layout.flag_cells(flag, half)..][..4];
    BinaryCounts { neither: cells[0], predicted_only: cells[1], gold_only: cells[2], both: cells[3] }
}

struct Figures<'a> {
    values: Vec<Value>,
    tally: &'a Tally,
    totals: &'a Totals,
}

impl Figures<'_> {
    fn push(&mut self, scope: Scope, metric: Metric, value: f64, support: f64) {
        self.values.push(Value { scope, metric, value, support, trials: None });
    }

    fn push_proportion(&mut self, scope: Scope, metric: Metric, value: f64, support: f64, trials: f64) {
        self.values.push(Value { scope, metric, value, support, trials: Some(trials) });
    }

    fn halves(&self, flag: usize) -> [BinaryCounts; HALVES] {
        std::array::from_fn(|half| binary(self.totals, self.tally.layout, flag, half))
    }

    fn topics(&mut self) {
        let layout = self.tally.layout;
        if layout.topics == 0 {
            return;
        }
        let labels: Vec<BinaryCounts> = (0..layout.topics)
            .map(|flag| {
                let [first, second] = self.halves(flag);
                first.plus(&second)
            })
            .collect();
        let sets = &self.totals.counts[layout.topic_sets()..][..4];
        let [items, right, none, alarms] = [sets[0], sets[1], sets[2], sets[3]];
        self.push(Scope::Topics, Metric::MacroF1, macro_f1(&labels), items);
        self.push(Scope::Topics, Metric::MicroF1, micro_f1(&labels), items);
        self.push_proportion(Scope::Topics, Metric::SubsetAccuracy, ratio(right, items), items, items);
        self.push_proportion(Scope::Topics, Metric::FalseAlarmRate, ratio(alarms, none), none, none);
        for flag in 0..layout.topics {
            self.flag(flag, Scope::Topic(flag));
        }
    }

    fn flag(&mut self, flag: usize, scope: Scope) {
        let layout = self.tally.layout;
        let halves = self.halves(flag);
        let counts = halves[0].plus(&halves[1]);
        let (support, items) = (counts.support(), counts.items());
        // At 0 and 1, F1 is the share of these in `both` (Jaccard's index).
        let involved = counts.both + counts.predicted_only + counts.gold_only;
        self.push_proportion(scope, Metric::Precision, counts.precision(), support, counts.predicted());
        self.push_proportion(scope, Metric::Recall, counts.recall(), support, support);
        self.push_proportion(scope, Metric::F1, counts.f1(), support, involved);
        if self.tally.flag_orders[flag].is_some() {
            self.push(scope, Metric::AveragePrecision, self.totals.average_precisions[flag], support);
        }
        let cells = counts.cells();
        let table = Confusion::new(&cells, 2);
        self.push(scope, Metric::Kappa, cohen_kappa(&table), items);
        self.push(scope, Metric::AlphaNominal, krippendorff_alpha(&table, Distance::Nominal), items);
        let bins = self.tally.reliability(self.totals, flag);
        if !bins.is_empty() {
            let items = bins.iter().map(|bin| bin.items).sum();
            let mean = |column: usize| ratio(self.totals.sums[column], items);
            let (brier, log_loss) = (mean(layout.brier(flag)), mean(layout.log_loss(flag)));
            self.push(scope, Metric::ExpectedCalibrationError, expected_calibration_error(&bins), items);
            self.push(scope, Metric::Brier, brier, items);
            self.push(scope, Metric::LogLoss, log_loss, items);
        }
        self.prevalence(scope, &halves);
    }

    fn prevalence(&mut self, scope: Scope, [labelled, target]: &[BinaryCounts; HALVES]) {
        let all = labelled.plus(target);
        let gold = gold_share(target);
        let adjusted = adjusted_count(labelled, target) - gold;
        let powered = prediction_powered(labelled, target) - gold;
        self.push(scope, Metric::PrevalenceError, count_error(&all), all.items());
        self.push(scope, Metric::PrevalenceErrorAdjusted, adjusted, target.items());
        self.push(scope, Metric::PrevalenceErrorPowered, powered, target.items());
    }

    fn scale(&mut self) {
        let layout = self.tally.layout;
        if layout.levels == 0 {
            return;
        }
        let cells = self.tally.level_table(self.totals);
        let table = Confusion::new(&cells, layout.levels);
        let items = table.items();
        let (ranks, signs) = (table.ranks(), table.signs(&self.tally.codes));
        let scope = Scope::Scale;
        self.push(scope, Metric::QuadraticWeightedKappa, table.quadratic_weighted_kappa(), items);
        self.push(scope, Metric::MacroMeanAbsoluteError, table.macro_mean_absolute_error(), items);
        self.push(scope, Metric::MeanAbsoluteError, table.mean_absolute_error(), items);
        self.push_proportion(scope, Metric::Accuracy, table.accuracy(), items, items);
        self.push(scope, Metric::MacroF1, table.macro_f1(), items);
        self.push_proportion(scope, Metric::SignAccuracy, signs.accuracy(), signs.items, signs.items);
        self.push_proportion(scope, Metric::OppositeSignShare, signs.opposite_share(), signs.items, signs.items);
        self.push(scope, Metric::Spearman, ranks.spearman, items);
        self.push(scope, Metric::KendallTauB, ranks.kendall_tau_b, items);
        if let Some(ranks) = self.totals.expected_ranks {
            self.push(scope, Metric::SpearmanExpected, ranks.spearman, items);
            self.push(scope, Metric::KendallTauBExpected, ranks.kendall_tau_b, items);
        }
        self.push(scope, Metric::Kappa, cohen_kappa(&table), items);
        self.push(scope, Metric::AlphaNominal, krippendorff_alpha(&table, Distance::Nominal), items);
        self.push(scope, Metric::AlphaOrdinal, krippendorff_alpha(&table, Distance::Ordinal), items);
        let bins = self.tally.reliability(self.totals, layout.flags);
        if !bins.is_empty() {
            let items = bins.iter().map(|bin| bin.items).sum();
            let mean = |column: usize| ratio(self.totals.sums[column], items);
            let score = mean(layout.ranked_probability_score());
            let (brier, log_loss) = (mean(layout.brier(layout.flags)), mean(layout.log_loss(layout.flags)));
            self.push(scope, Metric::RankedProbabilityScore, score, items);
            self.push(scope, Metric::ExpectedCalibrationError, expected_calibration_error(&bins), items);
            self.push(scope, Metric::Brier, brier, items);
            self.push(scope, Metric::LogLoss, log_loss, items);
        }
        let size = layout.levels * layout.levels;
        for level in 0..layout.levels {
            let halves = std::array::from_fn(|half| {
                let cells = &self.totals.counts[layout.level_cells(half)..][..size];
                Confusion::new(cells, layout.levels).one_against_rest(level)
            });
            self.prevalence(Scope::Level(level), &halves);
        }
    }
}
