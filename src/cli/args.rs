//! The command line: verbs, flags, and what `--help` says. Nothing is done here.

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use detente::eval::BootstrapOptions;
use detente::output::{By, Format};
use detente::text::InputFormat;
use detente::{Device, Precision};

use crate::cli::agreement::{self, Agreement};
use crate::cli::eval::{self, Eval};
use crate::cli::fit::{self, Fit};
use crate::cli::model::Model;
#[cfg(feature = "hub")]
use crate::cli::models::{self, Models};
use crate::cli::sample::{self, Sample};
#[cfg(feature = "serve")]
use crate::cli::serve::{self, Serve};
use crate::cli::tune::{self, Tune};

/// Labels every paragraph of a news text, in any language, with its topics and how escalatory its stance is.
///
/// The program carries its model inside: it needs no network and no other file. Topics and the scale are those of the
/// bundle in use; `detente inspect` lists them.
#[derive(Debug, Parser)]
#[command(name = "detente", version, arg_required_else_help = true, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  detente classify article.txt                   a table of paragraphs on the terminal
  detente classify article.html > labels.jsonl   one JSON record per paragraph
  curl -s URL | detente classify                 what comes through the pipe
  detente inspect                                topics, scale, languages, CPU kernel

`detente help classify` explains every flag of a verb.";

/// The verbs, one per use.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Label the paragraphs of files, folders, globs or standard input.
    #[command(after_help = CLASSIFY_EXAMPLES, after_long_help = CLASSIFY_LONG_HELP)]
    Classify(Classify),
    /// Show what is inside a bundle: labels, languages, shape, kernel.
    Inspect(Inspect),
    /// Measure paragraphs per second, tokens per second and peak memory.
    Bench(Bench),
    /// Score bundles, prediction files and baselines against labelled paragraphs, with intervals.
    #[command(after_help = eval::EXAMPLES)]
    Eval(Eval),
    /// Show how far two coders agree with one another, and systems with them.
    #[command(after_help = agreement::EXAMPLES)]
    Agreement(Agreement),
    /// Fit calibration and thresholds on labelled paragraphs and write a new bundle.
    #[command(after_help = tune::EXAMPLES)]
    Tune(Tune),
    /// Fit heads to labels of your own on labelled paragraphs and write a new bundle.
    #[command(after_help = fit::EXAMPLES)]
    Fit(Fit),
    /// Pick the paragraphs of a corpus that are most worth labelling.
    #[command(after_help = sample::EXAMPLES)]
    Sample(Sample),
    /// Answer requests over HTTP, with a page to try it.
    #[cfg(feature = "serve")]
    #[command(after_help = serve::EXAMPLES)]
    Serve(Serve),
    /// Fetch, list, verify and remove models of the Hugging Face Hub.
    #[cfg(feature = "hub")]
    #[command(after_help = models::EXAMPLES)]
    Models(Models),
    /// Print the completions for a shell.
    #[command(after_help = "Example:\n  detente completions bash > ~/.local/share/bash-completion/completions/detente")]
    Completions(Completions),
    /// Print the manual page, or write one page per verb into a folder.
    #[command(after_help = "Examples:\n  detente man | man -l -\n  detente man --output ~/.local/share/man/man1")]
    Man(Man),
}

const CLASSIFY_EXAMPLES: &str = "\
Examples:
  detente classify article.txt
  detente classify news/ --by document --output news.csv
  detente classify posts.jsonl.gz --text-field body --output labels.jsonl --resume
  zcat posts.csv.gz | detente classify --input-format csv --text-field body

`detente classify --help` says what is read, what a long run leaves behind, and the exit codes.";

const CLASSIFY_LONG_HELP: &str = "\
What is read:
  Plain text, Markdown, HTML, JSON Lines, CSV and TSV, each also as .gz or .zst; the kind is told by the file's name, or
  by --input-format. A file of the first three is one document; of the others, every record is one. In a folder, files
  with these extensions are read, in the byte order of their names; hidden ones and links to folders are passed over.
  A file that is named is read whatever its extension. Globs (news/**/*.txt) are expanded where the shell did not.

Bad input:
  An unreadable file or record is reported with its path and line, the rest goes on, and the exit code is 2 at the end.

Long runs:
  With --output FILE (JSON Lines or CSV, input from files) the run can be stopped at any moment, even by kill -9 or a
  full disk: the same command with --resume goes on where it stopped, and the file becomes the one that an undisturbed
  run writes. Until the run is complete, FILE.resume beside the file holds the place. --resume is refused when the
  inputs, the options or the bundle are not those of the first run.
  To share the work, give every machine the same inputs and its own --shard: 1/4, 2/4, 3/4, 4/4.

Exit codes:
  0 done; 2 something failed (the message says what; other input was still labelled); 130 stopped by Ctrl-C or SIGTERM.

Examples:
  detente classify article.txt
  detente classify news/ --by document --output news.csv
  detente classify 'archive/**/*.html' --format html --output page.html
  detente classify posts.jsonl.gz --text-field body --id-field url --output labels.jsonl --resume
  zcat posts.csv.gz | detente classify --input-format csv --text-field body";

