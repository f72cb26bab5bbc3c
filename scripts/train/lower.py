"""Outputs of the lower layers of an encoder, computed once a text: with --frozen, fine-tuning learns only what lies above.

Command: python lower.py --data DIR --encoder DIR --layers 8 --output FILE
Inputs: labelled records, an encoder or checkpoint folder, the number of layers that stay as they are.
Outputs: FILE, bf16 rows (tokens, H) of all train texts and translations, and FILE.json, which says where the rows of a text start. Runs
on one machine share the file. What is not in it (roughened texts) is computed when it is needed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BertModel

from data import batches, padded, read_items, token_ids
from model import load_encoder, load_tokenizer
from windows import MAX_LENGTH

BATCH_TOKENS = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    items = [item for item in read_items(options.data) if item.split == "train"]
    texts = dict.fromkeys(text for item in items for text in (item.text, *item.target_translations.values()))
    sequences = token_ids(load_tokenizer(options.encoder), list(texts), MAX_LENGTH)
    lower = LowerLayers(load_encoder(options.encoder).eval(), options.layers)
    companies = [[sequences[index] for index in picked] for picked in batches([len(sequence) for sequence in sequences], BATCH_TOKENS)]
    starts, start = {}, 0
    torch.set_num_threads(1)  # batches side by side waste less than operators with several threads
    with options.output.open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        for members, (hidden, _) in zip(companies, pool.map(lower.outputs, companies)):
            for sequence, rows in zip(members, hidden.cpu()):
                rows[: len(sequence)].contiguous().view(torch.int16).numpy().tofile(file)
                starts[key_of(sequence)] = start
                start += len(sequence)
    index_file(options.output).write_text(json.dumps({"weights": lower.fingerprint(), "starts": starts}) + "\n")
    print(f"{len(starts)} texts, {start} tokens")


def index_file(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def key_of(sequence: list[int]) -> str:
    return hashlib.blake2b(np.array(sequence, dtype=np.int32).tobytes(), digest_size=12).hexdigest()


class LowerLayers:
    """Embeddings and the first layers, without gradients, for an encoder whose dropout is off; outputs from a file of main() where it has them."""

    def __init__(self, encoder: BertModel, layers: int, file: Path | None = None) -> None:
        self.encoder, self.layers = encoder, layers
        self.starts: dict[str, int] = {}
        if file is not None:
            index = json.loads(index_file(file).read_text())
            if index["weights"] != self.fingerprint():
                raise ValueError(f"{file} is not of the first {layers} layers of this encoder: make it anew")
            self.starts = index["starts"]
            self.rows = np.memmap(file, dtype=np.int16, mode="r").reshape(-1, encoder.config.hidden_size)

    def outputs(self, sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, H) in bf16 and mask (B, T), where the encoder is."""
        ids, mask = padded(sequences, self.encoder.config.pad_token_id)
        starts = [self.starts.get(key_of(sequence)) for sequence in sequences]
        hidden = torch.zeros(*ids.shape, self.encoder.config.hidden_size, dtype=torch.bfloat16)
        for row, (sequence, start) in enumerate(zip(sequences, starts)):
            if start is not None:
                hidden[row, : len(sequence)] = torch.from_numpy(np.array(self.rows[start : start + len(sequence)])).view(torch.bfloat16)
        missing = [row for row, start in enumerate(starts) if start is None]
        if missing:
            hidden[missing] = self.compute(ids[missing], mask[missing])
        return hidden.to(self.encoder.device), mask.to(self.encoder.device)

    def fingerprint(self) -> str:
        """Of all weights that the outputs follow from."""
        digest = hashlib.blake2b(digest_size=12)
        for part in (self.encoder.embeddings, *self.encoder.encoder.layer[: self.layers]):
            for weights in part.parameters():
                digest.update(weights.detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def compute(self, ids: Tensor, mask: Tensor) -> Tensor:
        device = self.encoder.device
        with torch.autocast(device.type, torch.bfloat16):
            hidden = self.encoder.embeddings(input_ids=ids.to(device))
            hidden = apply_layers(self.encoder, range(self.layers), hidden, mask.to(device))
        return hidden.to("cpu", torch.bfloat16)


def apply_layers(encoder: BertModel, layers: range, hidden: Tensor, mask: Tensor) -> Tensor:
    """Some of the layers on (B, T, H), with the attention mask that BertModel makes of (B, T)."""
    blocked = torch.zeros(mask.shape, dtype=hidden.dtype, device=hidden.device).masked_fill(mask == 0, torch.finfo(hidden.dtype).min)[:, None, None, :]
    for index in layers:
        hidden = encoder.encoder.layer[index](hidden, blocked)
    return hidden


if __name__ == "__main__":
    main()
