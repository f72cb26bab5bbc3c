//! Where the records go: standard output, or a file that is opened before the long work and counted byte by byte.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};

/// Bytes that are gathered before the system is called.
const BUFFER_BYTES: usize = 1 << 16;

/// Which file a path means, however it is spelt and through whatever links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    inode: Option<(u64, u64)>,
    path: Option<PathBuf>,
}

impl FileIdentity {
    /// Of an existing or a future file.
    pub(crate) fn of(path: &Path) -> Self {
        let canonical = path.canonicalize().ok().or_else(|| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(parent.canonicalize().ok()?.join(path.file_name()?))
        });
        Self { inode: std::fs::metadata(path).ok().and_then(|metadata| inode(&metadata)), path: canonical }
    }

    /// Of the file that standard input is read from, if the system says that it is one.
    pub(crate) fn of_stdin() -> Option<Self> {
        Self::of_stream(io::stdin())
    }

    /// Of the file that standard output is written to, if the system says that it is one.
    pub(crate) fn of_stdout() -> Option<Self> {
        Self::of_stream(io::stdout())
    }

    /// Of the file that standard error is written to, if the system says that it is one.
    pub(crate) fn of_stderr() -> Option<Self> {
        Self::of_stream(io::stderr())
    }

    #[cfg(unix)]
    fn of_stream(stream: impl std::os::fd::AsFd) -> Option<Self> {
        let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
        Some(Self { inode: Some(inode(&file.metadata().ok()?)?), path: None })
    }

    #[cfg(not(unix))]
    fn of_stream<T>(_stream: T) -> Option<Self> {
        None
    }

    /// Whether `path` is the same file.
    pub(crate) fn is(&self, path: &Path) -> bool {
        self.is_same(&Self::of(path))
    }

    /// Whether both are the same file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |a: &Option<PathBuf>, b: &Option<PathBuf>| a.is_some() && a == b;
        self.inode.is_some() && self.inode == other.inode || same(&self.path, &other.path)
    }
}

/// Device and number of a regular file; two names of one file have the same.
#[cfg(unix)]
fn inode(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> Option<(u64, u64)> {
    None
}

/// Asked before long work whose result is to be written there.
///
/// # Errors
/// If the folder that the file or folder is to stand in is not there.
pub(crate) fn check_folder(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent.filter(|parent| !parent.is_dir()) {
        None => Ok(()),
        Some(parent) => {
            bail!("cannot write {}: the folder {} does not exist; make it first", path.display(), parent.display())
        }
    }
}

/// What is known of the output before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// Something that is there and no regular file: `/dev/null`, a pipe. Never resumable, never in the way.
    Device(PathBuf),
    /// A regular file, which is there with so many bytes or is not there.
    File(PathBuf, Option<u64>),
}

impl Destination {
    /// Looks at the output path without touching it.
    ///
    /// # Errors
    /// If nothing can be written there.
    pub(crate) fn look(output: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = output else { return Ok(Self::Stdout) };
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                bail!("cannot write {}: it is a folder; name a file", path.display())
            }
            Ok(metadata) if metadata.is_file() => Ok(Self::File(path.to_owned(), Some(metadata.len()))),
            Ok(_) => Ok(Self::Device(path.to_owned())),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
                if path.is_symlink() {
                    bail!("cannot write {}: it is a link to a file that does not exist", path.display());
                }
                check_folder(path)?;
                Ok(Self::File(path.to_owned(), None))
            }
            Err(problem) => bail!("cannot write {}: {problem}", path.display()),
        }
    }

    /// As it is called in messages.
    pub(crate) fn name(&self) -> PathBuf {
        match self {
            Self::Stdout => PathBuf::from("<stdout>"),
            Self::Device(path) | Self::File(path, _) => path.clone(),
        }
    }

    /// Opens it, without changing a byte of a file that is there.
    ///
    /// # Errors
    /// If the system refuses, or another run writes to the file.
    pub(crate) fn lock(&self) -> anyhow::Result<Locked> {
        Ok(match self {
            Self::Stdout => Locked::Stream(Box::new(io::stdout())),
            Self::Device(path) => {
                let file = OpenOptions::new().write(true).open(path);
                Locked::Stream(Box::new(file.with_context(|| format!("cannot write {}", path.display()))?))
            }
            Self::File(path, _) => Locked::File(path.clone(), lock_file(path)?),
        })
    }
}

