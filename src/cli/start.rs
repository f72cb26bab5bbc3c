//! How the output begins: new, replaced, or continued where an earlier run stopped. All that is decided under a lock on
//! the file, so that two runs cannot write to it at once.

use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::journal::{Fingerprint, Journal, Place, Recovered};
use crate::cli::target::{Destination, Target};

/// What the user wants with a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Keep it, and refuse.
    Keep,
    /// `--force`: write it anew.
    Replace,
    /// `--resume`: go on.
    Resume,
}

/// The output, open at the place where the work begins.
pub(crate) struct Started {
    /// Where to write.
    pub(crate) target: Target,
    /// The journal, if the run can be resumed.
    pub(crate) journal: Option<Journal>,
    /// Where to begin.
    pub(crate) place: Place,
}

/// Says before the long work whether the file that is there is in the way.
///
/// # Errors
/// If it is.
pub(crate) fn check(destination: &Destination, wish: Wish) -> anyhow::Result<()> {
    match destination {
        Destination::File(path, bytes) => check_file(path, bytes.unwrap_or(0), wish),
        Destination::Stdout | Destination::Device(_) if wish == Wish::Resume => {
            bail!("--resume needs a regular file as --output, {} is none", destination.name().display())
        }
        Destination::Stdout | Destination::Device(_) => Ok(()),
    }
}

/// Opens the output. With a fingerprint the run gets a journal.
///
/// # Errors
/// If the file is in the way, in use or cannot be written, or is that of another run.
pub(crate) fn start(destination: &Destination, wish: Wish, print: Option<&Fingerprint>) -> anyhow::Result<Started> {
    let locked = destination.lock()?;
    let Destination::File(path, before) = destination else {
        return Ok(Started { target: locked.into_target(0)?, journal: None, place: Place::default() });
    };
    check_file(path, locked.bytes()?, wish)?;
    let journal_path = Journal::path_for(path);
    if let (Wish::Resume, Some(_), Some(print)) = (wish, before, print)
        && let Some(recovered) = recover(path, &journal_path, locked.bytes()?, print)?
    {
        let target = locked.into_target(recovered.place.bytes)?;
        let journal = Journal::reopen(journal_path, &recovered)?;
        return Ok(Started { target, journal: Some(journal), place: recovered.place });
    }
    // The journal comes first: if it cannot be written, the output is as it was. It says that nothing of the output counts.
    let journal = match print {
        Some(print) => Some(Journal::create(journal_path, print)?),
        None if journal_path.exists() => {
            let what = || format!("cannot remove {}", journal_path.display());
            std::fs::remove_file(&journal_path).with_context(what)?;
            None
        }
        None => None,
    };
    Ok(Started { target: locked.into_target(0)?, journal, place: Place::default() })
}

/// A file without bytes is in nobody's way; one that stands where the journal belongs, and is none, always is.
fn check_file(path: &Path, bytes: u64, wish: Wish) -> anyhow::Result<()> {
    let journal = Journal::path_for(path);
    let path = path.display();
    let has_journal = journal.exists();
    if has_journal && !Journal::is_journal(&journal)? {
        bail!(
            "{journal} is no journal of a run, but a run that writes {path} would replace it; move {journal} away, or \
             name another output",
            journal = journal.display()
        );
    }
    match (wish, has_journal) {
        _ if bytes == 0 => Ok(()),
        (Wish::Replace, _) | (Wish::Resume, true) => Ok(()),
        (Wish::Keep, true) => {
            bail!("{path} holds a run that is not complete; go on with --resume, or replace it with --force")
        }
        (Wish::Keep, false) => bail!("{path} exists; replace it with --force, or name another file"),
        (Wish::Resume, false) => bail!(
            "{path} exists, but {} does not: the run that wrote it is complete, or it was none that can be resumed; \
             replace the file with --force, or name another one",
            journal.display()
        ),
    }
}

fn recover(path: &Path, journal: &Path, bytes: u64, print: &Fingerprint) -> anyhow::Result<Option<Recovered>> {
    if !journal.exists() {
        return Ok(None);
    }
    let Some(recovered) = Journal::recover(journal, bytes)? else {
        if bytes == 0 {
            return Ok(None);
        }
        bail!(
            "{} is empty or cut short, so {} cannot be continued; start anew with --force",
            journal.display(),
            path.display()
        )
    };
    if let Some(difference) = recovered.fingerprint.difference(print) {
        bail!(
            "cannot resume {}: {difference}; repeat the first command with --resume, or start anew with --force",
            path.display()
        );
    }
    Ok(Some(recovered))
}
