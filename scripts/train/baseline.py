"""Compares a bundle with character n-gram logistic regression trained on the same rows, by paired bootstrap on the same dev items.

Command: python baseline.py --bundle models/detente-mini --data DIR --output baseline.json
Inputs: a bundle, the labelled records. The baseline learns from every train text and every translation into the target languages, with
the same confidence weights; its thresholds are fitted on dev as the bundle's are, which favours neither.
Outputs: JSON: set -> metric -> bundle, baseline, difference, each [value, low, high]; intervals clustered by group.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bundle import Bundle, write_json
from calibrate import Sample, fit, with_translations
from data import Item, Labels, read_items
from figures import NEWS, Decisions, fully_labelled
from finetune import CONFIDENCE_WEIGHTS
from metrics import interval, kappa, macro_f1
from predict import LogitArrays, text_logits
from scheme import LEVEL_CODES

NGRAMS = (1, 4)
MAX_FEATURES = 150_000
REGULARISATION = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    write_json(options.output, compare(Bundle(options.bundle), options.data))
    print(options.output.read_text())


def compare(bundle: Bundle, data: Path) -> dict[str, dict]:
    items = read_items(data)
    dev = fully_labelled([item for item in items if item.split == "dev"])
    model = Decisions.of_model(text_logits(bundle.model, bundle.tokenizer, [item.text for item in dev]), bundle.calibration)
    baseline = baseline_decisions(fully_labelled([item for item in items if item.split == "train"]), dev)
    report = {}
    for name, members in {"news": NEWS, "authored": ("authored",)}.items():
        rows = np.array([row for row, item in enumerate(dev) if item.set in members], dtype=int)
        if len(rows):
            report[name] = {"n": len(rows), **compared([dev[row] for row in rows], model.take(rows), baseline.take(rows))}
    return report


def baseline_decisions(train: list[Item], dev: list[Item]) -> Decisions:
    texts, items, weights = with_translations(train)
    weights = weights * np.array([CONFIDENCE_WEIGHTS[item.confidence] for item in items])
    labels = Labels.of(items)
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=NGRAMS, max_features=MAX_FEATURES, sublinear_tf=True, dtype=np.float32)
    features = vectorizer.fit_transform(texts)
    targets = [labels.topics[:, index] == 1 for index in range(labels.topics.shape[1])] + [labels.boilerplate == 1]
    targets += [labels.escalation > boundary for boundary in range(len(LEVEL_CODES) - 1)]
    models = [LogisticRegression(C=REGULARISATION, solver="liblinear").fit(features, target, weights) for target in targets]

    def logits(of: list[str]) -> LogitArrays:
        found = np.stack([fitted.decision_function(vectorizer.transform(of)) for fitted in models], 1)
        return LogitArrays(found[:, :3], found[:, 4:], found[:, 3])

    dev_texts, dev_items, dev_weights = with_translations(dev)
    calibration = fit(Sample(logits(dev_texts), Labels.of(dev_items), dev_weights), "cumulative", "dev")
    return Decisions.of_model(logits([item.text for item in dev]), calibration)


def compared(items: list[Item], model: Decisions, baseline: Decisions) -> dict[str, dict[str, list[float]]]:
    labels, groups = Labels.of(items), [item.group for item in items]
    topics, gold = labels.topics == 1, np.array(LEVEL_CODES)[labels.escalation]
    metrics = {
        "topics_macro_f1": lambda decisions, w: macro_f1(topics, decisions.topics, w),
        "escalation_kappa": lambda decisions, w: kappa(gold, decisions.levels, w),
    }
    report = {}
    for name, metric in metrics.items():
        report[name] = {
            "bundle": interval(lambda w: metric(model, w), groups),
            "baseline": interval(lambda w: metric(baseline, w), groups),
            "difference": interval(lambda w: metric(model, w) - metric(baseline, w), groups),
        }
    return json.loads(json.dumps(report), parse_float=lambda value: round(float(value), 4))


if __name__ == "__main__":
    main()
