//! The folder of one repository in the cache, in the layout of Python's `huggingface_hub`, which reads and writes it as well.
//!
//! ```text
//! models--owner--name/blobs/<hash>                    contents, each once; <hash>.incomplete while it comes
//! models--owner--name/snapshots/<commit>/<path>       links to them
//! models--owner--name/refs/<revision>                 the commit that a branch or tag stood for when it was asked for
//! models--owner--name/trees/<commit>.detente.json     the listing of the commit; <commit>.json is Python's
//! .locks/models--owner--name/<hash>.lock              held while a file comes
//! ```

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::{Error, HubFault, Result};
use crate::hub::hash::Hash;
use crate::hub::listing::{Listing, is_needed};
use crate::hub::repository::{Repository, is_commit};

pub(super) struct RepositoryFolder {
    pub(super) cache: PathBuf,
    pub(super) root: PathBuf,
    locks: PathBuf,
}

/// What the cache says of a file that it has.
pub(super) enum State {
    /// It is not there.
    Missing,
    /// It is what it must be.
    Good,
    /// It has another hash.
    Bad(String),
}

impl RepositoryFolder {
    pub(super) fn of(cache: &Path, repository: &Repository) -> Self {
        let name = repository.folder_name();
        Self { cache: cache.to_path_buf(), root: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn blob(&self, hash: &Hash) -> PathBuf {
        self.blobs().join(hash.digits())
    }

    /// Where a file stands while it comes.
    pub(super) fn partial(&self, hash: &Hash) -> PathBuf {
        self.blobs().join(format!("{}.incomplete", hash.digits()))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    /// The folders that must be there before anything is fetched.
    pub(super) fn prepare(&self, commit: &str) -> Result<()> {
        [self.blobs(), self.snapshot(commit)].iter().try_for_each(|folder| create(folder))
    }

    /// Waits until nobody else fetches the file; Python's client takes the same lock.
    pub(super) fn lock(&self, hash: &Hash) -> Result<File> {
        create(&self.locks)?;
        let path = self.locks.join(format!("{}.lock", hash.digits()));
        let file = File::create(&path).map_err(|source| Error::Write { path, source })?;
        // A file system without locks is no reason to refuse: what comes is verified before it gets its name.
        let _ = file.lock();
        Ok(file)
    }

    /// The listing of a commit, as we or Python's client have kept it.
    pub(super) fn listing(&self, commit: &str) -> Option<Listing> {
        let names = [format!("{commit}.detente.json"), format!("{commit}.json")];
        names.iter().find_map(|name| Listing::parse(&fs::read(self.root.join("trees").join(name)).ok()?))
    }

    pub(super) fn keep_listing(&self, commit: &str, listing: &Listing) -> Result<()> {
        if self.listing(commit).is_some() {
            return Ok(());
        }
        let folder = self.root.join("trees");
        create(&folder)?;
        let path = folder.join(format!("{commit}.detente.json"));
        let partial = folder.join(format!("{commit}.detente.json.{}", std::process::id()));
        let written = fs::write(&partial, listing.to_json()).and_then(|()| fs::rename(&partial, &path));
        written.map_err(|source| Error::Write { path, source })
    }

    /// The listings of a commit, whoever has kept them.
    pub(super) fn listing_paths(&self, commit: &str) -> [PathBuf; 2] {
        [format!("{commit}.detente.json"), format!("{commit}.json")].map(|name| self.root.join("trees").join(name))
    }

    /// The commit that a revision stood for when it was asked for.
    pub(super) fn reference(&self, repository: &Repository) -> Option<String> {
        if let Some(commit) = repository.commit() {
            return Some(commit.into());
        }
        let commit = fs::read_to_string(self.root.join("refs").join(repository.revision())).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub(super) fn keep_reference(&self, repository: &Repository, commit: &str) -> Result<()> {
        if repository.commit().is_some() || self.reference(repository).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.root.join("refs").join(repository.revision());
        create(path.parent().unwrap_or(&self.root))?;
        fs::write(&path, commit).map_err(|source| Error::Write { path, source })
    }

    /// Whether a path of a snapshot, or a blob, is what it must be. The size is part of both hashes or compared through them.
    pub(super) fn state(path: &Path, hash: &Hash) -> Result<State> {
        match hash.of_file(path) {
            Ok(found) if found == hash.digits() => Ok(State::Good),
            Ok(found) => Ok(State::Bad(found)),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(State::Missing),
            Err(source) => Err(Error::Read { path: path.to_path_buf(), source }),
        }
    }

    /// What a file of a snapshot is by the name of what it links to; `None` if that says nothing.
    pub(super) fn hash_by_name(path: &Path) -> Option<Hash> {
        Hash::parse(fs::read_link(path).ok()?.file_name()?.to_str()?)
    }

    /// The files of a snapshot that are read when it is opened, sorted by their paths.
    pub(super) fn needed_files(&self, commit: &str) -> Result<Vec<String>> {
        let snapshot = self.snapshot(commit);
        let mut files = Vec::new();
        for name in names(&snapshot)? {
            if snapshot.join(&name).is_dir() {
                files.extend(names(&snapshot.join(&name))?.into_iter().map(|inner| format!("{name}/{inner}")));
            } else {
                files.push(name);
            }
        }
        files.retain(|path| is_needed(path));
        files.sort_unstable();
        Ok(files)
    }

    /// Puts a file of a commit in its place; its contents are there.
    pub(super) fn link(&self, commit: &str, path: &str, hash: &Hash) -> Result<()> {
        let link = self.snapshot(commit).join(path);
        create(link.parent().unwrap_or(&self.root))?;
        let up = "../".repeat(path.split('/').count() + 1);
        remove_if_there(&link)?;
        link_or_copy(&format!("{up}blobs/{}", hash.digits()), &self.blob(hash), &link)
            .map_err(|source| Error::Write { path: link, source })
    }

    /// Removes a bad file: its place in the snapshot and the contents behind it, as far as they are in the cache.
    pub(super) fn discard(&self, path: &Path) -> Result<()> {
        let behind = path.canonicalize();
        let first = fs::read_link(path).map(|target| path.parent().unwrap_or(&self.root).join(target));
        remove_if_there(path)?;
        let inside =
            |path: PathBuf| self.cache.canonicalize().is_ok_and(|cache| path.starts_with(cache)).then_some(path);
        if let Some(blob) = first.ok().filter(|first| {
            first.parent().and_then(|parent| parent.canonicalize().ok()) == self.blobs().canonicalize().ok()
        }) {
            remove_if_there(&blob)?;
        }
        behind.ok().and_then(inside).map_or(Ok(()), |behind| remove_if_there(&behind))
    }
}

/// Names in a folder; none if it is not there.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Read { path: folder.to_path_buf(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>().map_err(failed)?;
    names.sort_unstable();
    Ok(names)
}

/// # Errors
/// [`Error::Hub`] if a folder that is there is, through links, one outside the cache.
pub(super) fn check_inside(cache: &Path, folder: &Path, repository: &Repository) -> Result<()> {
    let real = |path: &Path| path.canonicalize().map_err(|source| Error::Read { path: path.to_path_buf(), source });
    match real(folder)?.starts_with(real(cache)?) {
        true => Ok(()),
        false => Err(repository.fault(HubFault::Outside { path: folder.to_path_buf() })),
    }
}

pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Write { path: path.to_path_buf(), source }),
        _ => Ok(()),
    }
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_path_buf(), source })
}

/// A relative link, so that the cache can be moved.
#[cfg(unix)]
fn link_or_copy(target: &str, _blob: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Where links need rights that few have, a copy.
#[cfg(not(unix))]
fn link_or_copy(_target: &str, blob: &Path, link: &Path) -> io::Result<()> {
    fs::copy(blob, link).map(|_| ())
}
