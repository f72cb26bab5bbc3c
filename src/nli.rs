//! Natural-language inference: does a premise entail a hypothesis, contradict it, or neither?
//!
//! In: pairs of texts. Out: [`NliLogits`], one a pair, in the same order. As with texts, the numbers of a pair depend on that
//! pair alone, bit for bit, and nothing is cut off: a premise that is too long for one window is read in several.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bundle::{BundleInfo, HeadKind, NliOutputs, OpenBundle};
use crate::classifier::{Classifier, ClassifierBuilder, encode_windows};
use crate::encode::{PairFrame, TextTokenizer, Window};
use crate::encoder::{Encoder, Precision};
use crate::error::{CheckpointFault, Error, Result};
use crate::head::{Heads, SequenceHead};
use crate::threads::Threads;

/// A checkpoint for natural-language inference, opened: immutable and `Send + Sync`.
pub struct Nli {
    info: BundleInfo,
    tokenizer: TextTokenizer,
    encoder: Box<dyn Encoder>,
    head: SequenceHead,
    outputs: NliOutputs,
    frame: PairFrame,
    threads: Threads,
}

/// What the head says of one pair, before any softmax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NliLogits {
    /// The premise entails the hypothesis.
    pub entailment: f32,
    /// Neither; `None` where the head knows only two answers.
    pub neutral: Option<f32>,
    /// The premise contradicts the hypothesis, or, of two answers, does not entail it.
    pub contradiction: f32,
}

impl NliLogits {
    /// Log-odds of entailment against contradiction; what is neutral is left out of it. Its sigmoid is the probability that
    /// zero-shot classification takes (Yin et al. 2019).
    pub fn margin(&self) -> f32 {
        self.entailment - self.contradiction
    }

    /// Probabilities of entailment, neutral (0 where the head does not know it) and contradiction, summing to 1.
    pub fn probabilities(&self) -> [f32; 3] {
        let logits = [self.entailment, self.neutral.unwrap_or(f32::NEG_INFINITY), self.contradiction];
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers = logits.map(|logit| (logit - largest).exp());
        let sum: f32 = powers.iter().sum();
        powers.map(|power| power / sum)
    }
}

impl Nli {
    /// Opens a checkpoint with as many threads as the machine has cores; [`ClassifierBuilder::open_nli`] has options. The
    /// arithmetic is always f32.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], which names the file and what is wrong with it; [`Error::Missing`] if the checkpoint is not
    /// for inference, which is told by its labels: entailment, neutral and contradiction, or entailment and not_entailment.
    pub fn open(checkpoint: impl AsRef<Path>) -> Result<Self> {
        Classifier::builder().open_nli(checkpoint)
    }

    fn new(bundle: OpenBundle, threads: Threads, folder: &Path) -> Result<Self> {
        let OpenBundle { info, tokenizer, encoder, heads } = bundle;
        let kind = info.checkpoint.as_ref().map(|checkpoint| &checkpoint.head);
        let head = match heads {
            Heads::Unread(head) => Some(head),
            // A scheme says nothing of pairs that are given.
            Heads::ZeroShot(heads) => Some(heads.head),
            _ => None,
        };
        let (Some(&HeadKind::Nli(outputs)), Some(head)) = (kind, head) else {
            let missing =
                "is no checkpoint for natural-language inference: its labels are not entailment, neutral and \
                contradiction, or entailment and not_entailment"
                    .into();
            return Err(Error::Missing { id: info.id, missing });
        };
        let at = |what| Error::Checkpoint { path: folder.into(), what: CheckpointFault::Part(what) };
        let frame = PairFrame::of(&tokenizer, info.max_length).map_err(at)?;
        Ok(Self { info, tokenizer, encoder, head, outputs, frame, threads })
    }

    /// What the checkpoint says of itself.
    pub fn info(&self) -> &BundleInfo {
        &self.info
    }

    /// Judges pairs of a premise and a hypothesis: as many results as pairs, in the same order. A text that is in several
    /// pairs is tokenized once.
    ///
    /// A premise of several windows is judged window by window, and the window with the largest [`NliLogits::margin`] counts:
    /// what one part of a text says, the text says.
    ///
    /// # Errors
    /// [`Error::BlankText`] names the first pair of which a text holds nothing but white space, [`Error::LongHypothesis`]
    /// a hypothesis that takes more than half of a window.
    pub fn score<P: AsRef<str>, H: AsRef<str>>(&self, pairs: &[(P, H)]) -> Result<Vec<NliLogits>> {
        let blank = |(premise, hypothesis): &(P, H)| {
            premise.as_ref().trim().is_empty() || hypothesis.as_ref().trim().is_empty()
        };
        if let Some(index) = pairs.iter().position(blank) {
            return Err(Error::BlankText { index });
        }
        let texts = pairs.iter().flat_map(|(premise, hypothesis)| [premise.as_ref(), hypothesis.as_ref()]);
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut distinct = Vec::new();
        for text in texts {
            places.entry(text).or_insert_with(|| {
                distinct.push(text);
                distinct.len() - 1
            });
        }
        let tokenize = |index: usize| self.tokenizer.content_ids(distinct[index]);
        let ids: Vec<Vec<u32>> = self.threads.map(distinct.len(), tokenize).into_iter().collect::<Result<_>>()?;
        let of = |text: &str| ids[places[text]].as_slice();
        let frame = |(premise, hypothesis): &(P, H)| self.frame.windows(of(premise.as_ref()), of(hypothesis.as_ref()));
        let windows: Vec<Vec<Window>> = pairs.iter().map(frame).collect::<Result<_>>()?;
        let all: Vec<&Window> = windows.iter().flatten().collect();
        let vectors = encode_windows(self.encoder.as_ref(), &self.threads, &all)?;
        let mut logits = vectors.iter().map(|vector| self.logits(vector));
        let best = |a: NliLogits, b: NliLogits| if b.margin() > a.margin() { b } else { a };
        let of_pair = |windows: &Vec<Window>| {
            logits.by_ref().take(windows.len()).reduce(best).expect("a pair has one window at least")
        };
        Ok(windows.iter().map(of_pair).collect())
    }

    fn logits(&self, vector: &[f32]) -> NliLogits {
        let outputs = self.head.outputs(vector);
        NliLogits {
            entailment: outputs[self.outputs.entailment],
            neutral: self.outputs.neutral.map(|index| outputs[index]),
            contradiction: outputs[self.outputs.contradiction],
        }
    }
}

impl ClassifierBuilder {
    /// Opens a checkpoint for natural-language inference.
    ///
    /// # Errors
    /// As [`Nli::open`].
    pub fn open_nli(self, checkpoint: impl AsRef<Path>) -> Result<Nli> {
        let folder = checkpoint.as_ref();
        // What 8-bit activations and bf16 do to entailment has not been measured.
        let (bundle, threads) = self.precision(Precision::F32).open_parts(folder)?;
        Nli::new(bundle, threads, folder)
    }
}

impl std::fmt::Debug for Nli {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Nli").field("checkpoint", &self.info.id).finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Nli>();
};
