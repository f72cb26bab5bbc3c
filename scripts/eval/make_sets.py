#!/usr/bin/env python3
"""eval/sets/*.jsonl from the labelled files that the project was started with.

Command:  python scripts/eval/make_sets.py DATA eval/sets
Inputs:   DATA/authored.jsonl and DATA/web_lines.jsonl
Outputs:  one file a set and split: authored-train.jsonl … web_lines-test.jsonl. Records are as they were, with two fields
          added that say what they are: `source` ("synthetic: …") and `annotator`, of the second coder as well.
"""

import json
import sys
from pathlib import Path

SETS = {
    "authored": "synthetic: paragraphs written for this project, invented events",
    "web_lines": "synthetic: short lines written for this project",
}
ANNOTATOR = "language model"

data, target = Path(sys.argv[1]), Path(sys.argv[2])
for name, source in SETS.items():
    splits = {"train": [], "dev": [], "test": []}
    for line in (data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line) | {"source": source, "annotator": ANNOTATOR}
        if "second" in record:
            record["second"]["annotator"] = f"{ANNOTATOR}, blind to the first"
        splits[record["split"]].append(json.dumps(record, ensure_ascii=False))
    for split, lines in splits.items():
        (target / f"{name}-{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}-{split}.jsonl: {len(lines)} records")
