//! What the cache has: without a network, damaged, by Python's client, listed, verified, removed.

use std::fs;
use std::os::unix::fs::symlink;

use detente::hub::Repository;

use crate::hub::server::Reply;
use crate::hub::{COMMIT, Files, Setting, file_name, git, repository, sha256, walk};

const NEW: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn at(revision: &str) -> Repository {
    format!("hf:owner/name@{revision}").parse().unwrap()
}

/// The message of opening what is there without a network.
fn offline(setting: &Setting, repository: &Repository) -> String {
    let hub = setting.hub().with_offline(true);
    let message = hub.snapshot(repository, &mut |_| {}).unwrap_err().to_string();
    assert_eq!(setting.server.asked().len(), 0, "offline is offline");
    message
}

#[test]
fn offline_the_cache_is_all_there_is() {
    let setting = Setting::of(Files::small());
    for repository in [repository(), at(COMMIT)] {
        let message = offline(&setting, &repository);
        assert!(message.contains("not in the cache") && message.contains("detente models pull"), "{message}");
    }
    let online = setting.pull().unwrap();
    setting.server.asked();
    let hub = setting.hub().with_offline(true);
    for repository in [repository(), at("main"), at(COMMIT)] {
        assert_eq!(hub.snapshot(&repository, &mut |_| {}).unwrap(), online);
    }
    assert_eq!(setting.server.asked().len(), 0);
    assert!(offline(&setting, &at("v2")).contains("hf:owner/name@v2: it is not in the cache"));
    fs::remove_file(online.folder.join("tokenizer.json")).unwrap();
    let message = offline(&setting, &repository());
    assert!(message.contains("lacks tokenizer.json") && message.contains("detente models pull"), "{message}");
    setting.pull().unwrap();
    setting.check();
}

#[test]
fn a_hub_that_cannot_be_reached_leaves_the_cache_with_a_note() {
    let setting = Setting::of(Files::small());
    setting.pull().unwrap();
    let broken = Setting::with(Files::small(), |_, _| Reply::new(503, ""));
    let hub = setting.hub().with_endpoint(broken.server.url());
    let snapshot = hub.snapshot(&repository(), &mut |_| {}).unwrap();
    let note = snapshot.note.unwrap();
    assert!(note.contains("status 503") && note.contains(COMMIT), "{note}");
    assert!(hub.snapshot(&at("v2"), &mut |_| {}).unwrap_err().to_string().contains("status 503"));
    let refusing = Setting::with(Files::small(), |_, _| Reply::new(403, ""));
    let hub = setting.hub().with_endpoint(refusing.server.url());
    assert!(hub.snapshot(&repository(), &mut |_| {}).is_err(), "a refusal is none of the network");
}

#[test]
fn a_damaged_file_is_named_and_not_kept() {
    for (name, is_offline) in [("model.safetensors", true), ("model.safetensors", false), ("config.json", true)] {
        for is_cut in [false, true] {
            let setting = Setting::of(Files::small());
            let snapshot = setting.pull().unwrap();
            let (link, blob) = (snapshot.folder.join(name), snapshot.folder.join(name).canonicalize().unwrap());
            let mut bytes = fs::read(&blob).unwrap();
            if is_cut {
                bytes.truncate(bytes.len() / 2)
            } else {
                bytes[10] ^= 1
            }
            fs::write(&blob, bytes).unwrap();
            let hub = setting.hub().with_offline(is_offline);
            let message = hub.snapshot(&repository(), &mut |_| {}).unwrap_err().to_string();
            let expected = format!("{name} in the cache is damaged: its ");
            assert!(message.contains(&expected) && message.contains("detente models pull"), "{message}");
            assert!(!link.is_symlink() && !blob.exists(), "{name}");
            setting.check();
            setting.pull().unwrap();
            assert!(link.exists());
        }
    }
}

/// The cache as Python's client leaves it: with or without the listing of the commit.
#[test]
fn what_python_fetched_is_opened() {
    let files = Files::small();
    for with_listing in [false, true] {
        let setting = Setting::of(files.clone());
        let root = setting.repository_folder();
        for (path, bytes) in &files.0 {
            let hash =
                if path.ends_with(".safetensors") || path.ends_with(".bin") { sha256(bytes) } else { git(bytes) };
            let link = root.join("snapshots").join(COMMIT).join(path);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            fs::create_dir_all(root.join("blobs")).unwrap();
            fs::write(root.join("blobs").join(&hash), bytes).unwrap();
            let up = "../".repeat(path.split('/').count() + 1);
            symlink(format!("{up}blobs/{hash}"), link).unwrap();
        }
        fs::create_dir_all(root.join("refs")).unwrap();
        fs::write(root.join("refs/main"), COMMIT).unwrap();
        if with_listing {
            let entry = |(path, bytes): (&String, &Vec<u8>)| match path.ends_with(".safetensors") {
                true => format!(
                    "{path:?}: {{\"size\": 1, \"blob_id\": \"x\", \"lfs_sha256\": {:?}, \"lfs_size\": {}}}",
                    sha256(bytes),
                    bytes.len()
                ),
                false => format!("{path:?}: {{\"size\": {}, \"blob_id\": {:?}}}", bytes.len(), git(bytes)),
            };
            let entries: Vec<String> = files.0.iter().map(entry).collect();
            fs::create_dir_all(root.join("trees")).unwrap();
            let json = format!("{{\"format_version\": 1, \"files\": {{{}}}}}", entries.join(", "));
            fs::write(root.join(format!("trees/{COMMIT}.json")), json).unwrap();
        }
        let hub = setting.hub().with_offline(true);
        let snapshot = hub.snapshot(&repository(), &mut |_| {}).unwrap();
        assert_eq!(snapshot.note.is_none(), with_listing, "{:?}", snapshot.note);
        assert_eq!(hub.list().unwrap()[0].is_complete, with_listing.then_some(true));

        fs::write(root.join("blobs").join(sha256(&files.0["model.safetensors"])), "other").unwrap();
        assert!(offline(&setting, &repository()).contains("model.safetensors in the cache is damaged"));
        setting.pull().unwrap();
        let asked = setting.server.asked();
        let resolved: Vec<String> = asked
            .iter()
            .filter_map(|request| request.path.split_once("/resolve/"))
            .map(|(_, rest)| rest.to_owned())
            .collect();
        assert_eq!(resolved, [format!("{COMMIT}/model.safetensors")], "only what is missing is fetched");
        setting.check();
    }
}

