#!/usr/bin/env python3
"""Fits of scikit-learn and scipy for the tests of src/eval/tune.

Command:  python scripts/eval/reference_tuning.py tests/fixtures/tuning.json
Needs:    numpy, scipy, scikit-learn >= 1.7
Inputs:   none; the cases are drawn from a fixed seed: random ones, and degenerate ones (labels that the logit separates, ties, one
          item of a kind, logits in the thousands).
Outputs:  one JSON file: for every case its input and what the libraries fit.

Platt: scipy's minimum of the loss with Platt's targets, which is what scikit-learn's CalibratedClassifierCV(method="sigmoid") makes
small. Isotonic: IsotonicRegression between 1 / (n + 2) and (n + 1) / (n + 2). Escalation: the least loss that scipy finds from
several starts; the parameters are not compared, since different ones can give the same loss.
"""

import json
import sys

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn.isotonic import IsotonicRegression

SEED = 20261129
RIDGE, LEAST_PROBABILITY = 1e-4, 1e-6


def flag(name, logits, holds):
    logits, holds = np.asarray(logits, dtype=np.float32).astype(float), np.asarray(holds, dtype=bool)
    positives, negatives = holds.sum(), (~holds).sum()
    targets = np.where(holds, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def fit(with_offset):
        scale = np.abs(logits).max()  # so that the optimiser's steps suit logits of any size
        x = np.stack([logits / scale, np.full(len(logits), float(with_offset))], axis=1)

        def loss(parameters):
            z = x @ parameters
            return (np.logaddexp(0, z) - targets * z).mean()

        def slope(parameters):
            return x.T @ (expit(x @ parameters) - targets) / len(x)

        def curve(parameters):
            p = expit(x @ parameters)
            return (x * (p * (1 - p))[:, None]).T @ x / len(x) + np.diag([0, 1e-12 * (not with_offset)])

        found = minimize(loss, [0, 0], jac=slope, hess=curve, method="trust-exact", options={"gtol": 1e-13, "maxiter": 10000})
        return [found.x[0] / scale, found.x[1]]

    n = len(logits)
    isotonic = IsotonicRegression(y_min=1 / (n + 2), y_max=(n + 1) / (n + 2), out_of_bounds="clip").fit(logits, holds)
    low, high = logits.min(), logits.max()
    grid = np.concatenate([np.linspace(low - 1, high + 1, 41), np.unique(logits)]).astype(np.float32).astype(float)
    return {
        "name": name,
        "logits": logits.tolist(),
        "holds": holds.tolist(),
        "platt": fit(True),
        "temperature": fit(False)[0],
        "grid": grid.tolist(),
        "isotonic": isotonic.predict(grid).tolist(),
    }


def level_probabilities(logits, head, parameters):
    adjusted = (logits + parameters[1:]) / np.exp(parameters[0])
    if head == "softmax":
        return np.exp(adjusted - logsumexp(adjusted, axis=1, keepdims=True))
    above = np.minimum.accumulate(expit(adjusted), axis=1)
    edges = np.concatenate([np.ones((len(above), 1)), above, np.zeros((len(above), 1))], axis=1)
    return edges[:, :-1] - edges[:, 1:]


def scale(name, logits, levels, head):
    logits = np.asarray(logits, dtype=np.float32).astype(float)

    def loss(parameters):
        of_gold = level_probabilities(logits, head, parameters)[np.arange(len(levels)), levels]
        return -np.log(of_gold.clip(LEAST_PROBABILITY)).mean() + RIDGE * np.square(parameters).sum()

    size = 1 + logits.shape[1]
    starts = [np.zeros(size), *np.random.default_rng(1).normal(scale=0.5, size=(3, size))]
    options = {"maxiter": 20000, "maxfev": 20000, "adaptive": True, "xatol": 1e-8, "fatol": 1e-12}
    losses = [minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts]
    return {"name": name, "head": head, "logits": logits.tolist(), "levels": levels.tolist(), "before": loss(np.zeros(size)), "loss": min(losses)}


def main():
    random = np.random.default_rng(SEED)

    def drawn(n, share, distance, digits):
        holds = random.random(n) < share
        return np.round(random.normal(size=n) + distance * holds - 1, digits), holds

    flags = [flag(f"random {case}", *drawn(*case)) for case in [(150, 0.3, 2.0, 3), (80, 0.5, 0.5, 2), (60, 0.1, 1.5, 1), (40, 0.8, 3.0, 0)]]
    flags += [
        flag("separated", np.arange(20) - 9.5, np.arange(20) > 9),
        flag("one with the label", random.normal(size=30), np.arange(30) == 7),
        flag("one without", random.normal(size=30), np.arange(30) != 7),
        flag("two items", [-1.0, 2.0], [False, True]),
        flag("reversed", np.arange(12.0), np.arange(12) < 4),
        flag("large logits", 3000 * random.normal(size=50), random.random(50) < 0.4),
    ]
    scales = []
    for n, sharpness in [(150, 2.0), (60, 0.5)]:
        levels = random.choice(5, size=n, p=[0.05, 0.15, 0.5, 0.2, 0.1])
        softmax = 2 * (random.normal(size=(n, 5)) + sharpness * np.eye(5)[levels] + [0, 0, -1, 0, 1])
        scales.append(scale(f"softmax {n} {sharpness}", softmax, levels, "softmax"))
        steps = 2 * sharpness * (levels[:, None] - np.arange(4) - 0.5) + random.normal(size=(n, 4)) + [1, 0.5, 0, -1]
        scales.append(scale(f"cumulative {n} {sharpness}", steps, levels, "cumulative"))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"seed": SEED, "flags": flags, "scales": scales}, file, separators=(",", ":"))
        file.write("\n")


main()
