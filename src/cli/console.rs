//! Everything that is said to people: on stderr, never a panic when nobody listens, never across the progress bar.

use std::fmt;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();

/// The way to stderr.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    quiet: bool,
    color: anstream::ColorChoice,
    bar: Option<ProgressBar>,
}

impl Console {
    /// Errors are always said, notes unless `quiet`.
    pub(crate) fn new(quiet: bool, color: anstream::ColorChoice) -> Self {
        Self { quiet, color, bar: None }
    }

    /// The same console, which now keeps its lines above `bar`.
    pub(crate) fn with_bar(mut self, bar: ProgressBar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// Whether notes and progress are not wanted.
    #[cfg(feature = "hub")]
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// One thing that failed, with what to try.
    pub(crate) fn error(&self, message: impl fmt::Display) {
        self.say("error", ERROR, &message);
    }

    /// The same of an error, with its causes.
    pub(crate) fn failure(&self, error: &anyhow::Error) {
        self.error(with_causes(error));
    }

    /// Something good to know.
    pub(crate) fn note(&self, message: impl fmt::Display) {
        if !self.quiet {
            self.say("note", NOTE, &message);
        }
    }

    fn say(&self, kind: &str, style: Style, message: &dyn fmt::Display) {
        let write = || {
            let mut stderr = anstream::AutoStream::new(std::io::stderr(), self.color);
            // A closed stderr must not stop the work.
            let _ = writeln!(stderr, "{style}{kind}:{style:#} {message}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// The error and its causes in one line. The library's messages name their cause already; it is not said twice.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || io::Error::other("disk on fire");
        let library = detente::Error::Read { path: PathBuf::from("a.txt"), source: cause() };
        assert_eq!(with_causes(&library.into()), "cannot read a.txt: disk on fire");
        let ours = Err::<(), _>(cause()).context("cannot write b.csv").unwrap_err();
        assert_eq!(with_causes(&ours), "cannot write b.csv: disk on fire");
    }
}
