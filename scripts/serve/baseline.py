#!/usr/bin/env python3
"""The same weights behind FastAPI and ONNX Runtime in int8, as many would serve them: what `detente serve` is measured against.

Command: scripts/serve/baseline.py measure PROGRAM [flags of load.py]; baseline.py export MODEL.onnx; baseline.py serve MODEL.onnx [--port P]
In:      PROGRAM, the built `detente`, release; a bundle (--model, default models/detente-mini); what scripts/serve/baseline.txt lists, which is
         installed into a virtual environment under the target folder when it is not there (pip, once, about 7 GB with PyTorch).
Out:     measure: the JSON object of load.py with this server in the place of `serve`, and how far its labels are from those of `detente`.
         export: the encoder with mean pooling as ONNX, its graph fused by onnxruntime's optimizer for BERT, then its matrix products quantised
         dynamically (8-bit weights by output channel). serve: POST /predict as text-embeddings-inference sends it.
Takes:   measure: about 6 minutes with the defaults, once 10 minutes more to install and to export. With `--seconds 3 --repeats 1` a minute or two.

Each request is one padded batch: there is no batching over requests, as in a plain FastAPI service; requests run side by side on FastAPI's
threads and share the session's. Long texts are read in windows as the bundle says. The weights are those of the bundle, so the f32 numbers
are the same; what differs is how activations are rounded: by tensor there, by token here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "train"), str(ROOT / "scripts" / "check"), str(Path(__file__).parent)]
WANTED = Path(__file__).with_name("baseline.txt")
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PATIENCE_S = 120


def enter_environment() -> None:
    """Runs this script again in its own environment, which is made first if it is not there."""
    folder = (TARGET / "baseline-venv").resolve()
    if Path(sys.prefix) == folder:
        return
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != WANTED.read_text():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", WANTED], check=True)
        done.write_text(WANTED.read_text())
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def export(bundle_folder: Path, output: Path) -> None:
    """The encoder of a bundle as quantised ONNX: ids and mask (B, T) to vectors (B, H)."""
    import onnx
    import torch
    from bundle import Bundle
    from model import mean_vectors
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    class Encoder(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module):
            super().__init__()
            self.encoder = encoder

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return mean_vectors(self.encoder, ids, mask)

    bert = Bundle(bundle_folder).model.encoder
    example = (torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.long))
    axes = {"ids": {0: "windows", 1: "tokens"}, "mask": {0: "windows", 1: "tokens"}, "vectors": {0: "windows"}}
    with tempfile.TemporaryDirectory() as folder:
        plain, fused = Path(folder) / "plain.onnx", Path(folder) / "fused.onnx"
        torch.onnx.export(
            Encoder(bert).eval(), example, plain, input_names=["ids", "mask"], output_names=["vectors"], dynamic_axes=axes, dynamo=False
        )
        heads, size = bert.config.num_attention_heads, bert.config.hidden_size
        optimize_model(str(plain), "bert", num_heads=heads, hidden_size=size).save_model_to_file(str(fused))
        partial = output.with_suffix(".partial")
        # The fused operators are onnxruntime's own, of which shape inference does not know that they give f32.
        options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(fused, partial, weight_type=QuantType.QInt8, per_channel=True, extra_options=options)
        partial.replace(output)


class Labels:
    """Texts to scores, with ONNX Runtime for the encoder and numpy for the heads."""

    def __init__(self, folder: Path, model: Path, threads: int):
        import onnxruntime
        from calibration import Calibration
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.settings = json.loads((folder / "bundle.json").read_text())["encoder"]
        self.padding = json.loads((folder / "config.json").read_text())["pad_token_id"]
        self.calibration = Calibration.from_json(json.loads((folder / "calibration.json").read_text()))
        self.heads = load_file(folder / "heads.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def logits(self, name: str, vectors):
        """(B, H) to (B, labels)."""
        import numpy as np

        if "dense.weight" in self.heads:
            vectors = np.tanh(vectors @ self.heads["dense.weight"].T + self.heads["dense.bias"])
        return vectors @ self.heads[f"{name}.weight"].T + self.heads[f"{name}.bias"]

    def __call__(self, texts: list[str]) -> list[list[dict]]:
        import numpy as np
        from scheme import LEVEL_CODES, TOPIC_NAMES
        from windows import windows

        sliced = [windows(self.tokenizer, text, self.settings["max_length"], self.settings["stride"]) for text in texts]
        flat = [window for slices in sliced for window in slices]
        ids = np.full((len(flat), max(len(window.ids) for window in flat)), self.padding, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(flat):
            ids[row, : len(window.ids)], mask[row, : len(window.ids)] = window.ids, 1
        (vectors,) = self.session.run(None, {"ids": ids, "mask": mask})  # (B, H)
        of_windows = self.logits("topics", vectors)
        weights = np.array([max(window.new_tokens, 1) for window in flat], dtype=np.float32)[:, None]
        starts = np.cumsum([0, *(len(slices) for slices in sliced[:-1])])
        topics = np.maximum.reduceat(of_windows, starts)
        means = np.add.reduceat(vectors * weights, starts) / np.add.reduceat(weights, starts)  # (texts, H)
        probabilities = [
            self.calibration.topic_probabilities(topics),
            self.calibration.escalation_probabilities(self.logits("escalation", means)),
            self.calibration.boilerplate_probabilities(self.logits("boilerplate", means)[:, 0])[:, None],
        ]
        names = [*TOPIC_NAMES, *(f"escalation:{code:+}" if code else "escalation:0" for code in LEVEL_CODES), "boilerplate"]
        rows = np.concatenate(probabilities, axis=1).tolist()
        scores = [[{"label": name, "score": score} for name, score in zip(names, row, strict=True)] for row in rows]
        return [sorted(row, key=lambda one: -one["score"]) for row in scores]


def serve(bundle: Path, model: Path, threads: int, port: int) -> None:
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    labels = Labels(bundle, model, threads)

    class Texts(BaseModel):
        inputs: list[list[str]]

    app = FastAPI()

    # Not async: FastAPI then runs it on its threads, and requests do not wait for one another's Python.
    @app.post("/predict")
    def predict(request: Texts) -> list[list[dict]]:
        return labels([text for (text,) in request.inputs])

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def ask(base: str, texts: list[str]) -> list[list[dict]]:
    body = json.dumps({"inputs": [[text] for text in texts]}).encode()
    with urlopen(Request(base + "/predict", body, {"Content-Type": "application/json"}), timeout=PATIENCE_S) as answer:
        return json.load(answer)


def difference(base: str, program: str, arguments: argparse.Namespace) -> dict:
    """How far the scores of this server are from those of `detente serve`."""
    import load
    from server import Server

    texts = load.texts_of(arguments)
    groups = [texts[start : start + arguments.texts] for start in range(0, len(texts), arguments.texts)]
    with Server(program, "--threads", str(arguments.threads), model=arguments.model) as own:
        pairs = [pair for group in groups for pair in zip(ask(base, group), ask(own.base, group), strict=True)]
    distances, same = [], 0
    for one, other in pairs:
        theirs, ours = ({score["label"]: score["score"] for score in scores} for scores in (one, other))
        distances += [abs(theirs[name] - ours[name]) for name in ours]
        levels = [name for name in ours if name.startswith("escalation:")]
        same += max(levels, key=theirs.get) == max(levels, key=ours.get)
    return {"texts": len(pairs), "mean": sum(distances) / len(distances), "most": max(distances), "same_likeliest_level": same}


def measure(arguments: argparse.Namespace) -> dict:
    import load

    bundle = arguments.model or ROOT / "models" / "detente-mini"
    program = str(Path(arguments.program).resolve())
    digest = json.loads((bundle / "bundle.json").read_text())["files"]["encoder.safetensors"]["sha256"][:8]
    model = TARGET / "baseline" / f"{digest}.onnx"
    if not model.exists():
        model.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, __file__, "export", str(model), "--model", str(bundle)], check=True, stdout=sys.stderr)
    base = f"http://127.0.0.1:{arguments.port}"
    flags = ["--model", str(bundle), "--port", str(arguments.port), "--threads", str(arguments.threads)]
    server = subprocess.Popen([sys.executable, __file__, "serve", str(model), *flags])
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                ask(base, ["Nein."])
                break
            except OSError as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"baseline.py: the server does not answer: {error}") from None
                time.sleep(0.2)
        apart = difference(base, program, arguments)
        arguments.url, arguments.pid = base, server.pid
        result = load.measure(arguments)
    finally:
        server.terminate()
        server.wait()
    import fastapi
    import onnxruntime

    return {"server": f"FastAPI {fastapi.__version__}, ONNX Runtime {onnxruntime.__version__}", "difference_to_detente": apart, **result}


def main() -> None:
    """Measures, exports or serves."""
    enter_environment()
    import load

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    load.arguments_of(verbs.add_parser("measure")).add_argument("--port", type=int, default=8081)
    for name in ("export", "serve"):
        verb = verbs.add_parser(name)
        verb.add_argument("onnx", type=Path)
        verb.add_argument("--model", type=Path, default=ROOT / "models" / "detente-mini")
        verb.add_argument("--port", type=int, default=8081)
        verb.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    arguments = parser.parse_args()
    if arguments.verb == "export":
        export(arguments.model, arguments.onnx)
    elif arguments.verb == "serve":
        serve(arguments.model, arguments.onnx, arguments.threads, arguments.port)
    else:
        print(json.dumps(measure(arguments), indent=1))


if __name__ == "__main__":
    main()
