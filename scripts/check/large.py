#!/usr/bin/env python3
"""Classifies monsters: a file of 50 MB in one line, a paragraph of 100,000 words, and one of as many short lines.

Purpose: no text is too long: nothing is cut silently (the record holds the whole text, in many windows), nothing panics,
and memory stays under --limit-mb. Labels come from a hash (tests/fixtures/fake).

Command: python3 scripts/check/large.py target/release/detente [--limit-mb 800]
Inputs:  the program; the texts are made here. CPython 3.11 on Linux or macOS, standard library only.
Outputs: one line per text on stdout; exit code 1 if one fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "tests" / "fixtures" / "fake"


def run(program, folder, words):
    """Writes the words to a file and classifies it; gives both paths, the exit code, seconds and the peak in MB."""
    folder.mkdir()
    given, labels = folder / "text.txt", folder / "labels.jsonl"
    with given.open("w", encoding="utf-8") as out:
        out.writelines(words)
    begun = time.monotonic()
    child = subprocess.Popen([program, "classify", given, "--model", BUNDLE, "--output", labels, "--quiet"])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return given, labels, child.returncode, time.monotonic() - begun, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--limit-mb", type=float, default=800)
    args = parser.parse_args()
    texts = {
        "one line of 50 MB": ("wort " for _ in range(10_000_000)),
        "a paragraph of 100,000 words": (f"Wort{number} " for number in range(100_000)),
        "33,334 lines of three words": (f"Wort{number} в слове\n" for number in range(33_334)),
    }
    failed = False
    with tempfile.TemporaryDirectory() as name:
        # First all runs, then all comparisons: a child's peak is at least that of the process that starts it.
        runs = [(what, *run(args.program.resolve(), Path(name) / str(number), texts[what])) for number, what in enumerate(texts)]
        for what, given, labels, code, seconds, peak in runs:
            records = [json.loads(line) for line in labels.open(encoding="utf-8")] if code == 0 else []
            # However the paragraph rule splits it: all that is not white space must be there.
            kept = sum(len("".join(record["text"].split())) for record in records)
            is_whole = kept == len("".join(given.read_text(encoding="utf-8").split()))
            windows = sum(record["windows"] for record in records)
            print(
                f"{what}: exit code {code}, {len(records)} paragraphs, {windows} windows, "
                f"{'whole' if is_whole else 'NOT WHOLE'}, {seconds:.1f} s, peak {peak:.0f} MB"
            )
            failed |= code != 0 or not is_whole or windows < 1000 or peak > args.limit_mb
    print("FAILED: see above" if failed else f"nothing is lost, memory stays under {args.limit_mb:g} MB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
