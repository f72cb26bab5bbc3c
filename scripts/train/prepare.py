"""Makes pre-tokenised shards for distillation from parallel text.

Command: python prepare.py --parallel DIR --data DIR --encoder DIR --teacher DIR --output DIR
Inputs: NAME.LANG.tsv files (English, tab, translation), the labelled records (their dev and test texts are kept out), the tokenizers
of student and teacher.
Outputs: shard-NNN.safetensors of at most 60 MB, each a balanced mix of the languages; heldout.safetensors; shards.json with counts.
A shard holds three ragged lists of u16 token ids (`teacher`: English for the teacher; `english`, `other`: both sides for the student).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from data import parallel_rows, read_items, token_ids
from model import load_tokenizer

SEED = 11
MAX_STUDENT_TOKENS = 160
MAX_TEACHER_TOKENS = 192
SHARD_BYTES = 55_000_000
HELD_OUT_PAIRS = 150  # a language
SHINGLE_WORDS = 6  # the span that the labelled data's own `group` is built on
# Share of the token budget; Slavic and Romance languages help each other, so no language needs much more than another.
LANGUAGES = {"de": 1.4, "ru": 1.3, "uk": 1.1, "fr": 1.0, "es": 1.0, "it": 1.0, "pl": 1.1, "tr": 1.1, "ar": 1.1, "zh": 1.1, "cs": 1.0}
# How much likelier a line is drawn than filler text; the first pattern that matches the file's name counts.
WEIGHTS = [
    (r"kremlin|newstest|denews|wmt\d+-\w+-ref|wmt24-\w+-ref|qe-news|europarl", 6.0),
    (r"wmt", 4.0),
    (r"xnli|xquad|pawsx|mlqa|sib200|pud|mlqe|tico|geneval|ted|parcor|opennmt|stsb", 3.0),
    (r"bible", 0.3),
    (r"", 1.0),
]
NEIGHBOURS = r"newstest|wmt\d+-\w+-ref|denews\.|qe-news|europarl|ted|bible|xquad"  # neighbouring lines are neighbouring sentences
PASSAGE_LENGTHS = [1, 2, 3, 4, 5]
PASSAGE_SHARES = [0.45, 0.25, 0.15, 0.1, 0.05]
MAX_PASSAGE_CHARACTERS = 600


@dataclass
class Pair:
    english: str
    other: str
    weight: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parallel", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tokens", type=float, default=1e6, help="student tokens of the translations per unit of a language's share")
    options = parser.parse_args()
    prepare(options.parallel, options.data, options.encoder, options.teacher, options.output, options.tokens)


def prepare(parallel: Path, data: Path, encoder: Path, teacher: Path, output: Path, tokens: float) -> None:
    output.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    student, english = load_tokenizer(encoder), load_tokenizer(teacher)
    excluded = Excluded.from_data(data)
    train, held_out, counts = [], [], {}
    for language, share in LANGUAGES.items():
        pairs = draw(language_pairs(parallel, language, generator), generator)
        chosen, dropped = select(pairs, language, share * tokens, excluded, student, english)
        held_out += chosen[:HELD_OUT_PAIRS]
        train += chosen[HELD_OUT_PAIRS:]
        counts[language] = {"pairs": len(chosen) - HELD_OUT_PAIRS, "tokens": sum(len(row["other"]) for row in chosen), "excluded": dropped}
        print(language, counts[language], flush=True)
    english_held_out = {tuple(row["english"]) for row in held_out}
    train = [row for row in train if tuple(row["english"]) not in english_held_out]  # in whatever language it stands beside
    generator.shuffle(train)
    size = sum(2 * sum(map(len, (row["teacher"], row["english"], row["other"]))) for row in train)
    shards = -(-size // SHARD_BYTES)
    for index in range(shards):
        save_shard(output / f"shard-{index:03}.safetensors", train[index::shards])
    save_shard(output / "heldout.safetensors", held_out)
    (output / "shards.json").write_text(json.dumps({"languages": list(LANGUAGES), "shards": shards, "counts": counts}, indent=2) + "\n")


def language_pairs(folder: Path, language: str, generator: np.random.Generator) -> list[Pair]:
    """Lines and joined neighbours of all files of a language; of several translations of one sentence, one."""
    pairs = []
    for path in sorted(folder.glob(f"*.{language}.tsv")):
        weight = next(weight for pattern, weight in WEIGHTS if re.search(pattern, path.name))
        rows = parallel_rows(path)
        if "-sys" in path.name:
            versions = defaultdict(list)
            for source, translation in rows:
                versions[source].append(translation)
            rows = [(source, found[generator.integers(len(found))]) for source, found in versions.items()]
        if re.search(NEIGHBOURS, path.name):
            rows = joined(rows, generator)
        pairs += [Pair(source, translation, weight) for source, translation in rows]
    return pairs


def joined(rows: list[tuple[str, str]], generator: np.random.Generator) -> list[tuple[str, str]]:
    """Runs of one to five neighbouring lines as passages."""
    found, first = [], 0
    while first < len(rows):
        count = int(generator.choice(PASSAGE_LENGTHS, p=PASSAGE_SHARES))
        while count > 1 and sum(len(source) for source, _ in rows[first : first + count]) > MAX_PASSAGE_CHARACTERS:
            count -= 1
        run = rows[first : first + count]
        found.append((" ".join(source for source, _ in run), " ".join(translation for _, translation in run)))
        first += count
    return found


def draw(pairs: list[Pair], generator: np.random.Generator) -> list[Pair]:
    """All pairs in an order in which heavy ones come early."""
    return [pairs[index] for index in weighted_order(np.array([pair.weight for pair in pairs]), generator)]


def weighted_order(weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Indices in a random order in which heavy ones come early (Efraimidis and Spirakis 2006)."""
    return np.argsort(-(generator.random(len(weights)) ** (1 / weights)))


