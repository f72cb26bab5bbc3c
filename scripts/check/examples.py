#!/usr/bin/env python3
"""Classifies every file of examples/ in every format and looks at the records.

Command: scripts/check/examples.py PROGRAM [BUNDLE]
In:      PROGRAM, the built `detente`; BUNDLE, a bundle folder to use instead of the one inside the program
Out:     one line a file on stdout; exit code 1 with the reason when a record is not as docs/output.md says

Also holds the shipped bundle to the least that the README promises: the first example has every topic, boilerplate and content, and
levels on both sides of 0. Needs nothing but the standard library.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {
    "minsk-line.txt": "de", "grenze-absatz.txt": "de", "waffenruhe.html": "de", "grain-corridor.txt": "en",
    "pereprava.txt": "ru", "koridor.txt": "uk", "hudna.txt": "ar", "kouan.txt": "zh",
}  # fmt: skip
RECORDS = {"ticker.jsonl": 12, "lines.csv": 10}
FIRST = "minsk-line.txt"


def check(condition: bool, what: str) -> None:
    """Ends the check with the reason if the condition does not hold."""
    if not condition:
        raise SystemExit(f"examples.py: {what}")


def classify(program: str, bundle: list[str], *arguments: str) -> str:
    """What the program writes to stdout."""
    command = [program, "classify", "--quiet", *bundle, *arguments]
    run = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(run.returncode == 0, f"{' '.join(command)} ended with {run.returncode}: {run.stderr}")
    check(run.stderr == "", f"{' '.join(command)} wrote to stderr in spite of --quiet: {run.stderr}")
    return run.stdout


def look_at(name: str, records: list[dict]) -> None:
    """Checks what must hold of the records of a file whatever the bundle says."""
    text = (ROOT / "examples" / name).read_bytes()
    end = 0
    for record in records:
        where = f"{name}, paragraph {record['paragraph']}"
        check(record["text"].strip() == record["text"] != "", f"{where}: text is blank or has white space at an end")
        if name.endswith(".txt"):
            check(text[end : record["start"]].strip() == b"", f"{where}: text was left out before it")
            check(text[record["start"] : record["end"]].decode() == record["text"], f"{where}: its range holds another text")
            end = record["end"]
        if "topics" in record:
            check(not (record.get("boilerplate") and record["topics"]), f"{where}: boilerplate with topics")
        if "escalation_probabilities" in record:
            total = sum(record["escalation_probabilities"].values())
            check(abs(total - 1) < 1e-3, f"{where}: the levels sum to {total}")
    if name.endswith(".txt"):
        check(text[end:].strip() == b"", f"{name}: text was left out at the end")


def main() -> int:
    """Runs the check."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    program = str(Path(sys.argv[1]).resolve())
    bundle = ["--model", sys.argv[2]] if len(sys.argv) == 3 else []
    files = sorted(path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".txt", ".html", ".jsonl", ".csv"))
    check(set(files) == LANGUAGES.keys() | RECORDS.keys(), f"this script does not know all of examples/: {files}")
    for name in files:
        path = f"examples/{name}"
        records = [json.loads(line) for line in classify(program, bundle, path, "--format", "jsonl").splitlines()]
        look_at(name, records)
        if name in RECORDS:
            documents = list(dict.fromkeys(record["document"] for record in records))
            check(len(documents) == RECORDS[name], f"{name}: {len(documents)} documents, {RECORDS[name]} expected")
            check(all(len(record["fields"]) == 2 for record in records), f"{name}: further fields were lost")
        else:
            letters: dict[str, int] = {}
            for record in records:
                letters[record["language"]] = letters.get(record["language"], 0) + len(record["text"])
            language = max(letters, key=letters.__getitem__)
            check(language == LANGUAGES[name], f"{name}: taken for {language}, it is {LANGUAGES[name]}")
        if name == FIRST and not bundle:
            topics = {topic for record in records for topic in record["topics"]}
            check(topics == {"military", "diplomacy", "sanctions"}, f"{name}: only {sorted(topics)} were found")
            levels = {record["escalation"] for record in records}
            check(min(levels) < 0 < max(levels), f"{name}: only the levels {sorted(levels)} were found")
            check({record["boilerplate"] for record in records} == {True, False}, f"{name}: boilerplate was not told apart")
        print(f"ok      {name}: {len(records)} paragraphs")
    for arguments in (["--format", "csv"], ["--format", "table"], ["--format", "html"], ["--format", "jsonl", "--by", "document"]):
        written = classify(program, bundle, "examples", *arguments)
        check(all(name in written for name in LANGUAGES), f"a document is missing with {' '.join(arguments)}")
        print(f"ok      {' '.join(arguments)}: {len(written)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
