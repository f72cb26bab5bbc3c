//! A bundle with other heads: the same encoder and tokenizer, new labels.
//!
//! In: a bundle, in a folder or inside the program, and a [`Refit`]. Out: a new folder.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::recalibrate::{Change, fault_of};
use crate::bundle::{BundleSource, inconsistent};
use crate::calibration::Calibration;
use crate::encoder::Weights;
use crate::error::{BundleFault, Result};
use crate::head::{HeadRows, ScaleHead, to_bytes, with_topics};
use crate::label::Scheme;

const HEADS: &str = "heads.safetensors";
const CARD: &str = "card.md";

/// What is new about a bundle with other heads.
#[derive(Debug, Clone, Copy)]
pub struct Refit<'a> {
    /// Name of the new bundle.
    pub name: &'a str,
    /// Languages that there are figures for.
    pub languages: &'a [String],
    /// All labels of the new bundle.
    pub scheme: &'a Scheme,
    /// The new heads. Those of the scale are cumulative: one logit a step between levels.
    pub heads: &'a HeadRows,
    /// Calibration of all labels.
    pub calibration: &'a Calibration,
    /// The new model card, in Markdown.
    pub card: &'a str,
}

/// Version of a bundle that was just fitted; what distinguishes two of them is the sha256 in their ids.
const VERSION: &str = "1";

impl BundleSource {
    /// Writes a new bundle with these heads and labels into the new folder `output`. The bundle's own heads are left out,
    /// its dense layer too. Of a checkpoint, encoder and tokenizer are taken over.
    ///
    /// # Errors
    /// As [`Self::recalibrate`]; also if heads and scheme do not fit one another.
    pub fn refit(&self, new: &Refit<'_>, output: &Path) -> Result<()> {
        let scale = new.scheme.scale.as_ref();
        let reserved = ["topics", "boilerplate", "dense"];
        let name = scale.map(|scale| scale.name.as_str());
        self.rewrite(output, |_, _| {
            if let Some(name) = name.filter(|name| reserved.contains(name)) {
                let problem = format!("the scale cannot be named {name:?}, which {HEADS} uses otherwise; rename it");
                return Err(inconsistent(problem));
            }
            let heads = to_bytes(new.heads, name)?;
            change(new, heads, ScaleHead::Cumulative)
        })
    }

    /// Writes a new bundle with its own heads and, behind its topics, those of `new`, whose scheme and calibration are of
    /// all labels, old and new. The rows of `new` are for vectors in [`crate::VectorSpace::Heads`].
    ///
    /// # Errors
    /// As [`Self::refit`].
    pub fn extend(&self, new: &Refit<'_>, output: &Path) -> Result<()> {
        self.check_is_bundle()?;
        self.rewrite(output, |json, files| {
            let old = files.iter().find(|(file, _)| *file == HEADS).map(|(_, bytes)| bytes.as_slice());
            let old = old.ok_or_else(|| inconsistent(format!("{HEADS} is not among the files")))?;
            let heads = with_topics(old, json.scheme.topics.len(), &new.heads.topics)?;
            change(new, heads, json.head.scale)
        })
    }
}

/// The files that change and the manifest's new fields. What is written must open: heads and calibration are checked here.
fn change(new: &Refit<'_>, heads: Vec<u8>, scale_head: ScaleHead) -> Result<Change, BundleFault> {
    if let Some(problem) = new.scheme.problem() {
        return Err(inconsistent(problem));
    }
    let weights = Weights::read(HEADS, &heads)?;
    if !new.scheme.topics.is_empty() {
        let columns = weights.shape("topics.weight")?.get(1).copied().unwrap_or(0);
        weights.f32("topics.weight", &[new.scheme.topics.len(), columns])?;
    }
    let calibration = fault_of("calibration.json", serde_json::to_vec_pretty(new.calibration))?;
    Calibration::read(&calibration, new.scheme, scale_head)?;
    let scheme = fault_of("bundle.json", serde_json::to_value(new.scheme))?;
    let scale_head = match scale_head {
        ScaleHead::Softmax => "softmax",
        ScaleHead::Cumulative => "cumulative",
    };
    let fields: Vec<(&str, Value)> = vec![
        ("name", json!(new.name)),
        ("version", json!(VERSION)),
        ("languages", json!(new.languages)),
        ("head", json!({"escalation": scale_head})),
        ("scheme", scheme),
    ];
    let mut calibration = calibration;
    calibration.push(b'\n');
    Ok(Change {
        files: vec![(HEADS, heads), ("calibration.json", calibration), (CARD, new.card.as_bytes().to_vec())],
        fields,
    })
}
