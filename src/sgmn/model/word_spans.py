"""The words of a text, merged from the tokens of a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from sgmn.model.inputs import Preprocessor

# Thai, Japanese and Chinese do not separate words by spaces: each token is shown as a word.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class WordWeight(NamedTuple):
    """A word as written, and its weight; the weights of a text sum to 1."""

    text: str
    weight: float


def weigh_words(
    text: str, preprocessor: Preprocessor, weights: Sequence[float] | None = None
) -> tuple[WordWeight, ...]:
    """Sum the weights of tokens into weights of words.

    Args:
        text: The text.
        preprocessor: Holds the tokenizer.
        weights: The weight of each token, special tokens included, which are left out of the
            result. None gives each word the same weight.
    """
    spans = _find_token_spans(text, preprocessor)
    words: list[tuple[int, int, float]] = []
    token_weights = [1.0] * len(spans) if weights is None else weights
    for (start, end), weight in zip(spans, token_weights, strict=True):
        if not text[start:end].strip():
            continue
        start = end - len(text[start:end].lstrip())
        if words and not _starts_word(text, words[-1][1], start):
            start, _, previous_weight = words.pop()
            weight += previous_weight
        words.append((start, end, weight))
    if weights is None:
        words = [(start, end, 1.0) for start, end, _ in words]
    total = sum(weight for *_, weight in words) or 1.0
    return tuple(
        WordWeight(text[start:end].strip(), weight / total) for start, end, weight in words
    )


def _find_token_spans(text: str, preprocessor: Preprocessor) -> list[tuple[int, int]]:
    """Start and end of each token in a text, as in `Preprocessor.tokenize_texts`.

    A special token has the span (0, 0).
    """
    if not text.strip():
        return []
    tokens = preprocessor.tokenizer(
        [text],
        max_length=preprocessor.max_tokens,
        truncation=True,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    return list(chain.from_iterable(tokens["offset_mapping"]))


def _starts_word(text: str, end: int, start: int) -> bool:
    """Whether a token at `start` begins a new word after a token that ended at `end`."""
    if start < end:  # tokens that are bytes of the same character
        return False
    gap, neighbors = text[end:start], text[end - 1] + text[start]
    return any(map(str.isspace, gap)) or bool(_UNSPACED.search(neighbors))
