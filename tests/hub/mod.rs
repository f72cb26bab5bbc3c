//! Models by name, from a hub on the loopback: what comes, what is kept, and what is said when something is wrong.

mod cached;
mod downloads;
mod faults;
mod program;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use detente::hub::{Hub, Repository, Snapshot};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::hub::server::{Reply, Request, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_secret";

/// Files of a repository at [`COMMIT`], which is `main`.
#[derive(Clone)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Some that look like a checkpoint, and others that nobody reads.
    fn small() -> Self {
        let weights: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
        let files: [(&str, &[u8]); 7] = [
            (".gitattributes", b"*.safetensors filter=lfs\n"),
            ("1_Pooling/config.json", b"{\"pooling_mode\": \"mean\"}\n"),
            ("README.md", b"---\nlicense: mit\n---\n"),
            ("config.json", b"{\"model_type\": \"bert\"}\n"),
            ("model.safetensors", &weights),
            ("pytorch_model.bin", b"a pickle"),
            ("tokenizer.json", b"{}\n"),
        ];
        Self(files.into_iter().map(|(path, bytes)| (path.into(), bytes.to_vec())).collect())
    }

    /// Those of a checkpoint among the fixtures.
    fn fixture(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        Self(paths.map(|path| (file_name(&path), fs::read(&path).unwrap())).collect())
    }

    fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.0.insert(path.into(), bytes.to_vec());
        self
    }

    fn without(mut self, path: &str) -> Self {
        self.0.remove(path);
        self
    }

    /// As the Hub lists them: weights in large file storage.
    fn tree(&self) -> Vec<Value> {
        let entry = |(path, bytes): (&String, &Vec<u8>)| match is_large(path) {
            true => json!({
                "type": "file", "path": path, "size": bytes.len(), "oid": git(b"a pointer"),
                "lfs": {"oid": sha256(bytes), "size": bytes.len(), "pointerSize": 130},
            }),
            false => json!({"type": "file", "path": path, "size": bytes.len(), "oid": git(bytes)}),
        };
        let folder = json!({"type": "directory", "path": "1_Pooling", "size": 0, "oid": git(b"")});
        std::iter::once(folder).chain(self.0.iter().map(entry)).collect()
    }

    /// What the Hub answers: listings in pages of three, small files with a redirect on the same host, large ones from `storage`.
    fn answer(&self, request: &Request, storage: &str) -> Reply {
        let path = request.path.as_str();
        let (api, files) = ("/api/models/owner/name", format!("/owner/name/resolve/{COMMIT}/"));
        if path == format!("{api}/revision/main") || path == format!("{api}/revision/{COMMIT}") {
            return Reply::new(200, json!({"id": "owner/name", "sha": COMMIT}).to_string());
        }
        if let Some(rest) = path.strip_prefix(&format!("{api}/tree/{COMMIT}?")) {
            let page: usize = rest.split_once("cursor=").map_or(0, |(_, page)| page.parse().unwrap());
            let tree = self.tree();
            let entries: Vec<&Value> = tree.iter().skip(page * 3).take(3).collect();
            let reply = Reply::new(200, json!(entries).to_string());
            let next =
                format!("<https://huggingface.co{api}/tree/{COMMIT}?recursive=true&cursor={}>; rel=\"next\"", page + 1);
            return if tree.len() > (page + 1) * 3 { reply.with("Link", next) } else { reply };
        }
        if let Some(name) = path.strip_prefix(&files) {
            let Some(bytes) = self.0.get(name) else {
                return Reply::new(404, "").with("X-Error-Code", "EntryNotFound");
            };
            return match is_large(name) {
                true => Reply::new(302, "Found")
                    .with("Location", format!("{storage}/storage/{name}?signature=x"))
                    .with("X-Linked-Etag", format!("\"{}\"", sha256(bytes))),
                false => Reply::new(307, "")
                    .with("Location", format!("/cached/{name}"))
                    .with("ETag", format!("\"{}\"", git(bytes))),
            };
        }
        if let Some(name) = path.strip_prefix("/cached/") {
            return Reply::new(200, self.0[name].clone());
        }
        match path.strip_prefix("/storage/") {
            Some(name) => ranged(&self.0[name.split('?').next().unwrap()], request),
            None => Reply::new(404, "Not Found"),
        }
    }
}

/// The bytes, or those from where the request says.
fn ranged(bytes: &[u8], request: &Request) -> Reply {
    let from = request.headers.get("range").map(|range| range.trim_start_matches("bytes=").trim_end_matches('-'));
    match from.map(|from| from.parse::<usize>().unwrap()) {
        None => Reply::new(200, bytes),
        Some(from) => Reply::new(206, &bytes[from..])
            .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
    }
}

fn is_large(path: &str) -> bool {
    path.ends_with(".safetensors") || path.ends_with(".bin")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git(bytes: &[u8]) -> String {
    let hash = Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A hub and an empty cache.
struct Setting {
    server: Server,
    folder: tempfile::TempDir,
}

impl Setting {
    /// A hub that behaves.
    fn of(files: Files) -> Self {
        Self::with(files, |_, reply| reply)
    }

    /// A hub whose answers are changed on their way.
    fn with(files: Files, change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Self {
        let server = Server::start(move |request| change(request, files.answer(request, "")));
        Self { server, folder: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    fn hub(&self) -> Hub {
        Hub::new(self.cache()).with_endpoint(self.server.url())
    }

    fn repository_folder(&self) -> PathBuf {
        self.cache().join("models--owner--name")
    }

    fn pull(&self) -> detente::Result<Snapshot> {
        self.hub().snapshot(&repository(), &mut |_| {})
    }

    /// The message of a pull that fails; nothing bad is kept.
    fn failure(&self) -> String {
        let message = self.pull().unwrap_err().to_string();
        self.check();
        message
    }

    /// Whether everything in the cache is what its name says, and nothing is there but the layout.
    fn check(&self) {
        for path in walk(&self.repository_folder().join("blobs")) {
            let (name, bytes) = (file_name(&path), fs::read(&path).unwrap());
            if !name.ends_with(".incomplete") {
                assert!(name == git(&bytes) || name == sha256(&bytes), "{name} has other contents");
            }
        }
        for link in walk(&self.repository_folder().join("snapshots")) {
            let target = fs::read_link(&link).unwrap();
            assert!(target.is_relative() && link.exists(), "{} leads to {}", link.display(), target.display());
        }
        let inside = |path: &PathBuf| path.starts_with(self.cache());
        assert!(walk(self.folder.path()).iter().all(inside), "there is something outside the cache");
    }

    /// Files of the snapshot, by their paths.
    fn snapshot_files(&self) -> Vec<String> {
        let snapshot = self.repository_folder().join("snapshots").join(COMMIT);
        let name = |path: &PathBuf| path.strip_prefix(&snapshot).unwrap().to_string_lossy().into_owned();
        walk(&snapshot).iter().map(name).collect()
    }

    fn blobs(&self) -> Vec<String> {
        walk(&self.repository_folder().join("blobs")).iter().map(|path| file_name(path)).collect()
    }
}

fn repository() -> Repository {
    "hf:owner/name".parse().unwrap()
}

/// Files below a folder, sorted; links are not followed.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_folder = |path: &PathBuf| fs::symlink_metadata(path).unwrap().is_dir();
    paths.into_iter().flat_map(|path| if is_folder(&path) { walk(&path) } else { vec![path] }).collect()
}
