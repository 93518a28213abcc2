"""Images and texts as tensors, prepared alike in training, evaluation and live use.

Images are never cropped: an image is scaled to fit a canvas, and the rest of the canvas is padded.
A tower has several canvases (height, width), and each image uses the one with the nearest aspect
ratio. The tensor of an image therefore does not depend on the other images of a batch.
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
    """N images, grouped by canvas.

    Attributes:
        groups: Per canvas, the indices (n,) of its images in 0..N-1 and their pixels
            (n, 3, H, W) uint8.
        count: The number N of images.
        closer: Per canvas, the pixels (n, 3, H', W') of the same images on the canvas of fine
            patches; empty where these are not compared, or come from the image's own canvas.
    """

    groups: tuple[tuple[Tensor, Tensor], ...]
    count: int
    closer: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class TextInputs:
    """N tokenized texts. A text too long for the tower is split into pieces, never truncated.

    Attributes:
        ids: (M, L) token ids of the M pieces.
        mask: (M, L) bool, False at padding.
        owner: (M,) the text of each piece; an empty text has no piece.
        count: The number N of texts.
    """

    ids: Tensor
    mask: Tensor
    owner: Tensor
    count: int


@dataclass(frozen=True)
class GlanceInputs:
    """Second glances of B clips whose regions are known before the clips are encoded.

    Attributes:
        images: The regions, clip by clip.
        frames: (B, K) long, the frame of each glance.
        mask: (B, K) bool, False at padding; True as often as there are images.
    """

    images: ImageInputs
    frames: Tensor
    mask: Tensor


@dataclass(frozen=True)
class ItemInputs:
    """Clips or products as network input: any number of images and one text each.

    Attributes:
        images: The images of all items.
        owner: (N,) the item of each image.
        position: (N,) the position of each image within its item.
        texts: One text per item.
        glances: Second glances of clips in training, see `sgmn.training.data.labeled_glances`.
    """

    images: ImageInputs
    owner: Tensor
    position: Tensor
    texts: TextInputs
    glances: GlanceInputs | None = None

    @property
    def count(self) -> int:
        """The number of clips or products."""
        return self.texts.count


class Placement(NamedTuple):
    """The part of a canvas that an image covers, in pixels; the rest is padding."""

    top: int
    left: int
    height: int
    width: int


def choose_canvas(image: ImageArray, canvases: Sequence[Canvas]) -> Canvas:
    """Return the canvas whose aspect ratio is nearest to that of the image."""
    aspect = log(image.shape[0] / image.shape[1])
    return min(canvases, key=lambda canvas: abs(log(canvas[0] / canvas[1]) - aspect))


def compute_placement(shape: Sequence[int], canvas: Canvas) -> Placement:
    """Compute where an image of `shape` (height, width, …) lies when scaled to fit and centered."""
    scale = min(canvas[0] / shape[0], canvas[1] / shape[1])
    height, width = (max(1, round(side * scale)) for side in shape[:2])
    return Placement((canvas[0] - height) // 2, (canvas[1] - width) // 2, height, width)


def fit_to_canvas(image: ImageArray, canvas: Canvas, fill_color: Sequence[int]) -> Tensor:
    """Scale an image (H, W, 3) to fit a canvas and center it: (3, h, w) uint8."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    top, left, *size = compute_placement(image.shape, canvas)
    if list(pixels.shape[1:]) != size:
        pixels = functional.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    padded = torch.tensor(fill_color, dtype=torch.uint8)[:, None, None].repeat(1, *canvas)
    padded[:, top : top + size[0], left : left + size[1]] = pixels
    return padded


