"""Makes a bundle of another shape with random weights, to measure speed with: what its labels are means nothing.

Command: python shape.py --layers 12 --hidden 768 --output DIR [--bundle models/detente-mini] [--seed 1]
Inputs: a bundle, for its tokenizer, vocabulary and calibration.
Outputs: a bundle of the BERT family with int8 weights; attention heads of 64 at a hidden size of 768 and more, else of 32, and four times
the hidden size between the two products of the feed-forward part, as BERT base and MiniLM have them. For `compare.py --bundle DIR`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "train"))

from bundle import BundleInfo, write_bundle
from calibration import Calibration
from model import Classifier, Heads

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models/detente-mini")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    config = BertConfig.from_pretrained(options.bundle)
    config.num_hidden_layers, config.hidden_size = options.layers, options.hidden
    config.intermediate_size = 4 * options.hidden
    config.num_attention_heads = options.hidden // (64 if options.hidden >= 768 else 32)
    manifest = json.loads((options.bundle / "bundle.json").read_text())
    model = Classifier(BertModel(config, add_pooling_layer=False), Heads(options.hidden, manifest["head"]["escalation"]))
    calibration = Calibration.from_json(json.loads((options.bundle / "calibration.json").read_text()))
    info = BundleInfo(options.output.name, "0.0.0", manifest["languages"], manifest["encoder"]["max_length"], manifest["encoder"]["stride"])
    write_bundle(options.output, model, options.bundle / "tokenizer.json", calibration, "Random weights: for measuring speed alone.\n", info)


if __name__ == "__main__":
    main()
