//! The program with `--model hf:…` and its verb `models`, on a hub on the loopback.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::hub::server::Reply;
use crate::hub::{COMMIT, Files, Setting, TOKEN, sha256};

const TEXT: &str = "The guns fell silent.\n";

/// The program beside a text of one paragraph, with nothing of this machine's own hub.
fn command(setting: &Setting, args: &[&str], variables: &[(&str, &str)]) -> Command {
    std::fs::write(setting.folder.path().join("text.txt"), TEXT).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HF_") || name.starts_with("HUGGING")) {
        command.env_remove(name);
    }
    command.env_remove("TRANSFORMERS_OFFLINE").env_remove("DETENTE_MODEL").env("NO_PROXY", "127.0.0.1");
    command.env("HF_HOME", setting.folder.path()).env("HF_ENDPOINT", setting.server.url());
    command.envs(variables.iter().copied()).args(args).current_dir(setting.folder.path()).stdin(Stdio::null());
    command
}

fn run(setting: &Setting, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let output = command(setting, args, variables).output().unwrap();
    std::fs::remove_file(setting.folder.path().join("text.txt")).unwrap();
    output
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

#[test]
fn a_checkpoint_of_the_hub_classifies_and_its_commit_is_in_the_record() {
    let setting = Setting::of(Files::fixture("checkpoints/bert-single"));
    let output = run(&setting, &["classify", "text.txt", "--model", "hf:owner/name"], &[]);
    let id = json(&output)["bundle"].as_str().unwrap().to_owned();
    assert!(id.starts_with(&format!("owner/name@{COMMIT}+")), "{id}");
    assert!(stderr(&output).contains("note: fetching 5 files of hf:owner/name"), "{}", stderr(&output));
    let pinned = format!("hf:owner/name@{COMMIT}");
    let again =
        run(&setting, &["classify", "text.txt", "--quiet"], &[("DETENTE_MODEL", &pinned), ("HF_HUB_OFFLINE", "1")]);
    assert_eq!((stdout(&again), stderr(&again).as_str()), (stdout(&output), ""));
    setting.check();

    let inspected =
        json(&run(&setting, &["inspect", "--json", "--model", "hf:owner/name"], &[("TRANSFORMERS_OFFLINE", "1")]));
    assert_eq!((inspected["id"].as_str(), inspected["version"].as_str()), (Some(id.as_str()), Some(COMMIT)));
    assert_eq!(inspected["source"], "hf:owner/name");
}

#[test]
fn a_bundle_of_the_hub_is_known_by_its_commit_in_records_and_reports() {
    let setting = Setting::of(Files::fixture("fake"));
    let output = run(&setting, &["classify", "text.txt", "--model", "hf:owner/name", "--quiet"], &[]);
    let id = json(&output)["bundle"].as_str().unwrap().to_owned();
    let manifest = &Files::fixture("fake").0["bundle.json"];
    assert_eq!(id, format!("owner/name@{COMMIT}+{}", &sha256(manifest)[..8]));
    assert_eq!(stderr(&output), "");

    let gold = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/input-eval/gold.jsonl");
    let args = ["eval", "--gold", gold, "--format", "json", "--replicates", "100"];
    let named = run(&setting, &[&args[..], &["--model", "hf:owner/name"]].concat(), &[]);
    assert!(stdout(&named).contains(&id), "{}", stdout(&named));
    let by_variable = run(&setting, &args, &[("DETENTE_MODEL", "hf:owner/name")]);
    assert_eq!(stdout(&by_variable), stdout(&named));
}

#[test]
fn a_scheme_of_hypotheses_names_the_commit_of_its_checkpoint() {
    let setting = Setting::of(Files::fixture("checkpoints/deberta-nli-v4"));
    let scheme = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/zero-shot.toml");
    let args = ["classify", "text.txt", "--model", "hf:owner/name", "--scheme", scheme];
    let id = json(&run(&setting, &args, &[]))["bundle"].as_str().unwrap().to_owned();
    assert!(id.starts_with(&format!("owner/name:tiny@{COMMIT}+")), "{id}");
}

/// Labelled lines: a topic of the fake bundle or none, three levels.
fn gold() -> String {
    let mut lines = String::new();
    for number in 0..60 {
        let topics = if number % 2 == 0 { "[\"military\"]" } else { "[]" };
        let (level, flag) = (number % 3, number % 4 == 0);
        writeln!(
            lines,
            r#"{{"id": {number}, "text": "Report number {number}.", "topics": {topics}, "escalation": {level}, "boilerplate": {flag}, "document": {number}}}"#
        )
        .unwrap();
    }
    lines
}

#[test]
fn every_verb_that_takes_a_folder_takes_a_name() {
    let setting = Setting::of(Files::fixture("fake"));
    std::fs::write(setting.folder.path().join("gold.jsonl"), gold()).unwrap();
    let model = ["--model", "hf:owner/name"];
    let gold = ["--gold", "gold.jsonl", "--replicates", "100"];
    let verbs: [(&str, &[&str]); 6] = [
        ("inspect", &[]),
        ("bench", &["text.txt", "--rounds", "1"]),
        ("sample", &["--corpus", "gold.jsonl", "--count", "2", "--with-boilerplate", "--output", "sample.csv"]),
        ("eval", &gold),
        ("tune", &[&gold[..], &["--output", "tuned"]].concat()),
        ("fit", &["--train", "gold.jsonl", "--replicates", "100", "--output", "fitted"]),
    ];
    for (verb, args) in verbs {
        let output = run(&setting, &[&[verb], args, &model].concat(), &[]);
        assert!(output.status.success(), "{verb}: {}", stderr(&output));
        let is_named = stdout(&output).contains(&format!("owner/name@{COMMIT}+"));
        assert!(is_named || verb == "sample", "{verb} does not say where the model is from: {}", stdout(&output));
    }
    assert!(setting.folder.path().join("fitted/bundle.json").exists());
}

#[cfg(feature = "serve")]
#[test]
fn the_server_says_which_commit_it_serves() {
    let setting = Setting::of(Files::fixture("fake"));
    let mut command = command(&setting, &["serve", "--listen", "127.0.0.1:0", "--model", "hf:owner/name"], &[]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut lines = lines.skip_while(|line| !line.contains("serving"));
    let line = lines.next();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.as_ref().is_some_and(|line| line.contains(&format!("owner/name@{COMMIT}+"))), "{line:?}");
}

#[test]
fn failures_are_exit_code_2_and_say_what_to_do() {
    let setting = Setting::of(Files::fixture("fake"));
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(&str, Variables, &str); 4] = [
        ("hf:owner/name", &[("HF_HUB_OFFLINE", "1")], "offline mode forbids"),
        ("hf:owner/other", &[], "no such repository (404)"),
        ("hf:name", &[], "hf:owner/name@revision"),
        ("hf:owner/name", &[("HF_ENDPOINT", "hub.example.org")], "HF_ENDPOINT"),
    ];
    for (model, variables, part) in cases {
        let output = run(&setting, &["classify", "text.txt", "--model", model], variables);
        assert_eq!(output.status.code(), Some(2), "{model}");
        assert!(
            stderr(&output).starts_with("error: ") && stderr(&output).contains(part),
            "{model}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_token_is_the_one_of_the_environment_or_the_login() {
    let setting = Setting::with(Files::fixture("fake"), |request, reply| {
        let is_known = request.headers.get("authorization").is_some_and(|found| *found == format!("Bearer {TOKEN}"));
        if is_known { reply } else { Reply::new(401, "") }
    });
    let pull = ["models", "pull", "hf:owner/name"];
    let refused = run(&setting, &pull, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("(401)") && stderr(&refused).contains("none was sent"), "{}", stderr(&refused));
    stdout(&run(&setting, &pull, &[("HF_TOKEN", TOKEN)]));
    stdout(&run(&setting, &["models", "remove", "hf:owner/name"], &[]));
    std::fs::write(setting.folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    stdout(&run(&setting, &pull, &[]));
}

#[test]
fn models_are_pulled_listed_verified_and_removed() {
    let setting = Setting::of(Files::fixture("fake"));
    let models = |args: &[&str]| run(&setting, &[&["models"], args].concat(), &[]);
    assert_eq!(stdout(&models(&["list"])), "");
    let pulled = stdout(&models(&["pull", "hf:owner/name"]));
    assert!(pulled.starts_with(&format!("hf:owner/name@{COMMIT}  ")), "{pulled}");
    let listed = stdout(&models(&["list"]));
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["MODEL", "REVISION", "COMMIT", "FILES", "SIZE", "STATE"]);
    assert_eq!((&lines[1][..4], lines[1].last()), (&["owner/name", "main", COMMIT, "6"][..], Some(&"complete")));
    let list = json(&models(&["list", "--format", "json"]));
    assert_eq!((&list[0]["model"], &list[0]["complete"]), (&"owner/name".into(), &true.into()));

    assert_eq!(stdout(&models(&["verify"])), format!("hf:owner/name@{COMMIT}  6 files verified\n"));
    let blob = setting.repository_folder().join("blobs").join(sha256(&Files::fixture("fake").0["heads.safetensors"]));
    std::fs::write(&blob, "damaged").unwrap();
    let verified = models(&["verify", "hf:owner/name", "--format", "json"]);
    assert_eq!(verified.status.code(), Some(1), "{}", stderr(&verified));
    assert!(stderr(&verified).contains("heads.safetensors in the cache is damaged"), "{}", stderr(&verified));
    let value: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((&value[0]["files"], value[0]["faults"].as_array().unwrap().len()), (&5.into(), 1));
    stdout(&models(&["pull", "hf:owner/name"]));

    let removed = json(&models(&["remove", "hf:owner/name", "--format", "json"]));
    assert_eq!((&removed[0]["commits"][0], &removed[0]["files"]), (&COMMIT.into(), &6.into()));
    assert_eq!(models(&["remove", "hf:owner/name"]).status.code(), Some(2));
    assert!(!setting.repository_folder().exists());
}
