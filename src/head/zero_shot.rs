//! Labels without training, by natural-language inference (Yin, Hay and Roth 2019): a text is the premise, every label has
//! hypotheses, and what a head says of the pairs becomes the logits of a scheme.
//!
//! | label | logit of one hypothesis | on |
//! |---|---|---|
//! | topic | entailment − contradiction | each window; the largest counts |
//! | level | entailment | the mean of the windows' vectors |
//! | boilerplate | entailment − contradiction | the mean of the windows' vectors |
//!
//! The sigmoid of a topic's logit is the softmax over entailment and contradiction alone; levels share one softmax over their entailment
//! logits. Several hypotheses of a label count as the mean of their logits. Windows count as they do for every other head.

use std::collections::BTreeMap;

use crate::encode::{Encoding, PairFrame, PairSpan, TextTokenizer, Window};
use crate::error::Result;
use crate::head::{Logits, SequenceHead, combine};
use crate::text::{Language, detect_language};

/// A head for pairs, and the hypotheses of a scheme's labels.
pub(crate) struct ZeroShotHead {
    pub(crate) head: SequenceHead,
    /// Which output is which.
    pub(crate) entailment: usize,
    pub(crate) contradiction: usize,
    pub(crate) frame: PairFrame,
    pub(crate) hypotheses: Hypotheses,
}

/// The hypotheses of all labels, and which of them a text is read with.
#[derive(Debug, Default)]
pub(crate) struct Hypotheses {
    pub(crate) all: Vec<Hypothesis>,
    /// Those for a text of a language, as places in `all`. Empty if the language of a text does not matter.
    pub(crate) by_language: BTreeMap<Language, Vec<usize>>,
    /// Those for every other text.
    pub(crate) otherwise: Vec<usize>,
    pub(crate) topics: usize,
    pub(crate) levels: usize,
}

/// One sentence that is true of a text if a label is.
#[derive(Debug)]
pub(crate) struct Hypothesis {
    pub(crate) label: Label,
    pub(crate) ids: Vec<u32>,
}

/// A label of a scheme, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Topic(usize),
    Level(usize),
    Boilerplate,
}

impl Hypotheses {
    fn of_text(&self, text: &str) -> &[usize] {
        if self.by_language.is_empty() {
            return &self.otherwise;
        }
        self.by_language.get(&detect_language(text)).unwrap_or(&self.otherwise)
    }

    /// Most pairs that a text of one window makes.
    pub(crate) fn most_pairs(&self) -> usize {
        self.by_language.values().map(Vec::len).fold(self.otherwise.len(), usize::max)
    }
}

impl ZeroShotHead {
    /// The windows of a text with every hypothesis of its language.
    pub(crate) fn encode(&self, tokenizer: &TextTokenizer, text: &str) -> Result<Encoding> {
        let ids = tokenizer.content_ids(text)?;
        let (mut windows, mut pairs) = (Vec::new(), Vec::new());
        for &hypothesis in self.hypotheses.of_text(text) {
            let of_pair = self.frame.windows(&ids, &self.hypotheses.all[hypothesis].ids)?;
            pairs.push(PairSpan { hypothesis, windows: of_pair.len() });
            windows.extend(of_pair);
        }
        Ok(Encoding { windows, tokens: ids.len(), pairs })
    }

    /// The logits of a text from the vectors of its windows (B, H).
    pub(crate) fn apply(&self, encoding: &Encoding, vectors: &[&[f32]]) -> Logits {
        let mut topics = vec![Mean::default(); self.hypotheses.topics];
        let mut levels = vec![Mean::default(); self.hypotheses.levels];
        let mut boilerplate = Mean::default();
        let mut from = 0;
        for pair in &encoding.pairs {
            let range = from..from + pair.windows;
            from = range.end;
            let (windows, vectors) = (&encoding.windows[range.clone()], &vectors[range]);
            match self.hypotheses.all[pair.hypothesis].label {
                Label::Topic(topic) => {
                    let margins = vectors.iter().map(|vector| self.judge(vector).margin());
                    topics[topic].add(margins.fold(f32::NEG_INFINITY, f32::max));
                }
                Label::Level(level) => levels[level].add(self.judge_whole(windows, vectors).entailment),
                Label::Boilerplate => boilerplate.add(self.judge_whole(windows, vectors).margin()),
            }
        }
        Logits {
            topics: topics.into_iter().filter_map(Mean::value).collect(),
            scale: levels.into_iter().filter_map(Mean::value).collect(),
            boilerplate: boilerplate.value(),
        }
    }

    fn judge(&self, vector: &[f32]) -> Judgement {
        let outputs = self.head.outputs(vector);
        Judgement { entailment: outputs[self.entailment], contradiction: outputs[self.contradiction] }
    }

    fn judge_whole(&self, windows: &[Window], vectors: &[&[f32]]) -> Judgement {
        match vectors {
            [single] => self.judge(single),
            _ => self.judge(&combine(windows, vectors)),
        }
    }
}

/// Two outputs of the head on one pair; what is neutral is left out.
struct Judgement {
    entailment: f32,
    contradiction: f32,
}

impl Judgement {
    fn margin(&self) -> f32 {
        self.entailment - self.contradiction
    }
}

/// A mean in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f32,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += value;
        self.count += 1;
    }

    /// `None` of nothing.
    fn value(self) -> Option<f32> {
        (self.count > 0).then(|| self.sum / self.count as f32)
    }
}
