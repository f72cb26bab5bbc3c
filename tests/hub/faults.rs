//! A hub that refuses, breaks off or lies: nothing bad is kept, and the message says what to do.

use std::fs;
use std::net::TcpListener;

use detente::hub::Hub;
use serde_json::json;

use crate::hub::server::{Reply, Request, Sending};
use crate::hub::{COMMIT, Files, Setting, repository, sha256, walk};

const PAGE: &str = "<!doctype html><title>Forbidden</title><p>Your network does not allow this.";

/// A hub on which one answer is another one: `at` is a part of the path.
fn spoilt(at: &'static str, answer: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Setting {
    let is_at = move |request: &Request| request.path.contains(at);
    Setting::with(Files::small(), move |request, reply| if is_at(request) { answer(reply) } else { reply })
}

fn contains_all(case: &str, message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{case}: {part:?} is not in: {message}");
    }
    assert!(!message.contains("signature"), "{case}: {message}");
}

/// Where, the status and the code that the Hub gives it, and what the message says.
#[test]
fn refusals_say_what_to_do() {
    let cases: [(&str, u16, &str, &[&str]); 10] = [
        ("/revision/", 401, "RepoNotFound", &["hf:owner/name: ", "(401)", "HF_TOKEN", "none was sent"]),
        ("/revision/", 403, "GatedRepo", &["(403)", "accept the terms"]),
        ("/revision/", 404, "RepoNotFound", &["no such repository (404)", "owner and name"]),
        ("/revision/", 404, "", &["no such repository (404)"]),
        ("/revision/", 404, "RevisionNotFound", &["no revision \"main\" (404)", "a branch, a tag or a whole commit"]),
        ("/revision/", 500, "", &["answered with status 500", "later"]),
        ("/tree/", 429, "", &["answered with status 429"]),
        ("/resolve/", 401, "GatedRepo", &["(401)", "HF_TOKEN"]),
        ("/resolve/", 403, "GatedRepo", &["(403)", "accept the terms"]),
        ("/resolve/", 404, "EntryNotFound", &["answered with status 404"]),
    ];
    for (at, status, code, parts) in cases {
        let setting = spoilt(at, move |_| Reply::new(status, PAGE).with("X-Error-Code", code));
        let case = format!("{at} {status} {code}");
        contains_all(&case, &setting.failure(), parts);
        assert!(setting.snapshot_files().is_empty() && setting.blobs().is_empty(), "{case}");
    }
    let setting = spoilt("/revision/", |_| Reply::new(401, ""));
    let hub = setting.hub().with_token("hf_secret");
    let message = hub.snapshot(&repository(), &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("one was sent") && !message.contains("hf_secret"), "{message}");
}

/// What comes in place of the weights.
#[test]
fn what_is_not_the_file_is_not_kept() {
    let bytes = Files::small().0["model.safetensors"].clone();
    let page =
        move |reply: Reply| Reply { body: PAGE.into(), ..reply }.with("Content-Type", "text/html; charset=utf-8");
    let padded = {
        let size = bytes.len();
        move |reply: Reply| {
            let body = [PAGE.as_bytes(), &vec![b' '; size - PAGE.len()]].concat();
            Reply { body, ..reply }.with("Content-Type", "text/html")
        }
    };
    let flipped = |mut reply: Reply| {
        reply.body[60_000] ^= 1;
        reply
    };
    let longer = |mut reply: Reply| {
        reply.body.push(0);
        reply
    };
    type Change = Box<dyn Fn(Reply) -> Reply + Send + Sync>;
    let cases: [(&str, Change, &[&str]); 6] = [
        ("a page with status 200", Box::new(page), &["of a web page", "80000", "nothing of it was kept"]),
        (
            "a page of unknown length",
            Box::new(move |reply| page(reply).sending(Sending::ChunkedWhole)),
            &["was cut short"],
        ),
        (
            "a page of the right size",
            Box::new(padded),
            &["is not that file", "sha256", "it is a web page", "was removed"],
        ),
        ("a bit that is another one", Box::new(flipped), &["is not that file: its sha256", "was removed"]),
        ("a byte too many", Box::new(longer), &["80001 bytes", "lists 80000"]),
        (
            "a byte too many of unknown length",
            Box::new(move |reply| longer(reply).sending(Sending::ChunkedWhole)),
            &["80001 bytes", "lists 80000"],
        ),
    ];
    let hash = sha256(&bytes);
    for (case, change, parts) in cases {
        let setting = spoilt("/storage/", change);
        contains_all(
            case,
            &setting.failure(),
            &[parts, &["hf:owner/name: ", "model.safetensors", "repeat the command"]].concat(),
        );
        assert!(!setting.snapshot_files().contains(&"model.safetensors".to_owned()), "{case}");
        assert!(!setting.blobs().contains(&hash), "{case}");
        assert!(!setting.repository_folder().join("refs/main").exists(), "{case}");
    }
}

