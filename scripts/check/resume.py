#!/usr/bin/env python3
"""Kills `detente classify --resume` with SIGKILL at random moments, again and again, and compares bytes.

Purpose: after kill -9 at any moment, the same command with --resume must end with the file that an undisturbed run
writes, byte for byte. Every case is one run, killed until it is complete; the moments are drawn between "at once" and the
time that a whole run takes, so that kills fall before the first chunk, into writes of output and journal, and into the
end. A part of the kills falls on a moment that the journal shows: just when a line has been appended to it. Now and then
the journal's last line is cut in the middle, as a kill inside the write of a slower system would leave it.

Command: python3 scripts/check/resume.py target/release/detente [--kills 60] [--seed 1] [--records 4000]
Inputs:  the program; tests/fixtures/fake (labels by hash, no arithmetic). CPython 3.11, standard library only.
Outputs: a summary on stdout; exit code 1 if a file differs or a run answers with an unexpected exit code.
"""

import argparse
import gzip
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "tests" / "fixtures" / "fake"
WORDS = "Truppen Grenze Gespräch Minister санкции переговоры وقف النار 停火 talks border said the die und".split()
# A run that is killed this often without coming to its end does not go on at all.
MOST_KILLS_A_CASE = 400


def write_inputs(folder, records, rng):
    """JSON Lines with bad lines, a CSV in gzip, long and short texts: the order of reading matters everywhere."""

    def text(paragraphs):
        lines = (" ".join(rng.choices(WORDS, k=rng.randint(1, 60))) for _ in range(paragraphs))
        return "\n\n".join(lines)

    with open(folder / "a.jsonl", "w", encoding="utf-8") as out:
        for number in range(records):
            if number % 37 == 5:
                out.write('{"text": "cut\n')
                continue
            record = {"id": f"a{number}", "text": text(rng.randint(1, 12)), "source": "dpa, \"Berlin\"", "n": number}
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    with gzip.open(folder / "b.csv.gz", "wt", encoding="utf-8") as out:
        out.write("id,text,other\n")
        for number in range(records // 4):
            out.write(f'b{number},"{text(3)}",x\n' if number % 41 else "too,many,cells,here\n")
    (folder / "c.txt").write_text(text(records // 2), encoding="utf-8")
    (folder / "empty.txt").write_text("")
    (folder / "d.md").write_text("# Titel\n\n" + text(5), encoding="utf-8")


def size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def cut_last_line(journal, rng):
    """Cuts into the last line, if it is not the first: that one is written before any output."""
    lines = journal.read_bytes().splitlines(keepends=True)
    if len(lines) < 2:
        return 0
    os.truncate(journal, journal.stat().st_size - rng.randint(1, len(lines[-1])))
    return 1


def run(command, folder, after=None, watch=None):
    """Runs the command; kills it after `after` seconds, or when `watch` has grown by some bytes. Returns its exit code."""
    with open(folder / "stderr", "wb") as errors:
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        if watch is not None:
            goal, deadline = size(watch) + after, time.monotonic() + 30
            while child.poll() is None and size(watch) < goal and time.monotonic() < deadline:
                time.sleep(0.0001)
            child.send_signal(signal.SIGKILL)
        elif after is not None:
            try:
                child.wait(after)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
        return child.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=4000)
    args = parser.parse_args()
    program = str(args.program.resolve())
    rng = random.Random(args.seed)
    kinds = [("out.jsonl", "paragraph"), ("out.csv", "paragraph"), ("out.jsonl", "document"), ("out.csv", "document")]
    problems, kills, cuts, cases, useless = [], 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, args.records, rng)
        base = [program, "classify", "a.jsonl", "b.csv.gz", "c.txt", "empty.txt", "d.md", "--model", str(BUNDLE), "--quiet"]
        expected, seconds = {}, {}
        for output, by in kinds:
            whole = folder / f"whole-{by}-{output}"
            begun = time.monotonic()
            code = run([*base, "--by", by, "--output", whole.name], folder)
            seconds[output, by] = time.monotonic() - begun
            expected[output, by] = whole.read_bytes()
            summary = (folder / "stderr").read_text(encoding="utf-8").splitlines()[-1]
            print(f"undisturbed: {by} {output}: {len(expected[output, by])} bytes in {seconds[output, by]:.2f} s; {summary}")
            if code != 2:
                problems.append(f"the undisturbed run ended with {code}, 2 was expected: {summary}")
        for output, by in itertools.cycle(kinds):
            if kills >= args.kills or problems:
                break
            cases += 1
            target, journal = folder / output, folder / (output + ".resume")
            # The sharded command comes now and then; its whole is computed when it is met.
            shard = rng.choice([None, None, "2/3"])
            command = [*base, "--by", by, "--output", output, "--resume", *(["--shard", shard] if shard else [])]
            if shard and (output, by, shard) not in expected:
                whole = folder / "shard-whole"
                run([*base, "--by", by, "--format", output[4:], "--output", whole.name, "--force", "--shard", shard], folder)
                expected[output, by, shard] = whole.read_bytes()
            wanted = expected[(output, by, shard) if shard else (output, by)]
            for _ in range(MOST_KILLS_A_CASE):
                before = size(target)
                if rng.random() < 0.5:
                    code = run(command, folder, rng.choice([1, 1, rng.randint(1, 2000)]), watch=journal)
                else:
                    # Squared and halved: more kills near the beginning, and several before a run is complete.
                    code = run(command, folder, rng.random() ** 2 * seconds[output, by] / 2)
                if code == -signal.SIGKILL:
                    kills += 1
                    useless += size(target) <= before
                    if journal.exists() and rng.random() < 0.1:
                        cuts += cut_last_line(journal, rng)
                    # The kill came after the end of the work, before the end of the process.
                    if not journal.exists() and size(target):
                        break
                    continue
                if code != 2:
                    said = (folder / "stderr").read_text(encoding="utf-8", errors="replace")[-600:]
                    problems.append(f"{' '.join(command[1:])} ended with {code}, 2 was expected: {said}")
                break
            else:
                problems.append(f"{by} {output}: not complete after {MOST_KILLS_A_CASE} kills")
            if not problems and target.read_bytes() != wanted:
                problems.append(f"{by} {output} shard {shard}: the resumed file differs from the undisturbed one")
            if not problems and journal.exists():
                problems.append(f"{by} {output}: the journal is still there after the end")
            if not problems:
                target.unlink()
    print(f"{kills} kills in {cases} runs ({useless} before any progress), {cuts} journals cut, seed {args.seed}")
    for problem in problems:
        print(f"FAILED: {problem}")
    if not problems:
        print("every resumed file equals the undisturbed one, byte for byte")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
