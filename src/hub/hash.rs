//! What a file of the Hub must be: its size, and the hash that the repository lists for it, which also names it in the cache.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::hub::repository::is_hex;

/// Bytes that are read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Hexadecimal digits of the two.
const SHA256_DIGITS: usize = 64;
const GIT_DIGITS: usize = 40;

/// A hash as the Hub lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hash {
    /// sha256 of the contents: files in large file storage, such as weights.
    Sha256(String),
    /// Git's name of the contents, a sha1 over their size and themselves: all other files.
    Git(String),
}

impl Hash {
    /// Told by its length.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.len() {
            SHA256_DIGITS if is_hex(text) => Some(Self::Sha256(text.into())),
            GIT_DIGITS if is_hex(text) => Some(Self::Git(text.into())),
            _ => None,
        }
    }

    /// The hexadecimal digits.
    pub(crate) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) => digits,
        }
    }

    /// As messages call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Git(_) => "git sha1",
        }
    }

    /// The digits of the same kind of hash of a file, whatever its size.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn of_file(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        match self {
            Self::Sha256(_) => digest(Sha256::new(), &mut file),
            Self::Git(_) => {
                let bytes = file.metadata()?.len();
                digest(Sha1::new_with_prefix(format!("blob {bytes}\0")), &mut file)
            }
        }
    }
}

fn digest(mut hash: impl Digest, file: &mut File) -> io::Result<String> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "hello\n").unwrap();
        // `git hash-object` and `sha256sum` of the same file.
        for digits in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let hash = Hash::parse(digits).unwrap();
            assert_eq!(hash.of_file(&path).unwrap(), digits, "{}", hash.kind());
        }
        for bad in ["", "ce01", "CE013625030BA8DBA906F756967F9E9CA394464A", "../../../../../../../../../../../../x"] {
            assert_eq!(Hash::parse(bad), None, "{bad}");
        }
    }
}