/// Flags of `classify`.
#[derive(Debug, Args)]
pub(crate) struct Classify {
    /// Files, folders, globs, or `-` for standard input (also without any path, when something is piped in).
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,

    /// How and what to read.
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// What to label with.
    #[command(flatten)]
    pub(crate) engine: Engine,
    /// What to write, and where.
    #[command(flatten)]
    pub(crate) writing: Writing,

    /// Also say which words moved each label, by reading every paragraph again without each of its words. Takes up to 128 times
    /// as long; for the table, JSON Lines and HTML.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Label only the i-th of n equal parts of the documents (1/4 … 4/4); the parts do not overlap.
    #[arg(long, value_name = "I/N", help_heading = "Long runs")]
    pub(crate) shard: Option<Shard>,
    /// Go on with a run that was stopped; without one, start. Needs --output with JSON Lines or CSV.
    #[arg(long, requires = "output", conflicts_with = "force", help_heading = "Long runs")]
    pub(crate) resume: bool,
    /// Neither progress nor notes on stderr; errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Flags about the input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct Reading {
    /// Field or column that holds the text, in JSON Lines, CSV and TSV.
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub(crate) text_field: String,
    /// Field or column that names the document [default: `id` where there is one, else path:line].
    #[arg(long, value_name = "NAME")]
    pub(crate) id_field: Option<String>,
    /// Kind of all inputs, instead of by each file's name.
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) input_format: Option<InputKind>,
    /// Encoding of all inputs (utf-8, windows-1251, koi8-r …), instead of detecting it.
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<String>,
    /// Largest document that is read, in bytes; K, M and G may follow (1024-fold).
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = parse_bytes)]
    pub(crate) max_document_bytes: u64,
}

/// Flags about the classifier.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct Engine {
    /// Folder of a bundle, or of a checkpoint of transformers, to use instead of the bundle inside the program; or hf:owner/name[@revision]
    /// for one of the Hugging Face Hub (only in programs built with the feature `hub`).
    #[arg(long, value_name = "MODEL", env = "DETENTE_MODEL", hide_env_values = true, value_hint = ValueHint::DirPath,
        value_parser = Model::parser())]
    pub(crate) model: Option<Model>,
    /// TOML file that maps the labels of a checkpoint to topics, a scale, boilerplate [default: its labels are topics].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) labels: Option<PathBuf>,
    /// TOML file of topics, levels and boilerplate with hypotheses, by which a checkpoint for natural-language inference labels without
    /// training.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) scheme: Option<PathBuf>,
    /// Worker threads [default: all cores]. Labels do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Arithmetic of the encoder. `f32` is the reference; `bf16` and `int8` are faster and move few labels.
    #[arg(long, value_enum, default_value_t = PrecisionChoice::Auto)]
    pub(crate) precision: PrecisionChoice,
    /// Where the encoder computes. Other than `cpu` needs a program built for it and has not been tested.
    #[arg(long, value_enum, default_value_t = Place::Cpu)]
    pub(crate) device: Place,
    /// Kernel to force, for debugging (`scalar`, `avx2` …): all give the same bits. `candle`: the reference.
    #[arg(long, value_name = "NAME", env = "DETENTE_KERNEL", hide = true)]
    pub(crate) kernel: Option<String>,
}

/// Flags about the output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Writing")]
pub(crate) struct Writing {
    /// Form of the output [default: by the extension of --output; else a table on a terminal, JSON Lines in a pipe].
    #[arg(long, short, value_enum)]
    pub(crate) format: Option<OutputKind>,
    /// What a record is about; `document` gives counts, means and the peak over each document.
    #[arg(long, value_enum, default_value_t = Unit::Paragraph)]
    pub(crate) by: Unit,
    /// File to write [default: standard output].
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output file if it exists.
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// Colours in the table and in messages; `auto` honours NO_COLOR.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Columns of the table [default: those of the terminal, else 80].
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..=1000))]
    pub(crate) width: Option<u16>,
    /// Whole paragraphs in the table, instead of their first line.
    #[arg(long)]
    pub(crate) full_text: bool,
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// What to look into.
    #[command(flatten)]
    pub(crate) engine: Engine,
    /// One JSON object, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// The model card instead: data, evaluation, limits.
    #[arg(long, conflicts_with = "json")]
    pub(crate) card: bool,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Text to measure with, of any kind that `classify` reads [default: a synthetic text, always the same].
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Measured rounds, after one that warms up.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Token ids to measure the encoder alone with: a JSON file, an array of windows that are arrays of ids.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "file")]
    pub(crate) ids: Option<PathBuf>,
    /// Write the vectors of these windows as a JSON array.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "ids", hide = true)]
    pub(crate) vectors: Option<PathBuf>,
    /// What to label with.
    #[command(flatten)]
    pub(crate) engine: Engine,
    /// One JSON object, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Existing folder for detente.1, detente-classify.1 … instead of detente.1 on standard output.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
}

