"""calibration.json: from logits to probabilities and decisions.

Inputs: logits as numpy arrays (N, ·). Outputs: probabilities, escalation levels (codes -2..2). `calibrate.py` fits the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scheme import LEVEL_CODES, TOPIC_NAMES

MIDPOINTS = [-1.5, -0.5, 0.5, 1.5]


@dataclass
class Platt:
    """p = sigmoid(scale * logit + offset); applies when p >= threshold."""

    scale: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5

    def probability(self, logits: np.ndarray) -> np.ndarray:
        return sigmoid(self.scale * logits.astype(np.float64) + self.offset)


@dataclass
class Calibration:
    """Everything between logits and labels; the default is the identity."""

    topics: list[Platt] = field(default_factory=lambda: [Platt() for _ in TOPIC_NAMES])
    boilerplate: Platt = field(default_factory=Platt)
    kind: str = "softmax"  # of the escalation head: softmax or cumulative
    temperature: float = 1.0
    offsets: list[float] = field(default_factory=lambda: [0.0] * len(LEVEL_CODES))
    rule: str = "mode"  # mode, median or cutpoints
    cutpoints: list[float] = field(default_factory=lambda: list(MIDPOINTS))
    fitted_on: str = "not fitted"

    def topic_probabilities(self, logits: np.ndarray) -> np.ndarray:
        return np.stack([platt.probability(logits[:, index]) for index, platt in enumerate(self.topics)], 1)

    def topics_apply(self, logits: np.ndarray) -> np.ndarray:
        return self.topic_probabilities(logits) >= np.array([platt.threshold for platt in self.topics])

    def boilerplate_probabilities(self, logits: np.ndarray) -> np.ndarray:
        return self.boilerplate.probability(logits)

    def escalation_probabilities(self, logits: np.ndarray) -> np.ndarray:
        return escalation_probabilities(logits, self.kind, self.temperature, np.array(self.offsets))

    def levels(self, logits: np.ndarray) -> np.ndarray:
        return decide(self.escalation_probabilities(logits), self.rule, self.cutpoints)

    def to_json(self) -> dict[str, object]:
        decision: dict[str, object] = {"rule": self.rule}
        if self.rule == "cutpoints":
            decision["cutpoints"] = self.cutpoints
        return {
            "topics": [{"name": name, **vars(platt)} for name, platt in zip(TOPIC_NAMES, self.topics, strict=True)],
            "escalation": {"temperature": self.temperature, "offsets": self.offsets, "decision": decision},
            "boilerplate": vars(self.boilerplate),
            "fitted_on": self.fitted_on,
        }

    @classmethod
    def from_json(cls, value: dict) -> Calibration:
        if any("isotonic" in entry for entry in [*value["topics"], value["boilerplate"]]):
            raise ValueError("calibration.json has isotonic breakpoints, which only detente itself reads; fit it with --method platt")
        escalation = value["escalation"]
        platt = lambda entry: Platt(entry["scale"], entry["offset"], entry["threshold"])  # noqa: E731
        return cls(
            topics=[platt(entry) for entry in value["topics"]],
            boilerplate=platt(value["boilerplate"]),
            kind="softmax" if len(escalation["offsets"]) == len(LEVEL_CODES) else "cumulative",
            temperature=escalation["temperature"],
            offsets=list(escalation["offsets"]),
            rule=escalation["decision"]["rule"],
            cutpoints=escalation["decision"].get("cutpoints", list(MIDPOINTS)),
            fitted_on=value["fitted_on"],
        )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -700, 700)))


def escalation_probabilities(logits: np.ndarray, kind: str, temperature: float, offsets: np.ndarray) -> np.ndarray:
    """(N, 5) softmax logits or (N, 4) cumulative logits -> (N, 5) probabilities that sum to 1."""
    adjusted = (logits.astype(np.float64) + offsets) / temperature
    if kind == "softmax":
        weights = np.exp(adjusted - adjusted.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)
    above = np.minimum.accumulate(sigmoid(adjusted), axis=1)  # (N, 4): P(level > k), made non-increasing
    edges = np.concatenate([np.ones((len(above), 1)), above, np.zeros((len(above), 1))], 1)
    return edges[:, :-1] - edges[:, 1:]


def decide(probabilities: np.ndarray, rule: str, cutpoints: list[float]) -> np.ndarray:
    """Probabilities (N, 5) -> level codes: the mode, the median, or where the expected value lies among the cutpoints."""
    codes = np.array(LEVEL_CODES)
    if rule == "mode":
        nearest = np.argsort(np.abs(codes), kind="stable")  # of equals the level nearest to 0
        return codes[nearest[probabilities[:, nearest].argmax(1)]]
    if rule == "median":
        return codes[(probabilities.cumsum(1) < 0.5).sum(1).clip(max=len(codes) - 1)]
    expected = probabilities @ codes  # (N)
    return codes[(np.array(cutpoints) < expected[:, None]).sum(1)]
