#!/usr/bin/env python3
"""A server that is told to stop under load answers every request that it accepted, and ends by itself.

Command: scripts/check/stop.py PROGRAM
In:      PROGRAM, the built `detente`; texts of eval/sets
Out:     what the clients saw, on stdout; exit code 1 if an accepted request got no answer, or the program did not end as it should
Needs:   Unix, Python 3.11; a free port on the loopback
Takes:   some ten seconds

CLIENTS clients send requests one after another, each on a new connection. After a while the process gets SIGTERM: connections may be refused
from then on, but what was accepted must be answered with 200. A connection that is reset counts as refused only if it was made at the moment of
the signal or later: the system takes connections on behalf of a process until its socket is closed.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

TEXTS = Path(__file__).parents[2] / "eval/sets/authored-dev.jsonl"
CLIENTS = 24
TEXTS_A_REQUEST = 6
SECONDS_OF_LOAD = 4
SECONDS_TO_END = 60
MOMENT = 0.2  # seconds


def main() -> int:
    program = sys.argv[1]
    texts = [json.loads(line)["text"] for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([program, "serve", "--listen", f"127.0.0.1:{port}", "--threads", "1"], stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        outcomes: list[str] = []
        resets: list[float] = []
        clients = [threading.Thread(target=client, args=(number, port, texts, outcomes, resets)) for number in range(CLIENTS)]
        for thread in clients:
            thread.start()
        time.sleep(SECONDS_OF_LOAD)
        told = time.monotonic()
        server.send_signal(signal.SIGTERM)
        code = server.wait(SECONDS_TO_END)
        took = time.monotonic() - told
        for thread in clients:
            thread.join()
    finally:
        server.kill()
    outcomes += ["refused" if made >= told - MOMENT else "reset" for made in resets]
    counts = Counter(outcomes)
    print(f"{dict(counts)}; exit code {code}, {took:.1f} s after the signal")
    bad = {name for name in counts if name not in ("200", "refused")}
    if bad or code != 0 or counts["200"] <= CLIENTS:
        print("a request that was accepted was not answered, or too few were, or the program did not end with 0")
        return 1
    return 0


def wait_until_ready(port: int) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not get ready")


def client(number: int, port: int, texts: list[str], outcomes: list[str], resets: list[float]) -> None:
    """One request after another until the connection is refused; each outcome is a status, `refused` or the error; of resets, when the connection was made."""
    chosen = random.Random(number)
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        made = time.monotonic()
        try:
            connection.connect()
        except OSError:
            outcomes.append("refused")
            return
        body = json.dumps({"texts": chosen.sample(texts, TEXTS_A_REQUEST)})
        try:
            connection.request("POST", "/v1/classify", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            json.loads(answer.read())
            outcomes.append(str(answer.status))
        except (ConnectionResetError, http.client.RemoteDisconnected):
            resets.append(made)
            return
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcomes.append(repr(error))
            return


if __name__ == "__main__":
    sys.exit(main())
