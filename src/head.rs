//! Sentence vectors to logits: linear maps, with one dense-tanh layer before them if the bundle has one.
//!
//! In: the vectors of a text's windows. Out: [`Logits`] of the text.
//!
//! A text of one window has one vector. Of a longer one, a topic's logit is the **maximum** over the windows: a topic is
//! there if any part of the text says something about it. Escalation and boilerplate are judgements on the paragraph as
//! a whole, which lose badly when they are made on slices, so they are computed **once**, from the mean of the windows'
//! vectors weighted by the tokens that each window is the first to hold. With mean pooling that is nearly the vector that
//! one window of unlimited length would give.

mod mapping;
mod sequence;
mod write;
mod zero_shot;

use serde::Deserialize;

use crate::encode::{Encoding, TextTokenizer, Window};
use crate::encoder::Weights;
use crate::error::{BundleFault, Result};
use crate::label::Scheme;

pub(crate) use crate::head::mapping::{MappedHead, Mapping, Values};
pub(crate) use crate::head::sequence::SequenceHead;
pub(crate) use crate::head::write::{to_bytes, with_topics};
pub(crate) use crate::head::zero_shot::{Hypotheses, Hypothesis, Label, ZeroShotHead};

const FILE: &str = "heads.safetensors";

/// What the logits of the ordinal scale mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScaleHead {
    /// One logit a level.
    Softmax,
    /// One logit for each step between levels: logit of P(level > k), the cumulative-link form (McCullagh 1980).
    Cumulative,
}

impl ScaleHead {
    /// Number of logits for a number of levels.
    pub(crate) fn logits(self, levels: usize) -> usize {
        match self {
            Self::Softmax => levels,
            Self::Cumulative => levels.saturating_sub(1),
        }
    }
}

/// Raw outputs for one text, before any calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// One a topic, in the order of the scheme.
    pub topics: Vec<f32>,
    /// One a level (softmax) or one a step between levels (cumulative); empty without a scale.
    pub scale: Vec<f32>,
    /// `None` if the scheme has no boilerplate flag.
    pub boilerplate: Option<f32>,
}

/// What the heads of a bundle see of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextVectors {
    /// (H) of the text as a whole.
    whole: Vec<f32>,
    /// (H) of each window; empty if the text has one, which is the whole.
    windows: Vec<Vec<f32>>,
}

impl TextVectors {
    /// Of a text of one window.
    pub fn of_one_window(whole: Vec<f32>) -> Self {
        Self { whole, windows: Vec::new() }
    }

    /// The vector of the whole text: the mean of its windows' vectors, weighted by the tokens each is the first to hold.
    pub fn whole(&self) -> &[f32] {
        &self.whole
    }
}

/// Which vectors [`crate::Classifier::vectors_batch`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorSpace {
    /// The encoder's sentence vectors.
    Encoder,
    /// What the bundle's heads are applied to: after `tanh(dense(vector))` where the bundle has that layer.
    Heads,
}

/// One logit's linear map.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadRow {
    /// (H)
    pub weight: Vec<f32>,
    /// Added to the product.
    pub bias: f32,
}

/// Linear heads, one row a logit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeadRows {
    /// One a topic, in the order of the scheme.
    pub topics: Vec<HeadRow>,
    /// One a logit of the scale; empty without a scale.
    pub scale: Vec<HeadRow>,
    /// `None` if the scheme has no boilerplate flag.
    pub boilerplate: Option<HeadRow>,
}

impl HeadRows {
    /// The logits of a text.
    pub fn logits(&self, vectors: &TextVectors) -> Logits {
        let heads = LinearHeads {
            dense: None,
            topics: Linear::of(&self.topics),
            scale: Linear::of(&self.scale),
            boilerplate: Linear::of(self.boilerplate.as_slice()),
        };
        heads.apply(vectors)
    }
}

/// What makes logits of vectors.
pub(crate) enum Heads {
    /// Those of a bundle.
    Linear(LinearHeads),
    /// That of a checkpoint, its outputs mapped to a scheme.
    Mapped(MappedHead),
    /// That of a checkpoint for pairs, with the hypotheses of a scheme.
    ZeroShot(ZeroShotHead),
    /// That of a checkpoint, whose outputs say nothing of a text that stands alone.
    Unread(SequenceHead),
    /// A plain encoder has none.
    None,
}

impl Heads {
    /// A text as these heads read it.
    pub(crate) fn encode(&self, tokenizer: &TextTokenizer, text: &str) -> Result<Encoding> {
        match self {
            Self::ZeroShot(head) => head.encode(tokenizer, text),
            _ => tokenizer.encode(text),
        }
    }

    /// The logits of a text from the vectors of its windows (B, H).
    pub(crate) fn logits(&self, encoding: &Encoding, vectors: &[&[f32]]) -> Logits {
        let of_text = || self.vectors(&encoding.windows, vectors, VectorSpace::Heads);
        match self {
            Self::Linear(heads) => heads.apply(&of_text()),
            Self::Mapped(head) => head.apply(&of_text()),
            Self::ZeroShot(head) => head.apply(encoding, vectors),
            Self::Unread(_) | Self::None => Logits { topics: Vec::new(), scale: Vec::new(), boilerplate: None },
        }
    }

