"""One runtime in a process of its own: prepares the encoder, tries how it is fastest, then measures when it is told to.

Command: python engines.py NAME CHECKPOINT WINDOWS CALIBRATION WORK THREADS (started by compare.py)
Inputs: a folder for transformers; windows of ids as JSON; on stdin lines `round` and `vectors FILE`.
Outputs: on stdout one JSON object a line: {"version", "how"} when ready, {"seconds"} of a round, {} when FILE is written. WORK keeps ONNX files.

Every engine computes the mean of the last hidden states over real tokens. Names: ort-int8 (ONNX Runtime, dynamic quantisation by channel, graph
fused by its own optimiser), openvino-int8 (NNCF, static, transformer preset), openvino-bf16, openvino-f32, torch-f32, torch-bf16.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel

BUDGETS = [1, 512, 2048, 8192]  # padded tokens of a batch; 1: each window alone
TRIAL_SHARE = 4  # every fourth window is in the trials
PAD = 1
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]  # ids (B, T), mask (B, T) -> vectors (B, H)


class Pooled(nn.Module):
    """ids, mask (B, T) -> mean of the last hidden states over real tokens (B, H)."""

    def __init__(self, folder: Path, attention: str) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder, attn_implementation=attention, add_pooling_layer=False).eval()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, H)
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)


def onnx_file(folder: Path, work: Path) -> Path:
    """The encoder as ONNX, any B and T."""
    file = work / "encoder.onnx"
    if not file.exists():
        model, ids = Pooled(folder, "eager"), torch.tensor([[0, 5, 6, 7, 2], [0, 5, 2, 1, 1]])
        partial = work / "partial.onnx"
        with torch.inference_mode():
            torch.onnx.export(
                model, (ids, (ids != PAD).long()), str(partial), input_names=["ids", "mask"], output_names=["vectors"],
                dynamic_axes={"ids": {0: "B", 1: "T"}, "mask": {0: "B", 1: "T"}, "vectors": {0: "B"}}, opset_version=17, dynamo=False,
            )  # fmt: skip
        partial.replace(file)
    return file


def ort(folder: Path, work: Path) -> tuple[str, Callable[[int], Run]]:
    import onnxruntime
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    file = work / "ort-int8.onnx"
    if not file.exists():
        config = json.loads((folder / "config.json").read_text())
        fused = optimizer.optimize_model(
            str(onnx_file(folder, work)), model_type="bert", num_heads=config["num_attention_heads"], hidden_size=config["hidden_size"], opt_level=0
        )
        found = {name: count for name, count in fused.get_fused_operator_statistics().items() if count}
        print(f"ort-int8: fused {found}", file=sys.stderr)
        fused.save_model_to_file(str(work / "ort-fused.onnx"))
        # Shapes behind fused operators are not inferred, so the type of tensors has to be said.
        quantize_dynamic(
            str(work / "ort-fused.onnx"), str(file), per_channel=True, weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": TensorProto.FLOAT}
        )

    def make(threads: int) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        return lambda ids, mask: session.run(None, {"ids": ids, "mask": mask})[0]

    return f"onnxruntime {onnxruntime.__version__}", make


def openvino(folder: Path, work: Path, calibration: list[list[int]], precision: str) -> tuple[str, Callable[[int], Run]]:
    import openvino as ov

    core = ov.Core()
    hint = {"int8": ov.Type.f32, "f32": ov.Type.f32, "bf16": ov.Type.bf16}[precision]
    version = f"openvino {ov.__version__.split('-')[0]}"
    file = onnx_file(folder, work)
    if precision == "int8":
        import nncf

        version += f", nncf {nncf.__version__}"
        file = work / "openvino-int8.xml"
        if not file.exists():
            inputs = [{"ids": np.array([ids]), "mask": np.ones((1, len(ids)), np.int64)} for ids in calibration]
            model = core.read_model(onnx_file(folder, work))
            ov.save_model(nncf.quantize(model, nncf.Dataset(inputs), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(inputs)), file, compress_to_fp16=False)
    model = core.read_model(file)

    def make(threads: int) -> Run:
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        return lambda ids, mask: request.infer({"ids": ids, "mask": mask})["vectors"].copy()

    return version, make


def pytorch(folder: Path, dtype: torch.dtype) -> tuple[str, Callable[[int], Run]]:
    model = Pooled(folder, "sdpa").to(dtype)

    def make(threads: int) -> Run:
        def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            with torch.inference_mode():
                return model(torch.from_numpy(ids), torch.from_numpy(mask)).float().numpy()

        return run

    return f"torch {torch.__version__}", make


def engine(name: str, folder: Path, work: Path, calibration: list[list[int]]) -> tuple[str, Callable[[int], Run]]:
    """Version, and what makes a runner with a number of threads."""
    family, _, precision = name.partition("-")
    match family:
        case "ort":
            return ort(folder, work)
        case "openvino":
            return openvino(folder, work, calibration, precision)
        case _:
            return pytorch(folder, {"f32": torch.float32, "bf16": torch.bfloat16}[precision])


def batched(windows: list[list[int]], budget: int) -> list[tuple[list[int], np.ndarray, np.ndarray]]:
    """Windows sorted by length, longest first: positions, ids (B, T) and mask (B, T) of up to `budget` padded tokens."""
    order = sorted(range(len(windows)), key=lambda position: -len(windows[position]))
    groups: list[list[int]] = []
    for position in order:
        if groups and len(windows[groups[-1][0]]) * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(position)
        else:
            groups.append([position])
    batches = []
    for group in groups:
        width = len(windows[group[0]])
        ids = np.array([windows[position] + [PAD] * (width - len(windows[position])) for position in group])
        mask = np.array([[1] * len(windows[position]) + [0] * (width - len(windows[position])) for position in group])
        batches.append((group, ids, mask))
    return batches


def measure(runs: list[Run], batches: list) -> tuple[float, dict[int, np.ndarray]]:
    """Seconds for all batches, each caller taking the next one; and the vectors."""
    vectors: dict[int, np.ndarray] = {}
    waiting, lock = iter(batches), threading.Lock()

    def take() -> Iterator:
        while True:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            yield batch

    def call(run: Run) -> None:
        for positions, ids, mask in take():
            for position, vector in zip(positions, run(ids, mask), strict=True):
                vectors[position] = vector

    begun = time.perf_counter()
    others = [threading.Thread(target=call, args=(run,)) for run in runs[1:]]
    for thread in others:
        thread.start()
    call(runs[0])
    for thread in others:
        thread.join()
    return time.perf_counter() - begun, vectors


def main() -> None:
    name, folder, windows_file, calibration_file, work, threads = sys.argv[1], *map(Path, sys.argv[2:6]), int(sys.argv[6])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the runtimes print is for people
    windows = json.loads(windows_file.read_text())
    torch.set_num_threads(threads)
    version, make = engine(name, folder, work, json.loads(calibration_file.read_text()))
    best: tuple[float, str, list[Run], int] | None = None
    for callers, each in {(1, threads), (threads, 1)}:
        runs = [make(each) for _ in range(callers)]
        for budget in BUDGETS:
            trial = batched(windows[::TRIAL_SHARE], budget)
            measure(runs, trial)
            seconds, _ = measure(runs, trial)
            if best is None or seconds < best[0]:
                size = "windows alone" if budget == 1 else f"batches of up to {budget} padded tokens"
                best = (seconds, f"{size}, {callers} × {each} threads", runs, budget)
    _, how, runs, budget = best
    batches = batched(windows, budget)
    measure(runs, batches)
    print(json.dumps({"version": version, "how": how}), file=answers)
    for line in sys.stdin:
        word, _, file = line.strip().partition(" ")
        seconds, vectors = measure(runs, batches)
        if word == "vectors":
            Path(file).write_text(json.dumps([vectors[position].tolist() for position in range(len(windows))]))
            print("{}", file=answers)
        else:
            print(json.dumps({"seconds": seconds}), file=answers)


if __name__ == "__main__":
    main()