#[test]
fn a_file_that_nothing_describes_is_refused() {
    let setting = Setting::of(Files::small());
    let folder = setting.repository_folder().join("snapshots").join(COMMIT);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), "{}").unwrap();
    let message = offline(&setting, &at(COMMIT));
    assert!(message.contains("what config.json must be") && message.contains("detente models remove"), "{message}");
}

#[test]
fn the_cache_is_listed() {
    let setting = Setting::of(Files::small());
    assert_eq!(setting.hub().list().unwrap(), []);
    setting.pull().unwrap();
    fs::create_dir_all(setting.cache().join("datasets--owner--other/snapshots").join(NEW)).unwrap();
    fs::create_dir_all(setting.cache().join("blobs")).unwrap();
    let listed = setting.hub().list().unwrap();
    assert_eq!(listed.len(), 1);
    let files = Files::small().without(".gitattributes").without("pytorch_model.bin");
    let bytes = files.0.values().map(|bytes| bytes.len() as u64).sum::<u64>();
    let cached = &listed[0];
    assert_eq!(
        (cached.id.as_str(), cached.commit.as_str(), cached.files, cached.bytes),
        ("owner/name", COMMIT, 5, bytes)
    );
    assert_eq!((&cached.revisions[..], cached.is_complete), (&["main".to_owned()][..], Some(true)));
    fs::remove_file(cached.folder.join("config.json")).unwrap();
    assert_eq!(setting.hub().list().unwrap()[0].is_complete, Some(false));
}

#[test]
fn the_cache_is_verified() {
    let setting = Setting::of(Files::small());
    assert!(setting.hub().verify(&repository()).unwrap_err().to_string().contains("detente models list"));
    let snapshot = setting.pull().unwrap();
    let verified = setting.hub().verify(&repository()).unwrap();
    assert_eq!((verified.len(), verified[0].good, verified[0].faults.len()), (1, 5, 0));
    fs::write(snapshot.folder.join("README.md"), "changed in place").unwrap();
    fs::remove_file(snapshot.folder.join("config.json")).unwrap();
    let verified = setting.hub().verify(&at("main")).unwrap();
    let faults: Vec<String> = verified[0].faults.iter().map(ToString::to_string).collect();
    assert_eq!((verified[0].good, faults.len()), (3, 2), "{faults:?}");
    assert!(
        faults[0].contains("README.md in the cache is damaged") && faults[1].contains("lacks config.json"),
        "{faults:?}"
    );
    assert!(!snapshot.folder.join("README.md").is_symlink());
    setting.check();
}

#[test]
fn what_is_removed_is_gone_and_nothing_else() {
    let setting = Setting::of(Files::small());
    setting.pull().unwrap();
    let root = setting.repository_folder();
    // Another commit that shares the weights, and has a file of its own.
    let (weights, own) = (sha256(&Files::small().0["model.safetensors"]), git(b"own"));
    let folder = root.join("snapshots").join(NEW);
    fs::create_dir_all(&folder).unwrap();
    fs::write(root.join("blobs").join(&own), "own").unwrap();
    symlink(format!("../../blobs/{weights}"), folder.join("model.safetensors")).unwrap();
    symlink(format!("../../blobs/{own}"), folder.join("config.json")).unwrap();
    fs::write(root.join("refs/v2"), NEW).unwrap();
    // A link out of the cache, which somebody else has put there.
    let outside = setting.folder.path().join("hub/../outside.json");
    fs::write(&outside, "mine").unwrap();
    symlink(&outside, folder.join("outside.json")).unwrap();

    let removed = setting.hub().remove(&at("v2")).unwrap();
    assert_eq!((removed.commits, removed.files, removed.bytes), (vec![NEW.to_owned()], 1, 3));
    assert!(!folder.exists() && !root.join("refs/v2").exists() && !setting.blobs().contains(&own));
    assert!(outside.exists() && root.join("refs/main").exists());
    assert_eq!(setting.hub().verify(&repository()).unwrap()[0].good, 5);
    assert!(setting.hub().remove(&at("v2")).unwrap_err().to_string().contains("detente models list"));

    let removed = setting.hub().remove(&repository()).unwrap();
    assert_eq!((removed.commits.len(), removed.files), (1, 5));
    assert!(!root.exists() && outside.exists());
    let left: Vec<String> = walk(setting.folder.path()).iter().map(|path| file_name(path)).collect();
    assert_eq!(left, ["outside.json"]);
}

#[test]
fn a_repository_that_is_a_link_out_of_the_cache_is_left_alone() {
    let setting = Setting::of(Files::small());
    setting.pull().unwrap();
    let elsewhere = setting.folder.path().join("elsewhere");
    fs::rename(setting.repository_folder(), &elsewhere).unwrap();
    symlink(&elsewhere, setting.repository_folder()).unwrap();
    let before = walk(&elsewhere);
    let message = setting.hub().remove(&repository()).unwrap_err().to_string();
    assert!(message.contains("leads out of the cache"), "{message}");
    assert_eq!(walk(&elsewhere), before);
}
