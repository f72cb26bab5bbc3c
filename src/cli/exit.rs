//! What the program answers to its caller.

use std::process::ExitCode;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: everything asked for was done; also when the reader of our output went away.
    Done,
    /// 1: it worked, and the answer is no: a gate of `eval` does not hold, or `models verify` found damage.
    No,
    /// 2: something failed; of a run that went on after bad input, too.
    Failed,
    /// 130: stopped by Ctrl-C or SIGTERM; what was written so far is whole.
    Interrupted,
}

impl Exit {
    /// The number that the caller sees. clap ends with 2 for bad flags.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Failed => 2,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
