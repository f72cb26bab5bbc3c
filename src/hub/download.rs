//! One file from the Hub into the cache: it goes on where an earlier run stopped, and gets its name once it is verified.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, HubFault, Result};
use crate::hub::Event;
use crate::hub::cache::{RepositoryFolder, State, remove_if_there};
use crate::hub::client::{Client, Download};
use crate::hub::hash::Hash;
use crate::hub::listing::Entry;
use crate::hub::repository::Repository;

/// How often a file is asked for whose connection ends early, before the user is told.
const ATTEMPTS: usize = 3;

/// Bytes that are written at a time.
const BUFFER_BYTES: usize = 1 << 18;

/// One file of a commit, on its way.
pub(super) struct Fetch<'f> {
    pub(super) client: &'f Client<'f>,
    pub(super) folder: &'f RepositoryFolder,
    pub(super) repository: &'f Repository,
    pub(super) commit: &'f str,
    pub(super) path: &'f str,
    pub(super) entry: &'f Entry,
}

/// How far a file came.
struct Came {
    /// Whether some of it was there from an earlier run.
    is_resumed: bool,
    is_page: bool,
}

impl Fetch<'_> {
    /// Fetches the contents into their place among the blobs. The caller holds the lock.
    ///
    /// # Errors
    /// [`Error::Hub`] if what came is not the file; nothing of it is kept then, but for the beginning of a file that was cut short.
    pub(super) fn run(&self, report: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let partial = self.folder.partial(&self.entry.hash);
        let blob = self.folder.blob(&self.entry.hash);
        let fault = |what| self.repository.fault(what);
        loop {
            let Came { is_resumed, is_page } = self.patiently(&partial, report)?;
            match RepositoryFolder::state(&partial, &self.entry.hash)? {
                State::Good => break,
                // The bytes of the earlier run may be the bad ones.
                _ if is_resumed => remove_if_there(&partial)?,
                State::Bad(found) => {
                    remove_if_there(&partial)?;
                    let (kind, expected) = (self.entry.hash.kind(), self.entry.hash.digits().into());
                    return Err(fault(HubFault::Checksum { file: self.path.into(), kind, expected, found, is_page }));
                }
                State::Missing => {
                    return Err(Error::Read { path: partial, source: io::Error::from(io::ErrorKind::NotFound) });
                }
            }
        }
        let written = File::open(&partial).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&partial, &blob));
        written.map_err(|source| Error::Write { path: blob, source })
    }

    /// Asks again when a connection ends early.
    fn patiently(&self, partial: &Path, report: &mut dyn FnMut(Event<'_>)) -> Result<Came> {
        let mut is_resumed = false;
        for attempt in 1.. {
            match self.once(partial, report) {
                Ok(came) => return Ok(Came { is_resumed: is_resumed || came.is_resumed, ..came }),
                Err(Error::Hub { what: HubFault::CutShort { .. }, .. }) if attempt < ATTEMPTS => is_resumed = true,
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop ends by returning")
    }

    fn once(&self, partial: &Path, report: &mut dyn FnMut(Event<'_>)) -> Result<Came> {
        let fault = |what| self.repository.fault(what);
        let ask = |from| self.client.file(self.repository, self.commit, self.path, from).map_err(fault);
        let expected = self.entry.bytes;
        let mut there = fs::metadata(partial).map_or(0, |metadata| metadata.len());
        if there == expected && there > 0 {
            return Ok(Came { is_resumed: true, is_page: false });
        }
        if there > expected {
            there = 0;
        }
        let mut download = ask(there)?;
        if there > 0 && !self.continues(&download, there) {
            there = 0;
            if download.status != 200 {
                download = ask(0)?;
            }
        }
        self.check_size(&download, there).map_err(fault)?;
        let is_page = download.is_page;
        self.receive(&mut download, partial, there, report)?;
        Ok(Came { is_resumed: there > 0, is_page })
    }

    /// Whether the answer begins where the earlier run stopped, in the same file.
    fn continues(&self, download: &Download, there: u64) -> bool {
        let other = download.etag.as_deref().and_then(Hash::parse).filter(|hash| hash.kind() == self.entry.hash.kind());
        download.status == 206
            && download.range == Some((there, self.entry.bytes))
            && other.is_none_or(|hash| hash == self.entry.hash)
    }

    /// Before anything is written.
    fn check_size(&self, download: &Download, there: u64) -> Result<(), HubFault> {
        match download.length {
            Some(length) if there + length != self.entry.bytes || download.status == 416 => {
                Err(self.size(there + length, download.is_page))
            }
            _ => Ok(()),
        }
    }

    fn size(&self, found: u64, is_page: bool) -> HubFault {
        HubFault::Size { file: self.path.into(), expected: self.entry.bytes, found, is_page }
    }

    fn receive(
        &self,
        download: &mut Download,
        partial: &Path,
        there: u64,
        report: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let failed = |source| Error::Write { path: PathBuf::from(partial), source };
        let opened = OpenOptions::new().create(true).append(there > 0).write(true).truncate(there == 0).open(partial);
        let mut file = opened.map_err(failed)?;
        let (mut total, is_page) = (there, download.is_page);
        report(Event::Received { path: self.path, bytes: total });
        let mut reader = download.reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        let ended = loop {
            match reader.read(&mut buffer) {
                Ok(0) => break None,
                Ok(count) => {
                    total += count as u64;
                    if total > self.entry.bytes {
                        drop(file);
                        remove_if_there(partial)?;
                        return Err(self.repository.fault(self.size(total, is_page)));
                    }
                    file.write_all(&buffer[..count]).map_err(failed)?;
                    report(Event::Received { path: self.path, bytes: total });
                }
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(problem) => break Some(problem),
            }
        };
        if total == self.entry.bytes {
            return Ok(());
        }
        let (file, expected) = (self.path.into(), self.entry.bytes);
        Err(self.repository.fault(HubFault::CutShort { file, expected, found: total, source: ended }))
    }
}
