#!/usr/bin/env python3
"""Measures `detente serve` on loopback against `detente bench` with the same texts, bundle and threads.

Command: scripts/serve/load.py PROGRAM [--threads N] [--seconds S] [--clients C] [--texts T] [--model DIR] [--text FILE] [--url URL --pid PID]
In:      PROGRAM, the built `detente`, release; the texts of FILE (JSON Lines with `text`; default eval/sets/authored-test.jsonl).
Out:     one JSON object on stdout: CPU seconds per million tokens of both, their ratio; at saturation tokens a second, and at half that
         load the latency of requests (median, p95, p99, most). Linux only: CPU time comes from /proc.

bench: two runs that differ only in their rounds; the difference of their CPU times holds neither opening nor warming up. serve: C clients that
each send the next request (T texts) when the last is answered, for S seconds after a warm-up; then requests at fixed random times
(exponential gaps, seeded) at half of the rate just measured, whose latency counts from the time they were due. The clients' own CPU time is
not counted, but it is taken from the same machine: leave cores free for them, or say so beside the figures.

With --url and --pid it measures a server that runs already and answers POST /predict as text-embeddings-inference does
(scripts/serve/baseline.py), with the tokens of `detente bench`.
"""

import argparse
import http.client
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "check"))
from server import Server  # noqa: E402

ROUNDS = (2, 6)  # of the two runs of bench
WARM_UP_S = 3
SEED = 1


def bench(program: str, texts: Path, threads: int, model: Path | None) -> tuple[float, int]:
    """CPU seconds of one round, and its tokens."""
    seconds, tokens = [], 0
    for rounds in ROUNDS:
        run = [program, "bench", str(texts), "--rounds", str(rounds), "--threads", str(threads), "--json"]
        run += ["--model", str(model)] if model else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        tokens = json.loads(subprocess.run(run, check=True, capture_output=True).stdout)["tokens"]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return (seconds[1] - seconds[0]) / (ROUNDS[1] - ROUNDS[0]), tokens


class Load:
    """Clients that send requests of some texts each."""

    def __init__(self, base: str, requests: list[bytes], path: str):
        self.address, self.requests, self.path = urlsplit(base).netloc, requests, path

    def send(self, connection: http.client.HTTPConnection, number: int) -> None:
        body = self.requests[number % len(self.requests)]
        connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"load.py: the server answers {answer.status}")

    def saturate(self, clients: int, seconds: float) -> int:
        """Requests answered in that time."""
        end, lock, count = time.monotonic() + seconds, threading.Lock(), [0, 0]

        def work() -> None:
            connection = http.client.HTTPConnection(self.address)
            while time.monotonic() < end:
                with lock:
                    count[0] += 1
                    number = count[0]
                self.send(connection, number)
                with lock:
                    count[1] += 1

        run_all([threading.Thread(target=work) for _ in range(clients)])
        return count[1]

    def at_rate(self, rate: float, seconds: float, clients: int) -> list[float]:
        """Latencies of requests that are due at random times."""
        gaps, due, now = random.Random(SEED), [], 0.0
        while now < seconds:
            now += gaps.expovariate(rate)
            due.append(now)
        begun, lock, latencies = time.monotonic(), threading.Lock(), []
        numbers = iter(range(len(due)))

        def work() -> None:
            connection = http.client.HTTPConnection(self.address)
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

        run_all([threading.Thread(target=work) for _ in range(clients)])
        return sorted(latencies)


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def measure(load: Load, pid: int, tokens_per_request: float, arguments: argparse.Namespace) -> dict:
    load.saturate(arguments.clients, WARM_UP_S)
    cpu, begun = cpu_seconds(pid), time.monotonic()
    answered = load.saturate(arguments.clients, arguments.seconds)
    elapsed, cpu = time.monotonic() - begun, cpu_seconds(pid) - cpu
    tokens = answered * tokens_per_request
    rate = answered / elapsed
    latencies = load.at_rate(rate / 2, arguments.seconds, 4 * arguments.clients)
    return {
        "requests_per_second": rate,
        "tokens_per_second": tokens / elapsed,
        "cpu_seconds_per_million_tokens": cpu / tokens * 1e6,
        "half_load": {
            "requests": len(latencies),
            "median_ms": 1000 * quantile(latencies, 0.5),
            "p95_ms": 1000 * quantile(latencies, 0.95),
            "p99_ms": 1000 * quantile(latencies, 0.99),
            "most_ms": 1000 * latencies[-1],
        },
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--text", type=Path, default=ROOT / "eval" / "sets" / "authored-test.jsonl")
    parser.add_argument("--url")
    parser.add_argument("--pid", type=int)
    arguments = parser.parse_args()
    program = str(Path(arguments.program).resolve())
    texts = [json.loads(line)["text"] for line in arguments.text.read_text("utf-8").splitlines()]
    # Whole requests only, so that each text is sent equally often.
    texts = texts[: len(texts) - len(texts) % arguments.texts]
    groups = [texts[start : start + arguments.texts] for start in range(0, len(texts), arguments.texts)]
    round_cpu, round_tokens = bench(program, arguments.text, arguments.threads, arguments.model)
    of_bench = round_cpu / round_tokens * 1e6
    result = {"bench": {"tokens": round_tokens, "cpu_seconds_per_million_tokens": of_bench}}
    result["threads"], result["clients"], result["texts_per_request"] = arguments.threads, arguments.clients, arguments.texts
    if arguments.url:
        requests = [json.dumps({"inputs": [[text] for text in group]}).encode() for group in groups]
        load = Load(arguments.url, requests, "/predict")
        result["serve"] = measure(load, arguments.pid, round_tokens / len(groups), arguments)
    else:
        requests = [json.dumps({"texts": group}).encode() for group in groups]
        with Server(program, "--threads", str(arguments.threads), model=arguments.model) as server:
            before = server.metric("detente_tokens_total")
            load = Load(server.base, requests, "/v1/classify")
            for number in range(len(requests)):
                load.send(http.client.HTTPConnection(load.address), number)
            per_request = (server.metric("detente_tokens_total") - before) / len(requests)
            result["serve"] = measure(load, server.process.pid, per_request, arguments)
            result["bundle"] = json.loads(server.ask("/v1/model"))["id"]
    result["cpu_ratio"] = result["serve"]["cpu_seconds_per_million_tokens"] / of_bench
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
