"""Writes a bundle as a folder that `transformers` opens as a plain encoder, heads beside it, and checks that it does.

Command: python transformers_folder.py --bundle models/detente-mini --output DIR [--texts eval/sets/authored-dev.jsonl]
Inputs: a bundle; records whose texts serve for the check.
Outputs: config.json, model.safetensors (f32, the dequantised weights), tokenizer.json, tokenizer_config.json for AutoModel and AutoTokenizer;
modules.json and 1_Pooling/config.json for sentence-transformers (mean pooling); heads.safetensors, head.json, calibration.json, card.md.
The check: AutoTokenizer gives the bundle's ids and AutoModel the bundle's hidden states, alone and padded; one line with the largest difference,
exit code 1 above 1e-4.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from bundle import Bundle, dequantised, write_json
from windows import normalise

TOLERANCE = 1e-4
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
COPIED = ["tokenizer.json", "heads.safetensors", "calibration.json", "card.md"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--texts", type=Path, default=Path(__file__).parents[2] / "eval/sets/authored-dev.jsonl")
    options = parser.parse_args()
    write(options.bundle, options.output)
    with options.texts.open(encoding="utf-8") as lines:
        texts = [normalise(json.loads(line)["text"]) for line in lines]
    difference = check(options.bundle, options.output, texts)
    print(f"{options.output}: {len(texts)} texts, same ids, hidden states within {difference:.1e}")
    raise SystemExit(difference > TOLERANCE)


def write(bundle: Path, output: Path) -> None:
    """The folder, from the bundle's files alone."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    (output / "1_Pooling").mkdir(parents=True, exist_ok=True)
    config = json.loads((bundle / "config.json").read_text())
    write_json(output / "config.json", config | {"dtype": "float32"})
    save_file(dequantised(load_file(bundle / "encoder.safetensors")), output / "model.safetensors", metadata={"format": "pt"})
    for name in COPIED:
        shutil.copyfile(bundle / name, output / name)
    write_json(output / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": manifest["encoder"]["max_length"], **SPECIAL})
    write_json(output / "head.json", manifest["head"] | {"scheme": manifest["scheme"]})
    module = "sentence_transformers.models"
    write_json(output / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
    ])  # fmt: skip
    write_json(output / "1_Pooling/config.json", {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})


@torch.inference_mode()
def check(bundle: Path, folder: Path, texts: list[str]) -> float:
    """Largest difference of a hidden state, over texts alone and in one padded batch."""
    ours = Bundle(bundle)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    assert not model.training and model.dtype == torch.float32
    limit = ours.manifest["encoder"]["max_length"]
    texts = [text for text in texts if len(ours.tokenizer.encode(text).ids) <= limit]
    largest = 0.0
    for start in range(0, len(texts), 16):
        batch = texts[start : start + 16]
        encoded = tokenizer(batch, padding=True, return_tensors="pt")
        hidden = model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]).last_hidden_state
        for row, text in enumerate(batch):
            ids = ours.tokenizer.encode(text).ids
            if tokenizer(text)["input_ids"] != ids:
                raise SystemExit(f"{folder}: AutoTokenizer and the bundle differ on: {text}")
            expected = ours.model.encoder(input_ids=torch.tensor([ids])).last_hidden_state[0]
            alone = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
            largest = max(largest, float((hidden[row, : len(ids)] - expected).abs().max()), float((alone - expected).abs().max()))
    return largest


if __name__ == "__main__":
    main()
