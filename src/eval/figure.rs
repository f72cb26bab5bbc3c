//! What is reported: the figures by name, which direction is better, and one figure's value.

use crate::label::Scheme;

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All topics together.
    Topics,
    /// One topic, by its place in the scheme.
    Topic(usize),
    /// The scale.
    Scale,
    /// One level of the scale against the others, by its place.
    Level(usize),
    /// The boilerplate flag.
    Boilerplate,
}

impl Scope {
    /// The first part of a figure's name: `topics`, `topics.military`, `escalation`, `escalation.-2`, `boilerplate`.
    pub fn name(self, scheme: &Scheme) -> String {
        let scale = scheme.scale.as_ref();
        match self {
            Scope::Topics => "topics".into(),
            Scope::Topic(index) => format!("topics.{}", scheme.topics[index].name),
            Scope::Scale => scale.map_or_else(String::new, |scale| scale.name.clone()),
            Scope::Level(index) => {
                scale.map_or_else(String::new, |scale| format!("{}.{}", scale.name, scale.levels[index].code))
            }
            Scope::Boilerplate => "boilerplate".into(),
        }
    }
}

/// Where a figure should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher the better.
    Higher,
    /// The lower the better.
    Lower,
    /// The nearer to 0 the better; the sign says in which direction it is off.
    NearZero,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident $name:literal $better:ident;)*) => {
        /// A kind of figure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            /// The last part of a figure's name.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }

            /// Which direction is better.
            pub fn better(self) -> Better {
                match self { $(Metric::$variant => Better::$better,)* }
            }
        }
    };
}

metrics! {
    /// [`crate::eval::metrics::topics::BinaryCounts::precision`].
    Precision "precision" Higher;
    /// [`crate::eval::metrics::topics::BinaryCounts::recall`].
    Recall "recall" Higher;
    /// [`crate::eval::metrics::topics::BinaryCounts::f1`].
    F1 "f1" Higher;
    /// [`crate::eval::metrics::topics::average_precision`].
    AveragePrecision "average_precision" Higher;
    /// [`crate::eval::metrics::topics::macro_f1`], of levels [`crate::eval::metrics::ordinal::Confusion::macro_f1`].
    MacroF1 "macro_f1" Higher;
    /// [`crate::eval::metrics::topics::micro_f1`].
    MicroF1 "micro_f1" Higher;
    /// Share of items whose topics are all right (exact match; scikit-learn's `accuracy_score` of a label matrix).
    SubsetAccuracy "subset_accuracy" Higher;
    /// Share of the items without topic to which some topic is given.
    FalseAlarmRate "false_alarm_rate" Lower;
    /// [`crate::eval::metrics::ordinal::Confusion::accuracy`].
    Accuracy "accuracy" Higher;
    /// [`crate::eval::metrics::ordinal::Confusion::quadratic_weighted_kappa`].
    QuadraticWeightedKappa "quadratic_weighted_kappa" Higher;
    /// [`crate::eval::metrics::ordinal::Confusion::macro_mean_absolute_error`].
    MacroMeanAbsoluteError "macro_mean_absolute_error" Lower;
    /// [`crate::eval::metrics::ordinal::Confusion::mean_absolute_error`].
    MeanAbsoluteError "mean_absolute_error" Lower;
    /// [`crate::eval::metrics::rank::Ranks::spearman`], of decided levels.
    Spearman "spearman" Higher;
    /// [`crate::eval::metrics::rank::Ranks::kendall_tau_b`], of decided levels.
    KendallTauB "kendall_tau_b" Higher;
    /// [`crate::eval::metrics::rank::Ranks::spearman`], of the mean code under the level probabilities.
    SpearmanExpected "spearman_expected" Higher;
    /// [`crate::eval::metrics::rank::Ranks::kendall_tau_b`], of the mean code under the level probabilities.
    KendallTauBExpected "kendall_tau_b_expected" Higher;
    /// [`crate::eval::metrics::ordinal::Signs::accuracy`].
    SignAccuracy "sign_accuracy" Higher;
    /// [`crate::eval::metrics::ordinal::Signs::opposite_share`].
    OppositeSignShare "opposite_sign_share" Lower;
    /// [`crate::eval::metrics::agreement::cohen_kappa`].
    Kappa "kappa" Higher;
    /// [`crate::eval::metrics::agreement::krippendorff_alpha`], nominal.
    AlphaNominal "alpha_nominal" Higher;
    /// [`crate::eval::metrics::agreement::krippendorff_alpha`], ordinal.
    AlphaOrdinal "alpha_ordinal" Higher;
    /// Mean [`crate::eval::metrics::calibration::ranked_probability_score`].
    RankedProbabilityScore "ranked_probability_score" Lower;
    /// [`crate::eval::metrics::calibration::expected_calibration_error`].
    ExpectedCalibrationError "expected_calibration_error" Lower;
    /// Mean [`crate::eval::metrics::calibration::brier`], of levels [`crate::eval::metrics::calibration::brier_distribution`].
    Brier "brier" Lower;
    /// Mean [`crate::eval::metrics::calibration::log_loss`].
    LogLoss "log_loss" Lower;
    /// [`crate::eval::metrics::prevalence::count_error`], over all items.
    PrevalenceError "prevalence_error" NearZero;
    /// [`crate::eval::metrics::prevalence::adjusted_count`] minus the gold share. About half of the clusters, picked by a hash
    /// of their names, are the labelled sample; the error is that on the other half.
    PrevalenceErrorAdjusted "prevalence_error_adjusted" NearZero;
    /// [`crate::eval::metrics::prevalence::prediction_powered`] minus the gold share, on the same halves.
    PrevalenceErrorPowered "prevalence_error_prediction_powered" NearZero;
}

impl Metric {
    /// Whether the figure says how far two sides agree, whichever of them is right.
    pub fn is_agreement(self) -> bool {
        use Metric::{
            Accuracy, AlphaNominal, AlphaOrdinal, Kappa, MeanAbsoluteError, QuadraticWeightedKappa, SubsetAccuracy,
        };
        matches!(
            self,
            Accuracy
                | AlphaNominal
                | AlphaOrdinal
                | Kappa
                | MeanAbsoluteError
                | QuadraticWeightedKappa
                | SubsetAccuracy
        )
    }
}

/// One figure without its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Value {
    pub(crate) scope: Scope,
    pub(crate) metric: Metric,
    /// NaN: not defined.
    pub(crate) value: f64,
    /// Gold items that the figure rests on: those with the label for a figure of one label, else those that are scored.
    pub(crate) support: f64,
    /// For a proportion, how many items it is a proportion of.
    pub(crate) trials: Option<f64>,
}
