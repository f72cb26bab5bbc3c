#!/usr/bin/env python3
"""Figures of scikit-learn, scipy and krippendorff for the tests of src/eval/metrics.

Command:  python scripts/eval/reference_metrics.py tests/fixtures/metrics.json
Needs:    numpy, scipy, scikit-learn >= 1.7, krippendorff >= 0.8 (pip install krippendorff)
Inputs:   none; the cases are drawn from a fixed seed: random ones, and degenerate ones (one class absent, all ties,
          nothing predicted, one item, none).
Outputs:  one JSON file: for every case its input and the expected figures, null where a figure is not defined.

What no library has (sign accuracy, ranked probability score, prevalence, Holm) is computed here with numpy, straight from the formula.
"""

import json
import math
import sys
import warnings

import krippendorff
import numpy as np
from scipy import stats
from sklearn import metrics

SEED = 20261122
BINS = 10
LEVELS = 5
CODES = np.arange(-2, 3)
warnings.filterwarnings("ignore")


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def defined(function):
    """The value, or None where the library refuses the input or has no number for it."""
    try:
        return number(function())
    except ValueError:
        return None


def ece(probability, hit):
    probability, hit = np.asarray(probability), np.asarray(hit, dtype=float)
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    return sum(abs((hit - probability)[bins == b].sum()) for b in range(BINS)) / len(hit)


def alpha(first, second, level, domain):
    if len(set(first) | set(second)) < 2:
        return None
    return defined(lambda: krippendorff.alpha([first, second], value_domain=domain, level_of_measurement=level))


def binary(name, gold, predicted, probability):
    gold, predicted, probability = (np.asarray(x) for x in (gold, predicted, probability))
    keys = "precision recall f1 average_precision kappa alpha brier log_loss ece".split()
    expected = dict.fromkeys(keys)
    if len(gold):
        nan = {"zero_division": np.nan}
        clipped = np.clip(probability, 0, 1)
        expected = {
            "precision": number(metrics.precision_score(gold, predicted, **nan)),
            "recall": number(metrics.recall_score(gold, predicted, **nan)),
            "f1": number(metrics.f1_score(gold, predicted, **nan)),
            "average_precision": number(metrics.average_precision_score(gold, probability)) if gold.any() else None,
            "kappa": defined(lambda: metrics.cohen_kappa_score(gold, predicted, labels=[0, 1])),
            "alpha": alpha(gold.astype(int).tolist(), predicted.astype(int).tolist(), "nominal", [0, 1]),
            "brier": number(metrics.brier_score_loss(gold, clipped, pos_label=1)),
            "log_loss": number(metrics.log_loss(gold, probability, labels=[0, 1])),
            "ece": number(ece(probability, gold)),
        }
    return {
        "name": name,
        "gold": gold.astype(bool).tolist(),
        "predicted": predicted.astype(bool).tolist(),
        "probability": probability.tolist(),
        "expected": expected,
    }


def multilabel(name, gold, predicted):
    gold, predicted = np.asarray(gold, dtype=bool), np.asarray(predicted, dtype=bool)
    expected = {
        "macro_f1": number(metrics.f1_score(gold, predicted, average="macro", zero_division=np.nan)),
        "micro_f1": number(metrics.f1_score(gold, predicted, average="micro", zero_division=np.nan)),
        "subset_accuracy": number(metrics.accuracy_score(gold, predicted)),
        "false_alarm_rate": number(predicted[~gold.any(axis=1)].any(axis=1).mean()),
    }
    return {"name": name, "gold": gold.tolist(), "predicted": predicted.tolist(), "expected": expected}


