//! The reading thread: from inputs to documents, in order, numbered over all inputs.
//!
//! Documents that an earlier run finished, and those of other shards, are read and numbered but not handed on.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::anyhow;
use detente::Error;
use detente::text::{self, Document, InputFormat, ReadOptions};
use serde_json::Value;

use crate::cli::args::Shard;
use crate::cli::inputs::Input;
use crate::cli::queue::Queue;

/// What the reading thread says.
pub(crate) enum Item {
    /// Names of the other fields of the first document of all inputs: the same for every shard and after every resume.
    Fields(Vec<String>),
    /// A document to classify.
    Document(ReadDocument),
    /// A record or file that cannot be used.
    Failed {
        /// Its number over all inputs, counted from 0.
        ordinal: u64,
        /// Why, and what to try.
        error: anyhow::Error,
    },
    /// Everything was read: so many records of this shard, bad ones included.
    End {
        /// Number of records.
        records: u64,
    },
}

/// A document on its way.
pub(crate) struct ReadDocument {
    /// Its number over all inputs, counted from 0.
    pub(crate) ordinal: u64,
    /// The document.
    pub(crate) document: Document,
    /// Bytes of all inputs before it and up to its end, for the progress bar.
    pub(crate) input_bytes: (u64, u64),
    /// Bytes of memory that it takes, about.
    pub(crate) size: usize,
}

/// What to read, and from where on.
pub(crate) struct Reader {
    /// The inputs, in order.
    pub(crate) inputs: Vec<Input>,
    /// How to read them.
    pub(crate) options: ReadOptions,
    /// Which documents to hand on.
    pub(crate) shard: Shard,
    /// The first document to hand on.
    pub(crate) first: u64,
}

impl Reader {
    /// Reads everything into the queue, and closes it.
    pub(crate) fn run(self, queue: &Queue<Item>) {
        // Closed however this ends, so that the other side never waits in vain.
        let _close = CloseOnDrop(queue);
        let mut pass = Pass { reader: &self, queue, ordinal: 0, records: 0, fields_sent: false, bytes: (0, 0) };
        for input in &self.inputs {
            if pass.input(input).is_none() {
                return;
            }
        }
        let records = pass.records;
        queue.push(Item::End { records }, 0);
    }
}

struct CloseOnDrop<'q>(&'q Queue<Item>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Pass<'r> {
    reader: &'r Reader,
    queue: &'r Queue<Item>,
    ordinal: u64,
    records: u64,
    fields_sent: bool,
    bytes: (u64, u64),
}

impl Pass<'_> {
    /// `None` when the other side has closed the queue.
    fn input(&mut self, input: &Input) -> Option<()> {
        let counter = Arc::new(AtomicU64::new(0));
        let before = self.bytes.1;
        // A parser that breaks on hostile input must cost that input alone, not the rest of a long run.
        let read = catch_unwind(AssertUnwindSafe(|| {
            documents(input, &self.reader.options, &counter).try_for_each(|result| {
                self.bytes = (self.bytes.1, before + counter.load(Ordering::Relaxed));
                self.record(result)
            })
        }));
        self.bytes.1 = before + counter.load(Ordering::Relaxed);
        read.unwrap_or_else(|_| self.failed(anyhow!("{input}: the reader broke on this file; please report it"), true))
    }

    fn record(&mut self, result: detente::Result<Document>) -> Option<()> {
        let document = match result {
            Ok(document) => document,
            Err(error) => {
                // What the system says may differ from machine to machine, so every shard must hear of it.
                let everywhere = matches!(error, Error::Read { .. });
                return self.failed(error.into(), everywhere);
            }
        };
        if !self.fields_sent {
            self.fields_sent = true;
            let fields = document.fields().keys().cloned().collect();
            self.send(Item::Fields(fields), 0)?;
        }
        let ordinal = self.next();
        if !self.reader.shard.contains(ordinal) {
            return Some(());
        }
        self.records += 1;
        if ordinal < self.reader.first {
            return Some(());
        }
        let size = size(&document);
        self.send(Item::Document(ReadDocument { ordinal, document, input_bytes: self.bytes, size }), size)
    }

    fn failed(&mut self, error: anyhow::Error, everywhere: bool) -> Option<()> {
        let ordinal = self.next();
        if !everywhere && !self.reader.shard.contains(ordinal) {
            return Some(());
        }
        self.records += 1;
        if ordinal < self.reader.first {
            return Some(());
        }
        self.send(Item::Failed { ordinal, error }, 0)
    }

    fn next(&mut self) -> u64 {
        self.ordinal += 1;
        self.ordinal - 1
    }

    fn send(&self, item: Item, bytes: usize) -> Option<()> {
        self.queue.push(item, bytes + std::mem::size_of::<Item>()).then_some(())
    }
}

/// The documents of an input, whose bytes are counted. Parquet is not read from front to back: it is counted at once.
fn documents(
    input: &Input,
    options: &ReadOptions,
    counter: &Arc<AtomicU64>,
) -> Box<dyn Iterator<Item = detente::Result<Document>>> {
    let counted = |source: Box<dyn Read + Send>| Box::new(Counting { source, counter: Arc::clone(counter) });
    let opened = match input {
        Input::Stdin => text::read(Path::new("<stdin>"), counted(Box::new(io::stdin())), options),
        Input::File(path) if options.format.or_else(|| InputFormat::from_path(path)) == Some(InputFormat::Parquet) => {
            counter.store(input.size().unwrap_or(0), Ordering::Relaxed);
            text::open(path, options)
        }
        Input::File(path) => match File::open(path) {
            Ok(file) => text::read(path, counted(Box::new(file)), options),
            Err(source) => Err(Error::Read { path: path.clone(), source }),
        },
    };
    match opened {
        Ok(documents) => Box::new(documents),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

struct Counting {
    source: Box<dyn Read + Send>,
    counter: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(bytes)?;
        self.counter.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Bytes of memory that a document takes, about.
fn size(document: &Document) -> usize {
    fn value_size(value: &Value) -> usize {
        let inner = match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(value_size).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + value_size(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        };
        inner + std::mem::size_of::<Value>()
    }
    let fields: usize = document.fields().iter().map(|(name, value)| name.len() + value_size(value)).sum();
    document.text().len() + document.id().len() + fields
}
