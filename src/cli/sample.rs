//! `detente sample`: the paragraphs of a corpus that are most worth labelling, as a file for those who label.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum, ValueHint};
use detente::sample::{
    Candidate, Sampler, argilla_settings, label_studio_config, write_argilla, write_csv, write_label_studio,
};
use detente::text::{self, ReadOptions, detect_language};
use detente::{Classifier, VectorSpace};

use crate::cli::args::{Engine, Reading};
use crate::cli::classify::{open_classifier, read_options};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::cli::inputs::{Input, Inputs, Written};

/// Paragraphs that are looked at together.
const BLOCK: usize = 512;

/// After the help of `sample`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  detente sample --corpus news/ --count 200 --output to-label.csv
  detente sample --corpus posts.jsonl.gz --text-field body --count 200 --output tasks.json
  detente sample --corpus news/ --count 200 --format argilla --output records.json > settings.json
  detente fit --train to-label.csv --output my-bundle

Worth labelling is what the bundle is uncertain of and what is unlike everything else picked.
In a table, fill in topics (joined by ;, empty for none), the level and boilerplate; null is
not known. Label Studio wants the labelling interface that is printed; what it exports as JSON
(.json) is gold for `fit`, `eval` and `tune`. For Argilla the settings of the dataset are printed;
its export is gold as well.";

/// Flags of `sample`.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// Files, folders or globs to pick from, of any kind that `classify` reads.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) corpus: Vec<PathBuf>,
    /// Paragraphs to pick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) count: u32,
    /// File to write; must not exist.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Form of the file [default: by its extension: label-studio for .json, else csv].
    #[arg(long, value_enum)]
    pub(crate) format: Option<SampleFormat>,
    /// Pick from what the bundle calls boilerplate, too.
    #[arg(long)]
    pub(crate) with_boilerplate: bool,
    /// How and what to read.
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The bundle that says what it is uncertain of.
    #[command(flatten)]
    pub(crate) engine: Engine,
}

/// Forms of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SampleFormat {
    /// A table with a column for each label.
    Csv,
    /// Tasks for Label Studio, as JSON.
    LabelStudio,
    /// Records for Argilla 2, as JSON.
    Argilla,
}

/// Runs the verb.
///
/// # Errors
/// If nothing can be read, or the file cannot be written. Input that cannot be read is reported and makes
/// [`Exit::Failed`].
pub(crate) fn sample(args: &Sample, console: &Console) -> anyhow::Result<Exit> {
    let options = read_options(&args.reading)?;
    if args.output.symlink_metadata().is_ok() {
        bail!("{} exists; sample writes a new file, name another one", args.output.display());
    }
    let inputs = Inputs::find(&args.corpus, Some(&Written::file(&args.output)))?;
    for problem in &inputs.problems {
        console.error(problem);
    }
    if inputs.has_stdin() {
        bail!("--corpus reads files; write what is piped in to one first");
    }
    let classifier = open_classifier(&args.engine)?;
    classifier.check_labels()?;
    if !args.output.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir()) {
        bail!("cannot write {}: its folder does not exist; make it first", args.output.display());
    }
    let mut pass =
        Pass { args, classifier: &classifier, sampler: Sampler::new(args.count as usize), block: Vec::new() };
    let mut failures = inputs.problems.len();
    for input in &inputs.list {
        if let Input::File(path) = input {
            failures += pass.read(path, &options, console)?;
        }
    }
    pass.flush()?;
    let seen = pass.sampler.seen();
    let picked = pass.sampler.pick();
    if picked.is_empty() {
        bail!("there is no paragraph to pick from; try --with-boilerplate, or name other files");
    }
    write(args, &classifier, &picked)?;
    let of = if args.with_boilerplate { "paragraphs" } else { "paragraphs that are no boilerplate" };
    console.note(format!("{} of {seen} {of} are written to {}", picked.len(), args.output.display()));
    if (picked.len() as u64) < seen.min(u64::from(args.count)) {
        console.note("the others say nearly the same as one that was picked");
    }
    Ok(if failures == 0 { Exit::Done } else { Exit::Failed })
}

/// One pass over the corpus.
struct Pass<'a> {
    args: &'a Sample,
    classifier: &'a Classifier,
    sampler: Sampler,
    /// Document, number of the paragraph, text.
    block: Vec<(String, usize, String)>,
}

impl Pass<'_> {
    /// Reads a file; the number of records that could not be read.
    fn read(&mut self, path: &Path, options: &ReadOptions, console: &Console) -> anyhow::Result<usize> {
        let documents = match text::open(path, options) {
            Ok(documents) => documents,
            Err(error) => {
                console.failure(&error.into());
                return Ok(1);
            }
        };
        let mut failures = 0;
        for document in documents {
            match document {
                Ok(document) => {
                    for paragraph in document.paragraphs() {
                        self.block.push((document.id().to_owned(), paragraph.index(), paragraph.text().to_owned()));
                        if self.block.len() == BLOCK {
                            self.flush()?;
                        }
                    }
                }
                Err(error) => {
                    console.failure(&error.into());
                    failures += 1;
                }
            }
        }
        Ok(failures)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let block = std::mem::take(&mut self.block);
        let texts: Vec<&str> = block.iter().map(|(_, _, text)| text.as_str()).collect();
        let seen = self.classifier.predictions_and_vectors(&texts, VectorSpace::Encoder)?;
        for ((document, paragraph, text), (prediction, vectors)) in block.into_iter().zip(seen) {
            if self.args.with_boilerplate || !prediction.is_boilerplate() {
                let language = detect_language(&text).code().to_owned();
                self.sampler.add(Candidate { document, paragraph, repeat: 0, text, language, prediction, vectors });
            }
        }
        Ok(())
    }
}

fn write(args: &Sample, classifier: &Classifier, picked: &[Candidate]) -> anyhow::Result<()> {
    let info = classifier.info();
    let is_json = args.output.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let format = args.format.unwrap_or(if is_json { SampleFormat::LabelStudio } else { SampleFormat::Csv });
    let what = || format!("cannot write {}", args.output.display());
    let file = OpenOptions::new().write(true).create_new(true).open(&args.output).with_context(what)?;
    let file = BufWriter::new(file);
    match format {
        SampleFormat::Csv => write_csv(picked, &info.scheme, file).with_context(what)?,
        SampleFormat::LabelStudio => {
            write_label_studio(picked, &info.scheme, &info.id, file).with_context(what)?;
            print(&label_studio_config(&info.scheme))?;
        }
        SampleFormat::Argilla => {
            write_argilla(picked, &info.scheme, &info.id, file).with_context(what)?;
            print(&argilla_settings(&info.scheme))?;
        }
    }
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write <stdout>")
}
