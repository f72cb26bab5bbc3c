#!/usr/bin/env python3
"""Shows that the memory of a run does not grow with its input.

Purpose: 10 MB, 100 MB and 1 GB of JSON Lines go through a pipe into `detente classify --output /dev/null`; the peak of
resident memory may differ by no more than --slack-mb between the smallest and each larger input, and stays under
--limit-mb. Labels come from a hash (tests/fixtures/fake), so that reading, batching and writing are what is measured.

Command: python3 scripts/check/stream.py target/release/detente [--sizes-mb 10 100 1000] [--slack-mb 24] [--limit-mb 160]
Inputs:  the program; the text is made here and needs no disk. CPython 3.11 on Linux or macOS, standard library only.
Outputs: one line per size on stdout; exit code 1 if memory grows or a run fails.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "tests" / "fixtures" / "fake"
SENTENCE = "Die Gespräche in der Hauptstadt wurden am Abend ohne Ergebnis vertagt, sagte eine Sprecherin der Delegation. "
RECORDS_A_BLOCK = 64


def block(number):
    """Some records as JSON Lines: one to eight paragraphs of one to six sentences, and a field of twice that size to keep."""
    lines = []
    for index in range(number * RECORDS_A_BLOCK, (number + 1) * RECORDS_A_BLOCK):
        paragraphs = (f"{index}-{p} " + SENTENCE * (1 + (index + p) % 6) for p in range(1 + index % 8))
        text = "\n\n".join(paragraphs)
        record = {"id": index, "text": text, "source": "dpa", "raw": (text + text)[::-1]}
        lines.append(json.dumps(record, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def measure(program, megabytes):
    """Runs the program on so much input; gives the exit code, seconds, bytes given and the peak in MB."""
    command = [program, "classify", "-", "--input-format", "jsonl", "--output", "/dev/null", "--format", "jsonl"]
    begun = time.monotonic()
    child = subprocess.Popen([*command, "--quiet", "--model", str(BUNDLE)], stdin=subprocess.PIPE)
    given = number = 0
    try:
        while given < megabytes * 1_000_000:
            given += child.stdin.write(block(number))
            number += 1
        child.stdin.close()
    except BrokenPipeError:
        pass
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return child.returncode, time.monotonic() - begun, given, usage.ru_maxrss * unit / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--sizes-mb", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--slack-mb", type=float, default=24)
    parser.add_argument("--limit-mb", type=float, default=160)
    args = parser.parse_args()
    first, failed = None, False
    for megabytes in sorted(args.sizes_mb):
        code, seconds, given, peak = measure(str(args.program.resolve()), megabytes)
        first = peak if first is None else first
        grown = peak - first
        print(f"{given / 1e6:7.0f} MB in {seconds:6.1f} s: peak {peak:6.1f} MB, {grown:+.1f} MB against the smallest", flush=True)
        failed |= code != 0 or grown > args.slack_mb or peak > args.limit_mb
        if code != 0:
            print(f"FAILED: exit code {code}, 0 was expected")
    bounds = f"within {args.slack_mb:g} MB of the smallest, under {args.limit_mb:g} MB"
    print(f"FAILED: memory was to stay {bounds}" if failed else f"memory is flat: {bounds}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
