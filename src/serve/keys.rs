//! API keys: who may ask, and who may administer.
//!
//! Only hashes are kept, and every comparison takes the same time, whichever byte differs and whichever key is meant.

use std::path::Path;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::error::{Error, InputFault, Result};

/// Shortest key that is taken, in bytes: one that cannot be guessed has at least so many.
const SHORTEST: usize = 16;

/// A set of keys; by default empty.
#[derive(Clone, Default)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Reads keys: one a line; blank lines and those that begin with `#` are passed over. `name` stands for the source in
    /// messages.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// let keys = detente::serve::Keys::parse(Path::new("keys.txt"), "# the news desk\n8c1f0d0b5a8e4f7c\n")?;
    /// assert_eq!(keys.len(), 1);
    /// assert!(detente::serve::Keys::parse(Path::new("keys.txt"), "secret").is_err());
    /// # Ok::<(), detente::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] for a key that is too short or could not stand in a header, and if there is none.
    pub fn parse(name: &Path, text: &str) -> Result<Self> {
        let fault = |what: String| Error::Input { path: name.to_path_buf(), what: InputFault::Setting(what) };
        let mut keys = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The key itself must not come into a message.
            if line.len() < SHORTEST {
                let short = format!("the key on line {} has {} characters", index + 1, line.len());
                return Err(fault(format!(
                    "{short}; give at least {SHORTEST}, for example from `openssl rand -hex 32`"
                )));
            }
            if !line.bytes().all(|byte| byte.is_ascii_graphic()) {
                let bad = format!("the key on line {} holds a character that cannot stand in a header", index + 1);
                return Err(fault(format!("{bad}; use letters and digits")));
            }
            keys.0.push(hash(line.as_bytes()));
        }
        if keys.is_empty() {
            return Err(fault("there is no key; give one a line".into()));
        }
        Ok(keys)
    }

    /// Reads keys from a file.
    ///
    /// # Errors
    /// [`Error::Read`], and as [`Self::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path);
        Self::parse(path, &text.map_err(|source| Error::Read { path: path.to_path_buf(), source })?)
    }

    /// These keys and those.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the headers carry one of the keys, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
        });
        let plain = headers.get("x-api-key").map(|value| value.as_bytes().trim_ascii());
        bearer.or(plain).is_some_and(|key| self.contains(key))
    }

    fn contains(&self, key: &[u8]) -> bool {
        let found = hash(key);
        // No early end: how long it takes does not tell which key is near.
        self.0.iter().fold(Choice::from(0), |any, key| any | key.ct_eq(&found)).into()
    }
}

/// Says how many keys there are, never which.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_key_is_known_in_both_headers_and_no_other() {
        let keys = Keys::parse(Path::new("k"), &format!("# one\n\n{KEY}\r\nfedcba9876543210\n")).unwrap();
        assert_eq!(keys.len(), 2);
        for (name, value, expected) in [
            ("authorization", "Bearer 0123456789abcdef", true),
            ("authorization", "bearer  fedcba9876543210", true),
            ("x-api-key", KEY, true),
            ("authorization", "Bearer 0123456789abcdeF", false),
            ("authorization", "Bearer 0123456789abcde", false),
            ("authorization", "Bearer ", false),
            ("authorization", "Basic 0123456789abcdef", false),
            ("authorization", KEY, false),
            ("x-api-key", "", false),
            ("cookie", KEY, false),
        ] {
            assert_eq!(keys.admit(&headers(name, value)), expected, "{name}: {value}");
        }
        assert!(!keys.admit(&HeaderMap::new()));
        assert!(!Keys::default().admit(&headers("x-api-key", "")));
    }

    #[test]
    fn bad_keys_are_named_by_their_line_and_never_shown() {
        for (text, expected) in [
            ("\nshort", "k: the key on line 2 has 5 characters; give at least 16"),
            ("0123456789 abcdef", "k: the key on line 1 holds a character"),
            ("# nothing\n", "k: there is no key"),
        ] {
            let message = Keys::parse(Path::new("k"), text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
            assert!(!message.contains("0123456789") && !message.contains("short"), "{message}");
        }
        assert_eq!(format!("{:?}", Keys::parse(Path::new("k"), KEY).unwrap()), "1 keys");
    }
}
