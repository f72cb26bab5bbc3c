"""What `detente models pull` leaves is a cache of Python's huggingface_hub, and the other way round.

Command: scripts/check/hub_cache.py PROGRAM
In:      a program built with the feature hub; the checkpoint tests/fixtures/checkpoints/bert-single, served by a hub on the loopback
Out:     one line a check; "skipped: ..." if huggingface_hub cannot be fetched with pip; exit code 1 if a check fails
Needs:   Python 3.11, pip; the client is installed into target/hub-client once
"""

import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests/fixtures/checkpoints/bert-single"
CLIENT = "huggingface_hub==2.4.0"
REPOSITORY = "owner/name"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

# What the interpreter with huggingface_hub runs; the cache comes by HF_HOME.
READ = """
import json, sys
from huggingface_hub import scan_cache_dir, snapshot_download, try_to_load_from_cache
info = scan_cache_dir()
print(json.dumps({
    "warnings": [str(warning) for warning in info.warnings],
    "repositories": {
        repo.repo_id: {
            "bytes": repo.size_on_disk,
            "revisions": {r.commit_hash: [sorted(r.refs), len(r.files)] for r in repo.revisions},
        }
        for repo in info.repos
    },
    "snapshot": snapshot_download("owner/name", local_files_only=True),
    "weights": try_to_load_from_cache("owner/name", "model.safetensors"),
}))
"""
FETCH = 'from huggingface_hub import snapshot_download; print(snapshot_download("owner/name"))'


def is_large(name):
    return name.endswith(".safetensors")


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def etag(name, data):
    return hashlib.sha256(data).hexdigest() if is_large(name) else git_hash(data)


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does, for one repository with the files of the fixture."""

    files = {path.name: path.read_bytes() for path in sorted(FIXTURE.iterdir())}

    def log_message(self, *_):
        pass

    def reply(self, body, headers=(), status=200):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(self.path.split("?")[0])
        api, resolve = f"/api/models/{REPOSITORY}", f"/{REPOSITORY}/resolve/"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            info = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0}
            self.reply(json.dumps(info).encode(), [("Content-Type", "application/json")])
        elif path == f"{api}/tree/{COMMIT}":
            tree = [self.entry(name, data) for name, data in self.files.items()]
            self.reply(json.dumps(tree).encode(), [("Content-Type", "application/json")])
        elif path.startswith(resolve) and path.removeprefix(resolve).split("/", 1)[-1] in self.files:
            name = path.removeprefix(resolve).split("/", 1)[1]
            data = self.files[name]
            self.reply(data, [("ETag", f'"{etag(name, data)}"'), ("X-Repo-Commit", COMMIT), ("Accept-Ranges", "bytes")])
        else:
            self.reply(b"{}", [("X-Error-Code", "EntryNotFound")], 404)

    def entry(self, name, data):
        entry = {"type": "file", "path": name, "size": len(data), "oid": git_hash(data)}
        if is_large(name):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry


def client():
    """The interpreter of a venv with huggingface_hub; None if it cannot be made."""
    folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "hub-client"
    python = folder / "bin/python"
    stamp = folder / CLIENT
    if not stamp.exists():
        venv.create(folder, with_pip=True)
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENT], capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["pip failed"]
            print(f"skipped: {CLIENT} could not be installed: {lines[-1]}")
            return None
        stamp.touch()
    return python


def check(name, is_good, detail=""):
    print(f"{'ok    ' if is_good else 'FAILED'} {name} {'' if is_good else detail}".rstrip())
    return is_good


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    python = client()
    if python is None:
        return 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE", "TRANSFORMERS"))}
    clean |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    size = sum(len(data) for data in Hub.files.values())
    results = []
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:

        def run(home, *command, **more):
            done = subprocess.run(command, env=clean | {"HF_HOME": home} | more, capture_output=True, text=True)
            return done.returncode, done.stdout, done.stderr

        code, out, err = run(ours, program, "models", "pull", f"hf:{REPOSITORY}")
        results.append(check("detente pulls", code == 0, err))
        code, out, err = run(ours, python, "-c", READ, HF_HUB_OFFLINE="1")
        results.append(check("Python reads what it left", code == 0, err))
        if code == 0:
            read = json.loads(out)
            found = read["repositories"].get(REPOSITORY, {})
            snapshot = os.path.join(ours, "hub", "models--owner--name", "snapshots", COMMIT)
            results.append(check("scan_cache_dir has no warning", read["warnings"] == [], read["warnings"]))
            results.append(check("it finds the commit", found.get("revisions") == {COMMIT: [["main"], len(Hub.files)]}, found))
            results.append(check("and its size", found.get("bytes") == size, found))
            results.append(check("snapshot_download finds it offline", read["snapshot"] == snapshot, read["snapshot"]))
            results.append(check("so does a single file", read["weights"] == os.path.join(snapshot, "model.safetensors"), read["weights"]))

        code, out, err = run(theirs, python, "-c", FETCH)
        results.append(check("Python downloads", code == 0, err))
        code, out, err = run(theirs, program, "models", "verify", "--format", "json")
        good = code == 0 and [(m["commit"], m["files"], m["faults"]) for m in json.loads(out)] == [(COMMIT, len(Hub.files), [])]
        results.append(check("detente verifies what it left", good, out + err))
        code, out, err = run(theirs, program, "inspect", "--json", "--model", f"hf:{REPOSITORY}", HF_HUB_OFFLINE="1")
        good = code == 0 and json.loads(out)["id"].startswith(f"{REPOSITORY}@{COMMIT}+")
        results.append(check("and opens it offline", good, err))
        code, out, err = run(theirs, program, "models", "remove", f"hf:{REPOSITORY}")
        left = [path for path in pathlib.Path(theirs, "hub").rglob("models--*") if path.exists()]
        results.append(check("and removes it", code == 0 and not left, err + str(left)))
    server.shutdown()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
