//! The one error type of the library. Every message says what was being done, to what, what was expected and found,
//! and what to try; `source()` keeps the cause.

mod checkpoint;
#[cfg(feature = "hub")]
mod hub;

use std::io;
use std::path::PathBuf;

pub use crate::error::checkpoint::CheckpointFault;
#[cfg(feature = "hub")]
pub use crate::error::hub::HubFault;

/// Result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in the library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or stream could not be opened or read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or stream could not be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file, or `<stdout>`.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A whole input file cannot be used.
    #[error("{path}: {what}", path = .path.display())]
    Input {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// Why, and what to try.
        what: InputFault,
    },
    /// One record of an input or gold file cannot be used; the records after it can.
    #[error("{path}:{line}: {what}", path = .path.display())]
    Record {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// Line, counted from 1 (row, counted from 1, for Parquet).
        line: u64,
        /// Why, and what to try.
        what: RecordFault,
    },
    /// A bundle cannot be opened.
    #[error("bundle {path}: {what}", path = .path.display())]
    Bundle {
        /// The bundle's folder, or `<embedded>`.
        path: PathBuf,
        /// Why, and what to try.
        what: BundleFault,
    },
    /// A checkpoint cannot be opened.
    #[error("checkpoint {path}: {what}", path = .path.display())]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Why, and what to try.
        what: CheckpointFault,
    },
    /// A model of the Hub cannot be used.
    #[cfg(feature = "hub")]
    #[error("{repository}: {what}")]
    Hub {
        /// The repository as it was named, or `the Hub`.
        repository: String,
        /// Why, and what to try.
        what: HubFault,
    },
    /// Something is asked for that this bundle or checkpoint cannot give.
    #[error("{id} {missing}")]
    Missing {
        /// Which one.
        id: String,
        /// What it lacks, and what to do.
        missing: String,
    },
    /// Labelled items are too few for a head to be fitted on.
    #[error("{label}: {found} {unit} of {items} labelled items, a head is fitted on {needed} or more; {remedy}")]
    TooFewExamples {
        /// The label, in words.
        label: String,
        /// How many there are.
        found: usize,
        /// What is counted: examples, or documents and groups that they come from.
        unit: &'static str,
        /// Items of which it is known whether they have the label.
        items: usize,
        /// How many are needed.
        needed: usize,
        /// What to do.
        remedy: String,
    },
    /// A text to classify holds nothing but white space.
    #[error("text {index} is blank: there is nothing to classify")]
    BlankText {
        /// Position in the batch, counted from 0.
        index: usize,
    },
    /// A window of token ids cannot be encoded.
    #[error("window {index} {problem}")]
    Window {
        /// Position in the list, counted from 0.
        index: usize,
        /// Why, and what it may hold.
        problem: String,
    },
    /// The second text of a pair leaves too little room for the first one.
    #[error("a hypothesis has {tokens} tokens, at most {limit} leave room for the premise; make it shorter")]
    LongHypothesis {
        /// Its tokens.
        tokens: usize,
        /// Half of what a window holds.
        limit: usize,
    },
    /// The tokenizer failed on a text.
    #[error("cannot tokenize: {0}")]
    Tokenizer(#[source] tokenizers::Error),
    /// The tensor library failed.
    #[error("cannot compute: {0}")]
    Compute(#[from] candle_core::Error),
    /// A kernel was asked for that this CPU cannot run.
    #[error("this CPU has no kernel {wanted:?}; it has {found:?}")]
    Kernel {
        /// The name asked for.
        wanted: String,
        /// The names of those it has, fastest first.
        found: Vec<&'static str>,
    },
    /// The server cannot listen, or cannot be secured.
    #[cfg(feature = "serve")]
    #[error("cannot {doing}: {source}")]
    Serve {
        /// What was being done, to what (`listen on 127.0.0.1:8080`).
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The worker threads could not be started.
    #[error("cannot start the worker threads: {0}; try fewer threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Why a bundle cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleFault {
    /// The folder, or one of its files, is missing or unreadable.
    #[error(
        "cannot read {file}: {source}; a bundle holds bundle.json and every file that bundle.json names, a checkpoint of transformers config.json"
    )]
    MissingFile {
        /// File name inside the bundle.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The bundle was written for another version of the format.
    #[error(
        "bundle format {found} is not supported, this program reads format {supported}; update the program or make the bundle anew"
    )]
    Version {
        /// What bundle.json says.
        found: u64,
        /// What this program reads.
        supported: u64,
    },
    /// A file is not the one that bundle.json was made for.
    #[error(
        "{file} has sha256 {found}, bundle.json says {expected}; the file was changed or damaged, copy the bundle anew"
    )]
    Checksum {
        /// File name inside the bundle.
        file: String,
        /// Hexadecimal sha256 in bundle.json.
        expected: String,
        /// Hexadecimal sha256 of the file.
        found: String,
    },
    /// A JSON file does not have the expected fields.
    #[error("{file} is not as the bundle format asks: {source}; see models/README.md")]
    Json {
        /// File name inside the bundle.
        file: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A safetensors file cannot be read.
    #[error("{file} is no valid safetensors file: {source}; copy or download it anew")]
    Tensors {
        /// File name inside the bundle.
        file: String,
        /// What the parser said.
        source: safetensors::SafeTensorError,
    },
    /// A safetensors file is shorter than its own header says.
    #[error("{file} is cut short: it has {found} bytes, its header asks for {expected}; copy or download it anew")]
    CutShort {
        /// File name inside the bundle.
        file: String,
        /// Bytes by the header.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// A file is what Git stores in place of a large one.
    #[error("{file} is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`, or download it")]
    Pointer {
        /// File name inside the bundle.
        file: String,
    },
    /// A tensor is missing.
    #[error("{file} has no tensor {tensor}")]
    MissingTensor {
        /// File name inside the bundle.
        file: String,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{file}: tensor {tensor} has shape {found:?}, the configuration asks for {expected:?}")]
    Shape {
        /// File name inside the bundle.
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// From config.json and the scheme.
        expected: Vec<usize>,
        /// From the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not read.
    #[error("{file}: tensor {tensor} is stored as {found}; F32, F16, BF16 and I8 with a .scale tensor are read")]
    Dtype {
        /// File name inside the bundle.
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// Name of the type found.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error("{file}: tensor {tensor} holds a value that is not finite")]
    NotFinite {
        /// File name inside the bundle.
        file: String,
        /// Name of the tensor.
        tensor: String,
    },
    /// The tokenizer file cannot be used.
    #[error("tokenizer.json cannot be used: {0}")]
    Tokenizer(#[source] tokenizers::Error),
    /// The step from window to window does not fit the window.
    #[error(
        "the stride is {stride}; with max_length {max_length} it must lie between 1 and {capacity}, or windows would skip tokens"
    )]
    Stride {
        /// Step, in tokens of the text.
        stride: usize,
        /// Tokens of a window, special tokens included.
        max_length: usize,
        /// Tokens of the text that a window holds.
        capacity: usize,
    },
    /// Two files of the bundle contradict each other, or a value is out of range.
    #[error("{file}: {problem}")]
    Inconsistent {
        /// File name inside the bundle.
        file: String,
        /// What does not fit, and what was expected.
        problem: String,
    },
    /// The device cannot be used.
    #[error(
        "the device {device} cannot be used: {source}; build the program with the feature `{device}` on a machine that has one, or use the CPU"
    )]
    Device {
        /// `cuda` or `metal`.
        device: &'static str,
        /// What the tensor library said.
        source: candle_core::Error,
    },
    /// The program was built without the feature `embedded`.
    #[error(
        "this program was built without an embedded bundle; name a bundle folder, or build with the feature `embedded`"
    )]
    NotEmbedded,
}

