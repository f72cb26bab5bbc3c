"""Makes the tiny checkpoints of every family and head that the Rust tests open, with what PyTorch says of a few texts.

Command: python scripts/make_checkpoints.py tests/fixtures/checkpoints
         python scripts/make_checkpoints.py --reference FOLDER tests/fixtures/minilm-reference.json
Inputs:  none; all weights are random (seeded). --reference: a real plain encoder, whose vectors are wanted.
         Needs torch and transformers; the plain encoders need sentence-transformers as well.
Outputs: one folder a checkpoint, written by transformers and read again before reference.json is computed from it: logits (or
         vectors) of each text alone, and of all of them in one padded batch. Which of them are made depends on the version of
         transformers that runs: the names that end in -v4 by version 4, the others by version 5. Run it with each.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

SEED = 7
HIDDEN, INTERMEDIATE, HEADS, LAYERS = 16, 24, 2, 3
POSITIONS = 64
VOCABULARY = 160
WEIGHT_SPREAD = 0.4  # instead of 0.02: random logits must differ between texts

TEXTS = [
    "Nein.",
    "The guns fell silent.",
    "Посол уехал.",
    "Der Rat hob die Sanktionen auf.",
    "两国恢复谈判。",
    "Troops crossed the river at night.",
]
HYPOTHESES = ["It is war.", "Es geht um Frieden."]
SENTIMENT = ["negative", "neutral", "positive"]
TOPICS = ["Defense", "Macroeconomics", "Sports", "International Affairs"]
INFERENCE = ["entailment", "neutral", "contradiction"]


@dataclass
class Plan:
    """One checkpoint to make."""

    name: str
    family: str
    head: str  # single, multi, regression, nli, encoder
    labels: list[str] = field(default_factory=list)
    dtype: torch.dtype = torch.float32
    options: dict = field(default_factory=dict)
    shard_size: str = "10MB"
    pooling: str = "mean"
    dense: bool = False
    prompts: dict = field(default_factory=dict)
    old_names: bool = False  # of layer norms
    old_files: bool = False  # of sentence-transformers


PLANS = [
    Plan("bert-single", "bert", "single", SENTIMENT),
    Plan("bert-multi-v4", "bert", "multi", TOPICS, old_names=True),
    Plan("bert-regression", "bert", "regression", ["LABEL_0"], options={"hidden_act": "gelu_new"}),
    Plan("bert-nli-v4", "bert", "nli", ["not_entailment", "entailment"]),
    Plan("bert-encoder", "bert", "encoder", prompts={"query": "query: ", "passage": "passage: "}),
    Plan("xlm-roberta-single-v4", "xlm-roberta", "single", SENTIMENT),
    Plan("xlm-roberta-multi", "xlm-roberta", "multi", TOPICS, shard_size="12KB"),
    Plan("xlm-roberta-regression-v4", "xlm-roberta", "regression", ["score"]),
    Plan("xlm-roberta-nli", "xlm-roberta", "nli", INFERENCE, dtype=torch.bfloat16),
    Plan("xlm-roberta-encoder", "xlm-roberta", "encoder", pooling="cls", dense=True),
    Plan("roberta-single", "roberta", "single", SENTIMENT, dtype=torch.float16),
    Plan("distilbert-single-v4", "distilbert", "single", SENTIMENT),
    Plan("distilbert-multi", "distilbert", "multi", TOPICS),
    Plan("distilbert-regression", "distilbert", "regression", ["LABEL_0"]),
    Plan("distilbert-nli-v4", "distilbert", "nli", INFERENCE),
    Plan("distilbert-encoder", "distilbert", "encoder", old_files=True),
    Plan("deberta-single", "deberta-v2", "single", SENTIMENT),
    Plan("deberta-multi-v4", "deberta-v2", "multi", TOPICS, options={"share_att_key": False, "pos_att_type": ["c2p", "p2c"], "position_biased_input": True, "type_vocab_size": 2}),
    Plan("deberta-regression", "deberta-v2", "regression", ["LABEL_0"]),
    Plan("deberta-nli-v4", "deberta-v2", "nli", INFERENCE),
    Plan("deberta-encoder", "deberta-v2", "encoder", pooling="cls", old_files=True),
    Plan("modernbert-single", "modernbert", "single", SENTIMENT, options={"classifier_pooling": "mean"}),
    Plan("modernbert-multi-v4", "modernbert", "multi", TOPICS),
    Plan("modernbert-regression-v4", "modernbert", "regression", ["LABEL_0"], options={"classifier_bias": True}),
    Plan("modernbert-nli", "modernbert", "nli", INFERENCE),
    Plan("modernbert-encoder", "modernbert", "encoder"),
]  # fmt: skip


def main(output: Path) -> None:
    torch.set_num_threads(1)  # the order of sums, and so the last digit, depends on the number of threads
    version = int(transformers.__version__.split(".")[0])
    for plan in PLANS:
        if plan.name.endswith("-v4") == (version == 4):
            make(plan, output / plan.name)


def make(plan: Plan, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer(plan.family)
    config = make_config(plan, len(tokenizer))
    model = (AutoModel if plan.head == "encoder" else AutoModelForSequenceClassification).from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = torch.randn_like(parameter) * WEIGHT_SPREAD
            parameter.copy_(1 + spread if "norm" in name.lower() and name.endswith("weight") else spread)
        if plan.head != "encoder":
            centre(model, tokenizer)
    model.to(plan.dtype).save_pretrained(folder, max_shard_size=plan.shard_size)
    tokenizer.save_pretrained(folder)
    if plan.old_names:
        rename_tensors(folder / "model.safetensors")
    if plan.head == "encoder":
        reference = encoder_reference(plan, folder)
    else:
        reference = head_reference(plan, folder)
    write_json(folder / "reference.json", reference)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size < 200_000, f"{folder} has {size} bytes"
    print(plan.name, size)


def centre(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast) -> None:
    """Takes the mean logits of the texts away, so that not every text gets the same label."""
    out = model.classifier.out_proj if hasattr(model.classifier, "out_proj") else model.classifier
    logits = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in TEXTS])
    out.bias -= logits.mean(dim=0)


def make_config(plan: Plan, vocabulary: int):
    options = {"vocab_size": vocabulary, "pad_token_id": 0}
    if plan.family == "distilbert":
        options |= {"dim": HIDDEN, "hidden_dim": INTERMEDIATE, "n_heads": HEADS, "n_layers": LAYERS, "max_position_embeddings": POSITIONS}
    else:
        options |= {"hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS}
        options |= {"max_position_embeddings": POSITIONS}
    if plan.family in ("roberta", "xlm-roberta"):
        options |= {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    if plan.family == "deberta-v2":  # as mDeBERTa-v3 has it, but for the sizes
        options |= {"relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p"}
        options |= {"layer_norm_eps": 1e-7, "max_relative_positions": -1, "position_biased_input": False, "type_vocab_size": 0, "pooler_hidden_act": "gelu"}
    if plan.family == "modernbert":
        options |= {"num_hidden_layers": 4, "local_attention": 8, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        options |= {"attn_implementation": "eager"}
        if transformers.__version__.startswith("4."):
            options |= {"reference_compile": False, "global_rope_theta": 500.0, "local_rope_theta": 50.0}
        else:
            options |= {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 500.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}}
    if plan.head != "encoder":
        options |= {"id2label": dict(enumerate(plan.labels)), "label2id": {label: index for index, label in enumerate(plan.labels)}}
        problem = {"multi": "multi_label_classification", "regression": "regression", "single": "single_label_classification"}
        if plan.head in problem and plan.labels != ["LABEL_0"]:
            options["problem_type"] = problem[plan.head]
    return AutoConfig.for_model(plan.family, **(options | plan.options))


def make_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A tokenizer built like the real one of the family, trained on the texts."""
    corpus = TEXTS + HYPOTHESES + ["query: passage: abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.,"]
    if family in ("bert", "distilbert"):
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=list(names.values()), show_progress=False)
        tokenizer.decoder = decoders.WordPiece()
    elif family in ("roberta", "modernbert"):
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if family == "roberta" else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        order = ["cls_token", "pad_token", "sep_token", "unk_token", "mask_token"] if family == "roberta" else ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
        names = dict(zip(order, special, strict=True))
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=VOCABULARY + 128, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if family == "xlm-roberta" else ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
        order = ["cls_token", "pad_token", "sep_token", "unk_token", "mask_token"] if family == "xlm-roberta" else ["pad_token", "cls_token", "sep_token", "unk_token", "mask_token"]
        names = dict(zip(order, special, strict=True))
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=VOCABULARY, special_tokens=special, unk_token=names["unk_token"], show_progress=False)
        tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(corpus, trainer)
    first, last = names["cls_token"], names["sep_token"]
    between = f"{last} {last}" if family in ("roberta", "xlm-roberta") else last
    second = 0 if family in ("roberta", "xlm-roberta") else 1
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {between} $B:{second} {last}:{second}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    inputs = ["input_ids", "attention_mask"] + (["token_type_ids"] if family in ("bert", "deberta-v2") else [])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS, model_input_names=inputs, **names)


