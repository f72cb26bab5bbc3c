"""Makes the reference values that the Rust tests compare with, and the tiny bundles they need.

Command: python scripts/make_fixture.py --tiny tests/fixtures/tiny
         python scripts/make_fixture.py --bundle models/detente-mini --output tests/fixtures/detente-mini-reference.json
Inputs: nothing, or a bundle. Needs scripts/train/requirements.txt.
Outputs: --tiny: a bundle of random weights in f32 (softmax head) with reference.json, and below it `int8/` (one layer, int8 weights,
dense layer, cumulative head), the same way; --bundle: one JSON file of texts with ids, logits and probabilities, computed by PyTorch in f32.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).resolve().parent / "train"))

from bundle import Bundle, BundleInfo, write_bundle  # noqa: E402
from calibration import Calibration, Platt  # noqa: E402
from model import Classifier, Heads  # noqa: E402

SEED = 20
WEIGHT_SPREAD = 0.2  # instead of BERT's 0.02: random logits must differ between texts
TINY_LANGUAGES = ["ar", "cs", "de", "en", "es", "fr", "it", "pl", "ru", "tr", "uk", "zh"]
TEXTS = [
    "Nein.",
    "Die Regierung in Varnheim hat ihre Truppen von der Grenze zurückgezogen und den Nachbarn Gespräche angeboten.",
    "The two armies exchanged artillery fire across the river for a third night, and the port was closed.",
    "Совет ввёл новые санкции против банков соседней страны и заморозил счета двух министров.",
    "Посол заявив, що переговори про перемир'я тривають, але угоди ще немає.",
    "Rząd odrzucił ultimatum i wezwał ambasadora na rozmowę.",
    "Le ministre a rappelé que l'embargo sur les armes restait en vigueur jusqu'à l'été.",
    "Los dos presidentes firmaron un alto el fuego y acordaron liberar a los prisioneros.",
    "La squadra ha vinto la battaglia sotto rete, poi la città ha festeggiato fino all'alba.",
    "Dışişleri Bakanı, ablukanın kaldırılması için görüşmelerin süreceğini söyledi.",
    "أعلنت الوزارة أن السفن الحربية غادرت الخليج وأن المحادثات ستبدأ يوم الاثنين.",
    "两国外长在边境会面，同意恢复谈判并撤回部分军队。",
    "Vláda prodloužila sankce o dalších šest měsíců a vyzvala k návratu k jednání.",
    "Wir verwenden Cookies. Mit dem Klick auf »Zustimmen« erlauben Sie das Laden externer Inhalte.",
    "  Line breaks,\n\ttabs and   double blanks \n are one blank each; Straße, naïve, №5, ½ & ﬁn.  ",
    "10.05.2031 | 17:42 | © Agentur | ☎ 0000 😀",
    (
        "For three weeks the strait was quiet. Then a patrol boat stopped a freighter, and the harbour master reported shots in the night. "
        "Der Kanzler sprach am Morgen mit beiden Hauptstädten; danach hieß es, man wolle keine weitere Zuspitzung. "
        "В порту тем временем разгружали зерно, и никто не говорил о войне. "
        "The assembly met at noon. It heard the envoy, who asked for calm, and the general, who asked for ammunition. "
    )
    * 4
    + "At dusk the freighter sailed on.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", type=Path, help="folder of the tiny bundle to make")
    parser.add_argument("--bundle", type=Path, help="bundle to take reference values from")
    parser.add_argument("--output", type=Path, help="file for the reference values of --bundle")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the order of sums, and so the last digit, depends on the number of threads
    if options.tiny:
        make_tiny(options.tiny)
    if options.bundle:
        write_reference(options.bundle, options.output, with_vector=False)


def make_tiny(folder: Path) -> None:
    """Both variants; the int8 one lies inside the first one's folder, so it is written second."""
    for target, variant in [(folder, Variant("tiny", "softmax", 2, 0, False)), (folder / "int8", Variant("tiny-int8", "cumulative", 1, 24, True))]:
        torch.manual_seed(SEED)
        tokenizer_file = folder.parent / "tiny-tokenizer.partial.json"
        tokenizer = tiny_tokenizer()
        tokenizer_file.write_text(json.dumps(tokenizer, ensure_ascii=False))
        model = tiny_model(len(tokenizer["model"]["vocab"]), variant)
        info = BundleInfo(variant.name, "0.1.0", TINY_LANGUAGES, max_length=32, stride=24)
        write_bundle(target, model, tokenizer_file, tiny_calibration(variant), TINY_CARD, info, int8=variant.int8)
        tokenizer_file.unlink()
        write_reference(target, target / "reference.json", with_vector=not variant.int8)


