//! The model card of a fitted bundle, and what it says on the terminal.
//!
//! `bundle.json` has no field for figures (readers of format 1 refuse fields they do not know), so the card holds them.

use std::collections::BTreeMap;

use crate::bundle::BundleInfo;
use crate::calibration::Calibration;
use crate::eval::fit::{Fitted, FittedLabel};
use crate::eval::gold::{FitFile, FitGold, GoldItem};
use crate::eval::render::Style;
use crate::label::Scheme;
use crate::text::language::{detect_language, primary_subtag};

/// Items of a language from which on the bundle counts as tried on it: an interval of a share is then up to ±0.18 wide.
const ENOUGH_ITEMS: usize = 30;

/// Where the heads come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Name of the new bundle.
    pub name: &'a str,
    /// Id of the bundle whose encoder is used.
    pub base: &'a str,
    /// Its licence.
    pub license: &'a str,
    /// Its encoder, in words.
    pub encoder: &'a str,
    /// What computed the vectors.
    pub kernel: &'a str,
    /// The training data.
    pub gold: &'a FitGold,
    /// Where the draws begin.
    pub seed: u64,
    /// The labels whose heads are those of the base bundle.
    pub kept: Option<&'a Scheme>,
}

/// Languages with items enough to say something, sorted: by the field `lang`, else as detected.
pub fn languages(gold: &[GoldItem]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in gold {
        let given = item.lang.as_deref().map(|tag| primary_subtag(tag).to_ascii_lowercase());
        let language = given.unwrap_or_else(|| detect_language(&item.text).code().to_owned());
        *counts.entry(language).or_default() += 1;
    }
    let enough = counts.into_iter().filter(|(language, count)| language != "und" && *count >= ENOUGH_ITEMS);
    enough.map(|(language, _)| language).collect()
}

impl Origin<'_> {
    /// For `calibration.json`: files with items and sha256, splits, number of items.
    pub fn fitted_on(&self) -> String {
        let file = |file: &FitFile| format!("{} ({} items, sha256 {})", file.name(), file.items, file.sha256);
        let files: Vec<String> = self.gold.files.iter().map(file).collect();
        let mut splits: Vec<&str> =
            self.gold.items.iter().map(|item| item.split.as_deref().unwrap_or("not stated").trim()).collect();
        splits.sort_unstable();
        splits.dedup();
        let count = self.gold.items.len();
        format!("{}; split {}; {count} items in all; detente fit", files.join(", "), splits.join(" and "))
    }
}

impl Fitted {
    /// Scheme and calibration of a bundle that keeps its own labels and has the fitted topics behind its own.
    pub fn beside(&self, info: &BundleInfo, fitted: &Scheme) -> (Scheme, Calibration) {
        let (mut scheme, mut calibration) = (info.scheme.as_ref().clone(), info.calibration.clone());
        scheme.topics.extend(fitted.topics.iter().cloned());
        calibration.topics.extend(self.calibration.topics.iter().cloned());
        if !calibration.fitted_on.is_empty() {
            calibration.fitted_on += "; ";
        }
        let names: Vec<&str> = fitted.topics.iter().map(|topic| topic.name.as_str()).collect();
        calibration.fitted_on += &format!("{}: {}", names.join(", "), self.calibration.fitted_on);
        (scheme, calibration)
    }

    /// The model card, in Markdown.
    pub fn card(&self, origin: &Origin<'_>) -> String {
        let Origin { name, base, license, encoder, kernel, gold, seed, kept } = origin;
        let heads = match kept {
            None => "All heads are new.".to_owned(),
            Some(scheme) => {
                let mut names: Vec<String> = scheme.topics.iter().map(|topic| topic.name.clone()).collect();
                names.extend(scheme.scale.iter().map(|scale| scale.name.clone()));
                names.extend(scheme.boilerplate.then(|| "boilerplate".to_owned()));
                format!(
                    "The heads of {} are those of {base}, as they were; the figures below are of the new topics \
                     alone, which boilerplate has none of.",
                    names.join(", ")
                )
            }
        };
        let mut card = format!(
            "# {name}\n\n\
             Heads fitted by `detente fit` on the frozen sentence vectors of {base} ({encoder}; computed by {kernel}). {heads}\n\n\
             Licence of that bundle: {license}. Whether the heads may be passed on is for the training data to say.\n\n\
             ## Training data\n\n"
        );
        for file in &gold.files {
            card += &format!("- {}: {} items, sha256 `{}`\n", file.name(), file.items, file.sha256);
        }
        card += "\n## Labels\n\n| label | examples | L2 penalty |\n| --- | --- | --- |\n";
        for label in &self.labels {
            card += &format!("| {} | {} | {} |\n", label.name, label.classes(), label.strength());
        }
        card += "\nThe penalty was chosen by cross-validation; it is that of vectors centred and divided by one number, so that their \
                 mean squared length is 1 (scikit-learn's C is 1 / penalty).\n\n## Figures\n\n";
        card += &format!(
            "By cross-validation in {} parts (seed {seed}); the items of a document or group are in one part. Penalties were chosen on \
             the same parts, which makes the figures a little too good; other text than the training data is likely to do worse.\n\n",
            self.folds
        );
        card += &self.render(Style::Markdown);
        card += "\n## Limits\n\n";
        for warning in &self.warnings {
            card += &format!("- {warning}\n");
        }
        card += "- What the encoder does not tell apart, no head can; limits that the card of the encoder's bundle names hold here too.\n";
        card
    }

    /// One line a label: examples, penalty, form.
    pub fn summary(&self) -> String {
        let line =
            |label: &FittedLabel| format!("  {}: {}; L2 penalty {}\n", label.name, label.classes(), label.strength());
        format!("Heads\n{}", self.labels.iter().map(line).collect::<String>())
    }
}

impl FittedLabel {
    fn classes(&self) -> String {
        self.examples.iter().map(|(class, count)| format!("{class}: {count}")).collect::<Vec<_>>().join(", ")
    }

    fn strength(&self) -> String {
        match self.direction_each {
            None => self.penalty.to_string(),
            Some(true) => format!("{}, a direction for each boundary between levels", self.penalty),
            Some(false) => format!("{}, one direction for all boundaries between levels", self.penalty),
        }
    }
}
