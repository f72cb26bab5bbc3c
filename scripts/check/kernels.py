#!/usr/bin/env python3
"""Every int8 kernel of this CPU says the same of real items, to the last digit, alone, in any order, with one thread or two.

Command: scripts/check/kernels.py PROGRAM
In:      PROGRAM, the built `detente`, release; 100 items of eval/sets/authored-test.jsonl, every n-th of the file.
Out:     one line a kernel; exit code 1 if a record differs from that of the fastest kernel.
Takes:   a minute: the scalar reference does some 150 billion multiplications.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ITEMS = 100
ALONE = 5  # items that are classified by themselves


def run(program: str, kernel: str, threads: int, items: list[str], folder: Path) -> list[dict]:
    """The records of items, in their order."""
    path = folder / "items.jsonl"
    path.write_text("".join(items), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DETENTE_")} | {"DETENTE_KERNEL": kernel}
    command = [program, "classify", path, "--format", "jsonl", "--precision", "int8", "--threads", str(threads), "--quiet"]
    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def names(program: str) -> list[str]:
    """Kernels of this CPU, fastest first: the program lists them when it is asked for one that there is not."""
    environment = os.environ | {"DETENTE_KERNEL": "none"}
    said = subprocess.run([program, "classify", "-"], input="a", env=environment, capture_output=True, text=True).stderr
    found = re.search(r"it has (\[.*\])", said)
    if not found:
        raise SystemExit(f"{program} does not list its kernels: {said}")
    return ast.literal_eval(found[1])


def main() -> None:
    program = str(Path(sys.argv[1]).resolve())
    lines = (ROOT / "eval/sets/authored-test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    items = lines[:: len(lines) // ITEMS][:ITEMS]
    kernels = names(program)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        expected = run(program, kernels[0], 2, items, at)
        assert len(expected) >= ITEMS, f"{len(expected)} records of {ITEMS} items"
        ways = [(kernel, 1, "in another order", list(reversed(items))) for kernel in kernels]
        ways += [(kernels[0], 2, "alone", [item]) for item in items[:ALONE]]
        by_text = {record["text"]: record for record in expected}
        for kernel, threads, how, given in ways:
            found = run(program, kernel, threads, given, at)
            other = [record["text"] for record in found if same(record) != same(by_text[record["text"]])]
            print(f"{kernel}, {threads} threads, {how}: {len(found)} records, {len(other)} differ from {kernels[0]}{': ' + other[0] if other else ''}")
            failed |= bool(other)
    sys.exit(failed)


def same(record: dict) -> dict:
    """What must not change: all but the place in the input."""
    return {key: value for key, value in record.items() if key not in ("line", "record", "position")}


if __name__ == "__main__":
    main()
