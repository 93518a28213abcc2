"""What the towers give to the parts above them: clips or products as tokens in one space.

Axes: B clips or products, T frames or views, N patches a picture, L words, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor


class Rows:
    """Dataclasses of tensors that share their first axis."""

    def __len__(self) -> int:
        first: Tensor = next(self._tensors())
        return len(first)

    def _tensors(self) -> Iterator[Tensor]:
        return (getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]

    def __getitem__(self, rows: slice | Tensor | list[int]) -> Self:
        """Some of the rows."""
        return type(self)(*(tensor[rows] for tensor in self._tensors()))

    def to(self, device: torch.device | str) -> Self:
        """The same rows on another device."""
        return type(self)(*(tensor.to(device) for tensor in self._tensors()))

    @classmethod
    def cat(cls, parts: Iterable[Self]) -> Self:
        """The rows of all parts, in order."""
        return cls(*map(torch.cat, zip(*(part._tensors() for part in parts), strict=True)))


@dataclass(frozen=True)
class Tokens(Rows):
    """Clips with their frames and transcript, or products with their views and title.

    whole: (B, T, D) a picture as its tower pools it, of length 1; zero at padding.
    present: (B, T) bool, False at padding; a clip without frames has none.
    patches: (B, T, N, D), divided by the length that `whole` had; zero at padding.
    patch_mask: (B, T, N) bool; pictures of another canvas may have fewer patches than N.
    words: (B, L, D) words in context; zero at padding. word_mask: (B, L) bool.
    said: (B, D) the text as its tower pools it, of length 1; zero where there is none.
    has_words: (B,) bool.
    """

    whole: Tensor
    present: Tensor
    patches: Tensor
    patch_mask: Tensor
    words: Tensor
    word_mask: Tensor
    said: Tensor
    has_words: Tensor
