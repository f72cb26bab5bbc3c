//! The pipeline: texts in, predictions out.
//!
//! A text's numbers depend on that text alone, bit for bit: not on the batch it came in, not on its neighbours, not on
//! the number of threads.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use crate::bundle::{self, BundleInfo, LabelMap, OpenBundle, OpenOptions, ZeroShotScheme};
#[cfg(feature = "serve")]
use crate::encode::Batch;
use crate::encode::{Encoding, Window, batches};
use crate::encoder::{Device, Encoder, Precision};
use crate::error::{Error, Result};
use crate::head::{Logits, TextVectors, VectorSpace};
use crate::kernels::{self, Peak};
use crate::label::Prediction;
use crate::text::Document;
use crate::threads::Threads;

/// Tokens that one thread encodes at a time. Large enough to spread the cost of starting a task, small enough that the
/// last batches of a call are even between threads.
pub(crate) const MAX_BATCH_TOKENS: usize = 512;

/// A bundle, opened: immutable and `Send + Sync`; open one and share it (by reference or `Arc`).
pub struct Classifier {
    bundle: OpenBundle,
    threads: Threads,
}

/// How a classifier is opened.
///
/// ```
/// # fn main() -> detente::Result<()> {
/// # #[cfg(feature = "embedded")] {
/// let classifier = detente::Classifier::builder().threads(1).embedded()?;
/// assert_eq!(classifier.threads(), 1);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClassifierBuilder {
    threads: Option<NonZeroUsize>,
    options: OpenOptions,
}

impl ClassifierBuilder {
    /// Worker threads; 0 (the default) takes as many as the machine has cores. Labels do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = NonZeroUsize::new(threads);
        self
    }

    /// The arithmetic of the encoder; `None` (the default) takes int8 where the bundle stores its weights so and the CPU has
    /// instructions for it, else f32.
    #[must_use]
    pub fn precision(mut self, precision: impl Into<Option<Precision>>) -> Self {
        self.options.encoder.precision = precision.into();
        self
    }

    /// Forces one of [`Classifier::kernels`], for debugging: all of them give the same bits. `candle` is Candle's f32, the
    /// reference, which does not.
    #[must_use]
    pub fn kernel(mut self, name: impl Into<String>) -> Self {
        self.options.encoder.kernel = Some(name.into());
        self
    }

    /// Where the encoder computes.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.options.encoder.device = device;
        self
    }

    /// What the labels of a checkpoint stand for, instead of themselves.
    #[must_use]
    pub fn labels(mut self, map: LabelMap) -> Self {
        self.options.labels = Some(map);
        self
    }

    /// Labels for a checkpoint for natural-language inference, which then needs no training for them (`docs/zero-shot.md`).
    #[must_use]
    pub fn scheme(mut self, scheme: ZeroShotScheme) -> Self {
        self.options.scheme = Some(scheme);
        self
    }

    /// The name and the revision that a bundle or a checkpoint is known by, in its id. Else those are repository and commit of a snapshot in
    /// the cache of the Hub, or those of the bundle, or the name of the checkpoint's folder and `local`.
    #[must_use]
    pub fn origin(mut self, name: impl Into<String>, revision: impl Into<String>) -> Self {
        self.options.origin = Some((name.into(), revision.into()));
        self
    }

    /// Opens the bundle inside the program.
    ///
    /// # Errors
    /// As [`Classifier::embedded`].
    pub fn embedded(self) -> Result<Classifier> {
        self.options.encoder.check()?;
        let bundle = bundle::embedded(&self.options)?;
        Ok(Classifier { bundle, threads: self.start_threads()? })
    }

    /// Opens the bundle or the checkpoint in a folder.
    ///
    /// # Errors
    /// As [`Classifier::open`]; [`Error::Input`] if the label map or the scheme does not fit the checkpoint.
    pub fn open(self, bundle: impl AsRef<Path>) -> Result<Classifier> {
        let (bundle, threads) = self.open_parts(bundle.as_ref())?;
        Ok(Classifier { bundle, threads })
    }

    fn start_threads(&self) -> Result<Threads> {
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        Threads::start(threads)
    }

    /// What a classifier is made of, for those who make something else of it.
    pub(crate) fn open_parts(self, folder: &Path) -> Result<(OpenBundle, Threads)> {
        self.options.encoder.check()?;
        let bundle = bundle::open(folder, &self.options)?;
        Ok((bundle, self.start_threads()?))
    }
}

