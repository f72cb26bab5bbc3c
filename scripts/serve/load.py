#!/usr/bin/env python3
"""Measures `detente serve` on loopback against `detente bench` with the same texts, bundle and threads.

Command: scripts/serve/load.py PROGRAM [--threads N] [--seconds S] [--repeats R] [--clients C] [--texts T] [--model DIR] [--text FILE]
In:      PROGRAM, the built `detente`, release; the texts of FILE (JSON Lines with `text`; default eval/sets/authored-test.jsonl).
Out:     one JSON object on stdout: the machine; CPU seconds per million tokens of both and their ratio, for each repeat and as medians; tokens
         a second at saturation; at half that load the latency of requests (median, p95, p99, most). Linux only: CPU time comes from /proc.
Takes:   about 5 minutes with the defaults. `--seconds 3 --repeats 1` shows that it works, in a minute; those figures are worth nothing.

bench: two runs that differ only in their rounds; the difference of their CPU times holds neither opening nor warming up. serve: C clients that
each send the next request (T texts) when the last is answered, for S seconds. Both R times, in turn, so that a machine that is slower for a
while is so for both. Then requests at fixed random times (exponential gaps, seeded) at half of the rate just measured, for R times S seconds;
their latency counts from the time they were due. The clients' own CPU time is not counted, but it is taken from the same machine: with `--threads` half of the
cores, which is the default, cores are left for them.

baseline.py measures another server with this script, by `--url` and `--pid`: one that answers POST /predict as text-embeddings-inference does.
"""

import argparse
import http.client
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "check"))
from server import Server, cpu_seconds  # noqa: E402

ROUNDS = (1, 3)  # of the two runs of bench
WARM_UP_S = 2
SEED = 1


def bench(program: str, file: Path, arguments: argparse.Namespace) -> dict:
    """One measurement of `detente bench`: CPU seconds of a round, its tokens, tokens a second."""
    seconds, report = [], {}
    for rounds in ROUNDS:
        run = [program, "bench", str(file), "--rounds", str(rounds), "--threads", str(arguments.threads), "--json"]
        run += ["--model", str(arguments.model)] if arguments.model else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(subprocess.run(run, check=True, capture_output=True).stdout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    cpu = (seconds[1] - seconds[0]) / (ROUNDS[1] - ROUNDS[0])
    return {"cpu": cpu / report["tokens"] * 1e6, "rate": report["tokens_per_second"]["median"], "report": report}


class Load:
    """Clients that send requests of some texts each."""

    def __init__(self, base: str, requests: list[bytes], path: str):
        self.address, self.requests, self.path = urlsplit(base).netloc, requests, path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=120)

    def send(self, connection: http.client.HTTPConnection, number: int) -> None:
        body = self.requests[number % len(self.requests)]
        connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the server answers {answer.status}: {told[:200]!r}")

    def saturate(self, clients: int, seconds: float) -> tuple[int, float]:
        """Requests answered, and the seconds that it took."""
        begun, lock, sent, answered = time.monotonic(), threading.Lock(), [0], [0]

        def work() -> None:
            connection = self.connect()
            while time.monotonic() < begun + seconds:
                with lock:
                    number = sent[0]
                    sent[0] += 1
                self.send(connection, number)
                with lock:
                    answered[0] += 1

        run_all([work] * clients)
        return answered[0], time.monotonic() - begun

    def at_rate(self, rate: float, seconds: float, clients: int) -> list[float]:
        """Latencies of requests that are due at random times, in ascending order."""
        gaps, due, now = random.Random(SEED), [], 0.0
        while now < seconds:
            now += gaps.expovariate(rate)
            due.append(now)
        begun, lock, latencies = time.monotonic(), threading.Lock(), []
        numbers = iter(range(len(due)))

        def work() -> None:
            connection = self.connect()
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                wait = begun + due[number] - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                self.send(connection, number)
                with lock:
                    latencies.append(time.monotonic() - begun - due[number])

        run_all([work] * clients)
        return sorted(latencies)


def run_all(works: list) -> None:
    """Runs functions side by side, and raises what one of them raised."""
    faults = []

    def guarded(work) -> None:
        try:
            work()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise SystemExit(f"load.py: {len(faults)} of {len(works)} clients failed; the first: {faults[0]!r}")


def quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def saturation(load: Load, pid: int, tokens_per_request: float, arguments: argparse.Namespace) -> dict:
    """One measurement of a server that has more to do than it can."""
    load.saturate(arguments.clients, WARM_UP_S)
    cpu = cpu_seconds(pid)
    answered, seconds = load.saturate(arguments.clients, arguments.seconds)
    cpu, tokens = cpu_seconds(pid) - cpu, answered * tokens_per_request
    return {"cpu": cpu / tokens * 1e6, "rate": tokens / seconds, "requests": answered / seconds}


def half_load(load: Load, requests_per_second: float, arguments: argparse.Namespace) -> dict:
    latencies = load.at_rate(requests_per_second / 2, arguments.repeats * arguments.seconds, 4 * arguments.clients)
    shares = {"median_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "most_ms": 1.0}
    return {"requests": len(latencies), **{name: 1000 * quantile(latencies, share) for name, share in shares.items()}}


def machine() -> dict:
    """What the figures were taken on."""
    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {"cpu": cpu[0] if cpu else platform.machine(), "cores": os.cpu_count(), "load_average_before": os.getloadavg()[0]}


@contextmanager
def target(program: str, requests: list[list[str]], tokens: int, arguments: argparse.Namespace):
    """The load on a server, its process, and the tokens of a request: of a server that runs already, or of one started here."""
    if arguments.url:
        bodies = [json.dumps({"inputs": [[text] for text in texts]}).encode() for texts in requests]
        yield Load(arguments.url, bodies, "/predict"), arguments.pid, tokens / len(requests)
        return
    bodies = [json.dumps({"texts": texts}).encode() for texts in requests]
    with Server(program, "--threads", str(arguments.threads), model=arguments.model) as server:
        load = Load(server.base, bodies, "/v1/classify")
        for number in range(len(bodies)):
            load.send(load.connect(), number)
        yield load, server.process.pid, server.metric("detente_tokens_total") / len(bodies)


def arguments_of(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The flags of a measurement."""
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--text", type=Path, default=ROOT / "eval" / "sets" / "authored-test.jsonl")
    return parser


def texts_of(arguments: argparse.Namespace) -> list[str]:
    """The texts that are sent: as many as make whole requests, so that each is sent equally often."""
    texts = [json.loads(line)["text"] for line in arguments.text.read_text("utf-8").splitlines()]
    return texts[: len(texts) - len(texts) % arguments.texts]


def measure(arguments: argparse.Namespace) -> dict:
    """The whole measurement."""
    program, texts, before = str(Path(arguments.program).resolve()), texts_of(arguments), machine()
    requests = [texts[start : start + arguments.texts] for start in range(0, len(texts), arguments.texts)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
        benches, serves = [bench(program, file, arguments)], []
        report = benches[0]["report"]
        with target(program, requests, report["tokens"], arguments) as (load, pid, tokens_per_request):
            for repeat in range(arguments.repeats):
                if repeat:
                    benches.append(bench(program, file, arguments))
                serves.append(saturation(load, pid, tokens_per_request, arguments))
            latency = half_load(load, statistics.median(one["requests"] for one in serves), arguments)
    ratios = [serve["cpu"] / bench["cpu"] for bench, serve in zip(benches, serves)]
    column = lambda runs, name: [run[name] for run in runs]  # noqa: E731
    summary = lambda values: {"median": statistics.median(values), "each": values}  # noqa: E731
    return {
        "machine": before,
        "bundle": report["bundle"],
        "kernel": report["kernel"],
        "threads": arguments.threads,
        "clients": arguments.clients,
        "texts": len(texts),
        "tokens": report["tokens"],
        "texts_per_request": arguments.texts,
        "bench": {
            "cpu_seconds_per_million_tokens": summary(column(benches, "cpu")),
            "tokens_per_second": summary(column(benches, "rate")),
        },
        "serve": {
            "cpu_seconds_per_million_tokens": summary(column(serves, "cpu")),
            "tokens_per_second": summary(column(serves, "rate")),
            "half_load": latency,
        },
        "cpu_ratio": summary(ratios),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments_of(parser)
    parser.add_argument("--url")
    parser.add_argument("--pid", type=int)
    print(json.dumps(measure(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