#[test]
fn small_files_are_verified_as_well() {
    let setting = spoilt("/cached/config.json", |reply| {
        let body = String::from_utf8(reply.body).unwrap().replace("bert", "BERT").into_bytes();
        Reply { body, ..Reply::new(200, "") }
    });
    contains_all("git", &setting.failure(), &["config.json is not that file: its git sha1 is", "was removed"]);
}

#[test]
fn half_a_body_is_no_file() {
    for (sending, got) in [(Sending::Cut(40_000), 40_000), (Sending::Chunked(40_000), 40_000), (Sending::Cut(0), 0)] {
        let setting = spoilt("/storage/", move |reply| {
            // Ranges are ignored: every answer is the first half of the whole.
            let whole = Files::small().0["model.safetensors"].clone();
            Reply::new(200, whole).sending(sending).with("X-Was", reply.status.to_string())
        });
        let message = setting.failure();
        let parts =
            ["model.safetensors was cut short", "of 80000 bytes", "repeat the command, which goes on from there"];
        contains_all("half", &message, &parts);
        assert!(message.contains(&format!("{got} of 80000")), "{message}");
        let partial = setting.blobs().into_iter().filter(|name| name.ends_with(".incomplete")).count();
        assert!(partial <= 1 && !setting.snapshot_files().contains(&"model.safetensors".to_owned()));
    }
}

#[test]
fn after_a_failure_the_same_command_succeeds() {
    let setting = spoilt("/storage/", |reply| reply.sending(Sending::Cut(10)));
    setting.failure();
    let good = Setting::of(Files::small());
    let hub = setting.hub().with_endpoint(good.server.url());
    hub.snapshot(&repository(), &mut |_| {}).unwrap();
    setting.check();
    let asked = good.server.asked();
    let stored = asked.iter().filter(|request| request.path.starts_with("/storage/"));
    let ranges: Vec<&str> = stored.filter_map(|request| request.headers.get("range").map(String::as_str)).collect();
    assert_eq!(ranges, ["bytes=30-"], "three attempts brought ten bytes each");
}

#[test]
fn nobody_there_is_said() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::new(folder.path()).with_endpoint(format!("http://127.0.0.1:{port}"));
    let message = hub.snapshot(&repository(), &mut |_| {}).unwrap_err().to_string();
    contains_all(
        "down",
        &message,
        &["hf:owner/name: cannot reach http://127.0.0.1", "HF_ENDPOINT", "repeat the command"],
    );
    assert!(walk(folder.path()).is_empty());
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    for path in
        ["../x", "/etc/x.json", "a/../../x.json", "..", "a//b.json", "./x.json", "a\\..\\x.json", "C:x.json", ""]
    {
        for kind in ["file", "directory"] {
            let entry = json!({"type": kind, "path": path, "size": 1, "oid": COMMIT});
            let setting = spoilt("/tree/", move |reply| {
                let mut entries: Vec<serde_json::Value> = serde_json::from_slice(&reply.body).unwrap();
                entries.push(entry.clone());
                Reply { body: json!(entries).to_string().into_bytes(), ..reply }
            });
            contains_all(path, &setting.failure(), &["leads out of its folder", "do not use this repository"]);
            assert!(walk(setting.folder.path()).is_empty(), "{path}");
        }
    }
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let body = |text: &str| text.as_bytes().to_vec();
    let cases = [
        ("/revision/", body(PAGE), "does not answer as the Hub does"),
        ("/revision/", body("{\"sha\": \"../../../../../../../tmp\"}"), "40 hexadecimal digits"),
        ("/revision/", body("{}"), "missing field `sha`"),
        ("/tree/", body("{\"error\": 1}"), "does not answer as the Hub does"),
        (
            "/tree/",
            body("[{\"type\": \"file\", \"path\": \"a.json\", \"size\": 1, \"oid\": \"../x\"}]"),
            "neither a sha256 nor",
        ),
    ];
    for (at, body, part) in cases {
        let setting = spoilt(at, move |reply| Reply { body: body.clone(), ..reply });
        contains_all(at, &setting.failure(), &[part, "HF_ENDPOINT"]);
        assert!(walk(setting.folder.path()).is_empty(), "{at}");
    }
}

#[test]
fn redirects_in_circles_and_to_nowhere_are_refused() {
    for (target, part) in [("/owner/name/resolve/x", "too many redirects"), ("ftp://x/y", "which is no address")] {
        let setting = spoilt("/resolve/", move |_| Reply::new(302, "").with("Location", target));
        contains_all(target, &setting.failure(), &[part, "redirects to"]);
    }
}

#[test]
fn pickles_are_never_fetched() {
    let setting = Setting::of(Files::small().without("model.safetensors"));
    let message = setting.failure();
    contains_all("pickle", &message, &["checkpoint hf:owner/name@0123", "pytorch_model.bin, a pickle", "safetensors"]);
    assert!(walk(setting.folder.path()).is_empty());
    assert!(setting.server.asked().iter().all(|request| !request.path.contains("/resolve/")));
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let setting = Setting::of(Files::small());
    fs::write(setting.cache(), "a file in its place").unwrap();
    let message = setting.pull().unwrap_err().to_string();
    contains_all("cache", &message, &["cannot write", "models--owner--name"]);
}