impl Classifier {
    /// Opens the bundle inside the program, with as many threads as the machine has cores.
    ///
    /// # Errors
    /// [`Error::Bundle`] if the program was built without the feature `embedded`.
    pub fn embedded() -> Result<Self> {
        Self::builder().embedded()
    }

    /// Opens the bundle in a folder. Every file is read and checked against its sha256, every tensor against its shape;
    /// after that nothing depends on the files. A folder without `bundle.json`, but with `config.json`, is opened as a
    /// checkpoint of transformers (`docs/checkpoints.md`); its own labels are the scheme.
    ///
    /// # Errors
    /// [`Error::Bundle`] or [`Error::Checkpoint`], which name the file and what is wrong with it.
    pub fn open(bundle: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(bundle)
    }

    /// Options first, then [`ClassifierBuilder::embedded`] or [`ClassifierBuilder::open`].
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// Names of the kernels that this CPU can run (`avx512-vnni`, `avx-vnni`, `avx2`, `neon-dot`, `scalar`), fastest first.
    pub fn kernels() -> Vec<&'static str> {
        kernels::names()
    }

    /// What the bundle says of itself.
    pub fn info(&self) -> &BundleInfo {
        &self.bundle.info
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.threads.count()
    }

    /// Classifies one text, of any length.
    ///
    /// ```
    /// # fn main() -> detente::Result<()> {
    /// # #[cfg(feature = "embedded")] {
    /// let classifier = detente::Classifier::embedded()?;
    /// let prediction = classifier.classify("Beide Seiten haben sich auf eine Waffenruhe geeinigt.")?;
    /// let sum: f32 = prediction.escalation_probabilities().iter().sum();
    /// assert!((sum - 1.0).abs() < 1e-5);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::BlankText`] if there is nothing but white space; [`Error::Missing`] of a checkpoint without labels for
    /// texts ([`crate::CheckpointInfo::missing`]).
    pub fn classify(&self, text: &str) -> Result<Prediction> {
        let mut predictions = self.classify_batch(&[text])?;
        Ok(predictions.remove(0))
    }

    /// Classifies texts: as many predictions as texts, in the same order, always.
    ///
    /// # Errors
    /// [`Error::BlankText`] names the first text that holds nothing but white space; nothing is classified then.
    pub fn classify_batch<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Prediction>> {
        self.check_labels()?;
        let encoded = self.run(texts)?.into_iter();
        Ok(encoded.map(|(encoding, logits)| self.predict(&encoding, &logits)).collect())
    }

    /// What the heads say of texts before any calibration: for those who fit one ([`crate::eval::tune()`]).
    ///
    /// # Errors
    /// As [`Self::classify_batch`].
    pub fn logits_batch<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Logits>> {
        self.check_labels()?;
        Ok(self.run(texts)?.into_iter().map(|(_, logits)| logits).collect())
    }

    /// The vectors of texts, which heads are fitted on ([`crate::eval::fit()`]): as many as texts, in the same order.
    ///
    /// # Errors
    /// As [`Self::classify_batch`].
    pub fn vectors_batch<S: AsRef<str> + Sync>(&self, texts: &[S], space: VectorSpace) -> Result<Vec<TextVectors>> {
        let of = |encoding: &Encoding, vectors: &[&[f32]]| self.bundle.heads.vectors(&encoding.windows, vectors, space);
        Ok(self.encode(texts, of)?.into_iter().map(|(_, vectors)| vectors).collect())
    }

    /// The encoder alone: one vector for each window of token ids, special tokens included, in their order. Labels need
    /// nothing of it; it is there to measure with.
    ///
    /// # Errors
    /// [`Error::Window`] names the first window that is empty, longer than [`BundleInfo::max_length`], or holds an id outside
    /// the vocabulary.
    pub fn vectors_of_ids(&self, windows: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let info = &self.bundle.info;
        for (index, ids) in windows.iter().enumerate() {
            let problem = match ids.iter().find(|&&id| id as usize >= info.vocabulary) {
                Some(id) => format!("holds the id {id}; the vocabulary ends at {}", info.vocabulary.saturating_sub(1)),
                None if ids.is_empty() || ids.len() > info.max_length => {
                    format!("has {} tokens; 1 to {} can be encoded", ids.len(), info.max_length)
                }
                None => continue,
            };
            return Err(Error::Window { index, problem });
        }
        let window = |ids: &Vec<u32>| Window { ids: ids.clone(), type_ids: Vec::new(), new_tokens: ids.len() };
        let windows: Vec<Window> = windows.iter().map(window).collect();
        encode_windows(self.bundle.encoder.as_ref(), &self.threads, &windows.iter().collect::<Vec<_>>())
    }

    /// What this machine can multiply and add at most with the kernel in use (the fastest for bf16 and where Candle computes),
    /// all threads together, measured in a fraction of a second.
    pub fn measure_peak(&self) -> Peak {
        let name = self.bundle.info.kernel.rsplit(' ').next();
        let peaks = self.threads.map(self.threads.count(), |_| kernels::measure_peak(name));
        peaks.into_iter().fold(Peak::default(), Peak::plus)
    }

    /// What the bundle says of texts, and their vectors, in one pass: for those who choose among texts ([`crate::sample`]) or add
    /// heads to those of a bundle ([`crate::eval::fit()`]).
    ///
    /// # Errors
    /// As [`Self::classify_batch`].
    pub fn predictions_and_vectors<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        space: VectorSpace,
    ) -> Result<Vec<(Prediction, TextVectors)>> {
        self.check_labels()?;
        let heads = &self.bundle.heads;
        let of = |encoding: &Encoding, vectors: &[&[f32]]| {
            (heads.logits(encoding, vectors), heads.vectors(&encoding.windows, vectors, space))
        };
        let seen = self.encode(texts, of)?.into_iter();
        Ok(seen.map(|(encoding, (logits, vectors))| (self.predict(&encoding, &logits), vectors)).collect())
    }

    /// Classifies the paragraphs of a document: one prediction for each of [`Document::paragraphs`], in their order.
    ///
    /// # Errors
    /// As [`Self::classify_batch`]; paragraphs are never blank.
    pub fn classify_document(&self, document: &Document) -> Result<Vec<Prediction>> {
        let texts: Vec<&str> = document.paragraphs().map(|paragraph| paragraph.text()).collect();
        self.classify_batch(&texts)
    }

    /// The first step of a classification, for [`crate::serve`], which schedules the steps of many texts: token ids in windows.
    #[cfg(feature = "serve")]
    pub(crate) fn tokenize(&self, text: &str) -> Result<Encoding> {
        self.bundle.encode(text)
    }

    /// The second step: one vector a window, in their order, all on one worker thread.
    #[cfg(feature = "serve")]
    pub(crate) fn encode_on(&self, worker: usize, windows: Vec<&Window>) -> Result<Vec<Vec<f32>>> {
        let batch = Batch { positions: (0..windows.len()).collect(), windows };
        let vectors = self.threads.run_on(worker, || self.bundle.encoder.forward(&batch))?;
        let hidden_size = vectors.len() / batch.windows.len().max(1);
        Ok(vectors.chunks_exact(hidden_size.max(1)).map(<[f32]>::to_vec).collect())
    }

    /// The last step: what the heads and the calibration make of a text's windows and their vectors.
    #[cfg(feature = "serve")]
    pub(crate) fn conclude(&self, encoding: &Encoding, vectors: &[&[f32]]) -> Prediction {
        self.predict(encoding, &self.bundle.heads.logits(encoding, vectors))
    }

    fn predict(&self, encoding: &Encoding, logits: &Logits) -> Prediction {
        let info = &self.bundle.info;
        let calibrated = info.calibration.apply(logits, &info.scheme, info.scale_head);
        calibrated.into_prediction(&info.scheme, encoding.text_windows(), encoding.tokens)
    }

    /// Whether there is anything to say of a text.
    ///
    /// # Errors
    /// [`Error::Missing`] if not: of plain encoders, and of checkpoints whose outputs need a map or a second text.
    pub fn check_labels(&self) -> Result<()> {
        let info = &self.bundle.info;
        match info.checkpoint.as_ref().and_then(|checkpoint| checkpoint.missing.clone()) {
            Some(missing) => Err(Error::Missing { id: info.id.clone(), missing }),
            None => Ok(()),
        }
    }

    /// Each text's encoding and logits.
    fn run<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<(Encoding, Logits)>> {
        self.encode(texts, |encoding, vectors| self.bundle.heads.logits(encoding, vectors))
    }

    /// Each text's encoding, and what `of` makes of it and of its windows' vectors.
    fn encode<S: AsRef<str> + Sync, T>(
        &self,
        texts: &[S],
        of: impl Fn(&Encoding, &[&[f32]]) -> T,
    ) -> Result<Vec<(Encoding, T)>> {
        if let Some(index) = texts.iter().position(|text| text.as_ref().trim().is_empty()) {
            return Err(Error::BlankText { index });
        }
        let encode = |index: usize| self.bundle.encode(texts[index].as_ref());
        let encodings: Vec<Encoding> = self.threads.map(texts.len(), encode).into_iter().collect::<Result<_>>()?;
        let windows: Vec<&Window> = encodings.iter().flat_map(|encoding| &encoding.windows).collect();
        let vectors = encode_windows(self.bundle.encoder.as_ref(), &self.threads, &windows)?;
        let mut vectors = vectors.iter().map(Vec::as_slice);
        let made = |encoding: Encoding| {
            let vectors: Vec<&[f32]> = vectors.by_ref().take(encoding.windows.len()).collect();
            let made = of(&encoding, &vectors);
            (encoding, made)
        };
        Ok(encodings.into_iter().map(made).collect())
    }
}

