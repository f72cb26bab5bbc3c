"""Figures of a bundle on one split, each with n and a 95 % bootstrap interval clustered by group.

Command: python figures.py --bundle models/detente-mini --data DIR --split dev --output figures.json [--float-checkpoint DIR]
Inputs: a bundle, the labelled records.
Outputs: JSON: set -> n, metrics as [value, low, high]; on test the second coder's figures on the same items beside them; per language
for news (originals and translations). With --float-checkpoint DIR also how many labels int8 storage changed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bundle import Bundle, write_json
from calibration import Calibration
from data import Item, Labels, read_items
from metrics import calibration_error, exact_extreme, f1, interval, kappa, macro_f1, opposite_sign
from model import load_checkpoint
from predict import LogitArrays, text_logits
from scheme import LEVEL_CODES, TOPIC_NAMES

MIN_LANGUAGE_ITEMS = 20
NEWS = ("news_parallel", "news_mono")


@dataclass
class Decisions:
    """Labels of texts, with probabilities where a model set them."""

    topics: np.ndarray  # (N, 3) bool
    levels: np.ndarray  # (N) codes
    boilerplate: np.ndarray  # (N) bool
    topic_probabilities: np.ndarray | None = None
    level_probabilities: np.ndarray | None = None
    boilerplate_probabilities: np.ndarray | None = None

    @classmethod
    def of_model(cls, logits: LogitArrays, calibration: Calibration) -> Decisions:
        boilerplate = calibration.boilerplate_probabilities(logits.boilerplate)
        return cls(
            calibration.topics_apply(logits.topics),
            calibration.levels(logits.escalation),
            boilerplate >= calibration.boilerplate.threshold,
            calibration.topic_probabilities(logits.topics),
            calibration.escalation_probabilities(logits.escalation),
            boilerplate,
        )

    def take(self, rows: np.ndarray) -> Decisions:
        return Decisions(*(None if value is None else value[rows] for value in vars(self).values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=["dev", "test"], required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--float-checkpoint", type=Path)
    options = parser.parse_args()
    items = [item for item in read_items(options.data) if item.split == options.split]
    bundle = Bundle(options.bundle)
    report = figures(bundle, items)
    if options.float_checkpoint:
        report["int8"] = storage_effect(bundle, options.float_checkpoint, items)
    write_json(options.output, report)
    print_report(report)


def figures(bundle: Bundle, items: list[Item]) -> dict[str, dict]:
    texts, owners, languages = [], [], []
    for item in fully_labelled(items):
        versions = {item.lang: item.text, **item.target_translations}
        texts += versions.values()
        owners += [item] * len(versions)
        languages += versions
    decisions = Decisions.of_model(text_logits(bundle.model, bundle.tokenizer, texts), bundle.calibration)
    original = np.array([text == item.text for text, item in zip(texts, owners, strict=True)])
    sets = np.array([item.set for item in owners])
    news = np.isin(sets, NEWS)
    selections = {"news": news & original, "authored": sets == "authored", "web": sets == "web", "news_all_languages": news}
    for language in sorted(set(languages)):
        selections[f"news.{language}"] = news & (np.array(languages) == language)
        selections[f"authored.{language}"] = (sets == "authored") & (np.array(languages) == language)
    sources = np.array([source_family(item.source) for item in owners])
    for source in sorted(set(sources[news])):
        selections[f"source.{source}"] = news & original & (sources == source)
    report = {}
    for name, selected in selections.items():
        rows = np.flatnonzero(selected)
        if len(rows) < MIN_LANGUAGE_ITEMS:
            continue
        chosen = [owners[row] for row in rows]
        report[name] = {"n": len(rows), **measured(chosen, decisions.take(rows))}
        seconded = [item for item in chosen if item.second]
        if len(seconded) == len(chosen) and name in ("news", "authored", "web", "news_all_languages"):
            report[name]["second_coder"] = measured(seconded, second_decisions(seconded))
    report["translations"] = consistency(owners, decisions)
    return report


def source_family(source: str) -> str:
    """`wmt22-deen-sys.de.tsv` and `wmt23-encs-sys.cs.tsv` are both wmt; else the name before the language."""
    name = source.split(".")[0]
    return "wmt" if name.startswith("wmt") else name


def fully_labelled(items: list[Item]) -> list[Item]:
    return [item for item in items if None not in (item.topics, item.escalation, item.boilerplate)]


def measured(items: list[Item], decisions: Decisions) -> dict[str, list[float]]:
    """All metrics of one set of texts. Escalation and topics are measured on content and boilerplate alike."""
    labels, groups = Labels.of(items), [item.group for item in items]
    topics, boilerplate = labels.topics == 1, labels.boilerplate == 1
    gold = np.array(LEVEL_CODES)[labels.escalation]
    metrics = {
        "topics_macro_f1": lambda w: macro_f1(topics, decisions.topics, w),
        **{f"{name}_f1": lambda w, column=column: f1(topics[:, column], decisions.topics[:, column], w) for column, name in enumerate(TOPIC_NAMES)},
        "escalation_kappa": lambda w: kappa(gold, decisions.levels, w),
        "opposite_sign": lambda w: opposite_sign(gold, decisions.levels, w),
    }
    if boilerplate.any():
        metrics["boilerplate_f1"] = lambda w: f1(boilerplate, decisions.boilerplate, w)
    if decisions.topic_probabilities is not None:
        probabilities = decisions.topic_probabilities
        metrics["topics_ece"] = lambda w: float(np.mean([calibration_error(topics[:, c], probabilities[:, c], w) for c in range(len(TOPIC_NAMES))]))
        sure = decisions.level_probabilities.max(1)
        hit = decisions.level_probabilities.argmax(1) == labels.escalation
        metrics["escalation_ece"] = lambda w: calibration_error(hit, sure, w)
        metrics["boilerplate_ece"] = lambda w: calibration_error(boilerplate, decisions.boilerplate_probabilities, w)
    found = {name: interval(metric, groups) for name, metric in metrics.items()}
    flags = {"boilerplate_f1": (boilerplate, decisions.boilerplate)}
    flags |= {f"{name}_f1": (topics[:, column], decisions.topics[:, column]) for column, name in enumerate(TOPIC_NAMES)}
    trials = {"opposite_sign": gold != 0} | {name: labelled | given for name, (labelled, given) in flags.items()}
    for name in trials.keys() & found.keys():
        value, low, high = found[name]
        if low == high and value in (0, 1) and trials[name].any():
            low, high = exact_extreme(value, trials[name], groups)
            if name in flags:  # the trials are those of Jaccard's index
                low, high = 2 * low / (1 + low), 2 * high / (1 + high)
            found[name] = value, low, high
    return {name: [round(value, 4) for value in values] for name, values in found.items()}


def second_decisions(items: list[Item]) -> Decisions:
    seconds = [item.second or {} for item in items]
    topics = np.array([[name in second["topics"] for name in TOPIC_NAMES] for second in seconds])
    return Decisions(topics, np.array([second["escalation"] for second in seconds]), np.array([bool(second.get("boilerplate")) for second in seconds]))


def consistency(owners: list[Item], decisions: Decisions) -> dict[str, float | int]:
    """Original against each translation: same topics among pairs where either has one, same sign among pairs where either is not 0."""
    topics, signs = [], []
    first = 0
    for row in range(1, len(owners)):
        if owners[row] is not owners[first]:
            first = row
            continue
        if decisions.topics[first].any() or decisions.topics[row].any():
            topics.append((decisions.topics[first] == decisions.topics[row]).all())
        if decisions.levels[first] or decisions.levels[row]:
            signs.append(np.sign(decisions.levels[first]) == np.sign(decisions.levels[row]))
    return {"same_topics": round(float(np.mean(topics or [0])), 4), "topic_pairs": len(topics), "same_sign": round(float(np.mean(signs or [0])), 4), "sign_pairs": len(signs)}


def storage_effect(bundle: Bundle, checkpoint: Path, items: list[Item]) -> dict[str, int]:
    """How many items get another label from the stored weights than from the checkpoint's f32 weights."""
    texts = [item.text for item in items]
    stored = Decisions.of_model(text_logits(bundle.model, bundle.tokenizer, texts), bundle.calibration)
    full = Decisions.of_model(text_logits(load_checkpoint(checkpoint), bundle.tokenizer, texts), bundle.calibration)
    return {
        "n": len(items),
        "topics_changed": int((stored.topics != full.topics).any(1).sum()),
        "level_changed": int((stored.levels != full.levels).sum()),
        "boilerplate_changed": int((stored.boilerplate != full.boilerplate).sum()),
    }


def print_report(report: dict[str, dict]) -> None:
    for name, values in report.items():
        shown = {key: f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]" if isinstance(value, list) else value for key, value in values.items() if key != "second_coder"}
        print(name, json.dumps(shown))
        if "second_coder" in values:
            print("   second coder", json.dumps({key: f"{value[0]:.3f}" for key, value in values["second_coder"].items()}))


if __name__ == "__main__":
    main()
