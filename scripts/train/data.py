"""Labelled records, and batches of token ids.

Inputs: a folder with any of the files in FILES (fields as in the codebook); a file of views.py.
Outputs: `Item`s by split; rows of parallel text; label arrays; padded batches of similar length.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Hashable, Iterator, Sequence, TextIO

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from scheme import LEVEL_CODES, TOPIC_NAMES
from windows import normalise

FILES = {
    "authored": "authored.jsonl",
    "web": "web_lines.jsonl",
    "news_parallel": "news_parallel.jsonl.gz",
    "news_mono": "news_mono.jsonl.gz",
    "news_more": "news_more.jsonl.gz",
    "contrast": "contrast.jsonl",
    "pairs": "pairs.jsonl",
}
TARGET_LANGUAGES = ["de", "en", "ru", "uk", "pl", "fr", "es", "it", "tr", "ar", "zh", "cs"]
VIEWS = "views"  # the set of texts without labels, whose targets views.py makes
SURE = 2
WIDTH_STEP = 8  # widths of batches are multiples of it: kernels prepared for one shape are used again


@dataclass
class Item:
    """One labelled text. `None` marks a label that is not known."""

    id: str
    lang: str
    text: str
    topics: list[str] | None
    escalation: int | None
    boilerplate: bool | None
    split: str
    set: str  # key of FILES, or VIEWS
    confidence: int = SURE
    translations: dict[str, str] = field(default_factory=dict)
    group: str = ""
    source: str = ""
    second: dict | None = None
    versions: list[str] = field(default_factory=list)  # of one of VIEWS: the text in its languages, `text` too
    targets: list[float] | None = None  # of one of VIEWS: logits of topics, escalation (cumulative) and boilerplate

    @property
    def target_translations(self) -> dict[str, str]:
        """The translations into languages that the model is for."""
        return {language: text for language, text in self.translations.items() if language in TARGET_LANGUAGES}


def opened(path: Path, mode: str) -> TextIO:
    """A text file, compressed where its name ends in .gz."""
    return gzip.open(path, mode, encoding="utf-8") if path.suffix == ".gz" else path.open(mode, encoding="utf-8")


def read_items(folder: Path) -> list[Item]:
    """All records of all files that are there, in file order, with normalised texts."""
    items = []
    for name, file in FILES.items():
        path = folder / file
        if not path.exists():
            continue
        with opened(path, "rt") as lines:
            items += [parse(json.loads(line), name) for line in lines if line.strip()]
    if not items:
        raise FileNotFoundError(f"none of {sorted(FILES.values())} in {folder}")
    return items


def read_views(path: Path) -> list[Item]:
    """Texts of a file of views.py."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        Item(
            id=str(number),
            lang=record["texts"][0][0],
            text=record["texts"][0][1],
            topics=None,
            escalation=None,
            boilerplate=None,
            split="train",
            set=VIEWS,
            versions=[text for _, text in record["texts"]],
            targets=[*record["topics"], *record["escalation"], record["boilerplate"]],
        )
        for number, record in enumerate(records)
    ]


def parse(record: dict, name: str) -> Item:
    return Item(
        id=record["id"],
        lang=record["lang"],
        text=normalise(record["text"]),
        topics=record.get("topics"),
        escalation=record.get("escalation"),
        boilerplate=record.get("boilerplate"),
        split=record["split"],
        set=name,
        confidence=record.get("confidence", SURE),
        translations={lang: normalise(text) for lang, text in (record.get("translations") or {}).items()},
        group=record.get("group") or record["id"],
        source=record.get("source", ""),
        second=record.get("second"),
    )


def parallel_rows(path: Path) -> list[tuple[str, str]]:
    """English and the other language, normalised, of a file NAME.LANG.tsv; without rows that lack one."""
    with path.open(encoding="utf-8") as lines:
        cells = [line.rstrip("\n").split("\t") for line in lines]
    rows = [(normalise(row[0]), normalise(row[1])) for row in cells if len(row) == 2]
    return [row for row in rows if all(row)]


@dataclass
class Labels:
    """Arrays over texts; -1 where a label is not known."""

    topics: np.ndarray  # (N, 3) of 0, 1, -1
    escalation: np.ndarray  # (N) index of the level, or -1
    boilerplate: np.ndarray  # (N) of 0, 1, -1

    @classmethod
    def of(cls, items: list[Item]) -> Labels:
        topics = [[-1] * len(TOPIC_NAMES) if item.topics is None else [int(name in item.topics) for name in TOPIC_NAMES] for item in items]
        escalation = [-1 if item.escalation is None else LEVEL_CODES.index(item.escalation) for item in items]
        boilerplate = [-1 if item.boilerplate is None else int(item.boilerplate) for item in items]
        return cls(np.array(topics).reshape(-1, len(TOPIC_NAMES)), np.array(escalation), np.array(boilerplate))


def token_ids(tokenizer: Tokenizer, texts: list[str], max_length: int) -> list[list[int]]:
    """Ids with <s> and </s>; longer texts are cut before </s>."""
    return [ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]] for ids in (encoding.ids for encoding in tokenizer.encode_batch(texts))]


def padded(sequences: list[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, both (B, T)."""
    width = -(-max(map(len, sequences)) // WIDTH_STEP) * WIDTH_STEP
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids, mask


def batches(lengths: list[int], max_tokens: int, generator: np.random.Generator | None = None, clusters: Sequence[Hashable] | None = None) -> Iterator[list[int]]:
    """Indices in batches of similar length and at most max_tokens padded tokens, before `padded` rounds widths up; shuffled where a generator is given. Texts of one cluster share a batch."""
    members: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters if clusters is not None else range(len(lengths))):
        members.setdefault(cluster, []).append(index)
    companies = list(members.values())
    widths = [max(lengths[index] for index in company) for company in companies]
    noise = generator.uniform(0.9, 1.1, len(companies)) if generator else np.ones(len(companies))
    found: list[list[int]] = []
    current: list[int] = []
    widest = 0
    for place in np.argsort(np.array(widths) * noise, kind="stable"):
        company, width = companies[place], max(widest, widths[place])
        if current and width * (len(current) + len(company)) > max_tokens:
            found.append(current)
            current, width = [], widths[place]
        current.extend(company)
        widest = width
    if current:
        found.append(current)
    if generator:
        generator.shuffle(found)  # type: ignore[arg-type]
    yield from found