def ordinal(name, gold, predicted, probabilities):
    gold, predicted = np.asarray(gold, dtype=int), np.asarray(predicted, dtype=int)
    probabilities = np.asarray(probabilities, dtype=float).reshape(len(gold), LEVELS)
    scores = probabilities @ CODES
    labels = list(range(LEVELS))
    case = {
        "name": name,
        "gold": gold.tolist(),
        "predicted": predicted.tolist(),
        "probabilities": probabilities.tolist(),
        "scores": scores.tolist(),
        "confusion": np.zeros((LEVELS, LEVELS)).tolist(),
    }
    keys = """accuracy macro_f1 kappa quadratic_weighted_kappa mean_absolute_error macro_mean_absolute_error spearman
        kendall_tau_b score_spearman score_kendall_tau_b sign_accuracy opposite_share alpha_nominal alpha_ordinal
        ranked_probability_score brier log_loss ece""".split()
    if not len(gold):
        return case | {"expected": dict.fromkeys(keys)}
    truth = np.eye(LEVELS)[gold]
    charged = CODES[gold] != 0
    sign = np.sign(CODES[gold]) * np.sign(CODES[predicted])
    mode = probabilities.argmax(axis=1)
    cumulated = (np.cumsum(probabilities, axis=1) - np.cumsum(truth, axis=1))[:, :-1]
    values = [
        metrics.accuracy_score(gold, predicted),
        metrics.f1_score(gold, predicted, labels=labels, average="macro", zero_division=np.nan),
        metrics.cohen_kappa_score(gold, predicted, labels=labels),
        metrics.cohen_kappa_score(gold, predicted, labels=labels, weights="quadratic"),
        metrics.mean_absolute_error(gold, predicted),
        np.mean([metrics.mean_absolute_error(gold[gold == g], predicted[gold == g]) for g in np.unique(gold)]),
        stats.spearmanr(gold, predicted).statistic if len(gold) > 1 else np.nan,
        stats.kendalltau(gold, predicted, variant="b").statistic,
        stats.spearmanr(gold, scores).statistic if len(gold) > 1 else np.nan,
        stats.kendalltau(gold, scores, variant="b").statistic,
        (sign[charged] == 1).mean() if charged.any() else np.nan,
        (sign[charged] == -1).mean() if charged.any() else np.nan,
        alpha(gold.tolist(), predicted.tolist(), "nominal", labels),
        alpha(gold.tolist(), predicted.tolist(), "ordinal", labels),
        (cumulated**2).sum(axis=1).mean() / (LEVELS - 1),
        ((probabilities - truth) ** 2).sum(axis=1).mean(),
        metrics.log_loss(gold, probabilities, labels=labels),
        ece(probabilities.max(axis=1), mode == gold),
    ]
    case["confusion"] = metrics.confusion_matrix(gold, predicted, labels=labels).tolist()
    return case | {"expected": {k: None if v is None else number(v) for k, v in zip(keys, values, strict=True)}}


def prevalence(name, labelled, target):
    """Arguments: (gold, predicted) of the labelled sample and of the target."""
    (lg, lp), (tg, tp) = ((np.asarray(a, dtype=float) for a in pair) for pair in (labelled, target))
    hits = lp[lg == 1].mean() if (lg == 1).any() else np.nan
    alarms = lp[lg == 0].mean() if (lg == 0).any() else np.nan
    adjusted = np.clip((tp.mean() - alarms) / (hits - alarms), 0, 1) if hits > alarms else np.nan
    expected = {
        "count_error": number(tp.mean() - tg.mean()),
        "adjusted_count": number(adjusted),
        "prediction_powered": number(tp.mean() + (lg - lp).mean()),
    }
    lists = [[a.astype(bool).tolist() for a in pair] for pair in ((lg, lp), (tg, tp))]
    return {"name": name, "labelled": lists[0], "target": lists[1], "expected": expected}


def holm(p_values):
    p_values = np.asarray(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * (len(p_values) - np.arange(len(p_values))))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(stepped, 1)
    return corrected.tolist()


