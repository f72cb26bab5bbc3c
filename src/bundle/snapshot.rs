//! Whether a folder is a commit of a repository on the Hub, told by its place in the cache that Python's client and ours keep.

use std::path::Path;

/// Hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;

/// `owner/name` and the commit, of `…/models--owner--name/snapshots/<commit>`; also through links and of `.`.
pub(super) fn origin(folder: &Path) -> Option<(String, String)> {
    let path = folder.canonicalize().ok()?;
    let mut parts = path.iter().rev().map_while(|part| part.to_str());
    let (commit, snapshots, repository) = (parts.next()?, parts.next()?, parts.next()?);
    let is_commit = commit.len() == COMMIT_DIGITS && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = repository.strip_prefix("models--").filter(|_| snapshots == "snapshots" && is_commit)?;
    Some((name.replacen("--", "/", 1), commit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_told_by_its_place() {
        let root = tempfile::tempdir().unwrap();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let cases = [
            (format!("models--a--b/snapshots/{commit}"), Some("a/b")),
            (format!("models--gpt2/snapshots/{commit}"), Some("gpt2")),
            (format!("models--a--b/other/{commit}"), None),
            (format!("a--b/snapshots/{commit}"), None),
            ("models--a--b/snapshots/main".into(), None),
        ];
        for (path, expected) in cases {
            let folder = root.path().join(&path);
            std::fs::create_dir_all(&folder).unwrap();
            assert_eq!(origin(&folder), expected.map(|name| (name.into(), commit.into())), "{path}");
        }
        assert_eq!(origin(&root.path().join(format!("models--x--y/snapshots/{commit}"))), None);
    }
}