/// Why a whole input cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputFault {
    /// The file has no bytes.
    #[error("the file is empty: there is nothing to classify")]
    Empty,
    /// The file holds only white space, or markup without text.
    #[error("the file holds no text: there is nothing to classify")]
    Blank,
    /// The bytes are not text.
    #[error("this is not text ({found}); give plain text, Markdown, HTML, JSON Lines, CSV or TSV")]
    Binary {
        /// What it looks like ("PNG image", "NUL byte at offset 17").
        found: String,
    },
    /// The bytes are invalid in the encoding that the file is in.
    #[error("invalid {encoding} at byte {offset}; convert the file to UTF-8, or name its encoding with --encoding")]
    Encoding {
        /// Name of the encoding as in the Encoding Standard.
        encoding: &'static str,
        /// Offset of the first bad byte in the (decompressed) file.
        offset: u64,
    },
    /// The compressed stream is damaged.
    #[error("the {kind} stream is damaged or cut short: {source}; fetch the file anew")]
    Compression {
        /// `gzip` or `zstd`.
        kind: &'static str,
        /// What the decoder said.
        source: io::Error,
    },
    /// The document is larger than the limit.
    #[error("the document has more than {limit} bytes; split it, or raise --max-document-bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The column or field with the text is missing altogether.
    #[error("there is no column {field:?}; the columns are {found:?}; name the text column with --text-field")]
    MissingColumn {
        /// The wanted column.
        field: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// The column that ids are wanted from is missing.
    #[error(
        "there is no column {field:?} for the ids; the columns are {found:?}; name another with --id-field, or leave it out"
    )]
    MissingIdColumn {
        /// The wanted column.
        field: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// The column with the text holds something else.
    #[error("the column {field:?} holds {found}, text was expected; name the text column with --text-field")]
    NotATextColumn {
        /// The column.
        field: String,
        /// Type of its values.
        found: String,
    },
    /// The Parquet file could not be read.
    #[cfg(feature = "parquet")]
    #[error("the Parquet file cannot be read: {0}")]
    Parquet(#[source] parquet::errors::ParquetError),
    /// The kind of file needs a feature that was not built in.
    #[error("this program was built without the feature {feature:?}, which {path_kind} files need")]
    Feature {
        /// Name of the cargo feature.
        feature: &'static str,
        /// Kind of file.
        path_kind: &'static str,
    },
    /// A gold or prediction file gives no label at all.
    #[error("no record has a label; label fields are {fields:?}")]
    NoLabels {
        /// The fields that would hold labels.
        fields: Vec<String>,
    },
    /// A prediction file does not cover the gold.
    #[error(
        "there is no prediction for {missing} of {items} gold items, the first is {first:?}; predict every item, \
         figures over a part of them cannot be compared"
    )]
    Uncovered {
        /// Gold items without a prediction.
        missing: usize,
        /// Gold items.
        items: usize,
        /// Id of the first gold item without a prediction.
        first: String,
    },
    /// A prediction file gives a label for some gold items and not for others.
    #[error(
        "{missing} of {items} gold items have no {field:?}, the first is {first:?}, while others have one; \
         give it for every item or for none, figures over a part of them cannot be compared"
    )]
    Patchy {
        /// The label or the probabilities.
        field: String,
        /// Gold items without it.
        missing: usize,
        /// Gold items.
        items: usize,
        /// Id of the first gold item without it.
        first: String,
    },
    /// A settings file is not as its format asks.
    #[error("this is not the TOML that was expected: {0}")]
    Toml(#[source] toml::de::Error),
    /// A settings file names something that is not there, or gives a value out of range.
    #[error("{0}")]
    Setting(String),
}

