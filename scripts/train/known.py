"""What a bundle makes of the train items: the losses by which finetune.py --known shows known items less.

Command: python known.py --bundle DIR --data DIR --output known.jsonl
Inputs: a bundle, the labelled records.
Outputs: JSON Lines, one a train item: set, id, loss. The loss is the mean cross-entropy of the topics plus that of the level and that of
boilerplate, as far as they are known, from calibrated probabilities; the largest over the text and its translations.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from bundle import Bundle
from calibrate import with_translations
from data import Item, Labels, read_items
from predict import text_logits

LEAST = 1e-6  # probability


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    texts, owners, _ = with_translations([item for item in read_items(options.data) if item.split == "train"])
    largest: dict[tuple[str, str], float] = {}
    for item, loss in zip(owners, losses(Bundle(options.bundle), texts, owners), strict=True):
        key = (item.set, item.id)
        largest[key] = max(largest.get(key, 0.0), float(loss))
    with options.output.open("w", encoding="utf-8") as lines:
        for (name, identity), loss in largest.items():
            lines.write(json.dumps({"set": name, "id": identity, "loss": round(loss, 4)}, ensure_ascii=False) + "\n")


def losses(bundle: Bundle, texts: list[str], owners: list[Item]) -> np.ndarray:
    """(N) losses."""
    logits, labels, calibration = text_logits(bundle.model, bundle.tokenizer, texts), Labels.of(owners), bundle.calibration
    topics = binary(calibration.topic_probabilities(logits.topics), labels.topics).mean(1)
    levels = calibration.escalation_probabilities(logits.escalation)
    level = -np.log(np.maximum(levels[np.arange(len(texts)), labels.escalation], LEAST)) * (labels.escalation >= 0)
    return topics + level + binary(calibration.boilerplate_probabilities(logits.boilerplate), labels.boilerplate)


def binary(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy elementwise; 0 where the label is -1."""
    hit = np.where(labels == 1, probabilities, 1 - probabilities)
    return -np.log(np.maximum(hit, LEAST)) * (labels >= 0)


if __name__ == "__main__":
    main()
