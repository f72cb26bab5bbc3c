"""The classifier in PyTorch: a BERT encoder, mean pooling, three heads; and its checkpoint folder.

Inputs: texts, or a checkpoint folder (config.json, model.safetensors, tokenizer.json, heads.safetensors, head.json).
Outputs: logits; checkpoint folders. An encoder folder is a checkpoint folder without the two head files.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from scheme import LEVELS, TOPICS

HEAD_KINDS = {"softmax": len(LEVELS), "cumulative": len(LEVELS) - 1}


@dataclass
class Logits:
    """Raw outputs, one row per text: topics (B, 3), escalation (B, 5 or 4), boilerplate (B)."""

    topics: Tensor
    escalation: Tensor
    boilerplate: Tensor

    def float(self) -> Logits:
        """The same in f32, which losses are to be computed in."""
        return Logits(self.topics.float(), self.escalation.float(), self.boilerplate.float())


class Heads(nn.Module):
    """Sentence vector (B, H) -> logits; with `dense` > 0 through one tanh layer that the heads share."""

    def __init__(self, hidden: int, escalation_kind: str, dense: int = 0) -> None:
        super().__init__()
        self.escalation_kind = escalation_kind
        self.dense = nn.Linear(hidden, dense) if dense else None
        width = dense or hidden
        self.topics = nn.Linear(width, len(TOPICS))
        self.escalation = nn.Linear(width, HEAD_KINDS[escalation_kind])
        self.boilerplate = nn.Linear(width, 1)

    def forward(self, vectors: Tensor) -> Logits:
        if self.dense is not None:
            vectors = torch.tanh(self.dense(vectors))
        return Logits(self.topics(vectors), self.escalation(vectors), self.boilerplate(vectors).squeeze(-1))


class Classifier(nn.Module):
    """Encoder and heads together."""

    def __init__(self, encoder: BertModel, heads: Heads) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads

    def forward(self, ids: Tensor, mask: Tensor) -> Logits:
        return self.heads(mean_vectors(self.encoder, ids, mask))


def mean_vectors(encoder: BertModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean of the last hidden states over real tokens, <s> and </s> included: (B, T) -> (B, H), f32."""
    return pooled(encoder(input_ids=ids, attention_mask=mask).last_hidden_state, mask)


def pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens: (B, T, H) -> (B, H), f32."""
    hidden = hidden.float()
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def load_encoder(folder: Path) -> BertModel:
    """The encoder of an encoder or checkpoint folder, in f32, without pooler."""
    config = BertConfig.from_pretrained(folder)
    # On a CPU the fused kernel's backward pass in bf16 is slow for heads of 32: eager trains a third faster.
    config._attn_implementation = "sdpa" if torch.cuda.is_available() else "eager"
    encoder = BertModel(config, add_pooling_layer=False)
    state = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith(("position_ids", "token_type_ids"))]
    if missing or any(not name.startswith(("pooler.", "embeddings.position_ids")) for name in unexpected):
        raise ValueError(f"{folder}: missing {missing}, unexpected {unexpected}")
    return encoder


def load_tokenizer(folder: Path) -> Tokenizer:
    """tokenizer.json with the file's own truncation and padding switched off."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def save_encoder(folder: Path, encoder: BertModel, tokenizer_file: Path, half: bool = True) -> None:
    """Writes config.json, model.safetensors (f16 unless told otherwise) and tokenizer.json; the weights file changes at once."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items() if tensor.is_floating_point()}
    if half:
        state = {name: tensor.half() for name, tensor in state.items()}
    partial = folder / "model.safetensors.partial"
    save_file(state, partial)
    partial.replace(folder / "model.safetensors")
    config = encoder.config.to_dict()
    config["architectures"] = ["BertModel"]
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    if tokenizer_file.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")


def save_checkpoint(folder: Path, model: Classifier, tokenizer_file: Path) -> None:
    """A checkpoint folder: the encoder's files in f32, heads.safetensors and head.json."""
    save_encoder(folder, model.encoder, tokenizer_file, half=False)
    save_file({name: tensor.detach().cpu().float().contiguous() for name, tensor in model.heads.state_dict().items()}, folder / "heads.safetensors")
    (folder / "head.json").write_text(json.dumps({"escalation": model.heads.escalation_kind}) + "\n")


def load_checkpoint(folder: Path) -> Classifier:
    """The classifier of a checkpoint folder."""
    encoder = load_encoder(folder)
    heads = load_heads(folder / "heads.safetensors", json.loads((folder / "head.json").read_text())["escalation"], encoder.config.hidden_size)
    return Classifier(encoder, heads)


def load_heads(file: Path, escalation_kind: str, hidden: int) -> Heads:
    """Heads from their safetensors; a `dense.weight` in the file switches the shared layer on."""
    state = {name: tensor.float() for name, tensor in load_file(file).items()}
    dense = state["dense.weight"].shape[0] if "dense.weight" in state else 0
    heads = Heads(hidden, escalation_kind, dense)
    heads.load_state_dict(state)
    return heads
