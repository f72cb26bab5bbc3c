"""What each part of the recipe gives: short runs of finetune.py with one change at a time, several seeds each.

Command: python ablation.py --data DIR --encoder DIR --lower FILE --work DIR --steps 600 --seeds 1 2 3 [--jobs 2] [--variants NAME …]
Inputs: labelled records, an encoder folder without heads, the file of lower.py --layers 8 for it.
Outputs, below --work: VARIANT-SEED.json, the dev figures of one run; a table on standard output, mean and half the 95 % interval (t).
Every run takes the same number of steps, with the upper four layers and the heads learning and without averaging of weights, which over so few
steps would be a mean of the whole way. It is calibrated on dev, translations included, and judged there, and on the pairs of
eval/behaviour/negation.jsonl (passed: both signs of the level as the gold has them). A run whose figures are there
is not done again, so a table that was cut off goes on where it was; figures made with other options are refused. Seeds come one after another
over all variants: what is there at any time is balanced. A run that fails is told and the others go on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from bundle import quantise_in_place, write_json
from calibrate import Sample, fit, with_translations
from data import FILES, Item, Labels, opened, read_items
from figures import NEWS, Decisions, consistency
from metrics import kappa, macro_f1
from model import load_checkpoint, load_tokenizer
from predict import text_logits
from scheme import LEVEL_CODES

FROZEN = 8
NEGATION = Path(__file__).resolve().parents[2] / "eval" / "behaviour" / "negation.jsonl"
COMMON = {"frozen": FROZEN, "topics_weight": 3.0, "layer_rate": 2.5e-4, "head_rate": 1e-3, "keep_last": 1, "averaging": 0.0}


@dataclass
class Variant:
    """One change to the recipe: options of finetune.py, or train records left out."""

    options: dict[str, object] = field(default_factory=dict)
    without: tuple[str, ...] = ()  # sets
    translations: bool = True


WHOLE = "whole recipe"
VARIANTS = {
    WHOLE: Variant(),
    "without the labels of news_more": Variant(without=("news_more",)),
    "without own groups": Variant(without=("contrast", "pairs")),
    "without translations of news": Variant(translations=False),
    "without losses on companions": Variant(options={"agreement_weight": 0.0, "margin_weight": 0.0}),
    "softmax for the level": Variant(options={"escalation": "softmax"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--lower", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="the whole recipe is always among them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side, one thread each")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    names = [name for name in VARIANTS if name == WHOLE or name in options.variants]
    runs = [(name, seed) for seed in options.seeds for name in names]
    with ThreadPoolExecutor(options.jobs) as pool:
        attempts = {run: pool.submit(train_and_judge, *run, options) for run in runs}
    failed = {run: attempt.exception() for run, attempt in attempts.items() if attempt.exception()}
    for (name, seed), fault in failed.items():
        print(f"{name}, seed {seed}: {fault}", file=sys.stderr)
    if failed:
        sys.exit(f"{len(failed)} of {len(runs)} runs failed; their logs are in {options.work}")
    print_table(options.work, options.seeds, names)


def train_and_judge(name: str, seed: int, options: argparse.Namespace) -> None:
    """One run in a process of its own; its checkpoint is removed once its figures are written."""
    variant, label = VARIANTS[name], name.replace(" ", "-")
    figures, checkpoint = options.work / f"{label}-{seed}.json", options.work / f"{label}-{seed}"
    given = COMMON | {"steps": options.steps, "seed": seed, "lower": str(options.lower)} | variant.options
    made_with = given | {"data": str(options.data), "encoder": str(options.encoder), "without": list(variant.without), "translations": variant.translations}
    if figures.exists():
        if json.loads(figures.read_text())["options"] != made_with:
            raise ValueError(f"{figures} was made with other options: move it away, or name another --work")
        return
    data = options.work / f"data-{label}-{seed}"
    thin(options.data, data, variant)
    arguments = [text for key, value in given.items() for text in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, str(Path(__file__).with_name("finetune.py")), "--data", data, "--encoder", options.encoder, "--output", checkpoint, *arguments]
    one_thread = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (options.work / f"{label}-{seed}.log").open("w") as log:
        subprocess.run([str(part) for part in command], env=os.environ | one_thread, stdout=log, stderr=subprocess.STDOUT, check=True)
    dev = [item for item in read_items(options.data) if item.split == "dev"]
    write_json(figures, {"options": made_with, "figures": judged(checkpoint, dev)})
    shutil.rmtree(checkpoint)
    shutil.rmtree(data)


def thin(data: Path, output: Path, variant: Variant) -> None:
    """A copy of the labelled records, the train ones without what the variant leaves out."""
    output.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        source = data / file
        if not source.exists():
            continue
        with opened(source, "rt") as lines, opened(output / file, "wt") as kept:
            for line in lines:
                record = json.loads(line)
                if record["split"] == "train" and name in variant.without:
                    continue
                if record["split"] == "train" and not variant.translations:
                    record.pop("translations", None)
                kept.write(json.dumps(record, ensure_ascii=False) + "\n")


def judged(checkpoint: Path, dev: list[Item]) -> dict[str, float]:
    """Figures on dev, calibrated there: topics macro-F1, kappa and log loss of both, by kind of text; agreement of translations; negation."""
    model = quantise_in_place(load_checkpoint(checkpoint))
    texts, items, weights = with_translations(dev)
    tokenizer, labels = load_tokenizer(checkpoint), Labels.of(items)
    logits = text_logits(model, tokenizer, texts, bf16=True)
    calibration = fit(Sample(logits, labels, weights), model.heads.escalation_kind, "dev")
    decisions = Decisions.of_model(logits, calibration)
    gold = np.array(LEVEL_CODES)[labels.escalation]
    level_loss = -np.log(decisions.level_probabilities[np.arange(len(texts)), labels.escalation].clip(1e-9))
    hit = np.where(labels.topics == 1, decisions.topic_probabilities, 1 - decisions.topic_probabilities)
    topics_loss = -np.log(hit.clip(1e-9)).mean(1)
    original = np.array([item.text == text for item, text in zip(items, texts)])
    news, authored = (np.array([item.set in sets for item in items]) for sets in (NEWS, ("authored",)))
    figures = {}
    for name, rows in {"news": news & original, "news translations": news & ~original, "authored": authored & original}.items():
        ones = np.ones(rows.sum())
        figures |= {
            f"{name} topics": macro_f1(labels.topics[rows] == 1, decisions.topics[rows], ones),
            f"{name} kappa": kappa(gold[rows], decisions.levels[rows], ones),
            f"{name} topics loss": float(topics_loss[rows].mean()),
            f"{name} level loss": float(level_loss[rows].mean()),
        }
    agreement = consistency(items, decisions)
    pairs = [json.loads(line) for line in NEGATION.read_text().splitlines()]
    sides = [side for pair in pairs for side in (pair["a"], pair["b"])]
    turned = calibration.levels(text_logits(model, tokenizer, [side["text"] for side in sides], bf16=True).escalation)
    right = np.sign(turned) == np.sign([side["escalation"] for side in sides])
    return figures | {"same topics": agreement["same_topics"], "same sign": agreement["same_sign"], "negation": float(right.reshape(-1, 2).all(1).mean())}


def print_table(work: Path, seeds: list[int], names: list[str]) -> None:
    """One row a variant: mean and half the 95 % interval over seeds, and the difference to the whole recipe with the same seeds."""
    results = {name: [json.loads((work / f"{name.replace(' ', '-')}-{seed}.json").read_text())["figures"] for seed in seeds] for name in names}
    columns = list(results[WHOLE][0])
    whole = np.array([[run[column] for column in columns] for run in results[WHOLE]])
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, runs in results.items():
        values = np.array([[run[column] for column in columns] for run in runs])
        shown = values if name == WHOLE else values - whole
        half = stats.t.ppf(0.975, len(seeds) - 1) * shown.std(0, ddof=1) / len(seeds) ** 0.5 if len(seeds) > 1 else np.full(len(columns), np.nan)
        sign = "" if name == WHOLE else "+"
        print(f"| {name} | " + " | ".join(f"{mean:{sign}.3f} ± {width:.3f}" for mean, width in zip(shown.mean(0), half)) + " |")


if __name__ == "__main__":
    main()
