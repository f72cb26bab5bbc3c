//! What `--model` names: a folder, or a repository of the Hub, which is fetched when the folder is asked for.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::cli::console::Console;

/// What stands before the name of a repository. A folder of that name is `./hf:…`.
const PREFIX: &str = "hf:";

/// A bundle or a checkpoint, by its folder or by its name on the Hub.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    name: PathBuf,
    /// Where it is, once that is known.
    folder: OnceLock<PathBuf>,
}

impl Model {
    /// What the user named.
    pub(crate) fn named(name: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), folder: OnceLock::new() }
    }

    /// For clap.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        PathBufValueParser::new().map(Self::named)
    }

    /// As the user named it.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Where it is; a repository of the Hub is fetched the first time, with notes and progress on stderr.
    ///
    /// # Errors
    /// If it cannot be fetched.
    pub(crate) fn folder(&self) -> anyhow::Result<&Path> {
        self.fetch(&Console::new(false, anstream::ColorChoice::Auto))
    }

    /// The same, with notes as the console has them.
    ///
    /// # Errors
    /// If it cannot be fetched.
    pub(crate) fn fetch(&self, console: &Console) -> anyhow::Result<&Path> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder);
        }
        let folder = match self.name.to_str().filter(|name| name.starts_with(PREFIX)) {
            Some(name) => snapshot(name, console)?,
            None => self.name.clone(),
        };
        Ok(self.folder.get_or_init(|| folder))
    }
}

#[cfg(feature = "hub")]
fn snapshot(name: &str, console: &Console) -> anyhow::Result<PathBuf> {
    let repository = name.parse()?;
    Ok(crate::cli::models::pull(&detente::hub::Hub::from_environment()?, &repository, console)?.folder)
}

#[cfg(not(feature = "hub"))]
fn snapshot(name: &str, _console: &Console) -> anyhow::Result<PathBuf> {
    anyhow::bail!(
        "{name} is on the Hub, and this program was built without the feature `hub`; build it with `--features hub`, or download the \
         files and name their folder"
    )
}
