"""What the towers give to the parts above them: clips or products as tokens in one space.

Axes: B clips or products, T frames or views, N patches a picture, L words, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


class TensorRows:
    """Dataclasses of tensors that share their first axis."""

    def __len__(self) -> int:
        first: Tensor = next(self._tensors())
        return len(first)

    def _tensors(self) -> Iterator[Tensor]:
        return (getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]

    def __getitem__(self, rows: slice | Tensor | list[int]) -> Self:
        """Some of the rows."""
        return self.map_tensors(lambda tensor: tensor[rows])

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with every tensor changed alike."""
        return type(self)(*map(change, self._tensors()))

    def to(self, device: torch.device | str) -> Self:
        """The same rows on another device."""
        return self.map_tensors(lambda tensor: tensor.to(device))

    @classmethod
    def cat(cls, parts: Iterable[Self]) -> Self:
        """The rows of all parts, in order; what is shorter along further axes is padded with 0."""
        return cls(*map(_joined, zip(*(part._tensors() for part in parts), strict=True)))


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    sizes = [max(sides) for sides in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    return torch.cat([_padded(tensor, sizes) for tensor in tensors])


def _padded(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    lack = [wanted - side for side, wanted in zip(tensor.shape[1:], sizes, strict=True)]
    return functional.pad(tensor, [n for side in reversed(lack) for n in (0, side)])


@dataclass(frozen=True)
class ImageTokens(TensorRows):
    """N pictures after their tower.

    pooled: (N, D) of length 1. patches: (N, P, D), divided by the length that `pooled` had; zero
    at padding. patch_mask: (N, P) bool. P is 0 where nothing reads patches.
    """

    pooled: Tensor
    patches: Tensor
    patch_mask: Tensor


@dataclass(frozen=True)
class TextTokens(TensorRows):
    """N texts after their tower.

    pooled: (N, D) of length 1, zero for a text without words. has_text: (N,) bool.
    words: (N, L, D) words in context, zero at padding. word_mask: (N, L) bool. L is 0 where
    nothing reads single words.
    """

    pooled: Tensor
    has_text: Tensor
    words: Tensor
    word_mask: Tensor


@dataclass(frozen=True)
class ItemTokens(TensorRows):
    """Clips with their frames and transcript, or products with their views and title.

    images: (B, T, D) a picture as its tower pools it, of length 1; zero at padding.
    image_mask: (B, T) bool, False at padding; a clip without frames has none.
    patches: (B, T, N, D), divided by the length that `images` had; zero at padding.
    patch_mask: (B, T, N) bool; pictures of another canvas may have fewer patches than N.
    words: (B, L, D) words in context; zero at padding. word_mask: (B, L) bool.
    text: (B, D) the text as its tower pools it, of length 1; zero where there is none.
    has_text: (B,) bool.
    """

    images: Tensor
    image_mask: Tensor
    patches: Tensor
    patch_mask: Tensor
    words: Tensor
    word_mask: Tensor
    text: Tensor
    has_text: Tensor

    @classmethod
    def assemble(cls, looks: ImageTokens, owner: Tensor, place: Tensor, words: TextTokens) -> ItemTokens:
        """Items from their pictures, of which `owner` and `place` (N,) say whose and where."""
        sizes = (len(words), int(place.max()) + 1 if len(place) else 1)

        def placed(rows: Tensor) -> Tensor:
            return rows.new_zeros(*sizes, *rows.shape[1:]).index_put((owner, place), rows)

        present = placed(torch.ones_like(owner, dtype=torch.bool))
        shown = (placed(looks.pooled), present, placed(looks.patches), placed(looks.patch_mask))
        return cls(*shown, words.words, words.word_mask, words.pooled, words.has_text)
