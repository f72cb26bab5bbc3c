//! Scoring: gold and predictions in, figures with their uncertainty out. Works for any system and any label scheme. And
//! learning from gold: calibrations ([`tune()`]) and heads ([`fit()`]).
//!
//! In: [`GoldItem`]s and, for each system, one [`Predicted`] a gold item, from a bundle, a file or a baseline.
//! Out: a [`Report`], which is rendered as text, Markdown, JSON or a page for a browser ([`html_page`]).

mod abstention;
mod agreement;
mod argilla;
pub mod baseline;
mod behaviour;
mod bootstrap;
mod compare;
mod evaluate;
mod faithfulness;
mod figure;
mod fit;
mod gates;
mod gold;
mod html;
mod inversion;
mod items;
mod label_studio;
pub mod metrics;
mod ngram;
mod predicted;
mod record;
mod render;
mod report;
mod risk;
mod tally;
mod tune;

pub use crate::eval::abstention::{Abstention, AbstentionCurve, AbstentionPoint, SystemAbstention, abstention};
pub use crate::eval::agreement::{AgreementReport, AgreementSlice, FIRST_CODER, Pair, SECOND_CODER, agreement};
pub use crate::eval::behaviour::{
    BehaviourPair, BehaviourPairs, BehaviourReport, BehaviourSlice, BehaviourSystem, Expect, Rate, read_behaviour,
    read_behaviour_files, score_behaviour,
};
pub use crate::eval::bootstrap::BootstrapOptions;
pub use crate::eval::compare::{Comparison, Difference, FEWEST_SUPPORT, McNemar, SIGNIFICANCE};
pub use crate::eval::faithfulness::{
    DeletionPoint, Faithfulness, FaithfulnessOptions, LabelFaithfulness, SystemFaithfulness, faithfulness,
};
pub use crate::eval::figure::{Better, Metric, Scope};
pub use crate::eval::fit::{
    CROSS_VALIDATED, ClassWeights, DataScheme, FEWEST_EXAMPLES, FitOptions, FitSample, Fitted, FittedLabel, Origin,
    SchemeSource, check_examples, fit, languages, read_scheme_of_data,
};
pub use crate::eval::gates::{Gate, GateFailure, Gates};
pub use crate::eval::gold::{FitFile, FitGold, GoldItem, read_gold, read_gold_files, read_gold_to_fit};
pub use crate::eval::html::{Evaluation, html_page};
pub use crate::eval::items::write_items;
pub use crate::eval::ngram::NgramModel;
pub use crate::eval::predicted::{Predicted, read_predictions, read_predictions_file};
pub use crate::eval::record::Labels;
pub use crate::eval::render::Style;
pub use crate::eval::report::{
    BootstrapInfo, Coder, Curve, CurveBin, Dimension, FEWEST_CLUSTERS, Figure, GoldInfo, REPORT_SCHEMA, Report,
    ReportOptions, Scores, Slice, System, SystemInfo, SystemKind, score,
};
pub use crate::eval::risk::{RiskPoint, risk_coverage};
pub use crate::eval::tune::{AFTER, BEFORE, CROSS_FITTED, FOLDS, KeptLabel, Method, TuneSample, Tuned, tune};

#[cfg(test)]
mod tests;
