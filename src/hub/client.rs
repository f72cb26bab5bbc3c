//! The questions that are asked of the Hub, over HTTP.
//!
//! The token goes to the endpoint's own host alone: redirects are followed here, one by one, and none from https to http.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LINK, LOCATION};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use crate::error::HubFault;
use crate::hub::listing::{Listing, TreeEntry};
use crate::hub::repository::{Repository, is_commit};

/// Longest wait for a connection, and for the next bytes on one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Redirects that are followed; the Hub uses two.
const MOST_REDIRECTS: usize = 5;

/// Largest answer that is JSON, in bytes, and most pages of a listing; a repository of 100,000 files has less.
const MOST_JSON_BYTES: u64 = 64 << 20;
const MOST_PAGES: usize = 200;

/// Who asks. No identifier of a machine, a session or a user is sent.
const USER_AGENT: &str = concat!("detente/", env!("CARGO_PKG_VERSION"));

pub(super) struct Client<'h> {
    agent: Agent,
    endpoint: &'h str,
    token: Option<&'h str>,
}

/// What the server says of a file, and its bytes.
pub(super) struct Download {
    pub(super) status: u16,
    /// Of the repository, not of the storage that it redirects to.
    pub(super) etag: Option<String>,
    /// Bytes that follow, if it is said.
    pub(super) length: Option<u64>,
    /// First byte and size of the whole file, of a partial answer.
    pub(super) range: Option<(u64, u64)>,
    /// Whether it is HTML.
    pub(super) is_page: bool,
    body: Body,
}

impl Download {
    pub(super) fn reader(&mut self) -> impl Read {
        self.body.as_reader()
    }
}

impl<'h> Client<'h> {
    pub(super) fn new(endpoint: &'h str, token: Option<&'h str>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            // Sizes are compared; a compressed answer would have another one.
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT));
        Self { agent: config.build().into(), endpoint, token }
    }

    /// The commit that the revision stands for at this moment.
    pub(super) fn commit(&self, repository: &Repository) -> Result<String, HubFault> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
        }
        let url =
            format!("{}/api/models/{}/revision/{}", self.endpoint, repository.id(), encoded(repository.revision(), ""));
        let (_, Info { sha }) = self.json(&url, repository)?;
        if is_commit(&sha) {
            return Ok(sha);
        }
        Err(HubFault::Answer { url, problem: format!("the commit is {sha:?}, 40 hexadecimal digits were expected") })
    }

    /// The files of a commit.
    pub(super) fn listing(&self, repository: &Repository, commit: &str) -> Result<Listing, HubFault> {
        let start = format!("{}/api/models/{}/tree/{commit}?recursive=true", self.endpoint, repository.id());
        let (mut entries, mut url) = (Vec::new(), start.clone());
        for _ in 0..MOST_PAGES {
            let (headers, page): (_, Vec<TreeEntry>) = self.json(&url, repository)?;
            entries.extend(page);
            match self.next_page(&headers) {
                Some(next) => url = next,
                None => return Listing::of_tree(entries, &start),
            }
        }
        Err(HubFault::Answer { url: start, problem: format!("the listing has more than {MOST_PAGES} pages") })
    }

    /// A file of a commit, from a byte on.
    pub(super) fn file(
        &self,
        repository: &Repository,
        commit: &str,
        path: &str,
        from: u64,
    ) -> Result<Download, HubFault> {
        let url = format!("{}/{}/resolve/{commit}/{}", self.endpoint, repository.id(), encoded(path, "/"));
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let (etag, response) = self.get(&url, range.as_deref())?;
        let (status, headers) = (response.status().as_u16(), response.headers());
        // 416: there is nothing behind that byte.
        if !matches!(status, 200 | 206 | 416) {
            return Err(self.refusal(&url, status, headers, repository));
        }
        Ok(Download {
            status,
            etag,
            length: text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()),
            range: text(headers, CONTENT_RANGE.as_str()).and_then(content_range),
            is_page: text(headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html")),
            body: response.into_body(),
        })
    }

    fn json<T: DeserializeOwned>(&self, url: &str, repository: &Repository) -> Result<(HeaderMap, T), HubFault> {
        let (_, mut response) = self.get(url, None)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(self.refusal(url, status, response.headers(), repository));
        }
        let bytes = response.body_mut().with_config().limit(MOST_JSON_BYTES).read_to_vec();
        let bytes = bytes.map_err(|source| unreachable(url, source))?;
        let parsed = serde_json::from_slice(&bytes);
        let parsed = parsed.map_err(|error| HubFault::Answer { url: url.into(), problem: error.to_string() })?;
        Ok((response.headers().clone(), parsed))
    }

    /// Asks, and follows redirects. Also gives the ETag of the first answer that has one.
    fn get(&self, url: &str, range: Option<&str>) -> Result<(Option<String>, Response<Body>), HubFault> {
        let (mut target, mut etag) = (url.to_owned(), None);
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.agent.get(&target);
            if let Some(token) = self.token.filter(|_| origin(&target) == origin(self.endpoint)) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(range) = range {
                request = request.header("Range", range);
            }
            let response = request.call().map_err(|source| unreachable(&target, source))?;
            let headers = response.headers();
            etag = etag
                .or_else(|| text(headers, "X-Linked-Etag").or_else(|| text(headers, ETAG.as_str())).map(plain_etag));
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((etag, response));
            }
            let location = text(headers, LOCATION.as_str()).unwrap_or_default();
            target = redirected(&target, location).map_err(|problem| HubFault::Redirect {
                url: target.clone(),
                target: location.into(),
                problem,
            })?;
        }
        Err(HubFault::Redirect { url: url.into(), target, problem: "the last of too many redirects" })
    }

    fn refusal(&self, url: &str, status: u16, headers: &HeaderMap, repository: &Repository) -> HubFault {
        let endpoint = self.endpoint.to_owned();
        match (status, text(headers, "X-Error-Code").unwrap_or_default()) {
            (401, _) => HubFault::Unauthorized { endpoint, had_token: self.token.is_some() },
            (403, _) => HubFault::Forbidden { endpoint },
            (404, "RevisionNotFound") => HubFault::NoRevision { revision: repository.revision().into() },
            (404, "" | "RepoNotFound") => HubFault::NoRepository { endpoint },
            _ => HubFault::Status { url: url.into(), status },
        }
    }

    /// The address of the next page, always on our endpoint: a mirror may pass on the addresses of the Hub.
    fn next_page(&self, headers: &HeaderMap) -> Option<String> {
        let link = text(headers, LINK.as_str())?;
        let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
        let url = next.split_once('<')?.1.split_once('>')?.0;
        Some(format!("{}{}", self.endpoint, &url[url.find("/api/models/")?..]))
    }
}

