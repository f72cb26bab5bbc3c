//! What comes when all is well, and what is asked for.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use detente::hub::Event;

use crate::hub::server::{Reply, Sending, Server};
use crate::hub::{COMMIT, Files, Setting, TOKEN, git, repository, sha256};

const NEEDED: [&str; 5] = ["1_Pooling/config.json", "README.md", "config.json", "model.safetensors", "tokenizer.json"];

#[test]
fn what_is_read_comes_and_nothing_else() {
    let files = Files::small();
    let setting = Setting::of(files.clone());
    let snapshot = setting.pull().unwrap();
    assert_eq!((snapshot.commit.as_str(), &snapshot.note), (COMMIT, &None));
    assert_eq!(setting.snapshot_files(), NEEDED);
    for path in NEEDED {
        assert_eq!(fs::read(snapshot.folder.join(path)).unwrap(), files.0[path], "{path}");
    }
    let weights = snapshot.folder.join("model.safetensors").canonicalize().unwrap();
    assert!(weights.ends_with(format!("models--owner--name/blobs/{}", sha256(&files.0["model.safetensors"]))));
    assert_eq!(fs::read_to_string(setting.repository_folder().join("refs/main")).unwrap(), COMMIT);
    setting.check();
    let asked = setting.server.asked();
    assert!(asked.iter().all(|request| !request.path.contains(".bin") && !request.path.contains(".gitattributes")));
    for request in asked {
        assert!(request.headers["user-agent"].starts_with("detente/"));
        let known = ["accept", "accept-encoding", "host", "user-agent"];
        assert!(request.headers.keys().all(|name| known.contains(&name.as_str())), "{request:?}");
    }
}

#[test]
fn a_second_run_asks_for_no_file() {
    let setting = Setting::of(Files::small());
    setting.pull().unwrap();
    setting.server.asked();
    setting.pull().unwrap();
    let paths: Vec<String> = setting.server.asked().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/api/models/owner/name/revision/main"]);
    let pinned = format!("hf:owner/name@{COMMIT}").parse().unwrap();
    setting.hub().snapshot(&pinned, &mut |_| {}).unwrap();
    assert_eq!(setting.server.asked().len(), 0, "a whole commit never changes");
}

#[test]
fn progress_is_told() {
    let files = Files::small();
    let setting = Setting::of(files.clone());
    let (mut missing, mut ends) = (None, Vec::new());
    let report = &mut |event: Event<'_>| match event {
        Event::Missing { files, bytes } => missing = Some((files, bytes)),
        Event::Received { path, bytes } => {
            ends.retain(|(known, _)| known != path);
            ends.push((path.to_owned(), bytes));
        }
        _ => {}
    };
    setting.hub().snapshot(&repository(), report).unwrap();
    let sizes: Vec<(String, u64)> =
        NEEDED.iter().map(|path| ((*path).to_owned(), files.0[*path].len() as u64)).collect();
    assert_eq!(missing, Some((NEEDED.len(), sizes.iter().map(|(_, bytes)| bytes).sum())));
    assert_eq!(ends, sizes);
}

#[test]
fn a_file_that_was_cut_short_goes_on_where_it_stopped() {
    let files = Files::small();
    let weights = files.0["model.safetensors"].clone();
    for sending in [Sending::Cut(30_000), Sending::Chunked(30_000)] {
        let count = AtomicUsize::new(0);
        let setting = Setting::with(files.clone(), move |request, reply| {
            let is_first = request.path.starts_with("/storage/") && count.fetch_add(1, Ordering::SeqCst) == 0;
            if is_first { reply.sending(sending) } else { reply }
        });
        let snapshot = setting.pull().unwrap();
        assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights);
        setting.check();
        let asked = setting.server.asked();
        let ranges = asked.iter().filter(|request| request.path.starts_with("/storage/"));
        let ranges: Vec<Option<&str>> =
            ranges.map(|request| request.headers.get("range").map(String::as_str)).collect();
        assert_eq!(ranges, [None, Some("bytes=30000-")]);
    }
}

