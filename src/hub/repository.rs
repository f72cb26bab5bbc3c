//! The name of a model on the Hub: `hf:owner/name@revision`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, HubFault};

/// What stands before the name of a repository where a folder could be named.
pub const PREFIX: &str = "hf:";

/// The revision that is meant when none is named.
const DEFAULT_REVISION: &str = "main";

/// A repository of the Hub at a revision.
///
/// ```
/// use detente::hub::Repository;
///
/// let repository: Repository = "hf:intfloat/multilingual-e5-small".parse()?;
/// assert_eq!((repository.id().as_str(), repository.revision()), ("intfloat/multilingual-e5-small", "main"));
/// assert!("hf:../secrets".parse::<Repository>().is_err());
/// # Ok::<(), detente::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    owner: String,
    name: String,
    revision: String,
    is_default: bool,
}

impl Repository {
    /// `owner/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Branch, tag or commit; `main` unless one was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether no revision was named.
    pub fn is_default_revision(&self) -> bool {
        self.is_default
    }

    /// The revision if it is a whole commit, which never changes.
    pub(crate) fn commit(&self) -> Option<&str> {
        is_commit(&self.revision).then_some(&self.revision)
    }

    /// The same repository at a commit.
    pub(crate) fn at(&self, commit: &str) -> Self {
        Self { revision: commit.into(), is_default: false, ..self.clone() }
    }

    /// Its folder in the cache.
    pub(crate) fn folder_name(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }

    /// Of a folder in the cache; other kinds of repositories are none.
    pub(crate) fn of_folder(name: &str) -> Option<Self> {
        let (owner, name) = name.strip_prefix("models--")?.split_once("--")?;
        format!("{PREFIX}{owner}/{name}").parse().ok()
    }

    pub(crate) fn fault(&self, what: HubFault) -> Error {
        Error::Hub { repository: self.to_string(), what }
    }
}

/// With the revision only where one was named.
impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.owner, self.name)?;
        if self.is_default { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

impl FromStr for Repository {
    type Err = Error;

    /// Reads `hf:owner/name` or `hf:owner/name@revision`; the prefix may be left out.
    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = |problem: String| Error::Hub { repository: text.into(), what: HubFault::Name { problem } };
        let rest = text.strip_prefix(PREFIX).unwrap_or(text);
        let (id, revision) = rest.split_once('@').map_or((rest, None), |(id, revision)| (id, Some(revision)));
        let Some((owner, name)) = id.split_once('/') else { return Err(fault("there is no owner/name in it".into())) };
        if let Some(part) = [owner, name].into_iter().find(|part| !is_name(part)) {
            return Err(fault(format!("{part:?} is no name of the Hub: letters, digits, - _ and . are")));
        }
        if let Some(revision) = revision.filter(|revision| !is_safe_path(revision) || !is_printable(revision)) {
            return Err(fault(format!("{revision:?} is no branch, tag or commit")));
        }
        Ok(Self {
            owner: owner.into(),
            name: name.into(),
            revision: revision.unwrap_or(DEFAULT_REVISION).into(),
            is_default: revision.is_none(),
        })
    }
}

/// As the Hub allows them; `--` would make two repositories share a folder of the cache.
fn is_name(name: &str) -> bool {
    /// Longest name on the Hub.
    const LONGEST: usize = 96;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_between = !name.starts_with(['.', '-']) && !name.ends_with(['.', '-']);
    (1..=LONGEST).contains(&name.len())
        && name.chars().all(is_allowed)
        && is_between
        && !name.contains("--")
        && !name.contains("..")
}

fn is_printable(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#' | '%'))
}

/// Whether a path with slashes stays below the folder that it is joined to, on every system.
pub(crate) fn is_safe_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']))
}

/// 40 hexadecimal digits, as git names a commit.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let cases = [
            ("hf:a/b", "hf:a/b", "main"),
            ("a/b", "hf:a/b", "main"),
            ("hf:a/b@main", "hf:a/b@main", "main"),
            ("hf:Owner_1/x.y-z@v1.0", "hf:Owner_1/x.y-z@v1.0", "v1.0"),
            ("hf:a/b@refs/pr/1", "hf:a/b@refs/pr/1", "refs/pr/1"),
        ];
        for (text, shown, revision) in cases {
            let repository: Repository = text.parse().unwrap();
            assert_eq!((repository.to_string().as_str(), repository.revision()), (shown, revision));
            assert_eq!(repository.commit(), None);
        }
        assert_eq!(format!("a/b@{commit}").parse::<Repository>().unwrap().commit(), Some(commit));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let bad = [
            "",
            "hf:",
            "hf:a",
            "hf:/b",
            "hf:a/",
            "hf:a/b/c",
            "hf:../b",
            "hf:a/..",
            "hf:a--b/c",
            "hf:a/b@",
            "hf:a/b@../x",
            "hf:a/b@/x",
            "hf:a/b@x y",
            "hf:a/b@x@y",
            "hf:.a/b",
            "hf:a/b\\c",
            "hf:a/b@x?y",
            "hf:ä/b",
        ];
        for text in bad {
            let error = text.parse::<Repository>().map(|found| found.to_string()).unwrap_err();
            assert!(error.to_string().contains("hf:owner/name@revision"), "{text:?}: {error}");
        }
    }

    #[test]
    fn folders_of_the_cache_are_told() {
        assert_eq!(Repository::of_folder("models--a--b-c").unwrap().id(), "a/b-c");
        for other in ["datasets--a--b", "models--gpt2", "models--a--b--c", ".locks", "blobs", "models--..--b"] {
            assert_eq!(Repository::of_folder(other), None, "{other}");
        }
    }
}
