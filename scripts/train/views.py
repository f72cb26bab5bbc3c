"""What a bundle makes of a text, averaged over the text and its translations: targets for finetune.py --views, without labels.

Command: python views.py --program detente --bundle DIR --corpora DIR --data DIR --exclude check.jsonl --output views.jsonl.gz
Inputs: the program and a bundle, parallel/NAME.LANG.tsv (English tab translation), the labelled records and further files of them whose texts must not
be among the views (check.jsonl is made by more.py --split check).
Outputs: JSON Lines, one a text: `texts` (language and text, of the original and its versions, two a language at most), `topics` (3), `escalation` (4, cumulative) and
`boilerplate`, logits before calibration, means over the versions. Of texts that look plain to the bundle only a share is kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from calibration import Calibration
from data import TARGET_LANGUAGES, parallel_rows, read_items
from prepare import NEIGHBOURS, Excluded, joined, weighted_order
from scheme import LEVEL_CODES, TOPIC_NAMES

SEED = 1
NEWS = r"kremlin|newstest|denews|wmt|qe-news|europarl|opennmt"
FILLERS = r"mlqe|xnli|pawsx|stsb|sib200|pud|geneval|ted-qe|xquad|tatoeba-manythings\.|multi30k"
TRANSLATED_FROM = re.compile(r"wmt\d+-(\w\w)en-")  # whose English side is the translation
SHORTEST, LONGEST = 20, 700  # characters
VERSIONS = 2  # a language
PLAIN = 0.12  # a topic's probability, or the distance of the expected level from 0, up to which a text is plain
PLAIN_SHARES = {NEWS: 0.12, FILLERS: 0.02}
LEAST = 1e-5  # probability


@dataclass
class Text:
    """One text in all its versions."""

    key: str  # the original
    source: str
    texts: list[tuple[str, str]] = field(default_factory=list)  # language, text

    def add(self, language: str, text: str) -> None:
        if sum(known == language for known, _ in self.texts) < VERSIONS and (language, text) not in self.texts:
            self.texts.append((language, text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--exclude", type=Path, nargs="*", default=[], help="further labelled records, JSON Lines")
    parser.add_argument("--texts", type=int, default=60_000, help="how many are kept at most; rare languages preferred")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    generator = np.random.default_rng(SEED)
    teacher = Teacher(options.program, options.bundle)
    found = [text for text in read_texts(options.corpora / "parallel", generator) if len(text.texts) > 1]
    print(f"{len(found)} texts with another version", flush=True)
    found = without_labelled(found, options.data, options.exclude)
    print(f"{len(found)} of them neither labelled nor close to dev, test or an excluded text", flush=True)
    found = interesting(found, teacher.outputs([text.key for text in found]), generator)
    print(f"{len(found)} of these not plain, or in the share of plain ones", flush=True)
    found = drawn(found, options.texts, generator)
    print(len(found), "kept", dict(Counter(text.source.split(".")[0] for text in found)), dict(Counter(language for text in found for language, _ in text.texts)), flush=True)
    write(options.output, found, teacher)


def read_texts(folder: Path, generator: np.random.Generator) -> list[Text]:
    """All texts of news and filler files in target languages; neighbouring sentences partly joined to passages."""
    found: dict[str, Text] = {}
    for path in sorted(folder.glob("*.tsv")):
        language = path.name.split(".")[-2]
        if language not in TARGET_LANGUAGES or not re.match(f"{NEWS}|{FILLERS}", path.name):
            continue
        rows = parallel_rows(path)
        if "-sys" in path.name:
            generator.shuffle(rows)  # the systems come one after the other
        elif re.search(NEIGHBOURS, path.name):
            rows += joined(rows, generator)
        backwards = TRANSLATED_FROM.match(path.name)
        for english, other in rows:
            versions = [("en", english), (language, other)]
            original = versions[bool(backwards)][1]
            if all(SHORTEST <= len(text) * (3 if known == "zh" else 1) <= LONGEST for known, text in versions) and english != other:
                text = found.setdefault(original, Text(original, path.name))
                for known, version in reversed(versions) if backwards else versions:
                    text.add(known, version)
    return list(found.values())


def without_labelled(found: list[Text], data: Path, files: list[Path]) -> list[Text]:
    items = read_items(data)
    labelled = {text for item in items for text in (item.text, *item.translations.values())}
    excluded = Excluded.from_data(data)
    for file in files:
        for record in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            excluded.add([record["text"], *(record.get("translations") or {}).values()])
    return [text for text in found if not any(version in labelled or excluded.holds(version) for _, version in text.texts)]


@dataclass
class Outputs:
    """Logits before calibration, and what the calibration makes of them."""

    topics: np.ndarray  # (N, 3)
    escalation: np.ndarray  # (N, 4)
    boilerplate: np.ndarray  # (N)
    distance: np.ndarray  # (N), from plain: the largest probability of a topic or distance of the expected level from 0


class Teacher:
    """A bundle, asked by way of the program."""

    def __init__(self, program: Path, bundle: Path) -> None:
        self.program, self.bundle = program, bundle
        self.calibration = Calibration.from_json(json.loads((bundle / "calibration.json").read_text()))
        if self.calibration.kind != "cumulative":
            raise ValueError(f"{bundle}: views.py knows cumulative levels only")

    def outputs(self, texts: list[str]) -> Outputs:
        topics, levels, boilerplate = np.zeros((len(texts), len(TOPIC_NAMES))), np.zeros((len(texts), len(LEVEL_CODES))), np.zeros(len(texts))
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            for index, text in enumerate(texts):
                file.write(json.dumps({"id": str(index), "text": text}) + "\n")
            file.flush()
            command = [self.program, "classify", file.name, "--model", self.bundle, "--format", "jsonl"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
                assert process.stdout is not None
                seen = 0
                for record in map(json.loads, process.stdout):
                    row = int(record["document"])
                    topics[row] = [record["topic_probabilities"][name] for name in TOPIC_NAMES]
                    levels[row] = [record["escalation_probabilities"][str(code)] for code in LEVEL_CODES]
                    boilerplate[row] = record["boilerplate_probability"]
                    seen += 1
            if process.returncode or seen != len(texts):
                raise RuntimeError(f"{seen} labels for {len(texts)} texts, exit status {process.returncode}")
        distance = np.maximum(topics.max(1), np.abs(levels @ np.array(LEVEL_CODES)))
        platts = self.calibration.topics
        scales, offsets = np.array([platt.scale for platt in platts]), np.array([platt.offset for platt in platts])
        above = levels[:, ::-1].cumsum(1)[:, -2::-1]  # (N, 4): P(level > k)
        return Outputs(
            (logit(topics) - offsets) / scales,
            logit(above) * self.calibration.temperature - np.array(self.calibration.offsets),
            (logit(boilerplate) - self.calibration.boilerplate.offset) / self.calibration.boilerplate.scale,
            distance,
        )


def logit(probabilities: np.ndarray) -> np.ndarray:
    clipped = probabilities.clip(LEAST, 1 - LEAST)
    return np.log(clipped / (1 - clipped))


def interesting(found: list[Text], outputs: Outputs, generator: np.random.Generator) -> list[Text]:
    """Texts that are not plain, and a share of those that are."""
    shares = np.array([PLAIN_SHARES[NEWS if re.match(NEWS, text.source) else FILLERS] for text in found])
    kept = (outputs.distance > PLAIN) | (generator.random(len(found)) < shares)
    return [text for text, keep in zip(found, kept, strict=True) if keep]


def drawn(found: list[Text], count: int, generator: np.random.Generator) -> list[Text]:
    """So many texts, those with a rare language likelier."""
    common = Counter(language for text in found for language, _ in text.texts)
    weights = np.array([max(common[language] ** -0.5 for language, _ in text.texts) for text in found])
    return [found[index] for index in np.sort(weighted_order(weights, generator)[:count])]


def write(output: Path, found: list[Text], teacher: Teacher) -> None:
    outputs = teacher.outputs([version for text in found for _, version in text.texts])
    start = 0
    with gzip.open(output, "wt", encoding="utf-8") as lines:
        for text in found:
            places = slice(start, start + len(text.texts))
            start = places.stop
            record = {
                "texts": text.texts,
                "topics": outputs.topics[places].mean(0).round(3).tolist(),
                "escalation": outputs.escalation[places].mean(0).round(3).tolist(),
                "boilerplate": round(float(outputs.boilerplate[places].mean()), 3),
            }
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
