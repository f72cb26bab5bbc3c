#!/usr/bin/env python3
"""Regressions of scikit-learn and scipy for the tests of src/eval/fit.

Command:  python scripts/eval/reference_fit.py tests/fixtures/fit.json
Needs:    numpy, scipy, scikit-learn >= 1.7
Inputs:   none; vectors and labels are drawn from a fixed seed.
Outputs:  one JSON file: vectors (N, H), two topics and levels of each row, and what the libraries make of them.

Vectors are made as the fit sees them: centred, divided by one number, mean squared length 1. For each topic and each penalty, alone and
with balanced classes: LogisticRegression(C = 1 / penalty). For the levels: scipy's minimum of the proportional-odds
likelihood (McCullagh 1980) with the same penalty on the slopes. Macro F1 of the topics: GroupKFold of five parts,
LogisticRegressionCV inside each part.
"""

import json
import sys

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold

SEED = 20261129
ROWS, COLUMNS, GROUPS, LEVELS = 240, 12, 80, 4
PENALTIES = [10.0, 0.32, 0.01]
DIGITS = 4


def draw(random):
    """Vectors off the origin with directions of unequal spread; two topics, one of them rare; levels along a third direction."""
    spread = 0.3 ** (np.arange(COLUMNS) / 4)
    x = random.normal(size=(ROWS, COLUMNS)) * spread + random.normal(size=COLUMNS)
    centred = (x - x.mean(axis=0)) / spread
    directions = random.normal(size=(3, COLUMNS)) / np.sqrt(COLUMNS)
    score = 2.5 * centred @ directions.T + random.logistic(size=(ROWS, 3))
    topics = score[:, :2] > [0.3, 2.2]
    levels = np.digitize(score[:, 2], [-2.0, 0.5, 2.0])
    return np.round(x, DIGITS), topics, levels


def standard(x):
    x = x.astype(np.float32).astype(float)
    centred = x - x.mean(axis=0)
    return centred / np.sqrt((centred**2).sum(axis=1).mean())


def proportional_odds(x, levels, penalty, weights):
    """Slopes and intercepts of P(level > k) = sigmoid(slopes · x + intercept[k]); intercepts as a first one and falls by exp."""

    def parts(parameters):
        slopes, first, falls = parameters[:COLUMNS], parameters[COLUMNS], parameters[COLUMNS + 1 :]
        return slopes, first - np.concatenate([[0.0], np.cumsum(np.exp(falls))])

    def loss(parameters):
        slopes, intercepts = parts(parameters)
        above = expit((x @ slopes)[:, None] + intercepts)
        edges = np.concatenate([np.ones((len(x), 1)), above, np.zeros((len(x), 1))], axis=1)
        of_gold = (edges[:, :-1] - edges[:, 1:])[np.arange(len(x)), levels]
        return -(weights * np.log(of_gold)).sum() + penalty / 2 * slopes @ slopes

    start = np.concatenate([np.zeros(COLUMNS), [1.0], np.zeros(LEVELS - 2)])
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-5, "maxiter": 5000})
    slopes, intercepts = parts(found.x)
    return {"slopes": slopes.tolist(), "intercepts": intercepts.tolist()}


def balanced(levels):
    counts = np.bincount(levels)
    return len(levels) / (len(counts) * counts[levels])


def main():
    random = np.random.default_rng(SEED)
    x, topics, levels = draw(random)
    groups = random.integers(0, GROUPS, size=ROWS)
    z = standard(x)
    cases = []
    for penalty in PENALTIES:
        for weighting in ["equal", "balanced"]:
            for topic in range(2):
                model = LogisticRegression(C=1 / penalty, tol=1e-9, max_iter=10000, class_weight="balanced" if weighting == "balanced" else None)
                model.fit(z, topics[:, topic])
                found = {"slopes": model.coef_[0].tolist(), "intercepts": model.intercept_.tolist()}
                cases.append({"label": f"topic {topic}", "penalty": penalty, "weights": weighting, **found})
            weights = balanced(levels) if weighting == "balanced" else np.ones(ROWS)
            cases.append({"label": "levels", "penalty": penalty, "weights": weighting, **proportional_odds(z, levels, penalty, weights)})
    predicted = np.zeros_like(topics)
    for inside, outside in GroupKFold(5).split(z, groups=groups):
        for topic in range(2):
            model = LogisticRegressionCV(Cs=9, cv=5, scoring="neg_log_loss", class_weight="balanced", max_iter=10000, use_legacy_attributes=False, l1_ratios=(0,))
            predicted[outside, topic] = model.fit(z[inside], topics[inside, topic]).predict(z[outside])
    macro_f1 = float(np.mean([f1_score(topics[:, topic], predicted[:, topic]) for topic in range(2)]))
    found = {"seed": SEED, "vectors": x.tolist(), "topics": topics.tolist(), "levels": levels.tolist(), "groups": groups.tolist(), "cases": cases, "macro_f1": macro_f1}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(found, file, separators=(",", ":"))
        file.write("\n")


main()
