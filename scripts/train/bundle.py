"""The bundle format of models/README.md in Python: write a bundle, open one, and predict with it in f32.

Inputs: a classifier with its tokenizer and calibration, or a bundle folder.
Outputs: a bundle folder; predictions of single texts that define what the program must compute.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig, BertModel

from calibration import Calibration
from model import Classifier, load_heads
from scheme import MANIFEST_SCHEME
from windows import windows

FORMAT = 1
INT8_LIMIT = 127  # symmetric: -128 is never used, so that kernels may negate
CONFIG_KEYS = [
    "architectures", "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size",
    "initializer_range", "layer_norm_eps", "pad_token_id",
]  # fmt: skip


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(R, C) f32 -> int8 (R, C) and f32 scale (R): w[i, j] = q[i, j] * scale[i], scale = max|row| / 127."""
    scale = weight.abs().amax(1) / INT8_LIMIT
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return (weight / scale.unsqueeze(1)).round().clamp(-INT8_LIMIT, INT8_LIMIT).to(torch.int8), scale


def quantised_copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of encoder.safetensors: 2-D weights as int8 plus `<name>.scale`, the rest f32."""
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.dim() == 2:
            stored[name], stored[f"{name}.scale"] = quantise_rows(tensor.float())
        else:
            stored[name] = tensor.float().contiguous()
    return stored


def dequantised(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The f32 weights that a stored state stands for."""
    return {
        name: tensor.float() * stored[f"{name}.scale"].unsqueeze(1) if tensor.dtype == torch.int8 else tensor.float()
        for name, tensor in stored.items()
        if not name.endswith(".scale")
    }


def encoder_state(encoder: BertModel) -> dict[str, Tensor]:
    """Weights by their `BertModel` names; buffers (position ids) are left out."""
    return {name: tensor.detach().cpu() for name, tensor in encoder.state_dict().items() if tensor.is_floating_point()}


def quantise_in_place(model: Classifier) -> Classifier:
    """Replaces the encoder's weights by what the bundle will hold, so that calibration sees the shipped model."""
    model.encoder.load_state_dict(dequantised(quantised_copy(encoder_state(model.encoder))), strict=False)
    return model


@dataclass
class BundleInfo:
    """The parts of bundle.json that the training side decides."""

    name: str
    version: str
    languages: list[str]
    max_length: int
    stride: int


def write_bundle(
    folder: Path, model: Classifier, tokenizer_file: Path, calibration: Calibration, card: str, info: BundleInfo, int8: bool = True
) -> None:
    """Builds the bundle beside `folder` and puts it there when it is complete."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    config = model.encoder.config.to_dict()
    write_json(partial / "config.json", {"architectures": ["BertModel"], **{key: config[key] for key in CONFIG_KEYS if key in config and key != "architectures"}})
    tokenizer = json.loads(tokenizer_file.read_text())
    tokenizer["truncation"] = tokenizer["padding"] = None
    (partial / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
    state = encoder_state(model.encoder)
    save_file(quantised_copy(state) if int8 else {name: tensor.float().contiguous() for name, tensor in state.items()}, partial / "encoder.safetensors")
    save_file({name: tensor.detach().cpu().float().contiguous() for name, tensor in model.heads.state_dict().items()}, partial / "heads.safetensors")
    write_json(partial / "calibration.json", calibration.to_json())
    (partial / "card.md").write_text(card)
    files = sorted(partial.iterdir())
    for path in files:
        path.chmod(0o644)  # safetensors writes files that only the owner can read
    manifest = {
        "format": FORMAT,
        "name": info.name,
        "version": info.version,
        "license": "Apache-2.0",
        "languages": info.languages,
        "encoder": {"family": "bert", "pooling": "mean", "max_length": info.max_length, "stride": info.stride},
        "head": {"escalation": model.heads.escalation_kind},
        "scheme": MANIFEST_SCHEME,
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in files},
    }
    write_json(partial / "bundle.json", manifest)
    replaced = folder.with_name(f"{folder.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


@dataclass
class Output:
    """What a text gives: the combined vector, raw logits, calibrated probabilities, decisions."""

    ids: list[list[int]]
    vector: np.ndarray
    topic_logits: np.ndarray
    escalation_logits: np.ndarray
    boilerplate_logit: float
    topic_probabilities: np.ndarray
    escalation_probabilities: np.ndarray
    boilerplate_probability: float


class Bundle:
    """An opened bundle; every file is checked against bundle.json."""

    def __init__(self, folder: Path) -> None:
        self.manifest = json.loads((folder / "bundle.json").read_text())
        for name, expected in self.manifest["files"].items():
            content = (folder / name).read_bytes()
            if len(content) != expected["bytes"] or hashlib.sha256(content).hexdigest() != expected["sha256"]:
                raise ValueError(f"{folder / name}: size or sha256 differs from bundle.json")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = BertConfig.from_pretrained(folder)
        config._attn_implementation = "eager"
        encoder = BertModel(config, add_pooling_layer=False)
        encoder.load_state_dict(dequantised(load_file(folder / "encoder.safetensors")), strict=False)
        heads = load_heads(folder / "heads.safetensors", self.manifest["head"]["escalation"], config.hidden_size)
        self.model = Classifier(encoder, heads).eval()
        self.calibration = Calibration.from_json(json.loads((folder / "calibration.json").read_text()))

    @torch.inference_mode()
    def predict(self, text: str) -> Output:
        """One text alone, each window alone: no padding anywhere."""
        settings = self.manifest["encoder"]
        slices = windows(self.tokenizer, text, settings["max_length"], settings["stride"])
        vectors = torch.stack([self._vector(window.ids) for window in slices])  # (W, H)
        weights = torch.tensor([float(max(window.new_tokens, 1)) for window in slices])
        combined = (vectors * weights.unsqueeze(1)).sum(0) / weights.sum()  # (H)
        topics = self.model.heads(vectors).topics.amax(0)  # (3)
        logits = self.model.heads(combined.unsqueeze(0))
        escalation, boilerplate = logits.escalation[0].numpy(), float(logits.boilerplate[0])
        calibration = self.calibration
        return Output(
            ids=[window.ids for window in slices],
            vector=combined.numpy(),
            topic_logits=topics.numpy(),
            escalation_logits=escalation,
            boilerplate_logit=boilerplate,
            topic_probabilities=calibration.topic_probabilities(topics.numpy()[None])[0],
            escalation_probabilities=calibration.escalation_probabilities(escalation[None])[0],
            boilerplate_probability=float(calibration.boilerplate_probabilities(np.array([boilerplate]))[0]),
        )

    def _vector(self, ids: list[int]) -> Tensor:
        hidden = self.model.encoder(input_ids=torch.tensor([ids])).last_hidden_state[0]  # (T, H)
        return hidden.mean(0)
