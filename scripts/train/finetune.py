"""Fine-tunes encoder and heads together on the labelled records.

Command: python finetune.py --data DIR --encoder DIR --output DIR --epochs 6
Inputs: labelled records (train for learning, dev for the choice of the epoch), an encoder folder, or a checkpoint folder to go on from.
Outputs: a checkpoint folder with the best epoch by dev, or the last; log.jsonl with the dev figures of every epoch.
Losses: topics and boilerplate binary cross-entropy; escalation ordinal (cumulative: one binary question per boundary, Frank and Hall
2001) or softmax. Two more over texts that belong together and so share a batch: a text and its translation, or two texts of a group of
`pairs` with the same topics and level (other names mostly), should get the same probabilities; members of a contrast group must lie apart as far as their gold levels do.
With --views, texts without labels take part, two versions of each at a time: their targets are what an earlier model made of all versions together.
Items weigh by the coder's confidence; labels that are not known are left out. With --known, items that an earlier model has right are
seen in fewer epochs and weigh as much more when they are. With --frozen, the embeddings and so many layers stay as they are, and what
they give is read from the file of lower.py: a step costs a third with 8 of 12 layers. Each epoch draws a translation of a text
anew and roughens some texts (case, quotes, diacritics, missing full stop), so that no surface form carries a label.
"""

from __future__ import annotations

import argparse
import json
import time
import unicodedata
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import combinations, count
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertModel

from calibration import MIDPOINTS, decide, escalation_probabilities
from data import VIEWS, Item, Labels, batches, padded, read_items, read_views, token_ids
from lower import LowerLayers, apply_layers
from metrics import f1, kappa, macro_f1
from model import Classifier, Heads, Logits, load_encoder, load_heads, load_tokenizer, pooled, save_checkpoint
from predict import LogitArrays, text_logits
from scheme import LEVEL_CODES
from windows import MAX_LENGTH

CONFIDENCE_WEIGHTS = {2: 1.0, 1: 0.7, 0: 0.3}
SET_WEIGHTS = {"authored": 1.0, "web": 1.0, "contrast": 1.0, "pairs": 0.6, "news_parallel": 1.0, "news_mono": 1.2, "news_more": 1.2, VIEWS: 1.0}

NEWS_SETS = ("news_parallel", "news_mono", "news_more")
GROUPED_SETS = ("contrast", "pairs")  # whose groups hold texts that differ little
UNKNOWN_LOSS = 0.8  # from which on an item is seen in every epoch
LEAST_SHARE = 0.2  # of the epochs see what is known best
MARGIN = 0.8  # of the distance of two gold levels, that the expected levels must keep


@dataclass
class Options:
    """What a run may vary."""

    epochs: float = 4
    seed: int = 1
    escalation: str = "cumulative"
    dense: int = 0  # width of a layer that fresh heads share; 0: none
    batch_tokens: int = 2500
    layer_rate: float = 1.6e-4
    embedding_rate: float = 2.5e-4
    head_rate: float = 1e-3
    layer_decay: float = 0.95  # of the rate, per layer downwards
    dropout: float = 0.1
    warmup: float = 0.05  # share of all steps
    english_share: float = 0.4  # of the parallel items seen in English as well as in translation, per epoch
    plain_share: float = 0.5  # of the news without topic and level, which are half of all, seen per epoch
    topics_weight: float = 1.0
    escalation_weight: float = 1.0
    boilerplate_weight: float = 1.0
    agreement_weight: float = 0.5
    margin_weight: float = 0.5
    views: str = ""  # file of views.py; "": none
    views_share: float = 0.5  # of the texts of an epoch
    views_weight: float = 1.0
    roughen_share: float = 0.25
    unknown_share: float = 0.05  # of tokens replaced by <unk>; none with --frozen
    known: str = ""  # JSON Lines of `set`, `id`, `loss`: what an earlier model makes of the train items; "": every item in every epoch
    averaging: float = 0.997  # decay per step of the running average of the weights, which is judged and kept; 0: the last weights
    frozen: int = 0  # layers that stay as they are, with the embeddings; 0: everything learns
    lower: str = ""  # file of lower.py with what they give; "": computed at every step
    compile: int = 0  # 1: layers compiled, which a C++ compiler has to be there for; faster after the first minutes
    keep_last: int = 0  # 1: the last epoch is saved, whatever dev says of it
    minutes: float = 0.0  # 0: no limit; else the run is planned to fit and stops there
    steps: int = 0  # 0: as many as the epochs have; else the run is planned for so many, whatever --epochs says, and stops there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    for name, value in asdict(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    finetune(given.pop("data"), given.pop("encoder"), given.pop("output"), Options(**given))


