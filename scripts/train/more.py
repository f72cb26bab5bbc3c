"""Puts the texts back to labels that are committed without them.

Command: python more.py --labels labels/news_more.jsonl --corpora DIR --data DATA --output DATA/news_more.jsonl.gz
         python more.py --labels labels/news_check.jsonl --corpora DIR --output check.jsonl --split check
Inputs: labels keyed by source file and hash of the text; parallel/NAME.LANG.tsv and mono/NAME.LANG.txt, which may not be committed;
--data, labelled records: versions that share six words with their dev and test texts are left out, the whole text if it is the original.
Outputs: labelled records in the codebook's format, compressed where the name ends in .gz, with the translations that the parallel files hold; how many labels found their text.
A text is a line, two or three neighbouring lines, or three neighbouring sentences of a long line, with normalised white space.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Iterator

from data import TARGET_LANGUAGES, opened, parallel_rows
from prepare import Excluded
from windows import normalise

HASH_DIGITS = 16
LONG = 600  # characters; longer lines were labelled in parts
SENTENCE_END = re.compile(r"(?<=[.!?؟])\s+")
PARALLEL = r"newstest|kremlin|denews|wmt\d+-\w+-ref|qe-news|europarl|sib200|pud|wmt24-ts-en(es|uk|zh)-sys"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    labels = {record["hash"]: record for record in map(json.loads, options.labels.read_text().splitlines())}
    found = texts(labels, options.corpora)
    if options.data:
        found = apart(found, Excluded.from_data(options.data))
    with opened(options.output, "wt") as output:
        for key, record in labels.items():
            if key in found:
                text, translations = found[key]
                rest = {name: value for name, value in record.items() if name != "hash"}
                output.write(json.dumps({"id": f"more-{key}", "text": text, "translations": translations, **rest, "split": options.split}, ensure_ascii=False) + "\n")
    print(f"{len(found)} of {len(labels)} labels found their text")


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]


def texts(wanted: dict[str, dict], corpora: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Text and translations by hash."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    translations: dict[str, dict[str, str]] = defaultdict(dict)  # of an English line
    files = [path for path in sorted(corpora.glob("parallel/*.tsv")) if re.match(PARALLEL, path.name) and path.name.split(".")[-2] in TARGET_LANGUAGES]
    sequences = []
    for path in files:
        language = path.name.split(".")[-2]
        rows = parallel_rows(path)
        for english, other in rows:
            translations[english].setdefault(language, other)
        sequences.append([english for english, _ in rows])
    for lines in sequences:
        for first in range(len(lines)):
            for count in (1, 2, 3):
                run = lines[first : first + count]
                key = text_hash(" ".join(run))
                if key in wanted and key not in found:
                    languages = sorted(set.intersection(*(set(translations[line]) for line in run)))
                    found[key] = " ".join(run), {language: " ".join(translations[line][language] for line in run) for language in languages}
    for name in sorted({record["source"] for record in wanted.values()} & {path.name for path in corpora.glob("mono/*.txt")}):
        for line in (corpora / "mono" / name).open(encoding="utf-8"):
            for text in passages(line):
                key = text_hash(text)
                if key in wanted:
                    found[key] = text, {}
    return found


def apart(found: dict[str, tuple[str, dict[str, str]]], excluded: Excluded) -> dict[str, tuple[str, dict[str, str]]]:
    """The texts, and of these the translations, that share no word run with what is excluded."""
    kept = {key: (text, versions) for key, (text, versions) in found.items() if not excluded.holds(text)}
    return {key: (text, {language: version for language, version in versions.items() if not excluded.holds(version)}) for key, (text, versions) in kept.items()}


def passages(line: str) -> Iterator[str]:
    """What can have been labelled of one line of monolingual text."""
    text = re.sub(r"^content: \['?", "", normalise(line))
    if len(text) <= LONG:
        yield text
        return
    sentences = SENTENCE_END.split(text)
    for first in range(len(sentences)):
        yield " ".join(sentences[first : first + 3])


if __name__ == "__main__":
    main()
