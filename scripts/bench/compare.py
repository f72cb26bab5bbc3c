#!/usr/bin/env python3
"""Measures the encoder of a bundle against other runtimes: same weights, same token ids, rounds in turn.

Command: scripts/bench/compare.py PROGRAM [--threads 1] [--cores 0,1] [--rounds 5] [--windows 256] [--engines NAME,...] [--bundle DIR] [--venv DIR] [--work DIR] [--json]
In:      PROGRAM, the built `detente`, release; --bundle, a bundle of the BERT family (default models/detente-mini); the texts of eval/sets.
Out:     a Markdown table: tokens a second of each engine (median of the rounds, slowest and fastest), its ratio to the first engine
         (median of the ratios round by round, least and greatest), and how far its vectors and labels are from f32 in PyTorch. With --json
         one object that holds every round.
Needs:   Linux, Python 3.11, 6 GB of disk: a virtual environment with what requirements.txt pins is made on the first call.
Takes:   minutes a round with f32 engines in it; --engines leaves out what is not wanted (ENGINES below are all there are).

Windows have lognormal lengths (median 60 tokens, p95 200, at most 256), cut from authored training texts. Each engine runs in a process of
its own and waits while the others measure. Before the rounds each tries batch sizes (windows sorted by length, padded to the longest of
their batch) and ways to use its threads on a quarter of the windows, and keeps the fastest.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TRAIN = ROOT / "scripts/train"
MEDIAN_TOKENS, P95_TOKENS, MOST_TOKENS, LEAST_TOKENS = 60, 200, 256, 4
Z95 = 1.6449  # of the normal distribution
SEED = 1
CALIBRATION_WINDOWS = 300  # for static quantisation, of other texts than those measured
ENGINES = ["ort-int8", "openvino-int8", "openvino-bf16", "torch-f32", "torch-bf16", "candle-f32", "detente-f32", "detente-bf16", "detente-int8"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models/detente-mini")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", help="the cores that all engines may use, such as 0,1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=256)
    parser.add_argument("--engines", default=",".join(ENGINES), help="the first is what ratios are to")
    parser.add_argument("--venv", type=Path, default=ROOT / "target/bench/venv")
    parser.add_argument("--work", type=Path, default=ROOT / "target/bench/work")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
    names = options.engines.split(",")
    if unknown := [name for name in names if name not in ENGINES]:
        parser.error(f"there is no engine {unknown[0]}; there are {', '.join(ENGINES)}")
    python = environment(options.venv)
    folder = checkpoint(python, options.bundle, options.work)
    windows, calibration = options.work / "windows.json", options.work / "calibration.json"
    make_windows(python, folder, options.windows, windows, calibration)

    engines = [Engine(name, python, options, folder, windows, calibration) for name in names]
    tokens = sum(map(len, json.loads(windows.read_text())))
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for engine in engines:
            rates[engine.name].append(tokens / engine.round())
    accuracy = against_f32(python, folder, [engine.vectors() for engine in engines], windows, options.work)
    for engine in engines:
        engine.stop()
    report = {
        "machine": machine(), "threads": options.threads, "cores": sorted(os.sched_getaffinity(0)), "windows": options.windows, "tokens": tokens,
        "rounds": options.rounds,
        "engines": [
            {"name": engine.name, "version": engine.version, "how": engine.how, "tokens_per_second": rates[engine.name],
             "ratio": [a / b for a, b in zip(rates[engine.name], rates[names[0]], strict=True)], **accuracy[engine.name]}
            for engine in engines
        ],
    }  # fmt: skip
    print(json.dumps(report, indent=2) if options.json else table(report))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def environment(folder: Path) -> Path:
    """The interpreter of a virtual environment that holds what requirements.txt pins."""
    python, requirements, stamp = folder / "bin/python", HERE / "requirements.txt", folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        say(f"installing the runtimes into {folder}")
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        stamp.write_text(requirements.read_text())
    return python


def checkpoint(python: Path, bundle: Path, work: Path) -> Path:
    """The bundle as a folder for transformers, made once for each bundle."""
    manifest = (bundle / "bundle.json").read_text()
    folder, stamp = work / "checkpoint", work / "bundle.json"
    if not stamp.exists() or stamp.read_text() != manifest:
        for old in work.glob("*.onnx"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        script = [python, TRAIN / "transformers_folder.py", "--bundle", bundle.resolve(), "--output", folder.resolve()]
        subprocess.run(script, check=True, stdout=sys.stderr)
        stamp.write_text(manifest)
    return folder


def make_windows(python: Path, folder: Path, count: int, windows: Path, calibration: Path) -> None:
    """Windows of ids to measure with, and others to calibrate with."""
    script = (
        "import json, sys; from tokenizers import Tokenizer; t = Tokenizer.from_file(sys.argv[1]);"
        "print(json.dumps([t.encode(' '.join(json.loads(line)['text'].split())).ids for line in open(sys.argv[2], encoding='utf-8')]))"
    )
    texts = ROOT / "eval/sets/authored-train.jsonl"
    made = subprocess.run([python, "-c", script, folder / "tokenizer.json", texts], check=True, capture_output=True)
    encoded = json.loads(made.stdout)
    begin, end = encoded[0][0], encoded[0][-1]
    chance = random.Random(SEED)
    chance.shuffle(encoded)
    content = iter([token for ids in encoded for token in ids[1:-1]] * 8)
    sigma = math.log(P95_TOKENS / MEDIAN_TOKENS) / Z95

    def cut() -> list[int]:
        length = round(chance.lognormvariate(math.log(MEDIAN_TOKENS), sigma))
        length = min(max(length, LEAST_TOKENS), MOST_TOKENS)
        return [begin, *(next(content) for _ in range(length - 2)), end]

    calibration.write_text(json.dumps([cut() for _ in range(CALIBRATION_WINDOWS)]))
    windows.write_text(json.dumps([cut() for _ in range(count)]))


class Engine:
    """A runtime that measures rounds when it is asked to."""

    def __init__(self, name: str, python: Path, options: argparse.Namespace, folder: Path, windows: Path, calibration: Path) -> None:
        self.name, self.options, self.windows = name, options, windows
        self.own = name.rsplit("-", 1)[1] if name.startswith(("candle-", "detente-")) else None
        self.file = options.work / f"vectors-{name}.json"
        if self.own:
            said = self.bench()
            self.version, self.how = f"detente {said['program']}", f"{said['kernel']}, no padding"
            return
        command = [python, HERE / "engines.py", name, folder, windows, calibration, options.work, str(options.threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        said = self.answer()
        self.version, self.how = said["version"], said["how"]
        say(f"{name}: {self.how}")

    def bench(self, *more: str) -> dict:
        """One run of `detente bench`: a round that warms up and one that counts."""
        options = self.options
        command = [options.program, "bench", "--ids", self.windows, "--rounds", "1", "--threads", str(options.threads), "--precision", self.own,
                   "--model", options.bundle, "--json", *more]  # fmt: skip
        environment = os.environ | ({"DETENTE_KERNEL": "candle"} if self.name.startswith("candle-") else {})
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} stopped; what it said stands above")
        return json.loads(line)

    def ask(self, word: str) -> dict:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.answer()

    def round(self) -> float:
        """Seconds for all windows."""
        if self.own:
            said = self.bench()
            return said["tokens"] / said["tokens_per_second"]["median"]
        return self.ask("round")["seconds"]

    def vectors(self) -> Path:
        """A file with one vector a window."""
        if self.own:
            self.bench("--vectors", str(self.file))
        else:
            self.ask(f"vectors {self.file}")
        return self.file

    def stop(self) -> None:
        if not self.own:
            self.process.stdin.close()
            self.process.wait()


def against_f32(python: Path, folder: Path, vectors: list[Path], windows: Path, work: Path) -> dict[str, dict]:
    """Differences of each engine's vectors, and of the labels that the bundle's heads make of them, from PyTorch in f32."""
    script = [python, HERE / "accuracy.py", folder, windows, *vectors]
    found = json.loads(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    return {path.stem.removeprefix("vectors-"): found[path.name] for path in vectors}


def machine() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def table(report: dict) -> str:
    first = report["engines"][0]["name"]
    lines = [
        f"{report['machine']}; {report['threads']} threads on cores {report['cores']}; {report['windows']} windows, {report['tokens']} tokens, {report['rounds']} rounds",
        "",
        f"| engine | version | tokens/s | ratio to {first} | cosine to f32, mean and least | labels changed | how |",
        "|---|---|---|---|---|---|---|",
    ]
    for engine in report["engines"]:
        rates, ratios = engine["tokens_per_second"], engine["ratio"]
        lines.append(
            f"| {engine['name']} | {engine['version']} | {statistics.median(rates):,.0f} [{min(rates):,.0f}, {max(rates):,.0f}] "
            f"| {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] | {engine['cosine_mean']:.5f}, {engine['cosine_least']:.4f} "
            f"| {engine['labels_changed']} of {report['windows']} | {engine['how']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