def main():
    random = np.random.default_rng(SEED)

    def flags(n, share):
        return random.random(n) < share

    def probabilities(gold, digits):
        drawn = np.clip(0.5 * random.random(len(gold)) + 0.4 * np.asarray(gold), 0, 1)
        return np.round(drawn, digits)

    def distributions(gold, sharpness):
        logits = random.normal(size=(len(gold), LEVELS)) + sharpness * np.eye(LEVELS)[gold]
        odds = np.exp(logits)
        return odds / odds.sum(axis=1, keepdims=True)

    cases = {"seed": SEED, "binary": [], "multilabel": [], "ordinal": [], "prevalence": []}
    for n, share, digits in [(120, 0.3, 3), (80, 0.5, 1), (60, 0.05, 2), (50, 0.9, 2)]:
        gold = flags(n, share)
        p = probabilities(gold, digits)
        cases["binary"].append(binary(f"random {n} {share} {digits}", gold, p >= 0.5, p))
    some = flags(20, 0.5)
    for name, gold, predicted, p in [
        ("no gold", np.zeros(20), some, probabilities(some, 2)),
        ("all gold", np.ones(20), some, probabilities(some, 2)),
        ("nothing predicted", some, np.zeros(20), np.full(20, 0.1)),
        ("neither", np.zeros(5), np.zeros(5), np.full(5, 0.2)),
        ("all ties", some, np.ones(20), np.full(20, 0.7)),
        ("certain and wrong", [1, 0, 1], [0, 1, 1], [0.0, 1.0, 1.0]),
        ("one item", [1], [1], [0.9]),
        ("one false alarm", [0], [1], [0.6]),
        ("no item", [], [], []),
    ]:
        cases["binary"].append(binary(name, np.asarray(gold, dtype=bool), np.asarray(predicted, dtype=bool), p))

    for name, n, shares in [("random", 90, [0.3, 0.2, 0.1]), ("one topic absent", 40, [0.4, 0.3, 0.0])]:
        gold = np.stack([flags(n, share) for share in shares], axis=1)
        flips = np.stack([flags(n, 0.15 if share else 0.0) for share in shares], axis=1)
        cases["multilabel"].append(multilabel(name, gold, gold ^ flips))
    cases["multilabel"].append(multilabel("all empty", np.zeros((6, 3)), np.zeros((6, 3))))
    cases["multilabel"].append(multilabel("no item without topic", np.ones((6, 3)), random.random((6, 3)) < 0.7))

    for n, sharpness in [(150, 2.0), (80, 0.5), (60, 0.0)]:
        gold = random.choice(LEVELS, size=n, p=[0.05, 0.15, 0.5, 0.2, 0.1])
        drawn = distributions(gold, sharpness)
        cases["ordinal"].append(ordinal(f"random {n} {sharpness}", gold, drawn.argmax(axis=1), drawn))
    gold = random.choice([0, 2, 3], size=40)
    drawn = distributions(gold, 1.0)
    cases["ordinal"].append(ordinal("two levels absent in gold", gold, drawn.argmax(axis=1), drawn))
    cases["ordinal"].append(ordinal("two levels absent on both sides", gold, random.permutation(gold), drawn))
    flat = np.full((12, LEVELS), 1 / LEVELS)
    cases["ordinal"].append(ordinal("all scores tied", gold[:12], np.full(12, 2), flat))
    cases["ordinal"].append(ordinal("one gold level", np.full(12, 3), drawn[:12].argmax(axis=1), drawn[:12]))
    cases["ordinal"].append(ordinal("one level on both sides", np.full(12, 2), np.full(12, 2), drawn[:12]))
    cases["ordinal"].append(ordinal("perfect", np.arange(5), np.arange(5), np.eye(LEVELS)))
    cases["ordinal"].append(ordinal("reversed", np.arange(5), np.arange(5)[::-1], np.eye(LEVELS)[::-1]))
    cases["ordinal"].append(ordinal("one item", [4], [3], drawn[:1]))
    cases["ordinal"].append(ordinal("no item", [], [], []))

    for name, n, share, error in [("random", 60, 0.3, 0.2), ("chance", 30, 0.5, 0.5), ("no positives", 20, 0.0, 0.2)]:
        pairs = []
        for size in (n, 2 * n):
            gold = flags(size, share)
            pairs.append((gold, gold ^ flags(size, error)))
        cases["prevalence"].append(prevalence(name, *pairs))

    labelled = ([1, 1, 0, 0, 0], [1, 1, 1, 0, 0])
    cases["prevalence"].append(prevalence("clipped at 0", labelled, ([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0])))
    cases["prevalence"].append(prevalence("no better than chance", ([1, 0], [0, 1]), ([1, 0], [1, 0])))

    counts = [(0, 0), (1, 0), (3, 9), (12, 12), (20, 41), (150, 210), (0, 60), (4000, 4300)]
    cases["mcnemar"] = [
        {"first": a, "second": b, "p": float(stats.binomtest(a, a + b).pvalue) if a + b else 1.0} for a, b in counts
    ]
    p_values = [0.04, 0.001, 0.03, 0.5, 0.03, 0.9]
    cases["holm"] = {"p": p_values, "corrected": holm(p_values)}

    path = sys.argv[1]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")


main()
