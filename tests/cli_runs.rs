//! Long runs, really run: shards, kill -9 and resume, Ctrl-C, a closed pipe, a full disk, two runs at once. The many
//! kills at random moments are in `scripts/check/resume.py`.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a run may take to come to the point that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with records of several paragraphs, every tenth one bad, and a text file.
    fn with_records(count: usize) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let mut lines = String::new();
        for number in 0..count {
            let text = (0..number % 7 + 1).map(|paragraph| format!("Absatz {paragraph} der Meldung {number}."));
            let text = text.collect::<Vec<_>>().join("\\n\\n");
            match number % 10 {
                3 => writeln!(lines, r#"{{"id":{number},"text":7}}"#).unwrap(),
                7 => writeln!(lines, r#"{{"id":{number},"text":"{text}","tag":"x","more":[{number}]}}"#).unwrap(),
                _ => writeln!(lines, r#"{{"id":{number},"text":"{text}","source":"dpa, Berlin","length":{number}}}"#)
                    .unwrap(),
            }
        }
        fs::write(folder.path("records.jsonl"), lines).unwrap();
        fs::write(folder.path("last.txt"), "Zum Schluss.\n\nNoch ein Absatz, der etwas länger ist.\n").unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake");
        command.current_dir(self.0.path()).env("DETENTE_MODEL", bundle).arg("classify").args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a run, and waits until it has added `lines` lines to its journal.
    fn start(&self, args: &[&str], journal: &str, lines: usize) -> Child {
        let count = || fs::read_to_string(self.path(journal)).map_or(0, |text| text.lines().count());
        let goal = count() + lines;
        let mut child = self.command(args).spawn().unwrap();
        let begun = Instant::now();
        while count() < goal {
            assert!(begun.elapsed() < PATIENCE, "no journal of {goal} lines");
            if child.try_wait().unwrap().is_some() {
                panic!("the run ended before it was stopped: {}", stderr(&child.wait_with_output().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child
    }
}

/// kill -9; waited for, because the lock on the output ends with the process.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Enough for some hundred commits in a second or so.
const RECORDS: usize = 8_000;

#[test]
fn a_killed_run_is_resumed_to_the_same_bytes() {
    let folder = Folder::with_records(RECORDS);
    for (case, options) in
        [("out.jsonl", &["--by", "paragraph"][..]), ("out.csv", &[]), ("documents.csv", &["--by", "document"])]
    {
        let inputs = ["records.jsonl", "last.txt"];
        let expected = folder.run(&[&inputs[..], options, &["--output", &format!("whole-{case}")]].concat());
        assert_eq!(expected.status.code(), Some(2), "{}", stderr(&expected));
        let args = [&inputs[..], options, &["--output", case, "--resume"]].concat();
        let journal = format!("{case}.resume");
        for lines in [1, 5, 10] {
            kill(folder.start(&args, &journal, lines));
        }
        let end = folder.run(&args);
        assert_eq!(end.status.code(), Some(2), "{case}: bad records before the kill count: {}", stderr(&end));
        assert!(stderr(&end).contains("800 of 8001 records"), "{case}: {}", stderr(&end));
        let read = |name: &str| fs::read(folder.path(name)).unwrap();
        assert!(read(case) == read(&format!("whole-{case}")), "{case} is not what an undisturbed run writes");
        assert!(!folder.path(&journal).exists());
        let again = folder.run(&args);
        assert_eq!(again.status.code(), Some(2));
        assert!(stderr(&again).contains("complete"), "{}", stderr(&again));
    }
}

#[test]
fn a_resume_with_other_inputs_options_or_bundle_is_refused() {
    let folder = Folder::with_records(RECORDS);
    let args = ["records.jsonl", "last.txt", "--output", "out.jsonl", "--resume"];
    kill(folder.start(&args, "out.jsonl.resume", 3));
    let before = fs::read(folder.path("out.jsonl")).unwrap();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    let cases: [(&[&str], &str); 5] = [
        (&["--by", "document"], "the option --by was paragraph, now it is document"),
        (&["--shard", "1/2"], "the option --shard was 1/1, now it is 1/2"),
        (&["--text-field", "body"], "the option --text-field was text, now it is body"),
        (&["--model", tiny.to_str().unwrap()], "the bundle was fake@1+e7d511e4, now it is tiny@0.1.0+"),
        (&["last.txt"], "there were 2 inputs, now there are 3"),
    ];
    for (more, expected) in cases {
        let output = folder.run(&[&args[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(stderr(&output).contains(expected), "{more:?}: {}", stderr(&output));
    }
    let original = fs::read_to_string(folder.path("last.txt")).unwrap();
    fs::write(folder.path("last.txt"), original.replace("Zum", "Zun")).unwrap();
    let output = folder.run(&args);
    assert!(stderr(&output).contains("the input last.txt is not what it was"), "{}", stderr(&output));
    assert!(fs::read(folder.path("out.jsonl")).unwrap() == before, "a refused resume changes nothing");
    let kept = folder.run(&args[..4]);
    assert!(stderr(&kept).contains("holds a run that is not complete; go on with --resume"), "{}", stderr(&kept));
    fs::write(folder.path("last.txt"), original).unwrap();
    assert_eq!(folder.run(&args).status.code(), Some(2));
    assert!(!folder.path("out.jsonl.resume").exists());
}

#[test]
fn shards_are_disjoint_and_together_the_whole() {
    let folder = Folder::with_records(200);
    let documents = |args: &[&str]| {
        let output = folder.run(&[&["records.jsonl", "last.txt", "--by", "document"], args].concat());
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        (text.lines().map(str::to_owned).collect::<Vec<_>>(), stderr(&output))
    };
    let (whole, errors) = documents(&[]);
    assert!(errors.contains("20 of 201 records"), "{errors}");
    let parts: Vec<_> = ["1/3", "2/3", "3/3"].iter().map(|shard| documents(&["--shard", shard])).collect();
    let mut together: Vec<String> = parts.iter().flat_map(|(lines, _)| lines.clone()).collect();
    assert_eq!(together.len(), whole.len());
    together.sort();
    let mut sorted = whole.clone();
    sorted.sort();
    assert_eq!(together, sorted);
    for (lines, errors) in &parts {
        let order: Vec<usize> =
            lines.iter().map(|line| whole.iter().position(|other| other == line).unwrap()).collect();
        assert!(order.is_sorted(), "a shard keeps the order of the input");
        assert!(errors.contains("of 67 records"), "{errors}");
    }
}

#[test]
fn shards_of_csv_have_the_same_columns() {
    let folder = Folder::with_records(200);
    let header = |shard: &str| {
        let output = folder.run(&["records.jsonl", "--format", "csv", "--shard", shard]);
        String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!(header("1/10"), header("8/10"));
    assert!(header("8/10").contains("fields.source,fields.length,other_fields"), "{}", header("8/10"));
}

#[test]
fn a_closed_pipe_is_silent() {
    let folder = Folder::with_records(RECORDS);
    for format in ["jsonl", "csv", "table", "html"] {
        // Into a file: nobody empties a pipe while the test waits for the first line.
        let errors = fs::File::create(folder.path("errors")).unwrap();
        let args = ["last.txt", "records.jsonl", "--quiet", "--format", format];
        let mut child = folder.command(&args).stderr(errors).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        let status = child.wait().unwrap();
        let errors = fs::read_to_string(folder.path("errors")).unwrap();
        assert_eq!(status.code(), Some(0), "{format}: {errors}");
        assert!(errors.lines().all(|line| line.contains("records.jsonl:")), "{format}: {errors}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_resumable_file_and_says_how_to_go_on() {
    let folder = Folder::with_records(RECORDS);
    assert_eq!(folder.run(&["records.jsonl", "--output", "whole.jsonl"]).status.code(), Some(2));
    let args = ["records.jsonl", "--output", "out.jsonl", "--threads", "1"];
    let mut more: &[&str] = &[];
    for name in ["INT", "TERM"] {
        let child = folder.start(&[&args[..], more].concat(), "out.jsonl.resume", 5);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{name}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("classify records.jsonl --output out.jsonl --threads 1 --resume"),
            "{}",
            stderr(&output)
        );
        more = &["--resume"];
    }
    assert_eq!(folder.run(&[&args[..], more].concat()).status.code(), Some(2));
    assert!(fs::read(folder.path("out.jsonl")).unwrap() == fs::read(folder.path("whole.jsonl")).unwrap());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_wait_for_input() {
    let folder = Folder::with_records(1);
    let mut child = folder.command(&["-"]).stdin(Stdio::piped()).spawn().unwrap();
    let _open = child.stdin.take();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_with_the_path() {
    let folder = Folder::with_records(10);
    for format in ["jsonl", "csv", "table", "html"] {
        let output = folder.run(&["last.txt", "--output", "/dev/full", "--format", format]);
        assert_eq!(output.status.code(), Some(2), "{format}");
        assert_eq!(
            stderr(&output).lines().last(),
            Some("error: cannot write /dev/full: No space left on device (os error 28)"),
            "{format}"
        );
    }
}

#[test]
fn a_second_run_on_the_same_output_is_refused() {
    let folder = Folder::with_records(RECORDS);
    let args = ["records.jsonl", "--output", "out.jsonl", "--resume"];
    let first = folder.start(&args, "out.jsonl.resume", 2);
    let second = folder.run(&args);
    assert!(stderr(&second).contains("another run is writing to it"), "{}", stderr(&second));
    kill(first);
}

#[cfg(unix)]
#[test]
fn unreadable_and_doubled_files_are_named() {
    let folder = Folder::with_records(1);
    std::os::unix::fs::symlink("nowhere", folder.path("dangling.txt")).unwrap();
    let output = folder.run(&["dangling.txt", "last.txt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read dangling.txt: No such file"), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2, "the other file is labelled");
    std::os::unix::fs::symlink("last.txt", folder.path("link.jsonl")).unwrap();
    for output in ["link.jsonl", "./last.txt"] {
        let output = folder.run(&["last.txt", "--format", "jsonl", "--force", "--output", output]);
        assert!(stderr(&output).contains("is both input and output"), "{}", stderr(&output));
    }
}

#[test]
fn an_output_among_the_inputs_of_a_folder_is_passed_over() {
    let folder = Folder::with_records(20);
    for _ in 0..2 {
        let output = folder.run(&[".", "--output", "labels.jsonl", "--force"]);
        assert!(stderr(&output).contains("2 of 21 records"), "{}", stderr(&output));
    }
}

#[test]
fn the_journal_is_no_input_of_a_resumed_run() {
    let folder = Folder::with_records(RECORDS);
    let args = ["*", "--output", "out.jsonl", "--resume"];
    kill(folder.start(&args, "out.jsonl.resume", 3));
    let end = folder.run(&args);
    assert!(stderr(&end).contains("800 of 8001 records"), "{}", stderr(&end));
    assert!(!folder.path("out.jsonl.resume").exists());
}

#[test]
fn globs_of_any_depth_keep_relative_names() {
    let folder = Folder::with_records(1);
    fs::create_dir(folder.path("sub")).unwrap();
    fs::rename(folder.path("records.jsonl"), folder.path("sub/c.txt")).unwrap();
    for pattern in ["**", "**/*", "**/*.txt"] {
        let output = folder.run(&[pattern, "--by", "document"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let documents: Vec<String> = records.map(|record| record["document"].as_str().unwrap().to_owned()).collect();
        assert_eq!(documents, ["last.txt", "sub/c.txt"], "{pattern}");
    }
}

#[test]
fn an_output_is_kept_when_the_run_cannot_begin() {
    let folder = Folder::with_records(1);
    // The name of its journal is longer than file systems allow.
    let long = format!("{}.jsonl", "o".repeat(245));
    for output in [&long, "out.csv"] {
        fs::write(folder.path(output), "mine").unwrap();
    }
    fs::write(folder.path("out.csv.resume"), "my resume\n").unwrap();
    fs::write(folder.path("new.csv.resume"), "my resume\n").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["last.txt", "--output", &long], "cannot write"),
        (&["last.txt", "--output", "out.csv"], "move out.csv.resume away, or name another output"),
        (&["last.txt", "--output", "out.csv", "--format", "html"], "move out.csv.resume away, or name another output"),
        (&["last.txt", "--output", "new.csv"], "move new.csv.resume away, or name another output"),
        (&["new.csv.resume", "--output", "new.csv"], "new.csv.resume is an input, but the journal"),
    ];
    for (args, expected) in cases {
        let output = folder.run(&[args, &["--force"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
    }
    for output in [&long, "out.csv"] {
        assert_eq!(fs::read_to_string(folder.path(output)).unwrap(), "mine");
    }
    for journal in ["out.csv.resume", "new.csv.resume"] {
        assert_eq!(fs::read_to_string(folder.path(journal)).unwrap(), "my resume\n");
    }
    assert!(!folder.path("new.csv").exists());
}

#[cfg(unix)]
#[test]
fn redirected_input_and_output_are_known_as_files() {
    let folder = Folder::with_records(20);
    let text = fs::read(folder.path("last.txt")).unwrap();
    let opened = || fs::File::open(folder.path("last.txt")).unwrap();
    let appended = |name: &str| fs::File::options().create(true).append(true).open(folder.path(name)).unwrap();
    let mut to_file = folder.command(&["--format", "jsonl", "--force", "--output", "last.txt"]);
    let mut to_stdout = folder.command(&["-"]);
    to_stdout.stdout(appended("last.txt"));
    for command in [&mut to_file, &mut to_stdout] {
        let output = command.stdin(opened()).output().unwrap();
        assert!(stderr(&output).contains("standard input is also the output"), "{}", stderr(&output));
        assert_eq!(fs::read(folder.path("last.txt")).unwrap(), text);
    }
    for args in [&["."][..], &[".", "--output", "-"]] {
        let mut command = folder.command(args);
        command.stdout(appended("out.jsonl")).stderr(appended("log.txt")).status().unwrap();
        let log = fs::read_to_string(folder.path("log.txt")).unwrap();
        assert!(log.contains("log.txt is written by this run; it is not read"), "{log}");
        assert!(log.contains("2 of 21 records"), "{log}");
        fs::remove_file(folder.path("log.txt")).unwrap();
        let output = folder.command(args).stdout(appended("out.jsonl")).output().unwrap();
        assert!(stderr(&output).contains("out.jsonl is written by this run; it is not read"), "{}", stderr(&output));
        assert!(stderr(&output).contains("2 of 21 records"), "{}", stderr(&output));
    }
}

#[test]
fn completions_and_manual_pages_are_complete() {
    let folder = Folder::with_records(1);
    let verb = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_detente")).args(args).current_dir(folder.0.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(verb(&["completions", shell]).contains("max-document-bytes"), "{shell}");
    }
    assert!(verb(&["man"]).contains("max\\-document\\-bytes"));
    verb(&["man", "--output", "."]);
    for page in ["detente.1", "detente-classify.1", "detente-inspect.1", "detente-bench.1", "detente-man.1"] {
        assert!(folder.path(page).exists(), "{page}");
    }
}

#[test]
fn bench_and_inspect_speak_to_programs() {
    let folder = Folder::with_records(20);
    let json = |args: &[&str]| -> serde_json::Value {
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake");
        let mut command = Command::new(env!("CARGO_BIN_EXE_detente"));
        let output = command.args(args).current_dir(folder.0.path()).env("DETENTE_MODEL", bundle).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let bench = json(&["bench", "--rounds", "2", "--threads", "1", "--json"]);
    assert_eq!((&bench["paragraphs"], &bench["rounds"], &bench["threads"]), (&256.into(), &2.into(), &1.into()));
    for rate in ["paragraphs_per_second", "tokens_per_second"] {
        let [min, median, max] = ["min", "median", "max"].map(|key| bench[rate][key].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= max, "{rate}: {bench}");
    }
    assert_eq!(json(&["bench", "last.txt", "--rounds", "1", "--json"])["paragraphs"], 2);
    let inspect = json(&["inspect", "--json"]);
    assert_eq!(
        inspect["scheme"]["topics"].as_array().unwrap().len(),
        inspect["calibration"]["topics"].as_array().unwrap().len()
    );
    assert_eq!(inspect["sha256"].as_str().unwrap().len(), 64);
}
