//! What can be wrong with a model from the Hub.

use std::io;
use std::path::PathBuf;

/// Why a model of the Hub cannot be used. Messages stand behind the name of the repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubFault {
    /// The name is none.
    #[error("{problem}; a model of the Hub is named hf:owner/name or hf:owner/name@revision")]
    Name {
        /// What does not fit.
        problem: String,
    },
    /// A setting of the environment cannot be followed.
    #[error("{variable} is {found:?}; {expected}")]
    Setting {
        /// Name of the environment variable.
        variable: &'static str,
        /// Its value.
        found: String,
        /// What was expected, and what to do.
        expected: &'static str,
    },
    /// The network may not be used, and the cache does not have it.
    #[error(
        "it is not in the cache {cache}, and offline mode forbids asking the Hub; fetch it once with `detente models pull` while \
         HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE are not set",
        cache = .cache.display()
    )]
    Offline {
        /// Folder of the cache.
        cache: PathBuf,
    },
    /// The cache has a part of the files only.
    #[error(
        "the cache lacks {file} of it, and the Hub cannot be asked now; complete it with `detente models pull` while there is a network"
    )]
    Incomplete {
        /// The first file that is missing.
        file: String,
    },
    /// Nobody answers.
    #[error("cannot reach {url}: {source}; check the network, the proxy and HF_ENDPOINT, then repeat the command")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the HTTP client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No token, or one that is not accepted.
    #[error(
        "{endpoint} refuses access (401): the repository is private or gated, does not exist, or the token is not valid; check the name, \
         and give a token of an account that may read it with HF_TOKEN or in the file that HF_TOKEN_PATH names ({})",
        if *.had_token { "one was sent" } else { "none was sent" }
    )]
    Unauthorized {
        /// The server.
        endpoint: String,
        /// Whether a token was sent.
        had_token: bool,
    },
    /// The token is valid, but this repository is not for it.
    #[error(
        "{endpoint} refuses access (403): the repository is gated; open its page in a browser, accept the terms with the account of the \
         token, then repeat the command"
    )]
    Forbidden {
        /// The server.
        endpoint: String,
    },
    /// There is no such repository.
    #[error("{endpoint} has no such repository (404); check owner and name, or HF_ENDPOINT")]
    NoRepository {
        /// The server.
        endpoint: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error("the repository has no revision {revision:?} (404); name a branch, a tag or a whole commit behind the @")]
    NoRevision {
        /// What was asked for.
        revision: String,
    },
    /// Another answer than the expected ones.
    #[error("{url} answered with status {status}; repeat the command later, or check HF_ENDPOINT")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects to {target:?}, {problem}; check HF_ENDPOINT and the network's proxy")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it leads.
        target: String,
        /// Why not.
        problem: &'static str,
    },
    /// The server's description of the repository makes no sense.
    #[error("{url} does not answer as the Hub does: {problem}; check HF_ENDPOINT and the network's proxy")]
    Answer {
        /// What was asked for.
        url: String,
        /// What does not fit.
        problem: String,
    },
    /// A file's name would lead out of the folder.
    #[error(
        "it lists a file {path:?}, whose name leads out of its folder; nothing was fetched, do not use this repository"
    )]
    UnsafePath {
        /// The name.
        path: String,
    },
    /// The server sends something of another size.
    #[error(
        "for {file} the server sends {found} bytes{page}, the repository lists {expected}; nothing of it was kept: check the network's \
         proxy and HF_ENDPOINT, then repeat the command",
        page = if *.is_page { " of a web page" } else { "" }
    )]
    Size {
        /// File name inside the repository.
        file: String,
        /// As the repository says.
        expected: u64,
        /// As the server says, or as was received until then.
        found: u64,
        /// Whether it is HTML.
        is_page: bool,
    },
    /// The connection ended before the file did.
    #[error(
        "{file} was cut short: {found} of {expected} bytes came{}; repeat the command, which goes on from there",
        .source.as_ref().map_or_else(String::new, |source| format!(" ({source})"))
    )]
    CutShort {
        /// File name inside the repository.
        file: String,
        /// As the repository says.
        expected: u64,
        /// Bytes that are there.
        found: u64,
        /// What the connection said.
        source: Option<io::Error>,
    },
    /// What came is not what the repository lists.
    #[error(
        "what came as {file} is not that file: its {kind} is {found}, the repository lists {expected}{page}; it was removed, check the \
         network's proxy and HF_ENDPOINT, then repeat the command",
        page = if *.is_page { " (it is a web page)" } else { "" }
    )]
    Checksum {
        /// File name inside the repository.
        file: String,
        /// `sha256` or `git sha1`.
        kind: &'static str,
        /// As the repository says.
        expected: String,
        /// Of what came.
        found: String,
        /// Whether the server called it HTML.
        is_page: bool,
    },
    /// A file of the cache has other bytes than it had.
    #[error(
        "{file} in the cache is damaged: its {kind} is {found}, the repository lists {expected}; it was removed, fetch it anew with \
         `detente models pull`"
    )]
    Damaged {
        /// File name inside the repository.
        file: String,
        /// `sha256` or `git sha1`.
        kind: &'static str,
        /// As the repository says.
        expected: String,
        /// Of what is there.
        found: String,
    },
    /// Nobody says what a file of the cache must be.
    #[error(
        "nothing in the cache says what {file} must be, so it cannot be verified; fetch the model anew with `detente models remove` and \
         `detente models pull`"
    )]
    Unverifiable {
        /// File name inside the repository.
        file: String,
    },
    /// It is not in the cache.
    #[error("it is not in the cache {cache}; `detente models list` shows what is", cache = .cache.display())]
    NotCached {
        /// Folder of the cache.
        cache: PathBuf,
    },
    /// A folder of the cache is a link to somewhere else.
    #[error("{path} leads out of the cache; nothing was removed there, look at it yourself", path = .path.display())]
    Outside {
        /// The folder.
        path: PathBuf,
    },
}
