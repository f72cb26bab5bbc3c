//! `detente models`: what the cache of the Hub has, fetched, listed, verified, removed.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use detente::hub::{CachedSnapshot, Event, Hub, Repository, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::console::Console;
use crate::cli::exit::Exit;

pub(crate) const EXAMPLES: &str = "\
Examples:
  detente models pull hf:intfloat/multilingual-e5-small
  detente models list
  detente models verify
  detente models remove hf:intfloat/multilingual-e5-small

The cache is the one of Python's huggingface_hub (HF_HOME, HF_HUB_CACHE); docs/hub.md says more.";

/// Flags of `models`.
#[derive(Debug, Args)]
pub(crate) struct Models {
    /// What to do with them.
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What is done with the cache.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Fetch models that are not there, or not whole, and verify them.
    Pull(Named),
    /// Show what is there.
    List(Listed),
    /// Hash every file that is read, and remove what is damaged; exit code 1 if something is.
    Verify(Chosen),
    /// Remove models, and of their contents what no other revision needs.
    Remove(Named),
}

/// Models by name.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// hf:owner/name, or hf:owner/name@revision.
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<Repository>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub(crate) format: Form,
}

/// Models by name, or all.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// hf:owner/name, or hf:owner/name@revision [default: all in the cache].
    #[arg(value_name = "MODEL")]
    pub(crate) models: Vec<Repository>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub(crate) format: Form,
}

/// Flags of `list`.
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub(crate) format: Form,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// One JSON list, for programs.
    Json,
}

/// Runs the verb.
///
/// # Errors
/// If a model cannot be fetched, is not there or cannot be removed, or standard output cannot be written.
pub(crate) fn models(args: &Models, console: &Console) -> anyhow::Result<Exit> {
    let hub = Hub::from_environment()?;
    let mut exit = Exit::Done;
    let (lines, values, form): (Vec<String>, Vec<Value>, Form) = match &args.action {
        Action::Pull(args) => {
            let (mut lines, mut values) = (Vec::new(), Vec::new());
            for repository in &args.models {
                let Snapshot { folder, commit, .. } = pull(&hub, repository, console)?;
                lines.push(format!("hf:{}@{commit}  {}", repository.id(), folder.display()));
                values.push(json!({"model": repository.id(), "commit": commit, "folder": folder}));
            }
            (lines, values, args.format)
        }
        Action::List(args) => {
            let cached = hub.list()?;
            if cached.is_empty() {
                console.note(format!("the cache {} has no models", hub.cache().display()));
            }
            (table(&cached), cached.iter().map(as_json).collect(), args.format)
        }
        Action::Verify(args) => {
            let (lines, values, are_good) = verify(&hub, &args.models, console)?;
            if !are_good {
                exit = Exit::No;
            }
            (lines, values, args.format)
        }
        Action::Remove(args) => {
            let (mut lines, mut values) = (Vec::new(), Vec::new());
            for repository in &args.models {
                let removed = hub.remove(repository)?;
                for commit in &removed.commits {
                    lines.push(format!("removed hf:{}@{commit}", removed.id));
                }
                lines.push(format!("{} files, {} are free", removed.files, size(removed.bytes)));
                values.push(json!({
                    "model": removed.id, "commits": removed.commits, "files": removed.files, "bytes": removed.bytes,
                }));
            }
            (lines, values, args.format)
        }
    };
    let text = match form {
        Form::Text => lines.iter().map(|line| format!("{line}\n")).collect(),
        Form::Json => serde_json::to_string_pretty(&values)? + "\n",
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write <stdout>")?;
    Ok(exit)
}

/// A revision of a repository in the cache, fetched as far as it is not there; a bar on a terminal, notes elsewhere.
///
/// # Errors
/// If it cannot be fetched, or a file is not what it must be.
pub(crate) fn pull(hub: &Hub, repository: &Repository, console: &Console) -> anyhow::Result<Snapshot> {
    let mut bar = ProgressBar::hidden();
    // Bytes of the files before, the file that comes, its bytes.
    let (mut done, mut current, mut latest) = (0, String::new(), 0);
    let snapshot = hub.snapshot(repository, &mut |event| match event {
        Event::Missing { files, bytes } => {
            console.note(format!("fetching {files} files of {repository}, {}", size(bytes)));
            if io::stderr().is_terminal() && !console.is_quiet() && !is_without_bars() {
                bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(4));
                let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {msg}, {eta} left");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            }
        }
        Event::Received { path, bytes } => {
            if current != path {
                done += latest;
                current = path.to_owned();
                bar.set_message(current.clone());
            }
            latest = bytes;
            bar.set_position(done + latest);
        }
        _ => {}
    });
    bar.finish_and_clear();
    let snapshot = snapshot?;
    if let Some(note) = &snapshot.note {
        console.note(note);
    }
    Ok(snapshot)
}

/// As users of Python's client say that they want no bars.
fn is_without_bars() -> bool {
    std::env::var("HF_HUB_DISABLE_PROGRESS_BARS")
        .is_ok_and(|value| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// A line for each commit, and whether all is well.
fn verify(hub: &Hub, models: &[Repository], console: &Console) -> anyhow::Result<(Vec<String>, Vec<Value>, bool)> {
    let mut all = models.to_vec();
    if all.is_empty() {
        all = hub.list()?.iter().map(|cached| cached.id.parse()).collect::<detente::Result<_>>()?;
        all.dedup();
    }
    let (mut lines, mut values, mut are_good) = (Vec::new(), Vec::new(), true);
    for repository in &all {
        for verified in hub.verify(repository)? {
            let faults: Vec<String> = verified.faults.iter().map(ToString::to_string).collect();
            are_good &= faults.is_empty();
            faults.iter().for_each(|fault| console.error(fault));
            let bad = if faults.is_empty() { String::new() } else { format!(", {} not", faults.len()) };
            lines.push(format!("hf:{}@{}  {} files verified{bad}", verified.id, verified.commit, verified.good));
            values.push(json!({
                "model": verified.id, "commit": verified.commit, "files": verified.good, "faults": faults,
            }));
        }
    }
    Ok((lines, values, are_good))
}

fn as_json(cached: &CachedSnapshot) -> Value {
    json!({
        "model": cached.id,
        "commit": cached.commit,
        "revisions": cached.revisions,
        "files": cached.files,
        "bytes": cached.bytes,
        "complete": cached.is_complete,
        "folder": cached.folder,
    })
}

/// A line a commit, under a header; nothing without any.
fn table(cached: &[CachedSnapshot]) -> Vec<String> {
    let row = |cached: &CachedSnapshot| {
        let state = match cached.is_complete {
            Some(true) => "complete",
            Some(false) => "partial",
            None => "not listed",
        };
        let cells = [
            &cached.id,
            &cached.revisions.join(" "),
            &cached.commit,
            &cached.files.to_string(),
            &size(cached.bytes),
            state,
        ];
        cells.map(str::to_owned)
    };
    let mut rows = vec![["MODEL", "REVISION", "COMMIT", "FILES", "SIZE", "STATE"].map(str::to_owned)];
    rows.extend(cached.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &[String; 6]| {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers stand at the right.
            let written = match index {
                3 | 4 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
            written.expect("writing to a string cannot fail");
        }
        line.trim_end().to_owned()
    };
    if cached.is_empty() { Vec::new() } else { rows.iter().map(line).collect() }
}

/// Bytes for people, in powers of 1000.
fn size(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let cases = [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (90_900_000, "90.9 MB"), (2_240_000_000, "2.2 GB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
