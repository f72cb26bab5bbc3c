//! The run: documents in, records out, in bounded chunks, with a commit after each.
//!
//! Memory holds one group of documents (about [`GROUP_BYTES`], or a single larger document), what waits in the queue and
//! one chunk of predictions. Labels do not depend on how the paragraphs fall into chunks, so that a run that was stopped
//! and resumed writes the same bytes as one that was not.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, anyhow};
use detente::explain::{ExplainOptions, Explanation, explain};
use detente::output::{By, DocumentRecord, ParagraphRecord, RecordWriter, Summary, WriterOptions};
use detente::text::{Language, detect_language};
use detente::{BundleInfo, Classifier, Document, Paragraph, Prediction};

use crate::cli::console::Console;
use crate::cli::interrupt::Interrupt;
use crate::cli::journal::{Journal, Place};
use crate::cli::progress::Progress;
use crate::cli::queue::{Popped, Queue};
use crate::cli::reader::{Item, ReadDocument};
use crate::cli::target::Target;

/// Documents that are taken from the queue together: enough to fill some chunks.
const GROUP_BYTES: usize = 1 << 20;
/// Paragraphs classified together: enough to sort them by length and to keep all threads busy for some seconds at most.
const CHUNK_PARAGRAPHS: usize = 256;
/// The same if every paragraph is read again without each of its words.
const CHUNK_EXPLAINED_PARAGRAPHS: usize = 4;
/// Bytes of text after which a chunk is closed, however few its paragraphs.
const CHUNK_BYTES: usize = 1 << 17;
/// How long a wait for input may keep Ctrl-C waiting.
const PATIENCE: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All input was read.
    Complete,
    /// Somebody asked us to stop; the output is whole up to a commit.
    Interrupted,
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Paragraphs that were labelled.
    pub(crate) paragraphs: u64,
    /// Records of the input, bad ones included; known when the run is complete.
    pub(crate) records: u64,
    /// Records that could not be read, those before a resume included.
    pub(crate) errors: u64,
    /// Paragraphs in languages that the bundle was not validated for.
    pub(crate) not_validated: BTreeMap<Language, u64>,
}

/// Everything a run needs, open and checked.
pub(crate) struct Run<'a> {
    /// What labels.
    pub(crate) classifier: &'a Classifier,
    /// How to write; the field columns come from the first document.
    pub(crate) options: WriterOptions,
    /// Whether to say which words moved the labels, and at what cost.
    pub(crate) explain: Option<ExplainOptions>,
    /// Where to write, and what it is called.
    pub(crate) target: Target,
    /// Name of the target in messages.
    pub(crate) name: PathBuf,
    /// The journal, if the run can be resumed.
    pub(crate) journal: Option<Journal>,
    /// Where an earlier run stopped; the beginning otherwise.
    pub(crate) place: Place,
    /// For messages.
    pub(crate) console: Console,
    /// The bar.
    pub(crate) progress: Progress,
    /// Whether to stop.
    pub(crate) interrupt: Interrupt,
}

