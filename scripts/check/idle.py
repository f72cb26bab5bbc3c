#!/usr/bin/env python3
"""Holds 10,000 idle connections to `detente serve` and asks for labels meanwhile.

Command: scripts/check/idle.py PROGRAM [--connections N]
In:      PROGRAM, the built `detente`; tests/fixtures/tiny.
Out:     one line a case on stdout; exit code 1 with the reason when the server does not do what docs/serving.md says. Where the system does not
         let a process have so many files open, a line that begins with "skipped:" and says so. Linux only.
Takes:   about a minute.

within the limit: N connections stay open, a third silent, a third with half a head of a request, a third after a request that was answered. New clients
are answered at once. The line says what a connection costs in memory. over the limit: as many, where the server takes 4,096. It takes no more than
that, who has a connection is answered, and new clients are when the idle ones are ended by --head-timeout. few files: the same where the system gives the
server fewer files than connections. Each time the server must stop with 0 while they are open.
Needs nothing but the standard library.
"""

import argparse
import http.client
import json
import resource
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from server import Server

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "tests" / "fixtures" / "tiny"
BODY = json.dumps({"texts": ["Die Waffenruhe hält seit drei Tagen."]})
LIMIT = 4096  # --max-connections where there are more connections than that
FEW_FILES = 256
SPARE_FILES = 200  # of the process, beside connections
HEAD_TIMEOUT_S = 4
ASKED = 50  # requests of new clients
PATIENCE_S = 120  # for what takes seconds, on a busy machine


class Failure(Exception):
    """The server does not do what it should."""


class Client:
    """One connection that asks for labels."""

    def __init__(self, server: Server):
        self.connection = http.client.HTTPConnection(urlsplit(server.base).netloc, timeout=PATIENCE_S)

    def ask(self, method: str = "POST", path: str = "/v1/classify") -> bytes:
        self.connection.request(method, path, BODY if method == "POST" else None, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise Failure(f"{path}: {answer.status} {body[:200]!r}")
        return body

    def metric(self, name: str) -> float:
        lines = self.ask("GET", "/metrics").decode().splitlines()
        return next((float(line.split(" ")[1]) for line in lines if line.split(" ")[0] == name), 0.0)


def may_open(count: int) -> bool:
    """Lets this process, and those it starts, have so many files open, if the system does."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < count:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))
    return True


def idle(server: Server, count: int, stack: ExitStack, meanwhile: Client | None = None) -> list[socket.socket]:
    """Opens connections from some addresses of loopback, so that each has ports enough. It waits until each is there, unless somebody asks
    meanwhile."""
    address = server.base.removeprefix("http://").split(":")
    opened = []
    for number in range(count):
        connection = stack.enter_context(socket.socket())
        connection.bind((f"127.0.0.{2 + number % 4}", 0))
        if meanwhile is None:
            connection.settimeout(PATIENCE_S)
            connection.connect((address[0], int(address[1])))
        else:
            connection.setblocking(False)
            connection.connect_ex((address[0], int(address[1])))
            if number % 500 == 0:
                meanwhile.ask()
        opened.append(connection)
    return opened


def within_the_limit(program: str, count: int) -> str:
    flags = ("--max-connections", str(count + SPARE_FILES), "--head-timeout", "600")
    with Server(program, *flags, model=BUNDLE) as server, ExitStack() as stack:
        client = Client(server)
        client.ask()
        before = server.memory_bytes()
        opened = idle(server, count, stack)
        for connection in opened[1::3]:
            connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Le")
        for connection in opened[2::3]:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise Failure("a connection was not answered")
        deadline = time.monotonic() + PATIENCE_S
        while client.metric("detente_connections") < count:
            if time.monotonic() > deadline:
                raise Failure(f"{client.metric('detente_connections'):.0f} connections are open, {count} were opened")
            time.sleep(0.05)
        memory, seconds = server.memory_bytes(), []
        for _ in range(ASKED):
            begun = time.monotonic()
            Client(server).ask()
            seconds.append(time.monotonic() - begun)
        still = client.metric("detente_connections")
        if still < count:
            raise Failure(f"{still:.0f} of {count} connections are left")
    return (
        f"{ASKED} new clients answered, the slowest after {1000 * max(seconds):.0f} ms; memory {before / 1e6:.0f} MB before, "
        f"{memory / 1e6:.0f} MB with them, {(memory - before) / count / 1e3:.1f} kB a connection"
    )


def patient(server: Server) -> None:
    """A new client, which tries again when the system breaks its connection off: it does so with some of those that wait longest."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            Client(server).ask()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def crowded(program: str, count: int, flags: tuple, most: int, files: int | None) -> str:
    """More connections than the server may have."""
    with Server(program, *flags, "--head-timeout", str(HEAD_TIMEOUT_S), model=BUNDLE) as server, ExitStack() as stack:
        if files:
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (files, files))
        client = Client(server)
        client.ask()
        idle(server, count, stack, meanwhile=client)
        begun, highest, answered = time.monotonic(), 0.0, 0
        while time.monotonic() < begun + HEAD_TIMEOUT_S / 2:
            client.ask()
            highest = max(highest, client.metric("detente_connections"))
            answered += 1
        if not most / 2 <= highest <= most:
            raise Failure(f"up to {highest:.0f} connections were open, the limit is {most}")
        patient(server)
        seconds = time.monotonic() - begun
    return f"never more than {highest:.0f} taken; {answered} times answered on an open one, a new client after {seconds:.1f} s"


def main() -> int:
    """Runs the check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--connections", type=int, default=10_000)
    arguments = parser.parse_args()
    program, count = str(Path(arguments.program).resolve()), arguments.connections
    wanted = count + 2 * SPARE_FILES
    if not may_open(wanted):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        print(f"skipped: {count} idle connections: they need {wanted} open files, the system gives a process {most} (ulimit -Hn)")
        return 0
    cases = [
        (f"{count} idle, within the limit", lambda: within_the_limit(program, count)),
        (f"{count} idle, limit {LIMIT}", lambda: crowded(program, count, (), LIMIT, None)),
        (f"{count // 10} idle, {FEW_FILES} files", lambda: crowded(program, count // 10, (), FEW_FILES, FEW_FILES)),
    ]
    failures = 0
    for name, case in cases:
        try:
            print(f"ok      {name}: {case()}", flush=True)
        except (Failure, OSError, SystemExit) as fault:
            failures += 1
            print(f"failed  {name}: {fault!r}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