@dataclass
class Variant:
    name: str
    escalation: str
    layers: int
    dense: int
    int8: bool


TINY_CARD = "# tiny\n\nRandom weights for tests, made by `scripts/make_fixture.py`. Its labels mean nothing.\n"


def tiny_model(vocab_size: int, variant: Variant) -> Classifier:
    config = BertConfig(
        vocab_size=vocab_size, hidden_size=32, num_hidden_layers=variant.layers, num_attention_heads=4, intermediate_size=64, max_position_embeddings=40,
        type_vocab_size=1, layer_norm_eps=1e-12, pad_token_id=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = Classifier(BertModel(config, add_pooling_layer=False), Heads(32, variant.escalation, variant.dense)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = torch.randn_like(parameter) * WEIGHT_SPREAD
            parameter.copy_(1 + spread if "LayerNorm.weight" in name else spread)
    return model


def tiny_calibration(variant: Variant) -> Calibration:
    """Numbers away from the identity, so that a step left out shows."""
    topics = [Platt(1.5, -0.25, 0.5), Platt(0.75, 0.1, 0.45), Platt(1.25, 0.3, 0.6)]
    if variant.escalation == "softmax":
        return Calibration(topics, Platt(1.1, -0.2, 0.55), "softmax", 1.3, [0.1, -0.1, 0.2, 0.0, -0.2], "mode", fitted_on="invented for tests")
    return Calibration(topics, Platt(1.1, -0.2, 0.55), "cumulative", 0.8, [0.3, 0.1, -0.1, -0.3], "cutpoints", [-1.4, -0.4, 0.4, 1.4], "invented for tests")


def tiny_tokenizer() -> dict:
    """A Unigram tokenizer built like the real one, over single characters and the most frequent pairs of TEXTS."""
    texts = [" ".join(text.split()) for text in TEXTS]
    letters = sorted({character for text in texts for character in text} | set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?-") - {" "})
    letters = [letter for letter in letters if letter not in " ½ﬁ№😀☎"]
    counts: dict[str, int] = {}
    for text in texts:
        for word in text.split(" "):
            marked = f"▁{word}"
            for length in (2, 3, 4):
                for first in range(len(marked) - length + 1):
                    piece = marked[first : first + length]
                    counts[piece] = counts.get(piece, 0) + 1
    pieces = sorted((piece for piece in counts if all(part in letters or part == "▁" for part in piece)), key=lambda piece: (-counts[piece] * len(piece), piece))
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = [[special, 0.0] for special in specials] + [["▁", -3.0]]
    vocabulary += [[letter, -6.0 - 0.001 * index] for index, letter in enumerate(letters)]
    vocabulary += [[piece, -5.0 - 0.01 * index] for index, piece in enumerate(pieces[: TINY_VOCABULARY - len(vocabulary)])]
    ids = {piece: index for index, (piece, _) in enumerate(vocabulary)}
    added = [{"id": ids[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for name in specials]
    template = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}  # noqa: E731
    sequence = lambda name: {"Sequence": {"id": name, "type_id": 0}}  # noqa: E731
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"String": "\u00ad"}, "content": ""}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [template("<s>"), sequence("A"), template("</s>")],
            "pair": [sequence("A"), sequence("B")],
            "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ("<s>", "</s>")},
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": ids["<unk>"], "vocab": vocabulary, "byte_fallback": False},
    }


TINY_VOCABULARY = 360


def write_reference(folder: Path, output: Path, with_vector: bool) -> None:
    bundle = Bundle(folder)
    records = []
    for text in TEXTS:
        predicted = bundle.predict(text)
        record = {"text": text, "ids": predicted.ids}
        if with_vector:
            record["vector"] = rounded(predicted.vector)
        record |= {
            "topic_logits": rounded(predicted.topic_logits),
            "escalation_logits": rounded(predicted.escalation_logits),
            "boilerplate_logit": rounded(predicted.boilerplate_logit),
            "topic_probabilities": rounded(predicted.topic_probabilities),
            "escalation_probabilities": rounded(predicted.escalation_probabilities),
            "boilerplate_probability": rounded(predicted.boilerplate_probability),
        }
        records.append(record)
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"[\n{lines}\n]\n")


def rounded(value: np.ndarray | float) -> list[float] | float:
    """Six decimals: finer than any tolerance of the tests."""
    return [round(float(item), 6) for item in value] if isinstance(value, np.ndarray) else round(value, 6)


if __name__ == "__main__":
    main()
