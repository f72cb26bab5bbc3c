//! `detente completions` and `detente man`: what shells and `man` want to know, made from the flags themselves.

use std::io::{self, Write};

use anyhow::{Context, bail};
use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;

use crate::cli::args::{Cli, Completions, Man};
use crate::cli::exit::Exit;

/// Prints the completions for a shell.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn completions(args: &Completions) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "detente", &mut script);
    print(&script)
}

/// Prints the manual page with all verbs, or writes one page per verb into a folder.
///
/// # Errors
/// If the pages cannot be written.
pub(crate) fn man(args: &Man) -> anyhow::Result<Exit> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let verbs: Vec<Command> = command.get_subcommands().cloned().collect();
    let Some(folder) = &args.output else {
        let mut pages = rendered(&Page::new(command))?;
        for verb in verbs {
            pages.extend(rendered(&Page::new(verb))?);
        }
        return print(&pages);
    };
    if !folder.is_dir() {
        bail!("cannot write manual pages: the folder {} does not exist; make it first", folder.display());
    }
    for command in std::iter::once(command).chain(verbs) {
        let page = Page::new(command);
        let path = folder.join(page.get_filename());
        std::fs::write(&path, rendered(&page)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Done)
}

fn rendered(page: &Page) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    page.render(&mut bytes)?;
    Ok(bytes)
}

/// Writes to standard output as a whole.
fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write <stdout>")?;
    Ok(Exit::Done)
}