def prepare_images(
    images: Sequence[ImageArray],
    canvases: Sequence[Canvas],
    fill_color: Sequence[int],
    fine_canvas: Canvas | None = None,
) -> ImageInputs:
    """Place images (H, W, 3) of any sizes on canvases, and on that of fine patches if given."""

    def place(rows: Sequence[int], canvas: Canvas) -> Tensor:
        return torch.stack([fit_to_canvas(images[row], canvas, fill_color) for row in rows])

    rows_of: dict[Canvas, list[int]] = defaultdict(list)
    for row, image in enumerate(images):
        rows_of[choose_canvas(image, canvases)].append(row)
    groups = tuple((torch.tensor(rows), place(rows, canvas)) for canvas, rows in rows_of.items())
    closer = tuple(place(rows, fine_canvas) for rows in rows_of.values()) if fine_canvas else ()
    return ImageInputs(groups, len(images), closer)


def tokenize_texts(texts: Sequence[str], tokenizer: Any, max_tokens: int) -> TextInputs:
    """Tokenize texts; a text of more than `max_tokens` tokens is split into pieces."""
    rows = [row for row, text in enumerate(texts) if text.strip()]
    if not rows:
        ids = torch.zeros(0, 1, dtype=torch.long)
        return TextInputs(ids, ids.bool(), ids[:, 0], len(texts))
    tokens = tokenizer(
        [texts[row] for row in rows],
        max_length=max_tokens,
        truncation=True,
        padding=True,
        return_overflowing_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    owner = torch.tensor(rows)[tokens["overflow_to_sample_mapping"]]
    return TextInputs(tokens["input_ids"], tokens["attention_mask"].bool(), owner, len(texts))


@dataclass(frozen=True)
class Preprocessor:
    """Turns decoded clips and products into the input of a network.

    Attributes:
        canvases: The sizes (height, width) of image that the image tower accepts.
        fill_color: RGB color of the padding, 0..255.
        tokenizer: The tokenizer of the text tower.
        max_tokens: Maximum length of a piece of text.
        fine_canvas: See `NetworkConfig`.
    """

    canvases: tuple[Canvas, ...]
    fill_color: tuple[int, int, int]
    tokenizer: Any
    max_tokens: int
    fine_canvas: Canvas | None = None

    def prepare_images(
        self, images: Sequence[ImageArray], *, compares_patches: bool = False
    ) -> ImageInputs:
        """Place images (H, W, 3) of any sizes on the canvases.

        `compares_patches` tells whether late interaction compares their fine patches.
        """
        fine_canvas = self.fine_canvas if compares_patches else None
        return prepare_images(images, self.canvases, self.fill_color, fine_canvas)

    def prepare_regions(self, regions: Sequence[ImageArray]) -> ImageInputs:
        """Place second glances on the squarest canvas, on which most shop images are encoded."""
        canvas = min(self.canvases, key=lambda canvas: max(canvas) / min(canvas))
        return prepare_images(regions, [canvas], self.fill_color, self.fine_canvas)

    def tokenize_texts(self, texts: Sequence[str]) -> TextInputs:
        """Tokenize texts of any length."""
        return tokenize_texts(texts, self.tokenizer, self.max_tokens)

    def prepare_clips(self, contents: Sequence[ClipContent]) -> ItemInputs:
        """Prepare decoded clips."""
        images = self.prepare_images([frame for c in contents for frame in c.frames])
        counts = [len(content.frames) for content in contents]
        return self._prepare_items(images, counts, [content.text for content in contents])

    def prepare_products(self, contents: Sequence[ProductContent]) -> ItemInputs:
        """Prepare decoded products."""
        views = [view for content in contents for view in content.images]
        images = self.prepare_images(views, compares_patches=True)
        counts = [len(content.images) for content in contents]
        return self._prepare_items(images, counts, [content.title for content in contents])

    def _prepare_items(
        self, images: ImageInputs, counts: Sequence[int], texts: Sequence[str]
    ) -> ItemInputs:
        owner = [item for item, count in enumerate(counts) for _ in range(count)]
        position = [position for count in counts for position in range(count)]
        return ItemInputs(
            images,
            torch.tensor(owner, dtype=torch.long),
            torch.tensor(position, dtype=torch.long),
            self.tokenize_texts(texts),
        )