fn lock_file(path: &Path) -> anyhow::Result<File> {
    // Not truncated yet: it may be the file of a run that is still going on.
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = opened.with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            bail!("cannot write {}: another run is writing to it; wait for its end, or stop it", path.display())
        }
        // A file system without locks is no reason to refuse.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// An output that is open, and ours until we end.
pub(crate) enum Locked {
    /// Standard output, or a device.
    Stream(Box<dyn Write + Send>),
    /// A file.
    File(PathBuf, File),
}

impl Locked {
    /// Bytes that the file holds.
    ///
    /// # Errors
    /// If the system does not say.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        match self {
            Self::Stream(_) => Ok(0),
            Self::File(path, file) => {
                let metadata = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
                Ok(metadata.len())
            }
        }
    }

    /// Cuts the file to its first `keep` bytes; from there on it is written.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn into_target(self, keep: u64) -> anyhow::Result<Target> {
        let sink = match self {
            Self::Stream(sink) => sink,
            Self::File(path, mut file) => {
                let what = || format!("cannot write {}", path.display());
                file.set_len(keep).with_context(what)?;
                file.seek(SeekFrom::Start(keep)).with_context(what)?;
                Box::new(file)
            }
        };
        let sink = BufWriter::with_capacity(BUFFER_BYTES, sink);
        Ok(Target(Arc::new(Mutex::new(Counted { sink, bytes: keep }))))
    }
}

/// An open output, shared between the writer of records and the one who flushes and counts.
#[derive(Clone)]
pub(crate) struct Target(Arc<Mutex<Counted>>);

struct Counted {
    sink: BufWriter<Box<dyn Write + Send>>,
    bytes: u64,
}

impl Target {
    /// Bytes since the beginning of the file; those of earlier runs are counted.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut counted = self.lock();
        let count = counted.sink.write(bytes)?;
        counted.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_sees_through_spelling() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("out.jsonl");
        let future = FileIdentity::of(&file);
        assert!(future.is(&root.path().join("./out.jsonl")));
        assert!(!future.is(&root.path().join("other.jsonl")));
        std::fs::write(&file, "").unwrap();
        std::fs::write(root.path().join("other.jsonl"), "").unwrap();
        assert!(future.is(&file));
        assert!(FileIdentity::of(&file).is(&root.path().join("./out.jsonl")));
        assert!(!FileIdentity::of(&file).is(&root.path().join("other.jsonl")));
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_anything_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let missing = Destination::look(Some(&root.path().join("none/out.jsonl"))).unwrap_err().to_string();
        assert!(missing.contains("none does not exist; make it first"), "{missing}");
        let folder = Destination::look(Some(root.path())).unwrap_err().to_string();
        assert!(folder.contains("it is a folder"), "{folder}");
        assert_eq!(Destination::look(None).unwrap(), Destination::Stdout);
        assert!(matches!(Destination::look(Some(Path::new("out.jsonl"))).unwrap(), Destination::File(_, None)));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_keeps_its_first_bytes_and_is_counted_on() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("out");
        std::fs::write(&path, "one two").unwrap();
        let destination = Destination::look(Some(&path)).unwrap();
        let mut target = destination.lock().unwrap().into_target(4).unwrap();
        assert!(destination.lock().is_err(), "a second run is refused");
        assert_eq!(std::fs::read(&path).unwrap(), b"one ", "and has not touched the file");
        target.write_all(b"three").unwrap();
        target.flush().unwrap();
        assert_eq!(target.bytes(), 9);
        assert_eq!(std::fs::read(&path).unwrap(), b"one three");
    }
}