/// Why one record cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// The line is not a JSON object.
    #[error("this line is not valid JSON: {0}; JSON Lines wants one object a line")]
    Json(#[source] serde_json::Error),
    /// The line is JSON, but not an object.
    #[error("this line is JSON, but not an object; JSON Lines wants one object a line")]
    NotAnObject,
    /// The field with the text is missing.
    #[error("this record has no field {field:?}; the fields are {found:?}; name the text field with --text-field")]
    MissingField {
        /// The wanted field.
        field: String,
        /// The fields that are there.
        found: Vec<String>,
    },
    /// The field is there, but holds no string.
    #[error("the field {field:?} holds {found}, a string was expected")]
    NotAString {
        /// The field.
        field: String,
        /// `null`, `a number` ...
        found: &'static str,
    },
    /// The field that ids are wanted from is missing, or holds neither a string nor a number.
    #[error(
        "this record has no id in the field {field:?}: a string or a number was expected, {found} was found; name another field with --id-field, or leave it out"
    )]
    MissingId {
        /// The wanted field.
        field: String,
        /// `nothing`, `null`, `a list` ...
        found: &'static str,
    },
    /// The text of the record holds nothing but white space.
    #[error("the text of this record is blank: there is nothing to classify")]
    Blank,
    /// A CSV row has another number of cells than the header.
    #[error(
        "this row has {found} cells, the header has {expected}; quote cells that hold the delimiter or a line break"
    )]
    Ragged {
        /// Cells in the header.
        expected: u64,
        /// Cells in this row.
        found: u64,
    },
    /// A quote opens a cell and nothing closes it.
    #[error(
        "a quote in this row is never closed, so that all that follows belongs to it; close it, or write a quote inside a quoted cell twice"
    )]
    UnclosedQuote,
    /// The header of a table names a column twice.
    #[error("the header names the column {column:?} twice; leave one, or give the other another name")]
    DoubleColumn {
        /// The name.
        column: String,
    },
    /// The line is not valid UTF-8 (after decoding by the file's encoding).
    #[error("this line is not valid {encoding}; convert the file to UTF-8, or name its encoding with --encoding")]
    Encoding {
        /// Name of the encoding as in the Encoding Standard.
        encoding: &'static str,
    },
    /// The record is larger than the limit.
    #[error("the record has more than {limit} bytes; split it, or raise --max-document-bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A text of the gold was split, so that no one record is its prediction.
    #[error(
        "this is another paragraph of the gold item {id:?}, whose text holds more than one; the first is {first}. Score it with --model or --embedded, which take an item as one, or give each paragraph an item of its own"
    )]
    SplitItem {
        /// Id of the item.
        id: String,
        /// Where its first paragraph stands.
        first: String,
    },
    /// A gold or prediction record lacks a field that every such record needs.
    #[error("this record has no field {field:?}; the fields are {found:?}")]
    Lacking {
        /// The wanted field.
        field: String,
        /// The fields that are there.
        found: Vec<String>,
    },
    /// A field holds a value of another type than the record format asks for.
    #[error("the field {field:?} holds {found}; give {expected}")]
    WrongType {
        /// The field.
        field: String,
        /// The value as it stands in the file.
        found: String,
        /// What the record format asks for.
        expected: String,
    },
    /// A record names a topic that the scheme does not have.
    #[error(
        "the field {field:?} names the topic {found:?}, which the scheme does not have; its topics are {known:?}: \
         correct the name, or give the scheme that the file was labelled by"
    )]
    UnknownTopic {
        /// The field.
        field: String,
        /// The name in the file.
        found: String,
        /// The topics of the scheme.
        known: Vec<String>,
    },
    /// A record gives a level that the scale does not have.
    #[error("the field {field:?} holds the level {found}, the scale has {known:?}; null says that it is not known")]
    UnknownLevel {
        /// The field.
        field: String,
        /// The code in the file.
        found: i64,
        /// The codes of the scale.
        known: Vec<i32>,
    },
    /// Two records have the same id.
    #[error("the id {id:?} stands at {first} already; every record needs its own id")]
    DuplicateId {
        /// The id.
        id: String,
        /// Path and line of the first record with it.
        first: String,
    },
    /// An item is marked as test where something is to be fitted.
    #[error(
        "this item is marked {split:?}, and nothing may be fitted on test items; leave the file out, or take the items of \
         another split only, for example with --split dev"
    )]
    TestItem {
        /// Its split, as the file says.
        split: String,
    },
    /// A `.json` file begins with a list and is no list of tasks.
    #[error(
        "a list in a .json file is read as an export of Label Studio or Argilla, and this one is damaged: {0}; export it anew"
    )]
    Tasks(#[source] serde_json::Error),
    /// A level that makes no scale.
    #[error(
        "the field {field:?} holds {found}, the {count}th different level; a scale of more than {limit} levels is no scale that \
         heads are fitted on: name another field with --scale, or give the levels with --scheme"
    )]
    TooManyLevels {
        /// The field.
        field: String,
        /// The code in the file.
        found: i64,
        /// Levels so far, this one included.
        count: usize,
        /// Most levels.
        limit: usize,
    },
    /// A gold or prediction table cannot be parsed.
    #[error("this is not a row of a table: {0}")]
    Table(#[source] csv::Error),
}
