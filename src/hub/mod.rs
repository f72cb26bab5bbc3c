//! Models of the Hugging Face Hub: `hf:owner/name@revision` to a folder that [`crate::Classifier::open`] opens.
//!
//! In: the name of a repository. Out: a [`Snapshot`] of one commit in the cache that Python's `huggingface_hub` uses, too, each
//! of whose files was verified by size and hash. Files that are not read are not fetched, pickles never.
//!
//! ```no_run
//! use detente::Classifier;
//! use detente::hub::Hub;
//!
//! let hub = Hub::from_environment()?;
//! let snapshot = hub.snapshot(&"hf:owner/name@v1.0".parse()?, &mut |_| {})?;
//! let classifier = Classifier::open(&snapshot.folder)?;
//! assert!(classifier.info().id.starts_with(&format!("owner/name@{}+", snapshot.commit)));
//! # Ok::<(), detente::Error>(())
//! ```
//!
//! Why not the crate `hf-hub`, and what each environment variable does: `docs/hub.md`.

mod cache;
mod client;
mod download;
mod hash;
mod listing;
mod manage;
mod repository;
mod settings;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, HubFault, Result};
use crate::hub::cache::{RepositoryFolder, State};
use crate::hub::client::Client;
use crate::hub::download::Fetch;
use crate::hub::hash::Hash;
use crate::hub::listing::{Entry, Listing};
pub use crate::hub::manage::{CachedSnapshot, Removed, Verified};
pub use crate::hub::repository::{PREFIX, Repository};

/// A Hub, or a mirror of it, and a cache.
#[derive(Clone)]
pub struct Hub {
    cache: PathBuf,
    endpoint: String,
    token: Option<String>,
    is_offline: bool,
}

/// A commit of a repository, whole and verified in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where its files are.
    pub folder: PathBuf,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// What the user should know: that the Hub could not be asked, or that nobody knows whether the files are all there.
    pub note: Option<String>,
}

/// What happens while files come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'e> {
    /// So many files with so many bytes are missing and will be fetched.
    Missing {
        /// Number of files.
        files: usize,
        /// Their sizes together.
        bytes: u64,
    },
    /// So many bytes of a file are there; fewer than before if it had to begin anew.
    Received {
        /// Path inside the repository.
        path: &'e str,
        /// Number of bytes.
        bytes: u64,
    },
}