def finetune(data: Path, encoder_folder: Path, output: Path, options: Options) -> None:
    if options.lower and not options.frozen:
        raise ValueError(f"--lower {options.lower} is of layers that stay as they are: give --frozen too, with as many as lower.py was given")
    if options.views and options.escalation != "cumulative":
        raise ValueError("--views has targets for the cumulative head: leave out --escalation or --views")
    torch.manual_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    items = read_items(data)
    train, dev = [item for item in items if item.split == "train"], [item for item in items if item.split == "dev"]
    tokenizer = load_tokenizer(encoder_folder)
    encoder = load_encoder(encoder_folder)
    set_dropout(encoder, 0.0 if options.frozen else options.dropout)
    freeze(encoder, options.frozen)
    shares = shares_seen(train, options.known)
    model = Classifier(encoder, start_heads(encoder_folder, encoder.config.hidden_size, options)).to(device)
    lower = LowerLayers(encoder, options.frozen, Path(options.lower) if options.lower else None) if options.frozen else None
    if options.compile:
        for layer in encoder.encoder.layer[options.frozen :]:
            layer.compile(dynamic=True)
    weights = LossWeights.of(train, device)
    views = Views(read_views(Path(options.views)) if options.views else [], generator)
    optimizer = make_optimizer(model, options)
    average = RunningAverage(model, options.averaging)
    output.mkdir(parents=True, exist_ok=True)
    (output / "options.json").write_text(json.dumps(asdict(options), indent=2) + "\n")
    started, best, done, planned = time.monotonic(), -1.0, 0, 0.0
    for epoch in count() if options.steps else range(int(np.ceil(options.epochs))):
        examples = epoch_examples(train, shares, options, generator)
        examples += views.examples(round(len(examples) * options.views_share / (1 - options.views_share) / 2), options, generator)
        sequences = token_ids(tokenizer, [example.text for example in examples], MAX_LENGTH)
        order = list(batches([len(ids) for ids in sequences], options.batch_tokens, generator, [example.cluster for example in examples]))
        planned = planned or options.steps or len(order) * options.epochs
        labels = Labels.of([example.item for example in examples])
        model.train()
        losses = []
        for picked in order:
            elapsed = (time.monotonic() - started) / 60
            used = max(done / planned, elapsed / options.minutes if options.minutes else 0.0)
            if used >= 1:
                break
            set_rates(optimizer, used, options.warmup)
            members = [sequences[index] for index in picked]
            with torch.autocast(device.type, torch.bfloat16):
                logits = logits_above(model, lower, members, options) if lower else logits_of(model, members, tokenizer.token_to_id("<unk>"), options)
            company = [examples[index] for index in picked]
            loss = weights.loss(logits, labels, np.array(picked), company, options)
            loss = loss + company_loss(logits, company, options) + views_loss(logits, company, options)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update()
            losses.append(loss.item())
            done += 1
        line = {"epoch": epoch, "steps": done, "minutes": round((time.monotonic() - started) / 60, 1), "loss": round(float(np.mean(losses)), 4)}
        with average.applied():
            line |= dev_figures(model, tokenizer, dev, options.escalation)
            print(json.dumps(line), flush=True)
            with (output / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            if options.keep_last or line["score"] > best:
                best = line["score"]
                save_checkpoint(output, model, encoder_folder / "tokenizer.json")
        if done >= planned or options.minutes and (time.monotonic() - started) / 60 >= options.minutes:
            break


def logits_of(model: Classifier, sequences: list[list[int]], unknown: int, options: Options) -> Logits:
    device = next(model.parameters()).device
    ids, mask = padded(sequences, model.encoder.config.pad_token_id)
    hidden = (torch.rand(ids.shape) < options.unknown_share) & (mask == 1) & (ids > 2)
    ids[hidden] = unknown
    return model(ids.to(device), mask.to(device)).float()


def logits_above(model: Classifier, lower: LowerLayers, sequences: list[list[int]], options: Options) -> Logits:
    """As `logits_of`, from what the frozen layers give, without unknown tokens; dropout is that of the embeddings, one storey higher."""
    states, mask = lower.outputs(sequences)
    states = F.dropout(states.float(), options.dropout)
    return model.heads(pooled(apply_layers(model.encoder, range(lower.layers, len(model.encoder.encoder.layer)), states, mask), mask)).float()


class RunningAverage:
    """Exponential average of a model's weights over the steps (Polyak and Juditsky 1992): steadier than the last ones while the rate is high."""

    EVERY = 5  # steps between updates

    def __init__(self, model: Classifier, decay: float) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.decay = decay
        self.steps = 0
        self.averages = [parameter.detach().clone() for parameter in self.parameters] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """To be called after every step of the optimizer."""
        self.steps += 1
        if self.averages and self.steps % self.EVERY == 0:
            decay = min(self.decay**self.EVERY, 1 - self.EVERY / (10 + self.steps))  # early on the mean of what there is
            for average, parameter in zip(self.averages, self.parameters, strict=True):
                average.lerp_(parameter, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the average in the place of its weights, for as long as the context lasts."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        for index, average in enumerate(self.averages):
            parameter = self.parameters[index]
            self.averages[index] = parameter.detach().clone()
            parameter.copy_(average)


def start_heads(folder: Path, hidden: int, options: Options) -> Heads:
    """The heads of a checkpoint folder, to go on with; fresh ones for an encoder folder."""
    file = folder / "heads.safetensors"
    if not file.exists():
        return Heads(hidden, options.escalation, options.dense)
    if options.dense:
        raise ValueError(f"{folder} has heads already: leave out --dense, or start from an encoder folder")
    return load_heads(file, options.escalation, hidden)


@dataclass
class Example:
    """A text of an item: the original or a translation, perhaps roughened."""

    text: str
    item: Item
    cluster: str  # texts of one cluster share a batch
    weight: float


def cluster_of(item: Item) -> str:
    return f"{item.set}/{item.group if item.set in GROUPED_SETS else item.id}"


def shares_seen(items: list[Item], known: str) -> dict[str, float]:
    """By cluster, the share of epochs that see it: its hardest item decides; what the file of losses does not name is seen in full."""
    losses: dict[tuple[str, str], float] = {}
    if known:
        lines = (json.loads(line) for line in Path(known).read_text(encoding="utf-8").splitlines())
        losses = {(line["set"], line["id"]): line["loss"] for line in lines}
    shares: dict[str, float] = {}
    for item in items:
        share = min(1.0, losses.get((item.set, item.id), UNKNOWN_LOSS) / UNKNOWN_LOSS)
        shares[cluster_of(item)] = max(shares.get(cluster_of(item), LEAST_SHARE), share)
    return shares


def epoch_examples(items: list[Item], shares: dict[str, float], options: Options, generator: np.random.Generator) -> list[Example]:
    """Every item as often as its cluster's share says, and weighing as much more as it comes less; of these plain news in a share of cases; of an item with translations one of them, rare languages preferred, and the original in a share."""
    common: dict[str, int] = {}
    for item in items:
        for language in (item.lang, *item.translations):
            common[language] = common.get(language, 0) + 1
    examples = []
    weights = {cluster: 1 / share for cluster, share in shares.items() if generator.random() < share}
    for item in items:
        cluster = cluster_of(item)
        if cluster not in weights:
            continue
        if item.set in NEWS_SETS and not item.topics and item.escalation == 0 and generator.random() >= options.plain_share:
            continue
        languages = list(item.target_translations)
        if languages:
            chances = np.array([common[language] ** -0.5 for language in languages])
            language = languages[generator.choice(len(languages), p=chances / chances.sum())]
            examples.append(Example(roughened(item.translations[language], options, generator), item, cluster, weights[cluster]))
        if not languages or generator.random() < options.english_share:
            examples.append(Example(roughened(item.text, options, generator), item, cluster, weights[cluster]))
    return examples


class Views:
    """Texts of views.py, each shown once before any is shown again."""

    def __init__(self, items: list[Item], generator: np.random.Generator) -> None:
        self.items, self.order, self.shown = items, generator.permutation(len(items)), 0

    def examples(self, count: int, options: Options, generator: np.random.Generator) -> list[Example]:
        """Two versions of each of the next `count` texts; of one with a single version that one."""
        examples = []
        for _ in range(count if self.items else 0):
            item = self.items[self.order[self.shown % len(self.items)]]
            self.shown += 1
            for index in generator.permutation(len(item.versions))[:2]:
                examples.append(Example(roughened(item.versions[index], options, generator), item, cluster_of(item), 1.0))
        return examples


def roughened(text: str, options: Options, generator: np.random.Generator) -> str:
    """One of several changes that never change a label, or none."""
    if generator.random() >= options.roughen_share:
        return text
    match int(generator.integers(6)):
        case 0:
            return text.lower()
        case 1:
            return text.upper()
        case 2:
            return text.translate(ASCII_QUOTES)
        case 3:
            return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))
        case 4:
            return text.rstrip(".。!?…") or text
        case _:
            return text.title()