fn unreachable(url: &str, source: ureq::Error) -> HubFault {
    HubFault::Unreachable { url: without_query(url).into(), source: Box::new(source) }
}

/// Addresses of storage carry signatures behind the question mark, which belong in no message.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn text<'m>(headers: &'m HeaderMap, name: &str) -> Option<&'m str> {
    headers.get(name)?.to_str().ok()
}

/// `W/"abc"` is `abc`.
fn plain_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// `bytes 5-9/10`: the first byte, and the size of the whole.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}

/// Scheme, host and port.
fn origin(url: &str) -> String {
    let end = url.find("://").and_then(|at| Some(at + 3 + url[at + 3..].find(['/', '?', '#'])?));
    url[..end.unwrap_or(url.len())].to_ascii_lowercase()
}

/// Where a redirect leads, or why it is not followed.
fn redirected(from: &str, location: &str) -> Result<String, &'static str> {
    let scheme = from.split("://").next().unwrap_or_default();
    let target = match location {
        _ if location.starts_with("https://") || location.starts_with("http://") => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{}{location}", origin(from)),
        _ => return Err("which is no address"),
    };
    match scheme == "https" && !target.starts_with("https://") {
        true => Err("which is not encrypted"),
        false => Ok(target),
    }
}

/// Percent-encoded but for letters, digits, `-._~` and what is to be kept.
fn encoded(text: &str, kept: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_or_refused() {
        let cases = [
            ("https://a/x/y", "/z", Ok("https://a/z")),
            ("https://a/x", "https://b/z?s=1", Ok("https://b/z?s=1")),
            ("http://a:80/x", "//b/z", Ok("http://b/z")),
            ("http://a/x", "https://b/z", Ok("https://b/z")),
            ("https://a/x", "http://b/z", Err("which is not encrypted")),
            ("https://a/x", "ftp://b/z", Err("which is no address")),
            ("https://a/x", "", Err("which is no address")),
        ];
        for (from, location, expected) in cases {
            assert_eq!(redirected(from, location).as_deref(), expected.as_ref().copied(), "{location}");
        }
    }

    #[test]
    fn hosts_are_told_apart() {
        assert_eq!(origin("https://Hub.example/a"), origin("https://hub.example"));
        for other in ["http://hub.example/a", "https://hub.example:8443/a", "https://hub.example.org/a"] {
            assert_ne!(origin("https://hub.example/a"), origin(other), "{other}");
        }
    }

    #[test]
    fn headers_are_read() {
        assert_eq!(plain_etag("W/\"ab\""), "ab");
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
        assert_eq!(content_range("bytes 5-9/*"), None);
        assert_eq!(encoded("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(encoded("1_Pooling/a b?.json", "/"), "1_Pooling/a%20b%3F.json");
    }

    #[test]
    fn the_next_page_is_on_the_same_endpoint() {
        let client = Client::new("http://mirror", None);
        let mut headers = HeaderMap::new();
        assert_eq!(client.next_page(&headers), None);
        let link = "<https://huggingface.co/api/models/a/b/tree/c?cursor=d>; rel=\"next\"";
        headers.insert(LINK, link.parse().unwrap());
        assert_eq!(client.next_page(&headers).as_deref(), Some("http://mirror/api/models/a/b/tree/c?cursor=d"));
    }
}
