//! `detente classify`: everything is checked and opened before the long work, then [`Run`] does it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::CommandFactory;
use detente::explain::ExplainOptions;
use detente::output::{Format, SCHEMA, TableOptions, WriterOptions};
use detente::text::{Encoding, InputFormat, Language, ReadOptions};
use detente::{Classifier, ClassifierBuilder, LabelMap, ZeroShotScheme};

use crate::cli::args::{Classify, Cli, Color, Engine, Reading, Shard, Unit};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::cli::inputs::{Input, Inputs, Written};
use crate::cli::interrupt::Interrupt;
use crate::cli::journal::Fingerprint;
use crate::cli::progress::Progress;
use crate::cli::queue::Queue;
use crate::cli::reader::{Item, Reader};
use crate::cli::run::{Ending, Run, Tally};
use crate::cli::start::{self, Started, Wish};
use crate::cli::target::{Destination, FileIdentity};

/// Bytes of documents that wait to be classified: enough to hide the time that reading takes.
const QUEUE_BYTES: usize = 4 << 20;

/// Runs the verb.
///
/// # Errors
/// If nothing can be done, or the output cannot be written. Input that cannot be read is reported and makes
/// [`Exit::Failed`].
pub(crate) fn classify(args: &Classify, console: &Console) -> anyhow::Result<Exit> {
    let paths = paths(&args.paths)?;
    let Some(paths) = paths else {
        return help();
    };
    let read_options = read_options(&args.reading)?;
    let format = format(args)?;
    let destination = Destination::look(args.writing.output.as_deref())?;
    check_resume(args, format)?;
    check_explain(args, format)?;

    let written = match &destination {
        Destination::Stdout => FileIdentity::of_stdout().map(Written::stream),
        Destination::Device(path) | Destination::File(path, _) => Some(Written::file(path)),
    };
    let inputs = Inputs::find(&paths, written.as_ref())?;
    for problem in &inputs.problems {
        console.error(problem);
    }
    for path in &inputs.skipped {
        console.note(format_args!("{} is written by this run; it is not read", path.display()));
    }
    if inputs.list.is_empty() {
        bail!("there is nothing to read");
    }
    let once = inputs.list.iter().find(|input| input.size().is_none());
    if let (true, Some(input)) = (args.resume, once) {
        bail!("--resume reads the input again, but {input} can be read only once; give files");
    }
    let wish = wish(args);
    start::check(&destination, wish)?;

    // Before interrupts are listened to: one must end a fetch at once.
    if let Some(model) = &args.engine.model {
        model.fetch(console)?;
    }
    let interrupt = Interrupt::listen()?;
    // Never dropped: the system takes the memory back at once, piece by piece it would take as long as some paragraphs.
    let classifier = ManuallyDrop::new(open_classifier(&args.engine)?);
    classifier.check_labels()?;
    let keeps_journal = matches!(destination, Destination::File(..)) && format.can_resume() && once.is_none();
    let print = keeps_journal.then(|| fingerprint(args, format, &classifier, &inputs.list, &interrupt)).transpose()?;
    let Started { target, journal, place } = start::start(&destination, wish, print.as_ref())?;
    let is_resumable = journal.is_some();

    // A bar between the lines of a table would garble both.
    let is_hidden = args.quiet || destination == Destination::Stdout && io::stdout().is_terminal();
    let progress = Progress::new(inputs.list.iter().map(Input::size).sum(), is_hidden);
    let bar = progress.bar();
    let console = console.clone().with_bar(bar.clone());
    let not_found = inputs.problems.len() as u64;
    let reader = Reader {
        inputs: inputs.list,
        options: read_options,
        shard: args.shard.unwrap_or(Shard::WHOLE),
        first: place.document,
    };
    let queue = read_in_background(reader)?;
    let run = Run {
        classifier: &classifier,
        options: writer_options(args, format, &classifier),
        explain: args.explain.then(ExplainOptions::default),
        target,
        name: destination.name(),
        journal,
        place,
        console: console.clone(),
        progress,
        interrupt,
    };
    let result = run.go(&queue);
    bar.finish_and_clear();
    let go_on = || match is_resumable {
        true => format!("go on with: {}", resume_command()),
        false => "this run cannot be resumed".to_owned(),
    };
    let (ending, tally) = match result {
        Err(error) if is_resumable => {
            console.failure(&error);
            console.error(format_args!("stopped before the end; {}", go_on()));
            return Ok(Exit::Failed);
        }
        result => result?,
    };
    say_languages(&tally, &classifier, &console);
    let bad = tally.errors + not_found;
    Ok(match ending {
        Ending::Interrupted => {
            console.error(format_args!("stopped after {} paragraphs; {}", tally.paragraphs, go_on()));
            Exit::Interrupted
        }
        Ending::Complete if bad > 0 => {
            let all = tally.records + not_found;
            let rest = if bad < all { "; the others are labelled" } else { "" };
            console.error(format_args!("{bad} of {all} records could not be read{rest}"));
            Exit::Failed
        }
        Ending::Complete => Exit::Done,
    })
}

