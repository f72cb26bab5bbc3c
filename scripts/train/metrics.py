"""Metrics with weights, and bootstrap intervals clustered by group.

Inputs: arrays of gold labels and predictions, one weight per item. Outputs: numbers; intervals.
An interval draws groups with replacement and weighs each item by how often its group was drawn.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from scheme import LEVEL_CODES

REPLICATES = 1000
CALIBRATION_BINS = 10
SEED = 3

Weighted = Callable[[np.ndarray], float]


def f1(gold: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """F1 of the positive class; (N) bool each. 0 where nothing is positive on either side."""
    hits = (weights * (gold & predicted)).sum()
    total = (weights * gold).sum() + (weights * predicted).sum()
    return float(2 * hits / total) if total else 0.0


def macro_f1(gold: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """Mean F1 over the columns of (N, A)."""
    return float(np.mean([f1(gold[:, column], predicted[:, column], weights) for column in range(gold.shape[1])]))


def kappa(gold: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """Quadratic-weighted kappa (Cohen 1968) of level codes; (N) each. 0 where either side is constant."""
    size = len(LEVEL_CODES)
    low = LEVEL_CODES[0]
    table = np.bincount((gold - low) * size + predicted - low, weights, size * size).reshape(size, size)
    cost = np.square(np.arange(size)[:, None] - np.arange(size))
    expected = np.outer(table.sum(1), table.sum(0)) / max(table.sum(), 1e-12)
    chance = (cost * expected).sum()
    return float(1 - (cost * table).sum() / chance) if chance else 0.0


def opposite_sign(gold: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """Share of the items whose gold level is not 0 that are given a level of the other sign."""
    turned = gold != 0
    total = (weights * turned).sum()
    return float((weights * (gold * predicted < 0)).sum() / total) if total else 0.0


def calibration_error(hits: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error over equal-width bins: |hit rate - mean probability|, weighted by bin."""
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights * (hits - probabilities), CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def interval(metric: Weighted, groups: list[str]) -> tuple[float, float, float]:
    """The metric with all weights 1, and its 95 % bootstrap interval over groups."""
    _, codes = np.unique(np.array(groups), return_inverse=True)
    found = replicates(metric, codes)
    return metric(np.ones(len(codes))), float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def exact_extreme(proportion: float, trials: np.ndarray, groups: list[str]) -> tuple[float, float]:
    """A proportion of 0 or 1 has no scatter in the bootstrap, yet is not certain: the exact interval (Clopper and Pearson
    1934), with as many independent trials as there are groups that hold one."""
    count = len({group for group, is_trial in zip(groups, trials) if is_trial})
    reach = 0.025 ** (1 / count)
    return (0.0, 1 - reach) if proportion == 0 else (reach, 1.0)


def replicates(metric: Weighted, codes: np.ndarray) -> np.ndarray:
    """The metric under REPLICATES draws of groups; `codes` numbers each item's group."""
    generator = np.random.default_rng(SEED)
    count = int(codes.max()) + 1
    draws = (np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(REPLICATES))
    return np.array([metric(draw[codes].astype(float)) for draw in draws])