/// What an earlier run may have left of the weights, how the server answers to a range, and the ranges that are asked for.
#[test]
fn a_partial_file_is_gone_on_with_if_it_is_the_same() {
    let files = Files::small();
    let weights = files.0["model.safetensors"].clone();
    let other = vec![7; 30_000];
    let longer = [&weights[..], b"more"].concat();
    type Change = fn(Reply) -> Reply;
    let keep: Change = |reply| reply;
    let whole: Change = |reply| Reply { status: 200, headers: Vec::new(), ..reply };
    type Ranges = &'static [Option<&'static str>];
    let cases: [(&str, &[u8], Change, Ranges); 6] = [
        ("the beginning", &weights[..30_000], keep, &[Some("bytes=30000-")]),
        ("all of it", &weights, keep, &[]),
        ("another file", &other, keep, &[Some("bytes=30000-"), None]),
        ("more than all", &longer, keep, &[None]),
        ("nothing", b"", keep, &[None]),
        ("a server without ranges", b"", whole, &[None]),
    ];
    for (case, left, change, expected) in cases {
        let setting =
            Setting::with(
                files.clone(),
                move |request, reply| {
                    if request.path.starts_with("/storage/") { change(reply) } else { reply }
                },
            );
        let blobs = setting.repository_folder().join("blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(format!("{}.incomplete", sha256(&weights))), left).unwrap();
        let snapshot = setting.pull().unwrap();
        assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights, "{case}");
        setting.check();
        assert!(setting.blobs().iter().all(|name| !name.ends_with(".incomplete")), "{case}");
        let asked = setting.server.asked();
        let ranges = asked.iter().filter(|request| request.path.starts_with("/storage/"));
        let ranges: Vec<Option<&str>> =
            ranges.map(|request| request.headers.get("range").map(String::as_str)).collect();
        assert_eq!(ranges, expected, "{case}");
    }
}

#[test]
fn a_server_that_ignores_ranges_sends_all_again() {
    let files = Files::small();
    let weights = files.0["model.safetensors"].clone();
    let bytes = weights.clone();
    let setting = Setting::with(files, move |request, reply| match request.path.starts_with("/storage/") {
        true => Reply::new(200, bytes.clone()),
        false => reply,
    });
    let blobs = setting.repository_folder().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256(&weights))), &weights[..50]).unwrap();
    let snapshot = setting.pull().unwrap();
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights);
}

#[test]
fn a_body_of_unknown_length_comes_as_well() {
    let setting = Setting::with(Files::small(), |request, reply| match request.path.starts_with("/storage/") {
        true => reply.sending(Sending::ChunkedWhole),
        false => reply,
    });
    setting.pull().unwrap();
    setting.check();
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let files = Files::small();
    let weights = files.0["model.safetensors"].clone();
    let storage = Server::start(move |request| crate::hub::ranged(&weights, request));
    let elsewhere = storage.url();
    let at = Mutex::new(files);
    let server = Server::start(move |request| at.lock().unwrap().answer(request, &elsewhere));
    let folder = tempfile::tempdir().unwrap();
    let hub = detente::hub::Hub::new(folder.path()).with_endpoint(server.url()).with_token(TOKEN);
    hub.snapshot(&repository(), &mut |_| {}).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let asked = server.asked();
    assert!(
        asked.iter().any(|request| request.path.starts_with("/cached/")),
        "redirects on the same host are followed"
    );
    assert!(asked.iter().all(|request| request.headers["authorization"] == bearer));
    let asked = storage.asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization"), "{:?}", asked[0]);
    assert!(!format!("{hub:?}").contains(TOKEN));
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let setting = Arc::new(Setting::of(Files::small()));
    let pull = |_| {
        let setting = Arc::clone(&setting);
        std::thread::spawn(move || setting.pull().unwrap())
    };
    let threads: Vec<_> = (0..4).map(pull).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    setting.check();
    let asked = setting.server.asked();
    assert_eq!(asked.iter().filter(|request| request.path.starts_with("/storage/")).count(), 1);
}

#[test]
fn a_new_commit_shares_what_has_not_changed() {
    const NEW: &str = "89abcdef0123456789abcdef0123456789abcdef";
    let setting = Setting::of(Files::small());
    setting.pull().unwrap();
    let files = Files::small().with("config.json", b"{\"model_type\": \"roberta\"}\n");
    let text =
        |reply: Reply| Reply { body: String::from_utf8_lossy(&reply.body).replace(COMMIT, NEW).into_bytes(), ..reply };
    let later = Server::start(move |request| {
        let mut request = request.clone();
        request.path = request.path.replace(NEW, COMMIT);
        let mut reply = files.answer(&request, "");
        reply.headers.iter_mut().for_each(|(_, value)| *value = value.replace(COMMIT, NEW));
        if request.path.starts_with("/api/") { text(reply) } else { reply }
    });
    let hub = setting.hub().with_endpoint(later.url());
    assert_eq!(hub.snapshot(&repository(), &mut |_| {}).unwrap().commit, NEW);
    assert!(later.asked().iter().all(|request| !request.path.starts_with("/storage/")));
    setting.check();
    let old = git(b"{\"model_type\": \"bert\"}\n");
    assert!(setting.blobs().contains(&old), "the old commit is as it was");

    let removed = hub.remove(&"hf:owner/name@main".parse().unwrap()).unwrap();
    assert_eq!((removed.commits, removed.files), (vec![NEW.to_owned()], 1));
    setting.check();
    assert_eq!(setting.snapshot_files(), NEEDED);
}
