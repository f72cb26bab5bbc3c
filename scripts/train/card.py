"""Fills the tables of a model card from measured figures.

Command: python card.py --card CARD.md --figures test.json [--baseline baseline.json]
Inputs: a card with lines `<!-- table: NAME -->` … `<!-- end of table -->`; the JSON of figures.py on test, that of baseline.py on dev.
Outputs: the card, each such block replaced by the table NAME: sets, languages, sources, translations, baseline. Without --baseline that table stays.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

BLOCK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->\n)", re.DOTALL)
SETS = {
    "news": "news, as published",
    "news_all_languages": "news, with translations",
    "authored": "authored (synthetic)",
    "web": "web lines (synthetic)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--baseline", type=Path)
    options = parser.parse_args()
    figures = json.loads(options.figures.read_text())
    tables = {
        "sets": sets_table(figures),
        "languages": slices_table(figures, "language"),
        "sources": slices_table(figures, "source"),
        "translations": translations_table(figures["translations"]),
    }
    if options.baseline:
        tables["baseline"] = baseline_table(json.loads(options.baseline.read_text()))
    card = options.card.read_text()
    options.card.write_text(BLOCK.sub(lambda block: block[1] + tables.get(block[2], block[3]) + block[4], card))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: list[float] | None) -> str:
    """A figure with its interval; a dash where there is none."""
    return "–" if value is None else f"{value[0]:.2f} [{value[1]:.2f}, {value[2]:.2f}]"


def point(value: list[float] | None) -> str:
    return "–" if value is None else f"{value[0]:.2f}"


def sets_table(figures: dict[str, dict]) -> str:
    topics = ["topics_macro_f1", "military_f1", "diplomacy_f1", "sanctions_f1"]
    header = ["set", "n", "topics macro-F1", "military", "diplomacy", "sanctions", "escalation kappa", "opposite sign", "boilerplate F1"]
    rows = []
    for name, title in SETS.items():
        if name not in figures:
            continue
        found = figures[name]
        hidden = {"boilerplate_f1"} if name.startswith("news") else set(topics) | {"escalation_kappa", "opposite_sign"} if name == "web" else set()
        names = [*topics, "escalation_kappa", "opposite_sign", "boilerplate_f1"]
        errors = [found.get(f"{label}_ece") for label in ("topics", "escalation", "boilerplate")]
        rows.append([title, str(found["n"]), *("–" if name in hidden else shown(found.get(name)) for name in names), " / ".join(map(point, errors))])
        second = found.get("second_coder")
        if second:
            rows.append(["– second coder on the same items", str(found["n"]), *("–" if name in hidden else point(second.get(name)) for name in names), ""])
    return table([*header, "ECE topics / escalation / boilerplate"], rows)


def slices_table(figures: dict[str, dict], kind: str) -> str:
    """News by language or source; by language the authored set beside it."""
    if kind == "source":
        names = sorted((name for name in figures if name.startswith("source.")), key=lambda name: -figures[name]["n"])
        rows = [[name.removeprefix("source."), str(figures[name]["n"]), *map(shown, scores(figures[name]))] for name in names]
        return table(["source", "n", "topics macro-F1", "escalation kappa", "opposite sign"], rows)
    languages = sorted({name.split(".")[1] for name in figures if name.startswith(("news.", "authored."))})
    rows = []
    for language in languages:
        row = [language]
        for name in (f"news.{language}", f"authored.{language}"):
            row += [str(figures[name]["n"]), *map(shown, scores(figures[name])[:2])] if name in figures else ["< 20", "", ""]
        rows.append(row)
    return table(["language", "news: n", "topics macro-F1", "escalation kappa", "authored: n", "topics macro-F1", "escalation kappa"], rows)


def scores(found: dict[str, list[float]]) -> list[list[float]]:
    return [found["topics_macro_f1"], found["escalation_kappa"], found["opposite_sign"]]


def translations_table(found: dict[str, float]) -> str:
    rows = [["same topics", f"{found['same_topics']:.0%}", str(found["topic_pairs"])], ["same sign of escalation", f"{found['same_sign']:.0%}", str(found["sign_pairs"])]]
    return table(["original against translation", "share", "pairs where either has a topic, or is not 0"], rows)


def baseline_table(report: dict[str, dict]) -> str:
    rows = []
    for name, values in report.items():
        for metric, title in (("topics_macro_f1", "topics macro-F1"), ("escalation_kappa", "escalation kappa")):
            found = values[metric]
            difference = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*found["difference"])
            rows.append([name, str(values["n"]), title, shown(found["bundle"]), shown(found["baseline"]), difference])
    return table(["set (dev)", "n", "figure", "bundle", "n-grams", "difference"], rows)


if __name__ == "__main__":
    main()
