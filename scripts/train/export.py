"""Exports a checkpoint as a bundle: int8 encoder, f32 heads, calibration, card, checksums.

Command: python export.py --checkpoint DIR --card FILE --output models/detente-mini --languages de,en,ru
Inputs: a checkpoint folder with calibration.json (calibrate.py), the model card in Markdown.
Outputs: the bundle folder, replaced in one step.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bundle import BundleInfo, write_bundle
from calibration import Calibration
from model import load_checkpoint

MAX_LENGTH = 256
STRIDE = 192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--languages", required=True, help="languages with figures in the card, comma separated")
    parser.add_argument("--version", default="0.1.0")
    options = parser.parse_args()
    export(options.checkpoint, options.card.read_text(), options.output, options.languages.split(","), options.version)


def export(checkpoint: Path, card: str, output: Path, languages: list[str], version: str) -> None:
    """Writes the bundle and prints what it weighs."""
    calibration = Calibration.from_json(json.loads((checkpoint / "calibration.json").read_text()))
    info = BundleInfo(output.name, version, sorted(languages), MAX_LENGTH, STRIDE)
    write_bundle(output, load_checkpoint(checkpoint), checkpoint / "tokenizer.json", calibration, card, info)
    total = sum(path.stat().st_size for path in output.iterdir())
    print(f"{output}: {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
