//! What the cache has: listed, verified, removed. Nothing here asks the Hub.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, HubFault, Result};
use crate::hub::cache::{RepositoryFolder, check_inside, names, remove_if_there};
use crate::hub::repository::{Repository, is_commit};
use crate::hub::{Hub, check};

/// A commit of a repository in the cache, by whomever it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedSnapshot {
    /// `owner/name`.
    pub id: String,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Branches and tags that stood for it when they were asked for, sorted.
    pub revisions: Vec<String>,
    /// Files, also those that are not read here.
    pub files: usize,
    /// Their sizes together, in bytes; what another commit has as well counts for both.
    pub bytes: u64,
    /// Whether all files are there that are read here; `None` if nobody has kept a listing.
    pub is_complete: Option<bool>,
    /// Where the files are.
    pub folder: PathBuf,
}

/// What became of the files of a commit.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// `owner/name`.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// Files that are what they must be.
    pub good: usize,
    /// What is wrong with the others; those that were damaged are not kept.
    pub faults: Vec<Error>,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// `owner/name`.
    pub id: String,
    /// The commits.
    pub commits: Vec<String>,
    /// Contents that no other commit needs.
    pub files: usize,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

impl Hub {
    /// Every commit in the cache, by repository, then by commit.
    ///
    /// # Errors
    /// [`Error::Read`] if the cache cannot be read; without one there is nothing in it.
    pub fn list(&self) -> Result<Vec<CachedSnapshot>> {
        let mut found = Vec::new();
        for repository in names(self.cache())?.iter().filter_map(|name| Repository::of_folder(name)) {
            let folder = RepositoryFolder::of(self.cache(), &repository);
            let references = references(&folder)?;
            for commit in commits(&folder)? {
                let snapshot = folder.snapshot(&commit);
                let files = walk(&snapshot)?;
                let sizes = files.iter().filter_map(|path| Some(fs::metadata(snapshot.join(path)).ok()?.len()));
                let listing = folder.listing(&commit);
                let mut revisions: Vec<String> =
                    references.iter().filter(|(_, at)| *at == commit).map(|(name, _)| name.clone()).collect();
                revisions.sort_unstable();
                found.push(CachedSnapshot {
                    id: repository.id(),
                    revisions,
                    files: files.len(),
                    bytes: sizes.sum(),
                    is_complete: listing.map(|listing| listing.needed().all(|(path, _)| snapshot.join(path).exists())),
                    folder: snapshot,
                    commit,
                });
            }
        }
        Ok(found)
    }

    /// Verifies the files that are read of a revision, or of every commit of the repository if no revision is named. A damaged
    /// file is removed.
    ///
    /// # Errors
    /// [`Error::Hub`] if it is not in the cache; [`Error::Read`] and [`Error::Write`] of the cache. What is wrong with the files
    /// is in the answer.
    pub fn verify(&self, repository: &Repository) -> Result<Vec<Verified>> {
        let folder = RepositoryFolder::of(self.cache(), repository);
        let mut found = Vec::new();
        for commit in self.chosen(repository, &folder)? {
            let snapshot = folder.snapshot(&commit);
            let at = repository.at(&commit);
            let mut verified = Verified { id: repository.id(), commit: commit.clone(), good: 0, faults: Vec::new() };
            let listing = folder.listing(&commit);
            let files = match &listing {
                Some(listing) => {
                    listing.needed().map(|(path, entry)| (path.to_owned(), Some(entry.hash.clone()))).collect()
                }
                None => {
                    let named = |path: String| (path.clone(), RepositoryFolder::hash_by_name(&snapshot.join(path)));
                    folder.needed_files(&commit)?.into_iter().map(named).collect::<Vec<_>>()
                }
            };
            for (path, hash) in files {
                let result = match hash {
                    Some(hash) => check(&at, &folder, &path, &snapshot.join(&path), &hash),
                    None => Err(at.fault(HubFault::Unverifiable { file: path })),
                };
                match result {
                    Ok(()) => verified.good += 1,
                    Err(fault @ Error::Hub { .. }) => verified.faults.push(fault),
                    Err(other) => return Err(other),
                }
            }
            found.push(verified);
        }
        Ok(found)
    }

