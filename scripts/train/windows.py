"""Text to windows of ids, as the program cuts them. Needs no PyTorch.

Inputs: a tokenizer, texts. Outputs: windows.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

MAX_LENGTH = 256
STRIDE = 192


def normalise(text: str) -> str:
    """White space as the program sees it before tokenisation: single blanks, none at the ends."""
    return " ".join(text.split())


@dataclass
class Window:
    """One slice of a text: its ids with <s> and </s>, and how many content tokens no earlier window held."""

    ids: list[int]
    new_tokens: int


def windows(tokenizer: Tokenizer, text: str, max_length: int = MAX_LENGTH, stride: int = STRIDE) -> list[Window]:
    """Slices of max_length tokens, specials included, that start every `stride` content tokens until the text is covered."""
    ids = tokenizer.encode(normalise(text)).ids
    start, content, end = ids[0], ids[1:-1], ids[-1]
    found: list[Window] = []
    covered = 0
    for first in range(0, max(len(content), 1), stride):
        last = min(first + max_length - 2, len(content))
        found.append(Window([start, *content[first:last], end], last - covered))
        covered = last
        if last == len(content):
            break
    return found