/// Starts the reading thread. It is never joined: it may hang in a read from a terminal or a pipe when the run is over.
fn read_in_background(reader: Reader) -> anyhow::Result<Arc<Queue<Item>>> {
    let queue = Arc::new(Queue::new(QUEUE_BYTES));
    let producer = Arc::clone(&queue);
    let thread = std::thread::Builder::new().name("reader".into());
    thread.spawn(move || reader.run(&producer)).context("cannot start the reading thread")?;
    Ok(queue)
}

fn wish(args: &Classify) -> Wish {
    match (args.resume, args.writing.force) {
        (true, _) => Wish::Resume,
        (false, true) => Wish::Replace,
        (false, false) => Wish::Keep,
    }
}

/// What to read; `None` when nobody says and nothing is piped in.
fn paths(given: &[PathBuf]) -> anyhow::Result<Option<Vec<PathBuf>>> {
    if let Some(empty) = given.iter().position(|path| path.as_os_str().is_empty()) {
        bail!("path {} is empty; check the variable that it came from", empty + 1);
    }
    Ok(match given {
        [] if io::stdin().is_terminal() => None,
        [] => Some(vec![PathBuf::from("-")]),
        given => Some(given.to_vec()),
    })
}

fn help() -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    if let Some(verb) = command.find_subcommand_mut("classify") {
        let help = verb.render_help();
        let _ = io::Write::write_all(&mut io::stderr(), help.to_string().as_bytes());
    }
    bail!("there is nothing to read; name a file, or pipe a text in")
}

/// How to read, as the flags say.
///
/// # Errors
/// If there is no such encoding.
pub(crate) fn read_options(args: &Reading) -> anyhow::Result<ReadOptions> {
    let encoding = |label: &String| {
        Encoding::for_label(label.as_bytes()).with_context(|| {
            format!("there is no encoding {label:?}; names are utf-8, utf-16le, windows-1251, windows-1252, koi8-r …")
        })
    };
    Ok(ReadOptions {
        format: args.input_format.map(InputFormat::from),
        encoding: args.encoding.as_ref().map(encoding).transpose()?,
        text_field: args.text_field.clone(),
        id_field: args.id_field.clone(),
        max_document_bytes: args.max_document_bytes,
    })
}

/// The format asked for, or the one that fits to where the output goes.
fn format(args: &Classify) -> anyhow::Result<Format> {
    let by_path = |path: &Path| match (Format::from_path(path), path.extension()) {
        (Some(format), _) => Ok(format),
        (None, None) => Ok(Format::Jsonl),
        (None, Some(_)) => bail!("the extension of {} names no format; choose one with --format", path.display()),
    };
    let format = match (args.writing.format, &args.writing.output) {
        (Some(kind), _) => Format::from(kind),
        (None, Some(path)) => by_path(path)?,
        (None, None) if io::stdout().is_terminal() => Format::Table,
        (None, None) => Format::Jsonl,
    };
    if format == Format::Parquet && cfg!(not(feature = "parquet")) {
        bail!("this program was built without the feature \"parquet\"; choose --format jsonl or csv");
    }
    if format == Format::Parquet && args.writing.output.is_none() && io::stdout().is_terminal() {
        bail!("Parquet is not for a terminal; name a file with --output");
    }
    Ok(format)
}

fn check_resume(args: &Classify, format: Format) -> anyhow::Result<()> {
    if args.resume && !format.can_resume() {
        bail!("--resume works with --format jsonl and csv; {format} cannot be written on from the middle");
    }
    Ok(())
}

