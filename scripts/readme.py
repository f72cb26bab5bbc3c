#!/usr/bin/env python3
"""Fills the pages of documentation with what the program really prints, or checks that they hold it.

Command: scripts/readme.py [--check] PROGRAM
In:      PROGRAM, the built `detente`; README.md and docs/*.md, in which a line `<!-- output: ARGUMENTS -->` stands before a fenced block
Out:     the pages, each such block replaced by what `PROGRAM ARGUMENTS` writes to stdout. With --check nothing is written: a block whose
         words or layout are not the program's is shown as a diff, and the exit code is 1. Decimal numbers may differ by 0.02,
         since the last digits of a probability depend on the CPU.

A line `<!-- output: ARGUMENTS | N -->` keeps the first N lines only. Needs nothing but the standard library.
"""

import difflib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- output: (?P<arguments>.*?)(?: \| (?P<lines>\d+))? -->\n```\w*\n)(?P<body>.*?)(```\n)", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.\d+")
TOLERANCE = 0.02


def output(program: Path, arguments: str, lines: str | None) -> str:
    """What the program writes, run at the root of the repository."""
    environment = {**os.environ, "NO_COLOR": "1"}
    run = subprocess.run(
        [program, *shlex.split(arguments)], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if run.returncode != 0:
        raise SystemExit(f"readme.py: `detente {arguments}` ended with {run.returncode}: {run.stderr}")
    kept = [line.rstrip() for line in run.stdout.splitlines()][: int(lines) if lines else None]
    return "\n".join(kept) + "\n"


def same(found: str, expected: str) -> bool:
    """Whether two texts have the same words and layout, and numbers that are close."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", expected):
        return False
    pairs = zip(NUMBER.findall(found), NUMBER.findall(expected))
    return all(abs(float(a) - float(b)) <= TOLERANCE for a, b in pairs)


def main() -> int:
    """Fills or checks the pages."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    program, check = Path(arguments[0]).resolve(), "--check" in sys.argv
    stale = blocks = 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")

        def fill(block: re.Match, page: Path = page) -> str:
            nonlocal stale, blocks
            blocks += 1
            now = output(program, block["arguments"], block["lines"])
            if check and not same(block["body"], now):
                stale += 1
                print(f"{page.relative_to(ROOT)}: not what `detente {block['arguments']}` prints; run scripts/readme.py PROGRAM")
                sys.stdout.writelines(difflib.unified_diff(block["body"].splitlines(True), now.splitlines(True), "page", "program"))
            return block[1] + now + block[5]

        filled = BLOCK.sub(fill, text)
        if not check and filled != text:
            page.write_text(filled, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: filled")
    if blocks == 0:
        raise SystemExit("readme.py: no page has an `<!-- output: … -->` line")
    print(f"{blocks} blocks, {stale} stale")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
