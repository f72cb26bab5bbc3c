"""How far vectors are from those of f32 in PyTorch, each window alone, and how many windows get another label by the bundle's heads.

Command: python accuracy.py CHECKPOINT WINDOWS VECTORS... (started by compare.py)
Inputs: a folder for transformers with heads.safetensors, head.json and calibration.json; windows of ids and vectors (W, H) as JSON.
Outputs: one JSON object: for each file of vectors mean and least cosine, the largest difference of a logit, and the windows whose topics, level or
boilerplate flag differ.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "train"))
from calibration import Calibration  # noqa: E402
from model import load_heads  # noqa: E402


@torch.inference_mode()
def main() -> None:
    folder, windows, files = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), map(Path, sys.argv[3:])
    encoder = AutoModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False).eval()
    heads = load_heads(folder / "heads.safetensors", json.loads((folder / "head.json").read_text())["escalation"], encoder.config.hidden_size)
    calibration = Calibration.from_json(json.loads((folder / "calibration.json").read_text()))

    def labels(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (W, L) and labels (W, topics + 2)."""
        logits = heads(torch.from_numpy(vectors))
        topics, levels, boilerplate = logits.topics.numpy(), logits.escalation.numpy(), logits.boilerplate.numpy()
        flags = calibration.boilerplate_probabilities(boilerplate) >= calibration.boilerplate.threshold
        decided = [calibration.topics_apply(topics), calibration.levels(levels)[:, None], flags[:, None]]
        return np.concatenate([topics, levels, boilerplate[:, None]], 1), np.concatenate(decided, 1)

    exact = np.stack([encoder(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0).numpy() for ids in windows])
    exact_logits, exact_labels = labels(exact)
    found = {}
    for file in files:
        vectors = np.array(json.loads(file.read_text()), np.float32)
        logits, decided = labels(vectors)
        cosines = (vectors * exact).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(exact, axis=1)
        found[file.name] = {
            "cosine_mean": float(cosines.mean()), "cosine_least": float(cosines.min()),
            "logit_difference": float(np.abs(logits - exact_logits).max()), "labels_changed": int((decided != exact_labels).any(1).sum()),
        }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