impl Run<'_> {
    /// Classifies everything that comes through the queue.
    ///
    /// # Errors
    /// If the output cannot be written, or the classifier fails. What was committed stays.
    pub(crate) fn go(mut self, queue: &Queue<Item>) -> anyhow::Result<(Ending, Tally)> {
        let mut work = Work {
            info: self.classifier.info(),
            by: self.options.by,
            writer: None,
            summary: None,
            first: self.place,
            tally: Tally { errors: self.place.errors, ..Tally::default() },
        };
        let ending = loop {
            if self.interrupt.is_set() {
                break Ending::Interrupted;
            }
            let group = gather(queue);
            // The fields come before the first document; without any document they are none.
            if work.writer.is_none() && (group.fields.is_some() || group.end.is_some()) {
                work.writer = Some(self.writer(group.fields.unwrap_or_default())?);
            }
            if !self.group(&group.entries, &mut work)? {
                break Ending::Interrupted;
            }
            match (group.end, group.closed) {
                (Some(records), _) => {
                    work.tally.records = records;
                    break Ending::Complete;
                }
                (None, true) => return Err(anyhow!("the reading thread broke off; please report it")),
                (None, false) => {}
            }
        };
        queue.close();
        if ending == Ending::Complete || self.journal.is_none() {
            if let Some(writer) = &mut work.writer {
                writer.finish().with_context(|| self.cannot_write())?;
            }
            self.flush()?;
        }
        if let (Ending::Complete, Some(journal)) = (ending, self.journal.take()) {
            journal.remove()?;
        }
        Ok((ending, work.tally))
    }

    fn writer(&self, fields: Vec<String>) -> anyhow::Result<Box<dyn RecordWriter + Send>> {
        let header = self.place.bytes == 0;
        let options = WriterOptions { fields, header, ..self.options.clone() };
        detente::output::writer(self.target.clone(), options).with_context(|| self.cannot_write())
    }

    /// `false` if it was interrupted.
    fn group(&mut self, entries: &[Entry], work: &mut Work<'_>) -> anyhow::Result<bool> {
        let most = if self.explain.is_some() { CHUNK_EXPLAINED_PARAGRAPHS } else { CHUNK_PARAGRAPHS };
        let mut chunk = Chunk::default();
        for entry in entries {
            let read = match entry {
                Entry::Failed(ordinal, error) => {
                    chunk.steps.push(Step::Failed(*ordinal, error));
                    continue;
                }
                Entry::Document(read) => read,
            };
            self.progress.begin(read.input_bytes.0);
            let done = if read.ordinal == work.first.document { work.first.paragraph } else { 0 };
            for paragraph in read.document.paragraphs().skip(done) {
                chunk.bytes += paragraph.text().len();
                chunk.paragraphs += 1;
                chunk.steps.push(Step::Paragraph(read, paragraph));
                if chunk.is_full(most) && !self.chunk(std::mem::take(&mut chunk), work)? {
                    return Ok(false);
                }
            }
            chunk.steps.push(Step::End(read));
        }
        self.chunk(chunk, work)
    }

    /// Classifies and writes one chunk, then commits. `false` if it was interrupted.
    fn chunk(&mut self, chunk: Chunk<'_>, work: &mut Work<'_>) -> anyhow::Result<bool> {
        if chunk.steps.is_empty() {
            return Ok(!self.interrupt.is_set());
        }
        let texts: Vec<&str> = chunk.steps.iter().filter_map(Step::text).collect();
        let mut labels = self.labels(&texts)?.into_iter();
        let mut position = None;
        for step in &chunk.steps {
            match step {
                Step::Paragraph(read, paragraph) => {
                    let labels = labels.next().context("there are fewer labels than paragraphs")?;
                    let written = work.paragraph(&read.document, paragraph, &labels);
                    written.with_context(|| self.cannot_write())?;
                    self.place = Place { document: read.ordinal, paragraph: paragraph.index() + 1, ..self.place };
                    position = Some(input_position(read, paragraph));
                }
                Step::End(read) => {
                    work.document(&read.document).with_context(|| self.cannot_write())?;
                    self.place = Place { document: read.ordinal + 1, paragraph: 0, ..self.place };
                    position = Some(read.input_bytes.1);
                }
                Step::Failed(ordinal, error) => {
                    self.console.failure(error);
                    work.tally.errors += 1;
                    self.place = Place { document: ordinal + 1, paragraph: 0, ..self.place };
                }
            }
        }
        self.flush()?;
        self.commit(work)?;
        if let Some(position) = position {
            self.progress.advance(chunk.paragraphs, position);
        }
        Ok(!self.interrupt.is_set())
    }

    /// Predictions and languages. A language takes some hundredth of the time of a prediction on one core, which would be
    /// too much after the predictions of many cores; so both are found at the same time.
    fn labels(&self, texts: &[&str]) -> anyhow::Result<Vec<Labels>> {
        std::thread::scope(|scope| {
            let detect = || texts.iter().map(|text| detect_language(text)).collect();
            let languages = Builder::new().name("languages".into()).spawn_scoped(scope, detect);
            let languages = languages.context("cannot start a thread")?;
            let predictions = self.predictions(texts)?.into_iter();
            let languages: Vec<Language> = languages.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let labels = |((prediction, explanation), language)| Labels { prediction, explanation, language };
            Ok(predictions.zip(languages).map(labels).collect())
        })
    }

    fn predictions(&self, texts: &[&str]) -> detente::Result<Vec<(Prediction, Option<Explanation>)>> {
        let Some(options) = &self.explain else {
            let predictions = self.classifier.classify_batch(texts)?.into_iter();
            return Ok(predictions.map(|prediction| (prediction, None)).collect());
        };
        let explained = |text: &&str| {
            let explanation = explain(self.classifier, text, options)?;
            Ok((explanation.prediction().clone(), Some(explanation)))
        };
        texts.iter().map(explained).collect()
    }

    fn commit(&mut self, work: &Work<'_>) -> anyhow::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let mut place = Place { bytes: self.target.bytes(), errors: work.tally.errors, ..self.place };
        if work.by == By::Document {
            // Nothing of the document is written before its end, and its summary is not kept: it is done again.
            place.paragraph = 0;
        }
        journal.commit(place)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.target.flush().with_context(|| self.cannot_write())
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.name.display())
    }
}