def rename_tensors(file: Path) -> None:
    """The names that layer norms had before PyTorch had its own; many checkpoints still have them."""
    from safetensors.torch import load_file, save_file

    old = lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")  # noqa: E731
    save_file({old(name): tensor for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})


def head_reference(plan: Plan, folder: Path) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    texts = [(text, hypothesis) for text in TEXTS for hypothesis in HYPOTHESES] if plan.head == "nli" else [(text,) for text in TEXTS]
    columns = [list(column) for column in zip(*texts, strict=True)]
    run = lambda encoded: model(**encoded).logits  # noqa: E731
    with torch.no_grad():
        encoded = [tokenizer(*text, return_tensors="pt") for text in texts]
        alone = torch.cat([run(one) for one in encoded])
        padded = run(tokenizer(*columns, return_tensors="pt", padding=True))
    assert max(one["input_ids"].shape[1] for one in encoded) <= POSITIONS
    assert (alone - padded).abs().max() < 1e-4, "padding changes what PyTorch says"
    return {"texts": texts, "ids": [one["input_ids"][0].tolist() for one in encoded], "alone": rounded(alone), "padded": rounded(padded)}


def encoder_reference(plan: Plan, folder: Path) -> dict:
    """Turns the folder into a checkpoint of sentence-transformers and asks that library."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

    transformer = Transformer(str(folder), max_seq_length=POSITIONS - 4)
    steps = [transformer, Pooling(HIDDEN, pooling_mode=plan.pooling)]
    if plan.dense:
        torch.manual_seed(SEED)
        steps.append(Dense(HIDDEN, 12, activation_function=torch.nn.Tanh()))
    steps.append(Normalize())
    default = "query" if plan.prompts else None
    made = SentenceTransformer(modules=steps, prompts=plan.prompts or None, default_prompt_name=default, device="cpu")
    shutil.rmtree(folder)
    made.save(str(folder), create_model_card=False)
    if plan.old_files:
        write_old_files(plan, folder)
    return vectors(folder, plan.prompts.get("query", ""), POSITIONS - 4)


def vectors(folder: Path, prefix: str, max_length: int) -> dict:
    """What sentence-transformers makes of the texts."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(prefix + text)["input_ids"] for text in TEXTS]
    assert max(len(one) for one in ids) <= max_length
    alone = torch.cat([model.encode([text], convert_to_tensor=True) for text in TEXTS])
    padded = model.encode(TEXTS, convert_to_tensor=True, batch_size=len(TEXTS))
    return {"texts": [(text,) for text in TEXTS], "ids": ids, "alone": rounded(alone), "padded": rounded(padded)}


def write_old_files(plan: Plan, folder: Path) -> None:
    """As sentence-transformers 2 wrote them, and most checkpoints have them."""
    modes = {f"pooling_mode_{mode}": False for mode in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
    modes[{"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}[plan.pooling]] = True
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": HIDDEN} | modes, indent=2))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": POSITIONS - 4, "do_lower_case": False}, indent=2))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    entries = [{"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"} for index, (path, kind) in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(entries, indent=2))
    (folder / "config_sentence_transformers.json").unlink()


def rounded(values: torch.Tensor) -> list[list[float]]:
    """Six decimals: finer than any tolerance of the tests."""
    return [[round(value, 6) for value in row] for row in values.tolist()]


def write_json(path: Path, value: dict) -> None:
    """One text a line."""
    lines = [f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]" for key, rows in value.items()]
    path.write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    if sys.argv[1] == "--reference":
        torch.set_num_threads(1)
        write_json(Path(sys.argv[3]), vectors(Path(sys.argv[2]), "", 256))
    else:
        main(Path(sys.argv[1]))