ASCII_QUOTES = str.maketrans({"„": '"', "“": '"', "”": '"', "«": '"', "»": '"', "‚": "'", "‘": "'", "’": "'", "–": "-", "—": "-", "…": "..."})


@dataclass
class LossWeights:
    """Weights of the escalation levels and topics, from their frequency, so that rare ones are learnt."""

    levels: Tensor  # (5)
    topics: Tensor  # (3), of positives

    @classmethod
    def of(cls, items: list[Item], device: torch.device) -> LossWeights:
        labels = Labels.of(items)
        counts = np.bincount(labels.escalation[labels.escalation >= 0], minlength=len(LEVEL_CODES)) + 1.0
        levels = np.sqrt(counts.max() / counts).clip(max=4)
        positives = (labels.topics == 1).sum(0) + 1.0
        topics = np.sqrt((len(items) - positives) / positives).clip(1, 3)
        return cls(torch.tensor(levels, dtype=torch.float32, device=device), torch.tensor(topics, dtype=torch.float32, device=device))

    def loss(self, logits: Logits, labels: Labels, rows: np.ndarray, examples: list[Example], options: Options) -> Tensor:
        """Weighted sum of the three losses over one batch."""
        device = logits.topics.device
        item_weights = torch.tensor([example.weight * CONFIDENCE_WEIGHTS[example.item.confidence] * SET_WEIGHTS[example.item.set] for example in examples], device=device)
        topics = torch.tensor(labels.topics[rows], dtype=torch.float32, device=device)
        losses = F.binary_cross_entropy_with_logits(logits.topics, topics.clamp(min=0), pos_weight=self.topics, reduction="none")
        total = options.topics_weight * averaged(losses.mean(1), item_weights * (topics[:, 0] >= 0))
        levels = torch.tensor(labels.escalation[rows], device=device)
        known = levels >= 0
        losses = escalation_loss(logits.escalation, levels.clamp(min=0), options.escalation)
        total = total + options.escalation_weight * averaged(losses, item_weights * known * self.levels[levels.clamp(min=0)])
        boilerplate = torch.tensor(labels.boilerplate[rows], dtype=torch.float32, device=device)
        losses = F.binary_cross_entropy_with_logits(logits.boilerplate, boilerplate.clamp(min=0), reduction="none")
        return total + options.boilerplate_weight * averaged(losses, item_weights * (boilerplate >= 0))


