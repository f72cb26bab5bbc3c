"""Starts `detente serve` for the checks that talk to it, and stops it. No script of its own.

Needs nothing but the standard library.
"""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from urllib.request import Request, urlopen

PATIENCE_S = 120


class Server:
    """The program on a free port of loopback, until the `with` block ends; then it must end with 0."""

    def __init__(self, program: str, *flags: str, model: Path | str | None = None, environment: dict | None = None):
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("DETENTE_")}
        surroundings |= environment or {}
        if model:
            surroundings["DETENTE_MODEL"] = str(model)
        command = [program, "serve", "--listen", "127.0.0.1:0", "--log-format", "json", *flags]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=surroundings
        )
        first = self.process.stderr.readline()
        try:
            self.base = json.loads(first)["message"].removeprefix("serving ")
        except (ValueError, KeyError):
            raise SystemExit(f"the server did not start: {first}{self.process.stderr.read()}") from None
        self.log = [first]
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE_S)
        if code != 0 and error is None:
            raise SystemExit(f"the server ended with {code}: {''.join(self.log[-5:])}")

    def ask(self, path: str, body: object = None, headers: dict | None = None) -> bytes:
        """The body of the answer to a GET, or to a POST of JSON; other answers than 200 raise."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        with urlopen(Request(self.base + path, data, headers), timeout=PATIENCE_S) as answer:
            return answer.read()

    def cpu_seconds(self) -> float:
        """What the server's process has computed so far, on all cores together (Linux)."""
        return cpu_seconds(self.process.pid)

    def memory_bytes(self) -> int:
        """What the server's process holds in memory (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def metric(self, name: str) -> float:
        """A number of /metrics, 0 if it is not there."""
        for line in self.ask("/metrics").decode().splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        return 0.0


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far, on all cores together (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
