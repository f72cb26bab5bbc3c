#!/usr/bin/env python3
"""Talks to `detente serve` through clients that others wrote.

Command: scripts/check/clients.py PROGRAM
In:      PROGRAM, the built `detente`; curl; tests/fixtures/tiny; what scripts/check/clients.txt lists, which is installed into a virtual
         environment under the target folder when it is not there (pip, once).
Out:     one line a client on stdout; exit code 1 with the reason when one does not get what it should.

curl labels a text and a stream; requests posts as text-embeddings-inference documents it, and huggingface_hub's InferenceClient by itself;
tritonclient infers with JSON and with binary tensors; schemathesis sends what it makes of /openapi.json; the parser of the Prometheus
client reads /metrics. Numbers are held against `detente classify` with the same bundle.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WANTED = Path(__file__).with_name("clients.txt")
BUNDLE = ROOT / "tests" / "fixtures" / "tiny"
TEXTS = ["Die Waffenruhe hält seit drei Tagen.", "Министр отозвал посла.", "停火协议已经签署"]
KEY = "a-key-for-real-clients"
TOLERANCE = 1e-6  # records are rounded to six decimals, tensors are not


def enter_environment() -> None:
    """Runs this script again in its own environment, which is made first if it is not there."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "clients-venv"
    if Path(sys.prefix) == folder.resolve():
        return
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", WANTED], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def records(program: str) -> list[dict]:
    """What the command line says of the texts."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    run = [program, "classify", "--quiet", "--input-format", "jsonl", "--format", "jsonl"]
    environment = {**os.environ, "DETENTE_MODEL": str(BUNDLE)}
    output = subprocess.run(run, input=lines, check=True, capture_output=True, text=True, env=environment).stdout
    return [json.loads(line) for line in output.splitlines()]


def same(found: float, expected: float, what: str) -> None:
    if abs(found - expected) > TOLERANCE:
        raise AssertionError(f"{what}: {found}, the command line says {expected}")


def curl(server, expected: list[dict]) -> str:
    common = ["curl", "--silent", "--show-error", "--fail-with-body", "--header", f"Authorization: Bearer {KEY}"]
    body = json.dumps({"texts": TEXTS})
    run = [*common, server.base + "/v1/classify", "--json", body, "--compressed"]
    answer = json.loads(subprocess.run(run, check=True, capture_output=True).stdout)
    assert [one["scale"]["level"] for one in answer["paragraphs"]] == [one["escalation"] for one in expected]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS * 200)
    run = [*common, "--request", "POST", "--upload-file", "-", "--header", "Content-Type: application/x-ndjson"]
    run += [server.base + "/v1/classify/stream"]
    output = subprocess.run(run, input=lines.encode(), check=True, capture_output=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    assert found[:3] == expected and len(found) == 600, f"{len(found)} records, the first is {found[:1]}"
    return "3 texts, a stream of 600 lines"


def text_embeddings_inference(server, expected: list[dict]) -> str:
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {KEY}"
    one = session.post(server.base + "/predict", json={"inputs": TEXTS[0], "truncate": True}, timeout=60).json()
    many = session.post(server.base + "/predict", json={"inputs": [[text] for text in TEXTS]}, timeout=60).json()
    assert many[0] == one and len(many) == len(TEXTS)
    for scores, record in zip(many, expected):
        found = {score["label"]: score["score"] for score in scores}
        for name, probability in record["topic_probabilities"].items():
            same(found[name], probability, name)
        for code, probability in record["escalation_probabilities"].items():
            label = "escalation:" + (f"{int(code):+}" if int(code) else "0")
            same(found[label], probability, label)
    bad = session.post(server.base + "/predict", json={"inputs": ""}, timeout=60)
    assert (bad.status_code, bad.json()["error_type"]) == (422, "validation")
    return "one text, three texts, an error"


def huggingface(server, expected: list[dict]) -> str:
    from huggingface_hub import InferenceClient

    client = InferenceClient(model=server.base + "/predict", token=KEY)
    found = client.text_classification(TEXTS[0])
    best = found[0] if isinstance(found, list) else found
    numbers = {**expected[0]["topic_probabilities"], "boilerplate": expected[0]["boilerplate_probability"]}
    numbers |= {"escalation:" + (f"{int(code):+}" if int(code) else "0"): p for code, p in expected[0]["escalation_probabilities"].items()}
    same(best.score, max(numbers.values()), "the highest score")
    same(best.score, numbers[best.label], best.label)
    return f"{best.label} {best.score}"


def triton(server, expected: list[dict]) -> str:
    import numpy
    import tritonclient.http as http

    client = http.InferenceServerClient(server.base.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {KEY}"}
    assert client.is_server_live(headers) and client.is_server_ready(headers) and client.is_model_ready("tiny", headers=headers)
    metadata = client.get_model_metadata("tiny", headers=headers)
    outputs = [output["name"] for output in metadata["outputs"]]
    for binary in (False, True):
        tensor = http.InferInput("text", [len(TEXTS)], "BYTES")
        tensor.set_data_from_numpy(numpy.array([text.encode() for text in TEXTS], dtype=object), binary_data=binary)
        wanted = [http.InferRequestedOutput(name, binary_data=binary) for name in outputs]
        result = client.infer("tiny", [tensor], outputs=wanted, headers=headers, request_id="7")
        assert result.get_response()["id"] == "7"
        assert result.as_numpy("escalation").tolist() == [record["escalation"] for record in expected]
        assert result.as_numpy("topic_probabilities").shape == (len(TEXTS), 3)
        for row, record in enumerate(expected):
            for column, probability in enumerate(record["topic_probabilities"].values()):
                same(float(result.as_numpy("topic_probabilities")[row, column]), probability, f"topic {column} of text {row}")
            same(float(result.as_numpy("escalation_expected")[row]), record["escalation_expected"], f"mean of text {row}")
            assert bool(result.as_numpy("boilerplate")[row]) == record["boilerplate"]
            names = result.as_numpy("topics")[row]
            names = names.decode() if isinstance(names, bytes) else names
            assert [name for name in names.split(",") if name] == record["topics"]
    # Without a list of outputs, the client asks for all of them as bytes.
    result = client.infer("tiny", [tensor], headers=headers)
    assert result.as_numpy("escalation").tolist() == [record["escalation"] for record in expected]
    return f"{len(outputs)} outputs as JSON and as bytes"


def prometheus(server, expected: list[dict]) -> str:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text = server.ask("/metrics", headers={"Authorization": f"Bearer {KEY}"}).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, kind in [
        ("detente_requests", "counter"), ("detente_request_duration_seconds", "histogram"), ("detente_queue_requests", "gauge"),
        ("detente_batch_tokens", "histogram"), ("detente_labels", "counter"), ("detente_bundle", "gauge"),
    ]:  # fmt: skip
        assert families[name].type == kind and families[name].documentation, f"{name} is {families.get(name)}"
    assert families["detente_bundle"].samples[0].labels["bundle"] == expected[0]["bundle"]
    return f"{len(families)} families"


def schemathesis(server, expected: list[dict]) -> str:
    # Names of labels, blank texts and "either … or" cannot be said in the schema: what it allows may be refused, with a reason.
    run = [Path(sys.prefix) / "bin" / "schemathesis", "--config-file", Path(__file__).with_name("schemathesis.toml")]
    run += ["run", server.base + "/openapi.json", "--header", f"Authorization: Bearer {KEY}", "--no-color", "--seed", "1"]
    run += ["--max-examples", "40", "--phases", "examples,coverage,fuzzing", "--exclude-checks", "positive_data_acceptance"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "ndjson", "PYTHONPATH": str(Path(__file__).parent)}
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(run, capture_output=True, text=True, env=environment, cwd=folder)
    if result.returncode != 0:
        raise AssertionError(result.stdout[-6000:] + result.stderr[-2000:])
    cases = next(line for line in result.stdout.splitlines() if "generated" in line)
    return " ".join(cases.split())


def main() -> int:
    """Runs the check."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    enter_environment()
    from server import Server

    program = str(Path(sys.argv[1]).resolve())
    expected = records(program)
    failures = 0
    # The admin key opens every route, for schemathesis.
    with Server(program, model=BUNDLE, environment={"DETENTE_API_KEYS": KEY + "-2", "DETENTE_ADMIN_KEYS": KEY}) as server:
        for client in (curl, text_embeddings_inference, huggingface, triton, prometheus, schemathesis):
            try:
                print(f"ok      {client.__name__}: {client(server, expected)}")
            except Exception as error:
                failures += 1
                print(f"failed  {client.__name__}: {type(error).__name__}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
