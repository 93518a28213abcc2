"""The terms of the scores of a window: why its best products rank as they do.

They are kept for a few products only, with two bytes a term. Workers and the API read them, so
this module does not import PyTorch.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

EXPLAINED_PRODUCTS = 3  # the best of each window
# Their places are bits in journals, so a name keeps its place.
TERM_NAMES = (
    "image",
    "text",
    "match",
    "instances",
    "glance",
    "late",
    "text-image",
    "image-text",
)
OTHER = "other"  # what other products and the windows before have changed
_HEAD = struct.Struct("<BB")  # which terms there are, of how many products


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """What each term adds to the scores of the best products of a window.

    Attributes:
        names: Some of `TERM_NAMES`, in their order.
        values: For each product, best first, the value of each term, in logits.
    """

    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def to_bytes(self) -> bytes:
        """Return them as bytes, with values in half precision."""
        mask = sum(1 << TERM_NAMES.index(name) for name in self.names)
        values = np.array(self.values, "<f2")
        return _HEAD.pack(mask, len(self.values)) + values.tobytes()

    @classmethod
    def read(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Return the terms that begin at a position, and the position after them."""
        mask, count = _HEAD.unpack_from(data, offset)
        names = tuple(name for bit, name in enumerate(TERM_NAMES) if mask >> bit & 1)
        start = offset + _HEAD.size
        end = start + 2 * count * len(names)
        values = np.frombuffer(data[start:end], "<f2").reshape(count, len(names))
        return cls(names, tuple(map(tuple, values.tolist()))), end

    def split(self, place: int, score: float) -> dict[str, float]:
        """Return what adds up to the exact score of the product at a place, by name.

        What terms leave unexplained is `OTHER`. If it is only the rounding of half precision, it
        is part of the largest term instead.
        """
        values = dict(zip(self.names, self.values[place], strict=True))
        rest, size = score - sum(values.values()), sum(map(abs, values.values()))
        is_rounding = abs(rest) <= size * 2.0**-10 + 1e-3
        name = max(values, key=lambda n: abs(values[n])) if is_rounding and values else OTHER
        return {**values, name: values.get(name, 0.0) + rest}


@dataclass(frozen=True, slots=True, eq=False)
class WindowScores:
    """The scores of a window.

    Attributes:
        logits: (S,) float32, one score per product.
        terms: The terms of the best of them, see `rank`.
        saliency: How salient the frames are; nan if that is not known.
    """

    logits: NDArray[np.float32]
    terms: ScoreTerms
    saliency: float


def rank(logits: NDArray[np.float32], count: int) -> list[int]:
    """Return the places of the best products, best first; of equal scores the first."""
    return [int(place) for place in (-logits).argsort(kind="stable")[:count]]
