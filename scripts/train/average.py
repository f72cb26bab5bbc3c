"""Averages the weights of checkpoints that share a start (Wortsman et al. 2022).

Command: python average.py --checkpoint DIR --checkpoint DIR ... [--share 0.6 --share 0.4] --output DIR
Inputs: checkpoint folders of one shape and vocabulary; their shares, equal unless given, which are scaled to 1.
Outputs: a checkpoint folder. It has no calibration yet: calibrate.py comes next.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

WEIGHTS = ("model.safetensors", "heads.safetensors")
SAME = ("config.json", "tokenizer.json", "head.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, action="append", required=True)
    parser.add_argument("--share", type=float, action="append")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    shares = options.share or [1.0] * len(options.checkpoint)
    if len(shares) != len(options.checkpoint):
        parser.error("give one --share for each --checkpoint, or none")
    average(options.checkpoint, [share / sum(shares) for share in shares], options.output)


def average(folders: list[Path], shares: list[float], output: Path) -> None:
    for name in SAME:
        if len({(folder / name).read_bytes() for folder in folders}) > 1:
            raise ValueError(f"{name} differs between the checkpoints")
    output.mkdir(parents=True, exist_ok=True)
    for name in WEIGHTS:
        states = [load_file(folder / name) for folder in folders]
        mixed = {key: sum(share * state[key].float() for share, state in zip(shares, states, strict=True)).contiguous() for key in states[0]}
        save_file(mixed, output / name)
    for name in SAME:
        shutil.copyfile(folders[0] / name, output / name)


if __name__ == "__main__":
    main()