def averaged(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def escalation_loss(logits: Tensor, levels: Tensor, kind: str) -> Tensor:
    """(B, 5 or 4) logits and (B) level indices -> (B) losses."""
    if kind == "softmax":
        return F.cross_entropy(logits, levels, reduction="none")
    above = (levels.unsqueeze(1) > torch.arange(logits.shape[1], device=logits.device)).float()  # (B, 4)
    return F.binary_cross_entropy_with_logits(logits, above, reduction="none").sum(1)


def company_loss(logits: Logits, examples: list[Example], options: Options) -> Tensor:
    """Over the pairs of texts of one cluster: disagreement where all labels are the same, too little distance where the levels differ."""
    clusters: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        clusters.setdefault(example.cluster, []).append(row)
    pairs = [pair for rows in clusters.values() for pair in combinations(rows, 2)]
    same = [(a, b) for a, b in pairs if twins(examples[a].item, examples[b].item)]
    apart = [(a, b) for a, b in pairs if examples[a].item.escalation != examples[b].item.escalation]
    total = logits.topics.sum() * 0.0
    if same:
        first, second = torch.tensor(same, device=total.device).T
        divergence = bernoulli_divergence(logits.topics[first], logits.topics[second]).sum(1)
        between = bernoulli_divergence if options.escalation == "cumulative" else softmax_divergence
        divergence = divergence + between(logits.escalation[first], logits.escalation[second]).sum(1)
        total = total + options.agreement_weight * divergence.mean()
    if apart:
        first, second = torch.tensor(apart, device=total.device).T
        gold = torch.tensor([float(example.item.escalation or 0) for example in examples], device=total.device)
        distance, wanted = expected_levels(logits, options.escalation), gold[first] - gold[second]
        short = MARGIN * wanted.abs() - (distance[first] - distance[second]) * wanted.sign()
        total = total + options.margin_weight * short.clamp(min=0).mean()
    return total


def views_loss(logits: Logits, examples: list[Example], options: Options) -> Tensor:
    """Cross-entropy to the targets of texts of views.py, weighted among the heads as that to labels is."""
    total = logits.topics.sum() * 0.0
    rows = [row for row, example in enumerate(examples) if example.item.targets]
    if not rows:
        return total
    targets = torch.tensor([examples[row].item.targets for row in rows], dtype=torch.float32, device=total.device).sigmoid()
    given = torch.cat([logits.topics, logits.escalation, logits.boilerplate.unsqueeze(1)], 1)[rows]
    losses = F.binary_cross_entropy_with_logits(given, targets, reduction="none")
    topics, levels = logits.topics.shape[1], logits.escalation.shape[1]
    weighted = options.topics_weight * losses[:, :topics].mean(1) + options.escalation_weight * losses[:, topics : topics + levels].sum(1) + options.boilerplate_weight * losses[:, -1]
    return options.views_weight * weighted.mean()


def twins(one: Item, other: Item) -> bool:
    """Whether two texts of a cluster must get the same probabilities: translations of one text, or a pair with the same labels."""
    return one is other or (one.set == "pairs" and (one.topics, one.escalation) == (other.topics, other.escalation))


def bernoulli_divergence(one: Tensor, other: Tensor) -> Tensor:
    """Symmetrised Kullback-Leibler divergence of two Bernoulli distributions, given by their logits, elementwise."""
    return (one.sigmoid() - other.sigmoid()) * (one - other)


def softmax_divergence(one: Tensor, other: Tensor) -> Tensor:
    """The same of two categorical distributions, in terms whose sum over a row it is."""
    return (one.softmax(1) - other.softmax(1)) * (one.log_softmax(1) - other.log_softmax(1))


def expected_levels(logits: Logits, kind: str) -> Tensor:
    """(B) expected level, -2 to 2."""
    if kind == "softmax":
        return logits.escalation.softmax(1) @ torch.tensor(LEVEL_CODES, dtype=torch.float32, device=logits.escalation.device)
    return logits.escalation.sigmoid().sum(1) + min(LEVEL_CODES)


def set_dropout(encoder: BertModel, share: float) -> None:
    """Dropout of the embeddings only: on a CPU that of the layers would take a third of the time, most of it for drawing numbers."""
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    encoder.embeddings.dropout.p = share


def freeze(encoder: BertModel, layers: int) -> None:
    """No gradients for the embeddings and the first layers; 0 layers: everything learns, the embeddings too."""
    if layers:
        for part in (encoder.embeddings, *encoder.encoder.layer[:layers]):
            part.requires_grad_(False)


def make_optimizer(model: Classifier, options: Options) -> torch.optim.Optimizer:
    """Heads fastest, then the layers from top to bottom, each a little slower; embeddings at a rate of their own."""
    layers = list(model.encoder.encoder.layer)
    groups = [
        {"params": list(model.heads.parameters()), "lr": options.head_rate},
        {"params": list(model.encoder.embeddings.parameters()), "lr": options.embedding_rate, "weight_decay": 0.0},
    ]
    groups += [{"params": list(layer.parameters()), "lr": options.layer_rate * options.layer_decay ** (len(layers) - 1 - depth)} for depth, layer in enumerate(layers)]
    groups = [group for group in groups if group["params"][0].requires_grad]
    for group in groups:
        group["peak"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, used: float, warmup: float) -> None:
    """Linear up, then linear down to zero, by the share of the run that is used."""
    factor = used / warmup if used < warmup else (1 - used) / (1 - warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * max(factor, 0.01)


def dev_figures(model: Classifier, tokenizer: Tokenizer, dev: list[Item], kind: str) -> dict[str, float]:
    """Uncalibrated figures by set, and the score that picks the epoch: news weighs most."""
    logits = text_logits(model, tokenizer, [item.text for item in dev], bf16=True)
    model.train()
    sets = {"news": ("news_parallel", "news_mono"), "authored": ("authored",), "web": ("web",)}
    figures: dict[str, float] = {}
    for name, members in sets.items():
        rows = np.array([row for row, item in enumerate(dev) if item.set in members], dtype=int)
        if len(rows):
            figures |= {f"{name}_{key}": round(value, 4) for key, value in set_figures(logits.take(rows), [dev[row] for row in rows], kind).items()}
    parts = [(0.35, "news_topics"), (0.3, "news_kappa"), (0.15, "authored_topics"), (0.15, "authored_kappa"), (0.05, "web_boilerplate")]
    parts = [(weight, key) for weight, key in parts if key in figures]
    figures["score"] = round(sum(weight * figures[key] for weight, key in parts) / sum(weight for weight, _ in parts), 4)
    return figures


def set_figures(logits: LogitArrays, items: list[Item], kind: str) -> dict[str, float]:
    labels, ones = Labels.of(items), np.ones(len(items))
    width = len(LEVEL_CODES) - (kind == "cumulative")
    levels = decide(escalation_probabilities(logits.escalation, kind, 1.0, np.zeros(width)), "cutpoints", MIDPOINTS)
    known = labels.escalation >= 0
    gold = np.array(LEVEL_CODES)[labels.escalation[known]]
    return {
        "topics": macro_f1(labels.topics == 1, logits.topics > 0, ones),
        "kappa": kappa(gold, levels[known], ones[known]),
        "boilerplate": f1(labels.boilerplate == 1, logits.boilerplate > 0, ones),
    }


if __name__ == "__main__":
    main()
