#!/usr/bin/env python3
"""The same weights behind FastAPI and ONNX Runtime in int8, as many would serve them: what `detente serve` is measured against.

Command: baseline.py export MODEL.onnx [--bundle DIR]; baseline.py serve MODEL.onnx [--bundle DIR] [--port 8081] [--threads N]
In:      a bundle (default models/detente-mini). Packages: torch, transformers, tokenizers, safetensors, numpy, onnx, onnxruntime,
         fastapi, uvicorn.
Out:     export: the encoder with mean pooling as ONNX, its matrix products quantised dynamically by onnxruntime (per channel).
         serve: POST /predict as text-embeddings-inference sends it, with the scores of `detente serve`; prints its process id.

Each request is one padded batch; there is no batching over requests, as in a plain FastAPI service. Long texts are read in windows as the
bundle says. Compare with scripts/serve/load.py --url http://127.0.0.1:8081 --pid PID.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))


def export(bundle_folder: Path, output: Path) -> None:
    import torch
    from bundle import Bundle
    from model import mean_vectors
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Encoder(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module):
            super().__init__()
            self.encoder = encoder

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return mean_vectors(self.encoder, ids, mask)

    encoder = Encoder(Bundle(bundle_folder).model.encoder).eval()
    example = (torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.long))
    axes = {"ids": {0: "windows", 1: "tokens"}, "mask": {0: "windows", 1: "tokens"}, "vectors": {0: "windows"}}
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "encoder.onnx"
        torch.onnx.export(
            encoder, example, plain, input_names=["ids", "mask"], output_names=["vectors"], dynamic_axes=axes, dynamo=False
        )
        quantize_dynamic(plain, output, weight_type=QuantType.QInt8, per_channel=True)


def application(bundle_folder: Path, model: Path, threads: int):
    import numpy as np
    import onnxruntime
    import torch
    from bundle import Bundle
    from fastapi import FastAPI
    from predict import windows
    from pydantic import BaseModel
    from scheme import LEVEL_CODES, TOPIC_NAMES

    bundle = Bundle(bundle_folder)
    settings = bundle.manifest["encoder"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    padding = bundle.model.encoder.config.pad_token_id
    heads, calibration = bundle.model.heads, bundle.calibration

    def label(texts: list[str]) -> list[list[dict]]:
        sliced = [windows(bundle.tokenizer, text, settings["max_length"], settings["stride"]) for text in texts]
        flat = [window for slices in sliced for window in slices]
        length = max(len(window.ids) for window in flat)
        ids = np.full((len(flat), length), padding, dtype=np.int64)
        mask = np.zeros((len(flat), length), dtype=np.int64)
        for row, window in enumerate(flat):
            ids[row, : len(window.ids)], mask[row, : len(window.ids)] = window.ids, 1
        (vectors,) = session.run(None, {"ids": ids, "mask": mask})
        answers, first = [], 0
        with torch.inference_mode():
            for slices in sliced:
                own = torch.from_numpy(vectors[first : first + len(slices)])
                first += len(slices)
                weights = torch.tensor([float(max(window.new_tokens, 1)) for window in slices]).unsqueeze(1)
                topics = heads(own).topics.amax(0, keepdim=True).numpy()
                logits = heads((own * weights).sum(0, keepdim=True) / weights.sum())
                scores = dict(zip(TOPIC_NAMES, calibration.topic_probabilities(topics)[0]))
                levels = calibration.escalation_probabilities(logits.escalation.numpy())[0]
                scores |= {f"escalation:{code:+}" if code else "escalation:0": p for code, p in zip(LEVEL_CODES, levels)}
                scores["boilerplate"] = calibration.boilerplate_probabilities(logits.boilerplate.numpy())[0]
                ordered = sorted(scores.items(), key=lambda pair: -pair[1])
                answers.append([{"label": name, "score": float(score)} for name, score in ordered])
        return answers

    class Request(BaseModel):
        inputs: list[list[str]]

    app = FastAPI()

    # Not async: FastAPI then runs it on its threads, and requests do not wait for one another's Python.
    @app.post("/predict")
    def predict(request: Request) -> list[list[dict]]:
        return label([text for (text,) in request.inputs])

    return app


def main() -> None:
    """Exports or serves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["export", "serve"])
    parser.add_argument("model", type=Path)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "detente-mini")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    arguments = parser.parse_args()
    if arguments.what == "export":
        export(arguments.bundle, arguments.model)
        return
    import uvicorn

    print(f"process {os.getpid()}", flush=True)
    app = application(arguments.bundle, arguments.model, arguments.threads)
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
