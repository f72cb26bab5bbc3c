"""Says what the zero-shot pipeline of transformers makes of a few texts, for the Rust tests.

Command: python scripts/make_zero_shot.py tests/fixtures/checkpoints tests/fixtures/zero-shot.toml tests/fixtures/zero-shot.json
Inputs:  tiny checkpoints for natural-language inference (scripts/make_checkpoints.py), a scheme. Needs torch and transformers 5.
Outputs: for each checkpoint and text, the pipeline's score of every hypothesis of topics and boilerplate (several labels, each by
         itself), and of every level (one label of many).
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

CHECKPOINTS = ["bert-nli-v4", "xlm-roberta-nli", "distilbert-nli-v4", "deberta-nli-v4", "modernbert-nli"]
# With the language that detente detects; it has to be told of a text before the hypotheses are known.
TEXTS = {
    "Nein.": "und",
    "The guns fell silent.": "und",
    "Der Rat hob die Sanktionen auf.": "de",
    "两国恢复谈判。": "zh",
    "Troops crossed the river at night.": "en",
}


def main(checkpoints: Path, scheme: Path, output: Path) -> None:
    torch.set_num_threads(1)
    labels = tomllib.loads(scheme.read_text())
    lines = [json.dumps(entry, ensure_ascii=False) for name in CHECKPOINTS for entry in entries(name, checkpoints / name, labels)]
    output.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def entries(name: str, folder: Path, labels: dict):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ask = pipeline("zero-shot-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")

    def scores(text: str, sentences: list[str], several: bool) -> list[float]:
        found = ask(text, candidate_labels=sentences, hypothesis_template="{}", multi_label=several)
        by_sentence = dict(zip(found["labels"], found["scores"], strict=True))
        return [round(by_sentence[sentence], 7) for sentence in sentences]

    for text, language in TEXTS.items():
        pick = lambda entry: entry["hypotheses"].get(language, entry["hypotheses"]["en"])  # noqa: E731
        yield {
            "checkpoint": name,
            "text": text,
            "language": language,
            "topics": [scores(text, pick(topic), True) for topic in labels["topics"]],
            "levels": scores(text, [pick(level)[0] for level in labels["scale"]["levels"]], False),
            "boilerplate": scores(text, pick(labels["boilerplate"]), True),
        }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