impl Hub {
    /// The Hub itself, without a token, and this folder as the cache.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), endpoint: settings::ENDPOINT.into(), token: None, is_offline: false }
    }

    /// As the environment variables say that Python's client follows, too: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH`, `HF_HUB_OFFLINE` and their older names.
    ///
    /// # Errors
    /// [`Error::Hub`] if one of them cannot be followed, [`Error::Read`] if the token's file cannot be read.
    pub fn from_environment() -> Result<Self> {
        settings::read(&|name| std::env::var_os(name))
    }

    /// Another endpoint: `https://` or `http://`, host, maybe port and path. The token is sent to it.
    #[must_use]
    pub fn with_endpoint(self, endpoint: impl Into<String>) -> Self {
        let endpoint: String = endpoint.into();
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), ..self }
    }

    /// The token of an account.
    #[must_use]
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Whether the network is left alone.
    #[must_use]
    pub fn with_offline(self, is_offline: bool) -> Self {
        Self { is_offline, ..self }
    }

    /// The folder of the cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Brings the files of a repository that are missing into the cache, and verifies all of them, also those that were there.
    /// A whole commit that the cache has is opened without any request. Offline, or when the Hub cannot be reached, the commit is
    /// the one that the revision stood for last.
    ///
    /// # Errors
    /// [`Error::Hub`] if the repository cannot be had or a file is not what it must be, which is then not kept;
    /// [`Error::Checkpoint`] if it has no safetensors; [`Error::Write`] and [`Error::Read`] of the cache.
    pub fn snapshot(&self, repository: &Repository, report: &mut dyn FnMut(Event<'_>)) -> Result<Snapshot> {
        let folder = RepositoryFolder::of(&self.cache, repository);
        if self.is_offline {
            return self.cached(repository, &folder);
        }
        let client = Client::new(&self.endpoint, self.token.as_deref());
        let (commit, listing) = match ask(&client, repository, &folder) {
            Ok(answer) => answer,
            Err(problem) if is_temporary(&problem) && folder.reference(repository).is_some() => {
                let problem = repository.fault(problem);
                return match self.cached(repository, &folder) {
                    Ok(snapshot) => {
                        let note = format!("{problem}; the cache has {}, which is used", snapshot.commit);
                        Ok(Snapshot { note: Some(note), ..snapshot })
                    }
                    Err(Error::Hub { what: HubFault::Offline { .. }, .. }) => Err(problem),
                    Err(other) => Err(other),
                };
            }
            Err(problem) => return Err(repository.fault(problem)),
        };
        check_weights(repository, &commit, &listing)?;
        self.complete(&client, repository, &folder, &commit, &listing, report)?;
        // A cache that may only be read is no reason to refuse what it has; only a run without network will miss this.
        let kept = folder.keep_listing(&commit, &listing).and_then(|()| folder.keep_reference(repository, &commit));
        let note = kept.err().map(|problem| format!("{problem}; offline, {repository} may not be found"));
        Ok(Snapshot { folder: folder.snapshot(&commit), commit, note })
    }

    /// Fetches what is missing, verifies what is there.
    fn complete(
        &self,
        client: &Client<'_>,
        repository: &Repository,
        folder: &RepositoryFolder,
        commit: &str,
        listing: &Listing,
        report: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let snapshot = folder.snapshot(commit);
        let is_there = |path: &str, entry: &Entry| snapshot.join(path).exists() || folder.blob(&entry.hash).exists();
        let missing: Vec<&Entry> =
            listing.needed().filter(|(path, entry)| !is_there(path, entry)).map(|(_, entry)| entry).collect();
        if !missing.is_empty() {
            let bytes = missing.iter().map(|entry| entry.bytes).sum();
            report(Event::Missing { files: missing.len(), bytes });
        }
        for (path, entry) in listing.needed() {
            let link = snapshot.join(path);
            if link.exists() {
                check(repository, folder, path, &link, &entry.hash)?;
                continue;
            }
            folder.prepare(commit)?;
            let lock = folder.lock(&entry.hash)?;
            let blob = folder.blob(&entry.hash);
            if blob.exists() {
                check(repository, folder, path, &blob, &entry.hash)?;
            } else {
                Fetch { client, folder, repository, commit, path, entry }.run(report)?;
            }
            folder.link(commit, path, &entry.hash)?;
            drop(lock);
        }
        Ok(())
    }

    /// What the cache has, verified.
    fn cached(&self, repository: &Repository, folder: &RepositoryFolder) -> Result<Snapshot> {
        let offline = || repository.fault(HubFault::Offline { cache: self.cache.clone() });
        let commit = folder.reference(repository).ok_or_else(offline)?;
        let snapshot = folder.snapshot(&commit);
        if !snapshot.is_dir() {
            return Err(offline());
        }
        let note = match folder.listing(&commit) {
            Some(listing) => {
                check_weights(repository, &commit, &listing)?;
                for (path, entry) in listing.needed() {
                    check(repository, folder, path, &snapshot.join(path), &entry.hash)?;
                }
                None
            }
            None => {
                for path in folder.needed_files(&commit)? {
                    let link = snapshot.join(&path);
                    let hash = RepositoryFolder::hash_by_name(&link);
                    let hash = hash.ok_or_else(|| repository.fault(HubFault::Unverifiable { file: path.clone() }))?;
                    check(repository, folder, &path, &link, &hash)?;
                }
                Some(format!(
                    "{repository}: another program fetched it, and nothing says whether all its files are there; \
                     `detente models pull` completes it"
                ))
            }
        };
        Ok(Snapshot { folder: snapshot, commit, note })
    }
}

/// The commit and its files, from the Hub as far as the cache does not know.
fn ask(client: &Client<'_>, repository: &Repository, folder: &RepositoryFolder) -> Result<(String, Listing), HubFault> {
    let commit = match repository.commit() {
        Some(commit) => commit.to_owned(),
        None => client.commit(repository)?,
    };
    let listing = match folder.listing(&commit) {
        Some(listing) => listing,
        None => client.listing(repository, &commit)?,
    };
    Ok((commit, listing))
}

/// Whether the same question may be answered later.
fn is_temporary(problem: &HubFault) -> bool {
    match problem {
        HubFault::Unreachable { .. } => true,
        HubFault::Status { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}

fn check_weights(repository: &Repository, commit: &str, listing: &Listing) -> Result<()> {
    let path = || PathBuf::from(repository.at(commit).to_string());
    listing.check_weights().map_err(|what| Error::Checkpoint { path: path(), what })
}

/// Whether a file is what it must be; a bad one is removed.
fn check(repository: &Repository, folder: &RepositoryFolder, file: &str, path: &Path, hash: &Hash) -> Result<()> {
    match RepositoryFolder::state(path, hash)? {
        State::Good => Ok(()),
        State::Missing => Err(repository.fault(HubFault::Incomplete { file: file.into() })),
        State::Bad(found) => {
            folder.discard(path)?;
            let (kind, expected) = (hash.kind(), hash.digits().into());
            Err(repository.fault(HubFault::Damaged { file: file.into(), kind, expected, found }))
        }
    }
}

/// Without the token.
impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_token = self.token.is_some();
        f.debug_struct("Hub")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("has_token", &has_token)
            .field("is_offline", &self.is_offline)
            .finish()
    }
}