    /// Removes a revision, or the whole repository if no revision is named: its links, and of the contents what no other
    /// commit of the repository needs.
    ///
    /// # Errors
    /// [`Error::Hub`] if it is not in the cache, or its folder is a link to one outside, where nothing is removed;
    /// [`Error::Write`] if the system refuses.
    pub fn remove(&self, repository: &Repository) -> Result<Removed> {
        let folder = RepositoryFolder::of(self.cache(), repository);
        let removed = self.chosen(repository, &folder)?;
        check_inside(self.cache(), &folder.root, repository)?;
        let kept: Vec<String> = commits(&folder)?.into_iter().filter(|commit| !removed.contains(commit)).collect();
        let mut blobs = BTreeSet::new();
        for commit in &removed {
            blobs.extend(contents(&folder, commit)?);
        }
        for commit in &kept {
            for blob in contents(&folder, commit)? {
                blobs.remove(&blob);
            }
        }
        let size =
            |blob: &PathBuf| fs::symlink_metadata(blob).ok().filter(|found| found.is_file()).map(|found| found.len());
        let bytes = blobs.iter().filter_map(size).sum();
        let answer = Removed { id: repository.id(), commits: removed.clone(), files: blobs.len(), bytes };
        if kept.is_empty() {
            remove_folder(&folder.root)?;
            remove_folder(folder.locks())?;
            return Ok(answer);
        }
        // References first: one that leads nowhere is an error to Python's client.
        for (name, _) in references(&folder)?.iter().filter(|(_, commit)| removed.contains(commit)) {
            remove_if_there(&folder.root.join("refs").join(name))?;
        }
        for commit in &removed {
            remove_folder(&folder.snapshot(commit))?;
            folder.listing_paths(commit).iter().try_for_each(|path| remove_if_there(path))?;
        }
        blobs.iter().try_for_each(|blob| remove_if_there(blob))?;
        Ok(answer)
    }

    /// The commits that are meant, in the cache.
    fn chosen(&self, repository: &Repository, folder: &RepositoryFolder) -> Result<Vec<String>> {
        let commits = commits(folder)?;
        let chosen: Vec<String> = match repository.is_default_revision() {
            true => commits,
            false => {
                let commit = folder.reference(repository);
                commits.into_iter().filter(|found| Some(found) == commit.as_ref()).collect()
            }
        };
        if chosen.is_empty() {
            return Err(repository.fault(HubFault::NotCached { cache: self.cache().to_path_buf() }));
        }
        Ok(chosen)
    }
}

/// The commits that a repository has snapshots of, sorted.
fn commits(folder: &RepositoryFolder) -> Result<Vec<String>> {
    Ok(names(&folder.root.join("snapshots"))?.into_iter().filter(|name| is_commit(name)).collect())
}

/// Names of branches and tags with the commits that they stood for.
fn references(folder: &RepositoryFolder) -> Result<Vec<(String, String)>> {
    let root = folder.root.join("refs");
    let read = |name: String| Some((name.clone(), fs::read_to_string(root.join(&name)).ok()?.trim().to_owned()));
    Ok(walk(&root)?.into_iter().filter_map(read).collect())
}

/// The blobs that the links of a snapshot lead to; only those of the repository itself.
fn contents(folder: &RepositoryFolder, commit: &str) -> Result<BTreeSet<PathBuf>> {
    let (snapshot, blobs) = (folder.snapshot(commit), folder.blobs());
    let real = blobs.canonicalize().ok();
    let blob = |path: String| {
        let link = snapshot.join(path);
        let target = link.parent()?.join(fs::read_link(&link).ok()?);
        let is_ours = target.parent()?.canonicalize().ok() == real && real.is_some();
        is_ours.then(|| Some(blobs.join(target.file_name()?))).flatten()
    };
    Ok(walk(&snapshot)?.into_iter().filter_map(blob).collect())
}

/// The files below a folder, by their paths with slashes; links to folders are not followed.
fn walk(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        match is_folder {
            true => files.extend(walk(&path)?.into_iter().map(|inner| format!("{name}/{inner}"))),
            false => files.push(name),
        }
    }
    Ok(files)
}

/// Links in it are removed, not followed.
fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Write { path: folder.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}
