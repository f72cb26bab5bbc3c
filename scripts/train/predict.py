"""Logits of many texts as the program computes them: windows, mean pooling, how windows are put together.

Inputs: a classifier, its tokenizer, texts. Outputs: logits as numpy arrays, one row per text, in the order of the texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from data import batches, padded
from model import Classifier, mean_vectors
from windows import Window, windows

BATCH_TOKENS = 8192


@dataclass
class LogitArrays:
    """Topics (N, 3), escalation (N, 5 or 4), boilerplate (N)."""

    topics: np.ndarray
    escalation: np.ndarray
    boilerplate: np.ndarray

    def take(self, rows: np.ndarray) -> LogitArrays:
        return LogitArrays(self.topics[rows], self.escalation[rows], self.boilerplate[rows])


@torch.inference_mode()
def text_logits(model: Classifier, tokenizer: Tokenizer, texts: list[str], bf16: bool = False) -> LogitArrays:
    """Topics: the maximum over the windows' logits. Escalation, boilerplate: from the windows' mean vector, weighted by new tokens."""
    model.eval()
    device = next(model.parameters()).device
    sliced = [windows(tokenizer, text) for text in texts]
    flat = [window for slices in sliced for window in slices]
    vectors = torch.zeros(len(flat), model.encoder.config.hidden_size)
    for picked in batches([len(window.ids) for window in flat], BATCH_TOKENS):
        ids, mask = padded([flat[index].ids for index in picked], model.encoder.config.pad_token_id)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            vectors[picked] = mean_vectors(model.encoder, ids.to(device), mask.to(device)).cpu()
    heads = model.heads.float().cpu()
    text_of = torch.tensor([number for number, slices in enumerate(sliced) for _ in slices])
    weights = torch.tensor([float(max(window.new_tokens, 1)) for window in flat]).unsqueeze(1)
    combined = torch.zeros(len(texts), vectors.shape[1]).index_add_(0, text_of, vectors * weights)
    combined /= torch.zeros(len(texts), 1).index_add_(0, text_of, weights)
    per_window = heads(vectors).topics
    topics = torch.full((len(texts), per_window.shape[1]), -torch.inf)
    topics = topics.scatter_reduce(0, text_of.unsqueeze(1).expand_as(per_window), per_window, "amax")
    logits = heads(combined)
    heads.to(device)
    return LogitArrays(topics.numpy(), logits.escalation.numpy(), logits.boilerplate.numpy())