    /// A text's vectors from those of its windows (B, H).
    pub(crate) fn vectors(&self, windows: &[Window], vectors: &[&[f32]], space: VectorSpace) -> TextVectors {
        let map = |vector: &[f32]| match (self, space) {
            (Self::Linear(heads), VectorSpace::Heads) => heads.features(vector),
            _ => vector.to_vec(),
        };
        match vectors {
            [single] => TextVectors::of_one_window(map(single)),
            _ => TextVectors {
                whole: map(&combine(windows, vectors)),
                windows: vectors.iter().map(|vector| map(vector)).collect(),
            },
        }
    }
}

/// The heads of a bundle.
pub(crate) struct LinearHeads {
    dense: Option<Linear>,
    topics: Option<Linear>,
    scale: Option<Linear>,
    boilerplate: Option<Linear>,
}

impl LinearHeads {
    /// Reads the heads that the scheme asks for and checks their shapes against it.
    pub(crate) fn load(
        weights: &Weights<'_>,
        scheme: &Scheme,
        scale_head: ScaleHead,
        hidden_size: usize,
    ) -> Result<Self, BundleFault> {
        let dense = if weights.contains("dense.weight") {
            let rows = weights.shape("dense.weight")?.first().copied().unwrap_or(0);
            Some(Linear::load(weights, "dense", rows, hidden_size)?)
        } else {
            None
        };
        let features = dense.as_ref().map_or(hidden_size, |dense| dense.bias.len());
        let head =
            |name: &str, rows: usize| (rows > 0).then(|| Linear::load(weights, name, rows, features)).transpose();
        Ok(Self {
            topics: head("topics", scheme.topics.len())?,
            scale: match &scheme.scale {
                Some(scale) => head(&scale.name, scale_head.logits(scale.levels.len()))?,
                None => None,
            },
            boilerplate: head("boilerplate", usize::from(scheme.boilerplate))?,
            dense,
        })
    }

    /// The logits from vectors in [`VectorSpace::Heads`].
    fn apply(&self, vectors: &TextVectors) -> Logits {
        let topics = match &self.topics {
            None => Vec::new(),
            Some(head) if vectors.windows.is_empty() => head.apply(&vectors.whole),
            Some(head) => highest(vectors.windows.iter().map(|vector| head.apply(vector))),
        };
        Logits {
            topics,
            scale: self.scale.as_ref().map_or_else(Vec::new, |head| head.apply(&vectors.whole)),
            boilerplate: self.boilerplate.as_ref().map(|head| head.apply(&vectors.whole)[0]),
        }
    }

    fn features(&self, vector: &[f32]) -> Vec<f32> {
        match &self.dense {
            Some(dense) => dense.apply(vector).into_iter().map(f32::tanh).collect(),
            None => vector.to_vec(),
        }
    }
}

/// The largest logit of each label over the windows.
fn highest(windows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let larger = |best: Vec<f32>, logits: Vec<f32>| best.into_iter().zip(logits).map(|(a, b)| a.max(b)).collect();
    windows.reduce(larger).unwrap_or_default()
}

/// Mean of the windows' vectors, weighted by new tokens.
fn combine(windows: &[Window], vectors: &[&[f32]]) -> Vec<f32> {
    let total: usize = windows.iter().map(|window| window.new_tokens).sum();
    let mut mean = vec![0.0; vectors.first().map_or(0, |vector| vector.len())];
    for (window, vector) in windows.iter().zip(vectors) {
        let weight = window.new_tokens as f32 / total.max(1) as f32;
        for (mean, value) in mean.iter_mut().zip(*vector) {
            *mean += weight * value;
        }
    }
    mean
}

/// y = W x + b
pub(crate) struct Linear {
    /// (rows, columns), row-major.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// `None` without rows.
    fn of(rows: &[HeadRow]) -> Option<Self> {
        (!rows.is_empty()).then(|| Self {
            weight: rows.iter().flat_map(|row| row.weight.iter().copied()).collect(),
            bias: rows.iter().map(|row| row.bias).collect(),
        })
    }

    /// Of exactly this shape.
    fn load(weights: &Weights<'_>, name: &str, rows: usize, columns: usize) -> Result<Self, BundleFault> {
        if rows == 0 || columns == 0 {
            return Err(BundleFault::Inconsistent {
                file: FILE.into(),
                problem: format!("{name} has no rows or no columns"),
            });
        }
        Ok(Self {
            weight: weights.f32(&format!("{name}.weight"), &[rows, columns])?,
            bias: weights.f32(&format!("{name}.bias"), &[rows])?,
        })
    }

    /// Of as many rows as there are; a bias that is missing is 0.
    pub(crate) fn load_any(weights: &Weights<'_>, name: &str, columns: usize) -> Result<Self, BundleFault> {
        let rows = weights.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0);
        let weight = weights.f32(&format!("{name}.weight"), &[rows, columns])?;
        let bias = format!("{name}.bias");
        let bias = if weights.contains(&bias) { weights.f32(&bias, &[rows])? } else { vec![0.0; rows] };
        Ok(Self { weight, bias })
    }

    /// Numbers that come out.
    pub(crate) fn rows(&self) -> usize {
        self.bias.len()
    }

    pub(crate) fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(x.len());
        rows.zip(&self.bias).map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
    }
}
