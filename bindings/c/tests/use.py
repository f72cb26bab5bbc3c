#!/usr/bin/env python3
"""Uses the library from Python by ctypes, and compares its records with those of the command line.

Command: bindings/c/tests/use.py LIBRARY PROGRAM
In:      LIBRARY, the built libdetente.so; PROGRAM, the built `detente`; examples of this repository
Out:     one line on stdout; exit code 1 with the reason when something is not as it should be

Needs nothing but the standard library.
"""

import ctypes
import json
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXPLAIN, HTML = 1, 2
EXAMPLES = [("examples/kouan.txt", 0), ("examples/waffenruhe.html", HTML)]


class Detente:
    """The functions of detente.h with the manners of Python."""

    def __init__(self, library: str, bundle: str | None = None, threads: int = 0):
        self.library = library = ctypes.CDLL(library)
        library.detente_open.restype = ctypes.c_void_p
        library.detente_open.argtypes = [ctypes.c_char_p, ctypes.c_uint32]
        library.detente_classify.restype = ctypes.c_void_p
        library.detente_classify.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32
        ]  # fmt: skip
        library.detente_info.restype = ctypes.c_void_p
        library.detente_info.argtypes = [ctypes.c_void_p]
        library.detente_last_error.restype = ctypes.c_char_p
        library.detente_free.argtypes = [ctypes.c_void_p]
        library.detente_close.argtypes = [ctypes.c_void_p]
        self.classifier = library.detente_open(bundle.encode() if bundle else None, threads)
        if not self.classifier:
            raise RuntimeError(library.detente_last_error().decode())

    def close(self):
        self.library.detente_close(self.classifier)
        self.classifier = None

    def _json(self, pointer: int | None):
        if not pointer:
            raise RuntimeError(self.library.detente_last_error().decode())
        try:
            return json.loads(ctypes.string_at(pointer))
        finally:
            self.library.detente_free(pointer)

    def info(self) -> dict:
        return self._json(self.library.detente_info(self.classifier))

    def classify(self, text: bytes, name: str | None = None, flags: int = 0) -> list[dict]:
        name = name.encode() if name else None
        return self._json(self.library.detente_classify(self.classifier, name, text, len(text), flags))


def check(condition: bool, what: str):
    if not condition:
        raise SystemExit(f"use.py: {what}")


def fails(words: str, call, *arguments):
    try:
        call(*arguments)
    except RuntimeError as error:
        check(words in str(error), f"{words!r} is not in the error {str(error)!r}")
    else:
        raise SystemExit(f"use.py: no error where {words!r} was expected")


def main(library: str, program: str):
    fails("cannot read bundle.json", Detente, library, "no/such/bundle")
    fake = Detente(library, str(ROOT / "tests/fixtures/fake"), threads=1)
    check(fake.info()["id"].startswith("fake@1+"), "the bundle of the folder is open")
    fake.close()

    embedded = Detente(library)
    check(embedded.info()["name"] == "detente-mini", "the bundle inside the library is open")
    compared = 0
    for path, flags in EXAMPLES:
        for explain in (0, EXPLAIN):
            command = [program, "classify", path, "--format", "jsonl", *["--explain"] * (explain and 1)]
            lines = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.splitlines()
            expected = [json.loads(line) for line in lines]
            found = embedded.classify((ROOT / path).read_bytes(), path, flags | explain)
            check(found == expected, f"{path}: the records are not those of the command line")
            compared += len(found)

    text = "Ein Absatz.\n\nNoch einer.".encode()
    expected, wrong = embedded.classify(text), []
    many = [threading.Thread(target=lambda: wrong.extend([1] * (embedded.classify(text) != expected))) for _ in range(8)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    check(not wrong, "threads get different labels")
    fails("text is not valid UTF-8 at byte 1", embedded.classify, b"a\xff")
    fails("there is no flag", embedded.classify, text, None, 8)
    embedded.close()
    print(f"ok: {compared} records as on the command line")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