fn check_explain(args: &Classify, format: Format) -> anyhow::Result<()> {
    if args.explain && args.writing.by == Unit::Document {
        bail!("--explain says which words moved the labels of a paragraph; leave out --by document");
    }
    if args.explain && !format.has_explanations() {
        bail!("--explain has no place in {format}; choose --format table, jsonl or html");
    }
    Ok(())
}

fn writer_options(args: &Classify, format: Format, classifier: &Classifier) -> WriterOptions {
    let colour = match args.writing.output {
        Some(_) => args.writing.color == Color::Always,
        None => args.writing.color.on_stdout(),
    };
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let width = args.writing.width.map(usize::from).or(terminal).unwrap_or(TableOptions::default().width);
    let table = TableOptions { width, colour, full_text: args.writing.full_text };
    let scheme = classifier.info().scheme.clone();
    WriterOptions { by: args.writing.by.into(), table, ..WriterOptions::new(format, scheme) }
}

/// Opens the bundle that the flags name.
///
/// # Errors
/// If it cannot be opened.
pub(crate) fn open_classifier(args: &Engine) -> anyhow::Result<Classifier> {
    let builder = classifier_builder(args)?;
    Ok(match &args.model {
        Some(model) => builder.open(model.folder()?)?,
        None => builder.embedded()?,
    })
}

/// How to open the bundle, as the flags say.
///
/// # Errors
/// If the map of labels or the scheme cannot be read.
pub(crate) fn classifier_builder(args: &Engine) -> anyhow::Result<ClassifierBuilder> {
    let mut builder = Classifier::builder()
        .threads(args.threads.map_or(0, usize::from))
        .precision(args.precision)
        .device(args.device.into());
    if let Some(map) = &args.labels {
        builder = builder.labels(LabelMap::open(map)?);
    }
    if let Some(scheme) = &args.scheme {
        builder = builder.scheme(ZeroShotScheme::open(scheme)?);
    }
    Ok(match &args.kernel {
        Some(kernel) => builder.kernel(kernel),
        None => builder,
    })
}

fn fingerprint(
    args: &Classify,
    format: Format,
    classifier: &Classifier,
    inputs: &[Input],
    interrupt: &Interrupt,
) -> anyhow::Result<Fingerprint> {
    let reading = &args.reading;
    let info = classifier.info();
    // Kernels of our own give the same bits, Candle others.
    let runtime = if info.kernel.starts_with("candle") { " on Candle" } else { "" };
    let by = detente::output::By::from(args.writing.by);
    let mut options = BTreeMap::from([
        ("text-field", reading.text_field.clone()),
        ("max-document-bytes", reading.max_document_bytes.to_string()),
        ("format", format.to_string()),
        ("by", format!("{by:?}").to_lowercase()),
        ("precision", format!("{}{runtime}", info.precision.name())),
        ("device", format!("{:?}", args.engine.device).to_lowercase()),
        ("shard", args.shard.unwrap_or(Shard::WHOLE).to_string()),
    ]);
    options.extend(args.explain.then(|| ("explain", "yes".to_owned())));
    options.extend(reading.id_field.as_ref().map(|name| ("id-field", name.clone())));
    options.extend(reading.encoding.as_ref().map(|name| ("encoding", name.to_lowercase())));
    options.extend(reading.input_format.map(|kind| ("input-format", format!("{kind:?}").to_lowercase())));
    let options = options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let program = format!("detente {} (schema {SCHEMA})", env!("CARGO_PKG_VERSION"));
    Fingerprint::take(program, format!("{} {}", info.id, info.sha256), options, inputs, interrupt)
}

fn say_languages(tally: &Tally, classifier: &Classifier, console: &Console) {
    if tally.not_validated.is_empty() {
        return;
    }
    let count = |(language, count): (&Language, &u64)| format!("{} ({count})", language.code());
    let languages: Vec<String> = tally.not_validated.iter().map(count).collect();
    console.note(format_args!(
        "paragraphs in languages that {} was not validated for: {}",
        classifier.info().id,
        languages.join(", ")
    ));
}

/// The command that goes on with this run, to be pasted into a shell.
fn resume_command() -> String {
    let mut words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .filter(|word| word != "--force" && word != "--resume")
        .collect();
    let end_of_flags = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.insert(end_of_flags, "--resume".into());
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "-_./=:,@%+".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
