//! The program around the library: flags in, exit code out.
//!
//! ```text
//! args -> classify -> inputs -> reader (a thread) -> queue -> run -> output::writer -> target
//!                     start <- journal ------------------------+
//! ```
//!
//! stdout is data, stderr is for people. Nothing here knows labels; it moves documents and records.

mod agreement;
pub(crate) mod args;
mod bench;
mod classify;
mod console;
mod eval;
mod exit;
mod fit;
mod generate;
mod inputs;
mod inspect;
mod interrupt;
mod journal;
mod model;
#[cfg(feature = "hub")]
mod models;
mod pool;
mod progress;
mod queue;
mod reader;
mod run;
mod sample;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod signals;
mod start;
mod synthetic;
mod target;
mod tune;

use std::io;

use crate::cli::args::{Cli, Verb};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupted;

/// Runs the verb and says what failed.
pub(crate) fn run(cli: Cli) -> Exit {
    let console = match &cli.verb {
        Verb::Classify(args) => Console::new(args.quiet, args.writing.color.for_messages()),
        _ => Console::new(false, anstream::ColorChoice::Auto),
    };
    let result = match &cli.verb {
        Verb::Classify(args) => classify::classify(args, &console),
        Verb::Inspect(args) => inspect::inspect(args),
        Verb::Bench(args) => bench::bench(args),
        Verb::Eval(args) => eval::eval(args, &console),
        Verb::Agreement(args) => agreement::agreement(args),
        Verb::Fit(args) => fit::fit(args, &console),
        Verb::Tune(args) => tune::tune(args, &console),
        Verb::Sample(args) => sample::sample(args, &console),
        #[cfg(feature = "serve")]
        Verb::Serve(args) => serve::serve(args),
        #[cfg(feature = "hub")]
        Verb::Models(args) => models::models(args, &console),
        Verb::Completions(args) => generate::completions(args),
        Verb::Man(args) => generate::man(args),
    };
    match result {
        Ok(exit) => exit,
        // The reader of our output has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            console.failure(&error);
            if error.is::<Interrupted>() { Exit::Interrupted } else { Exit::Failed }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_broken))
}
