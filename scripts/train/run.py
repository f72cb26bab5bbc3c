"""Makes a bundle from data, stage by stage.

Command: python run.py --data DIR --work DIR --stage start|finetune|calibrate|export|all
         python run.py --data DIR --work DIR --stage all --smoke
Inputs: --data: labelled records; `e5-small-q4.bin`, `parallel/` and `mono/` for the stage start, or an `encoder/` that is ready.
Outputs, below --work: encoder/ (start), checkpoint/ (finetune, calibrate), the bundle and figures.json (export).
A stage finds what the one before left in --work. Without an encoder there fine-tuning starts from --data's.
--smoke: a random small encoder unless --data has one, two epochs: shows in a few minutes that the stages fit together.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel

import start
from bundle import Bundle, write_json
from calibrate import calibrate
from data import TARGET_LANGUAGES, read_items
from export import export
from figures import figures, print_report
from finetune import Options, finetune
from model import save_encoder

STAGES = ["start", "finetune", "calibrate", "export"]
SMOKE_VOCABULARY = 4000


@dataclass
class Paths:
    data: Path
    work: Path

    @property
    def encoder(self) -> Path:
        """The best encoder there is."""
        candidates = [self.work / "encoder", self.data / "encoder", self.work / "random-encoder"]
        return next((folder for folder in candidates if (folder / "model.safetensors").exists()), candidates[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--stage", choices=[*STAGES, "all"], required=True)
    parser.add_argument("--card", type=Path, help="model card for the bundle; without it a line that says there is none")
    parser.add_argument("--name", default="detente-mini")
    parser.add_argument("--version", default="0.0.0")
    parser.add_argument("--epochs", type=float, default=Options.epochs)
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    paths = Paths(options.data, options.work)
    paths.work.mkdir(parents=True, exist_ok=True)
    stages = STAGES if options.stage == "all" else [options.stage]
    for stage in stages:
        if options.smoke and stage == "start":
            continue
        print(f"== {stage}", flush=True)
        run_stage(stage, paths, options)


def run_stage(stage: str, paths: Paths, options: argparse.Namespace) -> None:
    checkpoint = paths.work / "checkpoint"
    match stage:
        case "start":
            source = paths.data / "e5-small-q4.bin"
            if source.exists():
                start.make(source, paths.data, paths.data, paths.work / "encoder", start.PIECES)
            elif not (paths.encoder / "model.safetensors").exists():
                raise FileNotFoundError(f"neither {source} to start from nor an encoder in {paths.data / 'encoder'}; README.md says how to get the first")
        case "finetune":
            if options.smoke and not (paths.encoder / "model.safetensors").exists():
                make_random_encoder(paths.data, paths.encoder, options.seed)
            finetune(paths.data, paths.encoder, checkpoint, Options(epochs=2 if options.smoke else options.epochs, seed=options.seed))
        case "calibrate":
            calibrate(checkpoint, paths.data)
        case "export":
            card = options.card.read_text() if options.card else f"# {options.name}\n\nNo card was given.\n"
            export(checkpoint, card, paths.work / options.name, TARGET_LANGUAGES, options.version)
            report = figures(Bundle(paths.work / options.name), [item for item in read_items(paths.data) if item.split == "dev"])
            write_json(paths.work / "figures.json", report)
            print_report(report)


def make_random_encoder(data: Path, folder: Path, seed: int) -> None:
    """A small BERT with random weights, and a Unigram tokenizer of the train texts."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\u00ad", "")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=SMOKE_VOCABULARY, special_tokens=[AddedToken(name, special=True) for name in specials], unk_token="<unk>")
    tokenizer.train_from_iterator([item.text for item in read_items(data) if item.split == "train"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer_file = folder / "tokenizer.json"
    tokenizer.save(str(tokenizer_file))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=96, num_hidden_layers=2, num_attention_heads=4, intermediate_size=192,
        max_position_embeddings=512, type_vocab_size=1, pad_token_id=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    save_encoder(folder, BertModel(config, add_pooling_layer=False), tokenizer_file)


if __name__ == "__main__":
    main()
