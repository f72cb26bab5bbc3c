"""Distils an English sentence encoder into the multilingual student over pre-tokenised pairs.

Command: python distil.py --shards DIR --encoder DIR --teacher DIR --output DIR --minutes 60
Inputs: shards of prepare.py; the encoder to continue from; the teacher (BERT, mean pooling).
Outputs: --output in transformers layout (f16), the weights of the last evaluation; state.pt (for --resume); log.jsonl with the loss and
the cosine to the teacher's English vector on held-out pairs, per language.
Method: Reimers and Gurevych 2020: the student's mean vector of a translation, and of a share of the English sides, is pulled to the
teacher's mean vector of the English side; squared error relative to the teacher's norm, plus one minus the cosine.
The learning rate falls with the time used, so a run ends properly whatever the machine's speed. bf16 on CPU and on CUDA.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor
from transformers import BertModel

from data import batches, padded
from model import load_encoder, mean_vectors, save_encoder

SEED = 5
ENGLISH_SHARE = 0.3  # of the pairs whose English side is learnt as well
WARMUP_STEPS = 60
FINAL_RATE = 0.08  # of the peak
TEACHER_PAD = 0
STUDENT_PAD = 1


@dataclass
class Rates:
    layers: float = 4e-4
    embeddings: float = 1e-3


@dataclass
class Shard:
    """Ragged token ids of one shard."""

    teacher: list[np.ndarray]
    english: list[np.ndarray]
    other: list[np.ndarray]
    language: np.ndarray

    @classmethod
    def load(cls, path: Path) -> Shard:
        tensors = load_file(str(path))
        ragged = {}
        for name in ("teacher", "english", "other"):
            ends = tensors[f"{name}_lengths"].astype(np.int64).cumsum()
            ragged[name] = np.split(tensors[name].astype(np.int64), ends[:-1])
        return cls(**ragged, language=tensors["language"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="padded student tokens of the translations a step")
    parser.add_argument("--report-minutes", type=float, default=4, help="between evaluations, each with a checkpoint")
    parser.add_argument("--resume", action="store_true", help="continue the run whose state.pt is in --output, with its time used counted")
    options = parser.parse_args()
    torch.set_num_threads(max(torch.get_num_threads(), 1))
    Run(options).train()


class Run:
    """One distillation run; its state is the student, the optimiser, the position in the data and the time used."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.student = load_encoder(options.encoder).to(self.device).train()
        self.teacher = load_encoder(options.teacher).to(self.device).eval()
        self.optimizer = make_optimizer(self.student, Rates())
        self.languages = json.loads((options.shards / "shards.json").read_text())["languages"]
        self.held_out = Shard.load(options.shards / "heldout.safetensors")
        self.held_out_targets = self.vectors(self.teacher, self.held_out.teacher, TEACHER_PAD)
        self.progress = {"seconds": 0.0, "steps": 0, "tokens": 0, "epoch": 0, "batch": 0}
        options.output.mkdir(parents=True, exist_ok=True)
        if options.resume:
            state = torch.load(options.output / "state.pt", map_location=self.device)
            self.student.load_state_dict(state["student"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.progress = state["progress"]

    def train(self) -> None:
        budget = self.options.minutes * 60
        previous = time.monotonic()
        last_report, losses = self.progress["seconds"], []
        if not self.progress["steps"]:
            self.report(float("nan"))
        for shard, picked in self.data():
            set_rates(self.optimizer, self.progress["steps"], self.progress["seconds"] / budget)
            losses.append(self.step(shard, picked))
            now = time.monotonic()
            self.progress["seconds"] += now - previous
            previous = now
            if self.progress["seconds"] >= budget:
                break
            if self.progress["seconds"] - last_report >= self.options.report_minutes * 60:
                self.report(float(np.mean(losses)))
                losses, last_report = [], self.progress["seconds"]
        self.report(float(np.mean(losses)))

    def data(self) -> Iterator[tuple[Shard, list[int]]]:
        """Batches for ever, from where the run stands; order and draws depend on the epoch alone."""
        files = sorted(self.options.shards.glob("shard-*.safetensors"))
        while True:
            position = 0
            for number, file in enumerate(files):
                shard = Shard.load(file)
                generator = np.random.default_rng([SEED, self.progress["epoch"], number])
                for picked in batches([len(ids) for ids in shard.other], self.options.batch_tokens, generator):
                    position += 1
                    if position > self.progress["batch"]:
                        self.progress["batch"] = position
                        yield shard, picked
            self.progress["epoch"] += 1
            self.progress["batch"] = 0

    def step(self, shard: Shard, picked: list[int]) -> float:
        generator = np.random.default_rng([SEED, self.progress["steps"]])
        with torch.no_grad():
            targets = self.forward(self.teacher, [shard.teacher[index] for index in picked], TEACHER_PAD)  # (B, H)
        loss = distance(self.forward(self.student, [shard.other[index] for index in picked], STUDENT_PAD), targets)
        loss.backward()
        english = [row for row in range(len(picked)) if generator.random() < ENGLISH_SHARE]
        if english:
            found = self.forward(self.student, [shard.english[picked[row]] for row in english], STUDENT_PAD)
            (distance(found, targets[english]) * (len(english) / len(picked))).backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress["steps"] += 1
        self.progress["tokens"] += sum(len(shard.other[index]) for index in picked) + sum(len(shard.english[picked[row]]) for row in english)
        return loss.item()

    def forward(self, encoder: BertModel, sequences: list[np.ndarray], pad: int) -> Tensor:
        ids, mask = padded([sequence.tolist() for sequence in sequences], pad)
        with torch.autocast(self.device.type, torch.bfloat16):
            return mean_vectors(encoder, ids.to(self.device), mask.to(self.device))

    @torch.no_grad()
    def vectors(self, encoder: BertModel, sequences: list[np.ndarray], pad: int) -> Tensor:
        found = torch.zeros(len(sequences), encoder.config.hidden_size)
        for picked in batches([len(ids) for ids in sequences], 8192):
            found[picked] = self.forward(encoder, [sequences[index] for index in picked], pad).float().cpu()
        return found

    def report(self, loss: float) -> None:
        """Appends a line to the log and writes both checkpoints."""
        self.student.eval()
        cosines = torch.cosine_similarity(self.vectors(self.student, self.held_out.other, STUDENT_PAD), self.held_out_targets).numpy()
        english = torch.cosine_similarity(self.vectors(self.student, self.held_out.english, STUDENT_PAD), self.held_out_targets).mean().item()
        self.student.train()
        per_language = {name: round(float(cosines[self.held_out.language == index].mean()), 4) for index, name in enumerate(self.languages)}
        line = {**self.progress, "seconds": round(self.progress["seconds"]), "loss": round(loss, 4), "mean": round(float(np.mean(list(per_language.values()))), 4)}
        line |= {"en": round(english, 4), **per_language}
        with (self.options.output / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        if self.progress["steps"]:
            save_encoder(self.options.output, self.student, self.options.encoder / "tokenizer.json")
            state = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict(), "progress": self.progress}
            torch.save(state, self.options.output / "state.partial")
            (self.options.output / "state.partial").replace(self.options.output / "state.pt")


def distance(found: Tensor, targets: Tensor) -> Tensor:
    """Relative squared error plus one minus the cosine, averaged: (B, H), (B, H) -> scalar."""
    squared = (found - targets).square().sum(1) / targets.square().sum(1)
    return (squared + 1 - torch.cosine_similarity(found, targets)).mean()


def make_optimizer(student: BertModel, rates: Rates) -> torch.optim.Optimizer:
    embeddings = list(student.embeddings.parameters())
    layers = list(student.encoder.parameters())
    groups = [{"params": embeddings, "lr": rates.embeddings, "weight_decay": 0.0}, {"params": layers, "lr": rates.layers, "weight_decay": 0.01}]
    for group in groups:
        group["peak"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, step: int, used: float) -> None:
    """Linear warm-up by steps, then a linear fall by the share of the time used."""
    factor = min(1.0, (step + 1) / WARMUP_STEPS) * (1 - (1 - FINAL_RATE) * min(used, 1.0))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


if __name__ == "__main__":
    main()
