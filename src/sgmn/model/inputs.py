"""Frames and words to tensors and masks: the same canvas in training, evaluation and live.

A picture is never cut: it is scaled to fit a canvas and the rest is padded. A tower names the
canvases that it can see (height, width); each picture takes the one nearest to its own shape,
so what a picture looks like never depends on its neighbours in a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sgmn.records import ClipContent, ImageArray, ProductContent

Canvas = tuple[int, int]  # height, width


@dataclass(frozen=True)
class ImageInputs:
    """N pictures in groups of one canvas each.

    groups: (rows (n,), pixels (n, 3, H, W) uint8); the rows together are 0..N-1.
    """

    groups: tuple[tuple[Tensor, Tensor], ...]
    count: int


@dataclass(frozen=True)
class TextInputs:
    """N texts as M >= N pieces that fit the tower: a long transcript is cut, never truncated.

    ids, mask: (M, L) tokens and bool; owner: (M,) the text of each piece. Empty texts own none.
    """

    ids: Tensor
    mask: Tensor
    owner: Tensor
    count: int


@dataclass(frozen=True)
class ItemInputs:
    """Clips or products for the network: pictures with their owners, and one text each.

    owner, place: (N,) which item each picture belongs to, and its place within it.
    """

    images: ImageInputs
    owner: Tensor
    position: Tensor
    texts: TextInputs

    @property
    def count(self) -> int:
        """How many clips or products."""
        return self.texts.count


class Placement(NamedTuple):
    """The part of a canvas that a picture covers, in pixels; the rest is padding."""

    top: int
    left: int
    height: int
    width: int


def choose_canvas(picture: ImageArray, canvases: Sequence[Canvas]) -> Canvas:
    """The canvas whose aspect is nearest to that of the picture (ratio of ratios)."""
    aspect = log(picture.shape[0] / picture.shape[1])
    return min(canvases, key=lambda canvas: abs(log(canvas[0] / canvas[1]) - aspect))


def compute_placement(shape: Sequence[int], canvas: Canvas) -> Placement:
    """Where a picture of `shape` (height, width, …) lies on a canvas: scaled to fit, centred."""
    scale = min(canvas[0] / shape[0], canvas[1] / shape[1])
    height, width = (max(1, round(side * scale)) for side in shape[:2])
    return Placement((canvas[0] - height) // 2, (canvas[1] - width) // 2, height, width)


def fit_to_canvas(picture: ImageArray, canvas: Canvas, fill: Sequence[int]) -> Tensor:
    """A picture (H, W, 3) scaled to fit and centred on a canvas: (3, h, w) uint8."""
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
    top, left, *size = compute_placement(picture.shape, canvas)
    if list(pixels.shape[1:]) != size:
        pixels = functional.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    padded = torch.tensor(fill, dtype=torch.uint8)[:, None, None].repeat(1, *canvas)
    padded[:, top : top + size[0], left : left + size[1]] = pixels
    return padded


def prepare_images(
    found: Sequence[ImageArray], canvases: Sequence[Canvas], fill: Sequence[int]
) -> ImageInputs:
    """Pictures (H, W, 3) of any sizes on the canvases of a tower."""
    rows: dict[Canvas, list[int]] = defaultdict(list)
    for row, picture in enumerate(found):
        rows[choose_canvas(picture, canvases)].append(row)
    groups = tuple(
        (torch.tensor(some), torch.stack([fit_to_canvas(found[row], canvas, fill) for row in some]))
        for canvas, some in rows.items()
    )
    return ImageInputs(groups, len(found))


def tokenize_texts(found: Sequence[str], tokenizer: Any, max_tokens: int) -> TextInputs:
    """Texts to tokens; what is longer than `max_tokens` goes on in a further piece."""
    spoken = [row for row, text in enumerate(found) if text.strip()]
    if not spoken:
        empty = torch.zeros(0, 1, dtype=torch.long)
        return TextInputs(empty, empty.bool(), empty[:, 0], len(found))
    tokens = tokenizer(
        [found[row] for row in spoken],
        max_length=max_tokens,
        truncation=True,
        padding=True,
        return_overflowing_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    owner = torch.tensor(spoken)[tokens["overflow_to_sample_mapping"]]
    return TextInputs(tokens["input_ids"], tokens["attention_mask"].bool(), owner, len(found))


@dataclass(frozen=True)
class Preprocessor:
    """How a network wants its input: canvases, fill colour, tokenizer, tokens a piece."""

    canvases: tuple[Canvas, ...]
    fill: tuple[int, int, int]
    tokenizer: Any
    max_tokens: int

    def prepare_images(self, found: Sequence[ImageArray]) -> ImageInputs:
        """Pictures (H, W, 3) of any sizes to tensors."""
        return prepare_images(found, self.canvases, self.fill)

    def tokenize_texts(self, found: Sequence[str]) -> TextInputs:
        """Texts to tokens."""
        return tokenize_texts(found, self.tokenizer, self.max_tokens)

    def prepare_clips(self, contents: Sequence[ClipContent]) -> ItemInputs:
        """Decoded clips to tensors."""
        return self._inputs([c.frames for c in contents], [c.text for c in contents])

    def prepare_products(self, contents: Sequence[ProductContent]) -> ItemInputs:
        """Decoded products to tensors."""
        return self._inputs([c.images for c in contents], [c.title for c in contents])

    def _inputs(self, shown: Sequence[Sequence[ImageArray]], said: Sequence[str]) -> ItemInputs:
        owner = [item for item, views in enumerate(shown) for _ in views]
        place = [place for views in shown for place in range(len(views))]
        flat = [picture for views in shown for picture in views]
        return ItemInputs(
            self.prepare_images(flat),
            torch.tensor(owner, dtype=torch.long),
            torch.tensor(place, dtype=torch.long),
            self.tokenize_texts(said),
        )