/// What is said of a paragraph.
struct Labels {
    prediction: Prediction,
    explanation: Option<Explanation>,
    language: Language,
}

/// What changes from paragraph to paragraph.
struct Work<'a> {
    info: &'a BundleInfo,
    by: By,
    writer: Option<Box<dyn RecordWriter + Send>>,
    summary: Option<Summary>,
    first: Place,
    tally: Tally,
}

impl Work<'_> {
    fn paragraph(&mut self, document: &Document, paragraph: &Paragraph<'_>, labels: &Labels) -> io::Result<()> {
        let &Labels { ref prediction, ref explanation, language } = labels;
        let language_validated = self.info.is_validated_for(language);
        if !language_validated && language != Language::UNDETERMINED {
            *self.tally.not_validated.entry(language).or_default() += 1;
        }
        self.tally.paragraphs += 1;
        let summary = self.summary.get_or_insert_with(|| Summary::new(self.info.scheme.clone()));
        summary.add(paragraph, prediction, language);
        let bundle = &self.info.id;
        let explanation = explanation.as_ref();
        let record =
            ParagraphRecord { document, paragraph, prediction, language, language_validated, bundle, explanation };
        self.writer.as_mut().map_or(Ok(()), |writer| writer.paragraph(&record))
    }

    fn document(&mut self, document: &Document) -> io::Result<()> {
        let summary = self.summary.take().unwrap_or_else(|| Summary::new(self.info.scheme.clone()));
        let record = DocumentRecord { document, summary: &summary, bundle: &self.info.id };
        self.writer.as_mut().map_or(Ok(()), |writer| writer.document(&record))
    }
}

/// What was taken from the queue at once.
#[derive(Default)]
struct Group {
    fields: Option<Vec<String>>,
    entries: Vec<Entry>,
    end: Option<u64>,
    closed: bool,
}

enum Entry {
    Document(ReadDocument),
    Failed(u64, anyhow::Error),
}

/// Takes what is there, at most [`GROUP_BYTES`]; waits only for the first item.
fn gather(queue: &Queue<Item>) -> Group {
    let mut group = Group::default();
    let mut bytes = 0;
    while bytes < GROUP_BYTES {
        let patience = if group.entries.is_empty() { PATIENCE } else { Duration::ZERO };
        match queue.pop(patience) {
            Popped::Item(Item::Fields(fields)) => group.fields = Some(fields),
            Popped::Item(Item::Document(read)) => {
                bytes += read.size;
                group.entries.push(Entry::Document(read));
            }
            Popped::Item(Item::Failed { ordinal, error }) => {
                bytes += std::mem::size_of::<Entry>();
                group.entries.push(Entry::Failed(ordinal, error));
            }
            Popped::Item(Item::End { records }) => {
                group.end = Some(records);
                break;
            }
            Popped::Nothing => break,
            Popped::Closed => {
                group.closed = true;
                break;
            }
        }
    }
    group
}

/// Paragraphs to classify together, and what happens between them, in order.
#[derive(Default)]
struct Chunk<'d> {
    steps: Vec<Step<'d>>,
    paragraphs: usize,
    bytes: usize,
}

enum Step<'d> {
    Paragraph(&'d ReadDocument, Paragraph<'d>),
    End(&'d ReadDocument),
    Failed(u64, &'d anyhow::Error),
}

impl Chunk<'_> {
    fn is_full(&self, most: usize) -> bool {
        self.paragraphs >= most || self.bytes >= CHUNK_BYTES
    }
}

impl<'d> Step<'d> {
    fn text(&self) -> Option<&'d str> {
        match self {
            Step::Paragraph(_, paragraph) => Some(paragraph.text()),
            Step::End(_) | Step::Failed(..) => None,
        }
    }
}

/// How far into the input a paragraph is, taking the bytes of a document as spread evenly over its text.
fn input_position(read: &ReadDocument, paragraph: &Paragraph<'_>) -> u64 {
    let (from, to) = read.input_bytes;
    let share = paragraph.byte_range().end as f64 / read.document.text().len().max(1) as f64;
    from + ((to - from) as f64 * share) as u64
}