/// One vector a window, in the order of the windows.
pub(crate) fn encode_windows(encoder: &dyn Encoder, threads: &Threads, windows: &[&Window]) -> Result<Vec<Vec<f32>>> {
    let batches = batches(windows, MAX_BATCH_TOKENS);
    let forward = |index: usize| encoder.forward(&batches[index]);
    let encoded: Vec<Vec<f32>> = threads.map(batches.len(), forward).into_iter().collect::<Result<_>>()?;
    let mut vectors = vec![Vec::new(); windows.len()];
    for (batch, encoded) in batches.iter().zip(encoded) {
        let hidden_size = encoded.len() / batch.windows.len();
        for (&position, vector) in batch.positions.iter().zip(encoded.chunks_exact(hidden_size)) {
            vectors[position] = vector.to_vec();
        }
    }
    Ok(vectors)
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Classifier")
            .field("bundle", &self.bundle.info.id)
            .field("threads", &self.threads())
            .finish()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Classifier>();
};

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;

    /// Two f32 implementations of one graph that add in different orders; facts known of the family say 1e-5.
    const TOLERANCE: f32 = 1e-4;

    /// What PyTorch says of one text (`scripts/make_fixture.py`).
    #[derive(Deserialize)]
    struct Reference {
        text: String,
        ids: Vec<Vec<u32>>,
        #[serde(default)]
        vector: Vec<f32>,
        topic_logits: Vec<f32>,
        escalation_logits: Vec<f32>,
        boilerplate_logit: f32,
        topic_probabilities: Vec<f32>,
        escalation_probabilities: Vec<f32>,
        boilerplate_probability: f32,
    }

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    fn reference_path() -> ClassifierBuilder {
        Classifier::builder().precision(Precision::F32)
    }

    fn compare(case: &str, found: &[f32], expected: &[f32], worst: &mut (f32, String)) {
        assert_eq!(found.len(), expected.len(), "{case}");
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let difference = (found - expected).abs();
            if difference.is_nan() || difference > worst.0 {
                *worst = (difference, format!("{case}[{index}]: {found} here, {expected} in PyTorch"));
            }
        }
    }

    fn agrees_with_pytorch(classifier: &Classifier, reference: &str) {
        let json = std::fs::read(root().join(reference)).unwrap();
        let references: Vec<Reference> = serde_json::from_slice(&json).unwrap();
        assert!(references.len() >= 12 && references.iter().any(|reference| reference.ids.len() > 1));
        let mut worst = (0.0, String::new());
        for reference in references {
            let text = &reference.text;
            let encoding = classifier.bundle.tokenizer.encode(text).unwrap();
            let ids: Vec<_> = encoding.windows.iter().map(|window| window.ids.clone()).collect();
            assert_eq!(ids, reference.ids, "{text}");
            let windows: Vec<&Window> = encoding.windows.iter().collect();
            let vectors = encode_windows(classifier.bundle.encoder.as_ref(), &classifier.threads, &windows).unwrap();
            let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            if let ([vector], false) = (slices.as_slice(), reference.vector.is_empty()) {
                compare(&format!("{text}: vector"), vector, &reference.vector, &mut worst);
            }
            let logits = classifier.bundle.heads.logits(&encoding, &slices);
            compare(&format!("{text}: topic logit"), &logits.topics, &reference.topic_logits, &mut worst);
            compare(&format!("{text}: escalation logit"), &logits.scale, &reference.escalation_logits, &mut worst);
            compare(
                &format!("{text}: boilerplate logit"),
                logits.boilerplate.as_slice(),
                &[reference.boilerplate_logit],
                &mut worst,
            );
            let prediction = classifier.classify(text).unwrap();
            let topics: Vec<f32> = prediction.topics().map(|topic| topic.probability).collect();
            compare(&format!("{text}: topic"), &topics, &reference.topic_probabilities, &mut worst);
            let levels = prediction.escalation_probabilities();
            compare(&format!("{text}: level"), levels, &reference.escalation_probabilities, &mut worst);
            let boilerplate = prediction.boilerplate();
            compare(
                &format!("{text}: boilerplate"),
                boilerplate.as_slice(),
                &[reference.boilerplate_probability],
                &mut worst,
            );
        }
        assert!(worst.0 <= TOLERANCE, "largest difference {} at {}", worst.0, worst.1);
        println!("{reference}: largest difference {} at {}", worst.0, worst.1);
    }

    /// Our own kernels, the fastest of the machine, and Candle.
    fn reference_paths() -> [ClassifierBuilder; 2] {
        [reference_path(), reference_path().kernel("candle")]
    }

    #[test]
    fn tiny_bundle_agrees_with_pytorch() {
        for path in reference_paths() {
            let classifier = path.open(root().join("tests/fixtures/tiny")).unwrap();
            agrees_with_pytorch(&classifier, "tests/fixtures/tiny/reference.json");
        }
    }

    #[test]
    fn int8_cumulative_dense_bundle_agrees_with_pytorch() {
        for path in reference_paths() {
            let classifier = path.open(root().join("tests/fixtures/tiny/int8")).unwrap();
            agrees_with_pytorch(&classifier, "tests/fixtures/tiny/int8/reference.json");
        }
    }

    #[test]
    #[cfg(feature = "embedded")]
    fn embedded_bundle_agrees_with_pytorch() {
        for path in reference_paths() {
            agrees_with_pytorch(&path.embedded().unwrap(), "tests/fixtures/detente-mini-reference.json");
        }
    }

    #[test]
    fn candle_computes_where_it_is_asked_for() {
        let own = if Classifier::kernels() == ["scalar"] { "candle f32" } else { "f32 " };
        for (path, expected) in reference_paths().into_iter().zip([own, "candle f32"]) {
            let classifier = path.open(root().join("tests/fixtures/tiny")).unwrap();
            assert!(classifier.info().kernel.starts_with(expected), "{}", classifier.info().kernel);
        }
        let path = Classifier::builder().kernel("candle").precision(Precision::Int8);
        let error = path.open(root().join("tests/fixtures/tiny")).unwrap_err().to_string();
        assert!(error.contains("the kernel \"candle\" computes in f32 alone; leave --precision out"), "{error}");
    }

    #[test]
    fn a_window_without_tokens_has_a_vector_and_changes_no_other() {
        for precision in [Precision::F32, Precision::Int8] {
            let builder = Classifier::builder().precision(precision).kernel("scalar");
            let classifier = builder.open(root().join("tests/fixtures/tiny")).unwrap();
            let encoding = classifier.bundle.tokenizer.encode("Die Waffenruhe hält.").unwrap();
            let nothing = Window { ids: Vec::new(), type_ids: Vec::new(), new_tokens: 0 };
            let vectors = |windows: Vec<&Window>| {
                let positions = (0..windows.len()).collect();
                classifier.bundle.encoder.forward(&Batch { windows, positions }).unwrap()
            };
            let alone = vectors(vec![&encoding.windows[0]]);
            let three = vectors(vec![&nothing, &encoding.windows[0], &nothing]);
            let h = alone.len();
            assert_eq!(three[h..2 * h], alone, "{precision:?}");
            assert!(three[..h].iter().chain(&three[2 * h..]).all(|&number| number == 0.0), "{precision:?}");
        }
    }

    /// What 8-bit activations may move a probability by. Random weights carry no margin between labels, so this bounds the
    /// noise of the arithmetic, not what it does to labels (`docs/performance.md`).
    const INT8_TOLERANCE: f32 = 0.08;

    fn int8_is_near_f32(open: impl Fn(ClassifierBuilder) -> Classifier, reference: &str) {
        let json = std::fs::read(root().join(reference)).unwrap();
        let references: Vec<Reference> = serde_json::from_slice(&json).unwrap();
        let texts: Vec<&str> = references.iter().map(|reference| reference.text.as_str()).collect();
        let [int8, f32] = [Precision::Int8, Precision::F32].map(|precision| {
            let classifier = open(Classifier::builder().precision(precision));
            assert_eq!(classifier.info().kernel.starts_with("int8"), precision == Precision::Int8);
            classifier.classify_batch(&texts).unwrap()
        });
        let mut worst = (0.0, String::new());
        for ((int8, f32), text) in int8.iter().zip(&f32).zip(texts) {
            let topics =
                |prediction: &Prediction| prediction.topics().map(|topic| topic.probability).collect::<Vec<f32>>();
            compare(&format!("{text}: topic"), &topics(int8), &topics(f32), &mut worst);
            compare(text, int8.escalation_probabilities(), f32.escalation_probabilities(), &mut worst);
            compare(text, int8.boilerplate().as_slice(), f32.boilerplate().as_slice(), &mut worst);
        }
        println!("{reference}: largest difference {} at {}", worst.0, worst.1);
        assert!(worst.0 > 0.0 && worst.0 <= INT8_TOLERANCE, "largest difference {} at {}", worst.0, worst.1);
    }

    #[test]
    fn int8_is_near_f32_on_random_weights() {
        int8_is_near_f32(
            |builder| builder.open(root().join("tests/fixtures/tiny")).unwrap(),
            "tests/fixtures/tiny/reference.json",
        );
    }

    #[test]
    #[cfg(feature = "embedded")]
    fn int8_is_near_f32_on_the_embedded_bundle() {
        int8_is_near_f32(|builder| builder.embedded().unwrap(), "tests/fixtures/detente-mini-reference.json");
    }
}
