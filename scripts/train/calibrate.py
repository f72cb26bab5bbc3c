"""Fits calibration.json on dev: logits to probabilities, thresholds, and how a level is decided.

Command: python calibrate.py --checkpoint DIR --data DIR
Inputs: a checkpoint folder, the labelled records (dev only). The encoder is quantised first: what is calibrated is what ships.
Outputs: calibration.json in the checkpoint folder.
News weighs most. A news text and its translations into the target languages share the weight of one item, so that the calibration holds
for all languages without counting an item twice.
"""

from __future__ import annotations

import argparse
import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from bundle import quantise_in_place, write_json
from calibration import MIDPOINTS, Calibration, Platt, decide, escalation_probabilities, sigmoid
from data import Item, Labels, read_items
from metrics import f1, kappa
from model import load_checkpoint, load_tokenizer
from predict import LogitArrays, text_logits
from scheme import LEVEL_CODES, TOPIC_NAMES

SET_WEIGHTS = {"news_parallel": 1.0, "news_mono": 1.0, "news_more": 1.0, "authored": 0.5, "web": 0.5, "contrast": 0.5, "pairs": 0.5}
THRESHOLDS = np.arange(0.2, 0.801, 0.01)
THRESHOLD_SMOOTHING = 7  # neighbouring thresholds averaged, so that no single lucky item decides
RULE_MARGIN = 0.005  # of kappa that a more complicated rule must give


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    calibrate(options.checkpoint, options.data)


def calibrate(checkpoint: Path, data: Path) -> Calibration:
    dev = [item for item in read_items(data) if item.split == "dev"]
    texts, items, weights = with_translations(dev)
    model = quantise_in_place(load_checkpoint(checkpoint))
    logits = text_logits(model, load_tokenizer(checkpoint), texts)
    sample = Sample(logits, Labels.of(items), weights)
    counts = {name: sum(item.set == name for item in dev) for name in SET_WEIGHTS}
    fitted_on = "dev of " + ", ".join(f"{name} ({count})" for name, count in counts.items() if count) + f"; {len(texts)} texts with translations; {datetime.date.today()}"
    calibration = fit(sample, model.heads.escalation_kind, fitted_on)
    write_json(checkpoint / "calibration.json", calibration.to_json())
    print(json.dumps(calibration.to_json(), indent=2))
    return calibration


def with_translations(items: list[Item]) -> tuple[list[str], list[Item], np.ndarray]:
    """Texts, the item of each, and weights that add up to the set's weight over an item's versions."""
    texts, owners, weights = [], [], []
    for item in items:
        versions = [item.text, *item.target_translations.values()]
        texts += versions
        owners += [item] * len(versions)
        weights += [SET_WEIGHTS[item.set] / len(versions)] * len(versions)
    return texts, owners, np.array(weights)


@dataclass
class Sample:
    """What a calibration is fitted on."""

    logits: LogitArrays
    labels: Labels
    weights: np.ndarray


def fit(sample: Sample, kind: str, fitted_on: str) -> Calibration:
    topics = [fit_platt(sample.logits.topics[:, index], sample.labels.topics[:, index], sample.weights) for index in range(len(TOPIC_NAMES))]
    boilerplate = fit_platt(sample.logits.boilerplate, sample.labels.boilerplate, sample.weights)
    known = sample.labels.escalation >= 0
    logits, levels, weights = sample.logits.escalation[known], sample.labels.escalation[known], sample.weights[known]
    temperature, offsets = fit_escalation(logits, levels, weights, kind)
    probabilities = escalation_probabilities(logits, kind, temperature, np.array(offsets))
    rule, cutpoints = fit_rule(probabilities, np.array(LEVEL_CODES)[levels], weights)
    return Calibration(topics, boilerplate, kind, temperature, offsets, rule, cutpoints, fitted_on)


def fit_platt(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Platt:
    """Platt scaling by weighted maximum likelihood, then the threshold of the best (smoothed) F1."""
    known = labels >= 0
    logits, gold, weights = logits[known].astype(np.float64), labels[known] == 1, weights[known]
    if not gold.any() or gold.all():
        return Platt()

    def loss(parameters: np.ndarray) -> float:
        probabilities = sigmoid(parameters[0] * logits + parameters[1]).clip(1e-9, 1 - 1e-9)
        return float(-(weights * np.where(gold, np.log(probabilities), np.log(1 - probabilities))).sum() / weights.sum())

    # From the default simplex, whose side in the offset is nearly 0, some fits end before they have arrived.
    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"initial_simplex": [[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]]})
    if not found.success:
        raise RuntimeError(f"Platt scaling did not converge: {found.message}")
    scale, offset = found.x
    platt = Platt(round(float(scale), 4), round(float(offset), 4))
    probabilities = platt.probability(logits)
    scores = np.array([f1(gold, probabilities >= threshold, weights) for threshold in THRESHOLDS])
    padded = np.pad(scores, THRESHOLD_SMOOTHING // 2, mode="edge")
    smooth = np.convolve(padded, np.ones(THRESHOLD_SMOOTHING) / THRESHOLD_SMOOTHING, "valid")
    platt.threshold = round(float(THRESHOLDS[smooth.argmax()]), 2)
    return platt


def fit_escalation(logits: np.ndarray, levels: np.ndarray, weights: np.ndarray, kind: str) -> tuple[float, list[float]]:
    """Temperature and offsets by weighted maximum likelihood."""

    def loss(parameters: np.ndarray) -> float:
        probabilities = escalation_probabilities(logits, kind, float(np.exp(parameters[0])), parameters[1:])
        return float(-(weights * np.log(probabilities[np.arange(len(levels)), levels].clip(1e-6))).sum() / weights.sum() + 1e-4 * np.square(parameters).sum())

    found = minimize(loss, np.zeros(1 + logits.shape[1]), method="Nelder-Mead", options={"maxiter": 3000, "maxfev": 3000, "adaptive": True}).x
    return round(float(np.exp(found[0])), 4), [round(float(offset), 4) for offset in found[1:]]


def fit_rule(probabilities: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> tuple[str, list[float]]:
    """The rule with the best kappa; simpler rules win within RULE_MARGIN."""
    scores = {rule: kappa(gold, decide(probabilities, rule, MIDPOINTS), weights) for rule in ("mode", "median")}
    cutpoints = fit_cutpoints(probabilities, gold, weights)
    scores["cutpoints"] = kappa(gold, decide(probabilities, "cutpoints", cutpoints), weights) - RULE_MARGIN
    print("kappa by rule", {rule: round(score, 4) for rule, score in scores.items()})
    return max(scores, key=lambda rule: scores[rule]), cutpoints


def fit_cutpoints(probabilities: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> list[float]:
    """Coordinate ascent of kappa over cutpoints on the expected value, in steps of 0.05."""
    cutpoints = list(MIDPOINTS)
    for _ in range(4):
        for index in range(len(cutpoints)):
            low = cutpoints[index - 1] + 0.1 if index else -1.95
            high = cutpoints[index + 1] - 0.1 if index + 1 < len(cutpoints) else 1.95
            candidates = np.arange(low, high + 1e-9, 0.05)
            scores = np.array([kappa(gold, decide(probabilities, "cutpoints", [*cutpoints[:index], value, *cutpoints[index + 1 :]]), weights) for value in candidates])
            smooth = np.convolve(np.pad(scores, 1, mode="edge"), np.ones(3) / 3, "valid")
            cutpoints[index] = round(float(candidates[smooth.argmax()]), 3)
    return cutpoints


if __name__ == "__main__":
    main()