/// Kinds of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputKind {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// An HTML page.
    Html,
    /// JSON Lines: one object a line.
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
    /// Apache Parquet (only in programs built with the feature `parquet`).
    Parquet,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputKind {
    /// A table for people.
    Table,
    /// JSON Lines: one object a record.
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
    /// One self-contained HTML page.
    Html,
    /// Apache Parquet (only in programs built with the feature `parquet`).
    Parquet,
}

impl From<InputKind> for InputFormat {
    fn from(kind: InputKind) -> Self {
        match kind {
            InputKind::Text => InputFormat::Text,
            InputKind::Markdown => InputFormat::Markdown,
            InputKind::Html => InputFormat::Html,
            InputKind::Jsonl => InputFormat::JsonLines,
            InputKind::Csv => InputFormat::Csv,
            InputKind::Tsv => InputFormat::Tsv,
            InputKind::Parquet => InputFormat::Parquet,
        }
    }
}

impl From<OutputKind> for Format {
    fn from(kind: OutputKind) -> Self {
        match kind {
            OutputKind::Table => Format::Table,
            OutputKind::Jsonl => Format::Jsonl,
            OutputKind::Csv => Format::Csv,
            OutputKind::Html => Format::Html,
            OutputKind::Parquet => Format::Parquet,
        }
    }
}

/// What intervals and folds are drawn by.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Draws {
    /// Bootstrap replicates that intervals are made of.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) replicates: u32,
    /// Where random draws begin.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Draws {
    pub(crate) fn options(self) -> BootstrapOptions {
        BootstrapOptions { replicates: self.replicates as usize, seed: self.seed }
    }
}

/// Arithmetic of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionChoice {
    /// int8 where the bundle stores its weights so and the CPU has instructions for it, else f32.
    Auto,
    /// 32-bit floats.
    F32,
    /// Products of 16-bit floats (bf16), sums in 32 bits; needs AVX512-BF16.
    Bf16,
    /// 8-bit integers.
    Int8,
}

impl From<PrecisionChoice> for Option<Precision> {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::Auto => None,
            PrecisionChoice::F32 => Some(Precision::F32),
            PrecisionChoice::Bf16 => Some(Precision::Bf16),
            PrecisionChoice::Int8 => Some(Precision::Int8),
        }
    }
}

/// Where the encoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The processor.
    Cpu,
    /// The first NVIDIA card (feature `cuda`).
    Cuda,
    /// The first Apple GPU (feature `metal`).
    Metal,
}

impl From<Place> for Device {
    fn from(place: Place) -> Self {
        match place {
            Place::Cpu => Device::Cpu,
            Place::Cuda => Device::Cuda,
            Place::Metal => Device::Metal,
        }
    }
}

/// What one record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// One record per paragraph.
    Paragraph,
    /// One record per document.
    Document,
}

impl From<Unit> for By {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Paragraph => By::Paragraph,
            Unit::Document => By::Document,
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether standard output gets colours, given that it is (not) a terminal.
    pub(crate) fn on_stdout(self) -> bool {
        match self {
            Color::Auto => {
                std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
            Color::Always => true,
            Color::Never => false,
        }
    }

    /// The same wish for messages on stderr.
    pub(crate) fn for_messages(self) -> anstream::ColorChoice {
        match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }
}

/// One of `count` equal parts of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Everything.
    pub(crate) const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Whether the document with this ordinal, counted from 0 over all inputs, is in the part.
    pub(crate) fn contains(self, ordinal: u64) -> bool {
        ordinal % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if index >= 1 && index <= count => Ok(Shard { index, count }),
            _ => Err("i/n with 1 <= i <= n was expected, for example 2/4".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A number of bytes above 0, after which K, M or G may follow.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.to_ascii_uppercase() {
        upper if upper.ends_with('K') => (&text[..text.len() - 1], 1 << 10),
        upper if upper.ends_with('M') => (&text[..text.len() - 1], 1 << 20),
        upper if upper.ends_with('G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| "a number of bytes above 0 was expected, for example 64M".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shards_are_read_and_cover_everything_once() {
        for bad in ["", "0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", "1.0/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad:?}");
        }
        let parts: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|text| text.parse().unwrap()).collect();
        for ordinal in 0..20 {
            assert_eq!(parts.iter().filter(|part| part.contains(ordinal)).count(), 1, "{ordinal}");
        }
        assert!((0..20).all(|ordinal| Shard::WHOLE.contains(ordinal)));
    }

    #[test]
    fn bytes_are_read() {
        let cases = [("1", Some(1)), ("64m", Some(64 << 20)), ("2G", Some(2 << 30)), ("3K", Some(3072))];
        let bad = ["", "0", "M", "-1", "1.5M", "1T", "99999999999G", "٣"].map(|text| (text, None));
        for (text, bytes) in cases.into_iter().chain(bad) {
            assert_eq!(parse_bytes(text).ok(), bytes, "{text:?}");
        }
    }
}
