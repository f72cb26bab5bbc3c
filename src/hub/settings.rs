//! The environment variables that Python's `huggingface_hub` knows, with the same meaning.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, HubFault, Result};
use crate::hub::Hub;

/// Where the Hub is, unless `HF_ENDPOINT` names a mirror.
pub(crate) const ENDPOINT: &str = "https://huggingface.co";

/// Reads what `variable` gives; an empty value is none.
///
/// # Errors
/// [`Error::Hub`] if a value cannot be followed; [`Error::Read`] if the token's file cannot be read.
pub(super) fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Hub> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().trim().to_owned());
    let user = variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from);
    let path = |name: &str| variable(name).map(|value| expanded(&value, user.as_deref()));
    let home = path("HF_HOME").or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")));
    let home = home.or_else(|| Some(user.as_deref()?.join(".cache/huggingface")));
    let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
    let cache = cache.or_else(|| Some(home.as_deref()?.join("hub"))).ok_or_else(|| {
        let expected = "it, HF_HOME or HOME must be set, or nobody knows where the cache of the Hub is";
        setting("HF_HUB_CACHE", String::new(), expected)
    })?;

    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.contains(['@', '?', '#', ' '])) {
        return Err(setting("HF_ENDPOINT", endpoint, "an address such as https://hub.example.org was expected"));
    }
    let token = match text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")) {
        _ if is_true(text("HF_HUB_DISABLE_IMPLICIT_TOKEN")) => None,
        Some(token) => Some(token),
        None => match path("HF_TOKEN_PATH").or_else(|| Some(home?.join("token"))) {
            Some(path) => token_in(&path)?,
            None => None,
        },
    };
    if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(setting("HF_TOKEN", "***".into(), "a token has letters, digits and _ only"));
    }
    let is_offline = is_true(text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE")));
    Ok(Hub { cache, endpoint: endpoint.trim_end_matches('/').to_owned(), token, is_offline })
}

fn setting(variable: &'static str, found: String, expected: &'static str) -> Error {
    Error::Hub { repository: "the Hub".into(), what: HubFault::Setting { variable, found, expected } }
}

/// `~` stands for the user's folder.
fn expanded(value: &OsString, user: Option<&Path>) -> PathBuf {
    let path = PathBuf::from(value);
    match (path.strip_prefix("~"), user) {
        (Ok(rest), Some(user)) => user.join(rest),
        _ => path,
    }
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// What the login of Python's client left there, if anything.
fn token_in(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub> {
        read(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        let cases: [(&[(&str, &str)], &str); 7] = [
            (&[("HOME", "/u")], "/u/.cache/huggingface/hub"),
            (&[("HOME", "/u"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HOME", "/u"), ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HOME", "/u"), ("HF_HOME", "~/h")], "/u/h/hub"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new"),
            (&[("HOME", "/u"), ("HF_HUB_CACHE", "")], "/u/.cache/huggingface/hub"),
        ];
        for (variables, expected) in cases {
            assert_eq!(hub(variables).unwrap().cache, PathBuf::from(expected), "{variables:?}");
        }
        assert!(hub(&[]).unwrap_err().to_string().contains("HF_HOME"));
    }

    #[test]
    fn offline_is_what_python_takes_for_true() {
        for (name, value, expected) in [
            ("HF_HUB_OFFLINE", "1", true),
            ("HF_HUB_OFFLINE", "true", true),
            ("TRANSFORMERS_OFFLINE", "YES", true),
            ("HF_HUB_OFFLINE", "on", true),
            ("HF_HUB_OFFLINE", "0", false),
            ("HF_HUB_OFFLINE", "no", false),
        ] {
            assert_eq!(hub(&[("HOME", "/u"), (name, value)]).unwrap().is_offline, expected, "{name}={value}");
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(hub(&[("HF_HOME", home)]).unwrap().token, None);
        fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let token = |more: &[(&str, &str)]| hub(&[&[("HF_HOME", home)], more].concat()).unwrap().token;
        assert_eq!(token(&[]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_TOKEN", " hf_variable ")]).as_deref(), Some("hf_variable"));
        assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        fs::write(folder.path().join("other"), "hf_other").unwrap();
        let other = folder.path().join("other");
        assert_eq!(token(&[("HF_TOKEN_PATH", other.to_str().unwrap())]).as_deref(), Some("hf_other"));
        let bad = hub(&[("HF_HOME", home), ("HF_TOKEN", "hf_a\r\nX: y")]).unwrap_err().to_string();
        assert!(bad.contains("HF_TOKEN") && !bad.contains("hf_a"), "{bad}");
    }

    #[test]
    fn mirrors_may_be_plain_http_and_nothing_else() {
        let endpoint = |value| hub(&[("HOME", "/u"), ("HF_ENDPOINT", value)]).map(|hub| hub.endpoint);
        assert_eq!(endpoint("http://127.0.0.1:80/").unwrap(), "http://127.0.0.1:80");
        assert_eq!(endpoint("").unwrap(), ENDPOINT);
        for bad in ["hub.example.org", "ftp://a", "https://", "https://user@host"] {
            assert!(endpoint(bad).unwrap_err().to_string().contains("HF_ENDPOINT"), "{bad}");
        }
    }
}
