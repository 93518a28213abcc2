"""The words of a text, put together from a tokenizer's pieces of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from sgmn.model.inputs import Preprocessor

# Thai, Japanese and Chinese do not part their words: there each token is a word.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class WordWeight(NamedTuple):
    """A word as it was written, and its share of all words' weight; they sum to 1."""

    text: str
    weight: float


def weigh_words(
    text: str, prepare: Preprocessor, weights: Sequence[float] | None = None
) -> tuple[WordWeight, ...]:
    """The words of a text with their shares, from the weights of its tokens; None: all alike.

    Tokens of one word are merged; those that the tokenizer adds by itself are left out.
    """
    spans = _spans(text, prepare)
    found: list[tuple[int, int, float]] = []
    alike = [1.0] * len(spans)
    for (start, end), weight in zip(spans, alike if weights is None else weights, strict=True):
        if not text[start:end].strip():
            continue
        start = end - len(text[start:end].lstrip())
        if found and not _parted(text, found[-1][1], start):
            begun, _, before = found.pop()
            start, weight = begun, before + weight
        found.append((start, end, weight))
    if weights is None:
        found = [(start, end, 1.0) for start, end, _ in found]
    total = sum(weight for *_, weight in found) or 1.0
    return tuple(WordWeight(text[start:end].strip(), weight / total) for start, end, weight in found)


def _spans(text: str, prepare: Preprocessor) -> list[tuple[int, int]]:
    """Start and end in a text of each of its tokens, as `Preprocessor.texts` makes them.

    Special tokens stand nowhere: (0, 0).
    """
    if not text.strip():
        return []
    tokens = prepare.tokenizer(
        [text],
        max_length=prepare.max_tokens,
        truncation=True,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    return list(chain.from_iterable(tokens["offset_mapping"]))


def _parted(text: str, end: int, start: int) -> bool:
    """Whether the token that starts at `start` begins a word, after one that ended at `end`."""
    if start < end:  # bytes of one character
        return False
    between, beside = text[end:start], text[end - 1] + text[start]
    return any(map(str.isspace, between)) or bool(_UNSPACED.search(beside))
