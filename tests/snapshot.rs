//! `scripts/eval/snapshot.sh`: a label that changes fails the check, and is shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn snapshot(results: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new("bash");
    command.arg(root().join("scripts/eval/snapshot.sh")).args(flags);
    command.arg("--model").arg(root().join("tests/fixtures/fake"));
    command.arg("--results").arg(results).arg(env!("CARGO_BIN_EXE_detente")).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_label_that_changes_is_shown() {
    let results = tempfile::tempdir().unwrap();
    let check = || snapshot(results.path(), &["--check"]);

    let missing = check();
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("fake/items.csv; make it: scripts/eval/snapshot.sh PROGRAM")
    );

    let made = snapshot(results.path(), &[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(stdout(&made).ends_with("fake: 1056 items\n"), "{}", stdout(&made));
    let summary = fs::read_to_string(results.path().join("fake/summary.json")).unwrap();
    assert!(summary.contains("\"seed\": 1") && summary.len() < 64 << 10, "{} bytes", summary.len());

    let same = check();
    assert_eq!(same.status.code(), Some(0), "{}", stdout(&same));
    assert!(stdout(&same).ends_with("fake/items.csv: 1056 items, no label changed\n"), "{}", stdout(&same));

    let path = results.path().join("fake/items.csv");
    let table = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    let mut cells: Vec<String> = lines[1].split(',').map(str::to_owned).collect();
    let (id, gold, now) = (cells[0].clone(), cells[3].clone(), cells[6].clone());
    cells[6] = if now == "2" { "1" } else { "2" }.into();
    let before = cells[6].clone();
    lines[1] = cells.join(",");
    let gone = lines.remove(5);
    lines.push(gone.replacen(gone.split(',').next().unwrap(), "made-up", 1));
    fs::write(&path, lines.join("\n") + "\n").unwrap();

    let changed = check();
    assert_eq!(changed.status.code(), Some(1));
    let text = stdout(&changed);
    let first = text.lines().next().unwrap();
    assert!(first.ends_with("1 of 1056 items changed, escalation 1, 1 items are new, 1 are gone"), "{text}");
    assert!(text.contains(&format!("  {id} ({}) escalation: {before} -> {now}, gold {gold}", cells[1])), "{text}");
    assert!(text.contains("say in the commit why labels change"), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), lines.join("\n") + "\n", "a check writes nothing");
}
