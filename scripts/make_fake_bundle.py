"""Makes the bundle without a transformer that tests of reading, writing and long runs use.

Command: python3 scripts/make_fake_bundle.py tests/fixtures/tiny tests/fixtures/fake
Inputs:  a bundle whose tokenizer and scheme are taken over. CPython's standard library is enough.
Outputs: a bundle of the family `hash`: vectors come from a hash of the token ids, the heads are random (seeded).
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
import sys
from pathlib import Path

SEED = 11
HIDDEN_SIZE = 16
MAX_LENGTH, STRIDE = 128, 96
# Vectors are uniform in [-1, 1): rows of this spread give logits of both signs and all five levels.
WEIGHT_SPREAD = 0.6


def safetensors(tensors: dict[str, tuple[list[int], list[float]]]) -> bytes:
    header, data = {}, b""
    for name, (shape, values) in sorted(tensors.items()):
        packed = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def main(source: Path, target: Path) -> None:
    generator = random.Random(SEED)
    manifest = json.loads((source / "bundle.json").read_text())
    heads = {}
    for name, rows in [("topics", len(manifest["scheme"]["topics"])), ("escalation", 5), ("boilerplate", 1)]:
        heads[f"{name}.weight"] = ([rows, HIDDEN_SIZE], [generator.gauss(0, WEIGHT_SPREAD) for _ in range(rows * HIDDEN_SIZE)])
        heads[f"{name}.bias"] = ([rows], [-1.5 if name == "boilerplate" else 0.0] * rows)
    flag = {"scale": 1.0, "offset": 0.0, "threshold": 0.5}
    calibration = {
        "topics": [{"name": topic["name"], **flag} for topic in manifest["scheme"]["topics"]],
        "escalation": {"temperature": 1.0, "offsets": [0.0] * 5, "decision": {"rule": "mode"}},
        "boilerplate": flag,
        "fitted_on": "nothing: the labels mean nothing",
    }
    files = {
        "config.json": json.dumps({"model_type": "hash", "hidden_size": HIDDEN_SIZE}).encode(),
        "tokenizer.json": (source / "tokenizer.json").read_bytes(),
        "heads.safetensors": safetensors(heads),
        "calibration.json": json.dumps(calibration, indent=1).encode(),
        "card.md": b"# fake\n\nNo model: vectors are hashes and the labels mean nothing. For tests.\n",
    }
    manifest |= {
        "name": "fake",
        "version": "1",
        "license": "Apache-2.0",
        "languages": ["de", "en"],
        "encoder": {"family": "hash", "pooling": "mean", "max_length": MAX_LENGTH, "stride": STRIDE},
        "head": {"escalation": "softmax"},
        "files": {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()},
    }
    target.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (target / name).write_bytes(data)
    (target / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