def select(
    pairs: list[Pair], language: str, budget: float, excluded: Excluded, student: Tokenizer, teacher: Tokenizer
) -> tuple[list[dict[str, list[int] | str]], int]:
    """The first pairs, as token ids, until the budget is used; without repeated, odd or held-out ones."""
    chosen: list[dict[str, list[int] | str]] = []
    seen: set[int] = set()
    used, dropped = 0, 0
    for first in range(0, len(pairs), 2000):
        block = []
        for pair in pairs[first : first + 2000]:
            key = hash(pair.other)
            if key in seen or not plausible(pair, language):
                continue
            seen.add(key)
            if excluded.holds(pair.english) or excluded.holds(pair.other):
                dropped += 1
                continue
            block.append(pair)
        teacher_ids = token_ids(teacher, [pair.english for pair in block], MAX_TEACHER_TOKENS)
        english_ids = token_ids(student, [pair.english for pair in block], MAX_STUDENT_TOKENS)
        other_ids = token_ids(student, [pair.other for pair in block], MAX_STUDENT_TOKENS)
        for row in zip(teacher_ids, english_ids, other_ids, strict=True):
            if used >= budget:
                return chosen, dropped
            chosen.append({"teacher": row[0], "english": row[1], "other": row[2], "language": language})
            used += len(row[2])
    return chosen, dropped


def plausible(pair: Pair, language: str) -> bool:
    """Neither side empty, tiny or out of proportion, nor the same text twice."""
    ratio = len(pair.other) / max(len(pair.english), 1)
    low, high = (0.1, 0.9) if language == "zh" else (0.4, 2.5)
    return len(pair.english) >= 15 and low <= ratio <= high and pair.english != pair.other


class Excluded:
    """Word runs of the dev and test texts and their translations."""

    def __init__(self, texts: list[str]) -> None:
        self.shingles: set[int] = set()
        self.add(texts)

    def add(self, texts: list[str]) -> None:
        self.shingles.update(shingle for text in texts for shingle in shingles(text))

    @classmethod
    def from_data(cls, folder: Path) -> Excluded:
        held = [item for item in read_items(folder) if item.split != "train"]
        return cls([text for item in held for text in (item.text, *item.translations.values())])

    def holds(self, text: str) -> bool:
        return not self.shingles.isdisjoint(shingles(text))


def shingles(text: str) -> list[int]:
    """Hashes of all runs of six words (of Chinese: characters, twice as many); of a shorter text, of the whole."""
    words = re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", text.lower())
    size = 2 * SHINGLE_WORDS if words and "\u4e00" <= words[len(words) // 2] <= "\u9fff" else SHINGLE_WORDS
    return [hash(tuple(words[first : first + size])) for first in range(max(len(words) - size, 0) + 1)]


def save_shard(path: Path, rows: list[dict]) -> None:
    tensors = {"language": np.array([list(LANGUAGES).index(row["language"]) for row in rows], np.uint8)}
    for name in ("teacher", "english", "other"):
        tensors[name] = np.array([token for row in rows for token in row[name]], np.uint16)
        tensors[f"{name}_lengths"] = np.array([len(row[name]) for row in rows], np.uint16)
    save_file(tensors, str(path))
    print(path.name, len(rows), f"{path.stat().st_size / 1e6:.1f} MB", dict(Counter(row["language"] for row in rows)), flush=True)


if __name__ == "__main__":
    main()
