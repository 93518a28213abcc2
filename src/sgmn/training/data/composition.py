"""Composes photos of products into the frames of a cluttered livestream.

The product fills the middle of a portrait frame. Behind it is an out-of-focus photo of a store,
around it are distractors, and in some frames another product is held up instead. Images are
(H, W, 3) uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from sgmn.records import Box, ImageArray

ASPECT = 9 / 16  # width to height: the portrait format of most livestreams
HELD_WIDTH = (0.3, 0.9)  # width of the held product, as a fraction of the frame's
DISTRACTOR_WIDTH = (0.18, 0.36)
BACKGROUND_RESOLUTION = (0.06, 1.0)  # fraction of its pixels that the background keeps
CORNER_RADIUS = (0.0, 0.3)  # as a fraction of the shorter side
HAND_PROB = 0.3  # probability that fingers cover an edge of the held product
MAX_CORNER_SHIFT = 0.2  # of a corner inwards, as a fraction of the side
MIRROR_PROB = 0.3
CENTER_FRACTION = (0.5, 1.0)  # fraction of a photo's sides that new surroundings leave
EDGE_WIDTH = 0.3  # of the soft edge around it, as a fraction of its radius
SKIN_COLORS = np.array([[236, 188, 160], [198, 134, 98], [141, 85, 54], [92, 56, 38]])


def resize(image: ImageArray, height: int, width: int) -> ImageArray:
    """Resize an image, with antialiasing."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    size = (max(1, height), max(1, width))
    resized = functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]
    return np.ascontiguousarray(resized.permute(1, 2, 0).numpy())


def random_crop(image: ImageArray, min_fraction: float, rng: np.random.Generator) -> ImageArray:
    """Crop a random part of an image; each side keeps at least `min_fraction` of its length."""
    height, width = image.shape[:2]
    fraction = rng.uniform(min_fraction, 1.0)
    h, w = max(1, round(height * fraction)), max(1, round(width * fraction))
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    return image[top : top + h, left : left + w]


def warp_perspective(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Move each corner inwards at random and sometimes mirror the image; its size stays."""
    height, width = image.shape[:2]
    shifts = rng.uniform(0, MAX_CORNER_SHIFT, (4, 2))
    corners = np.abs(np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) - shifts) * (width, height)
    if rng.random() < MIRROR_PROB:
        corners = corners[[3, 2, 1, 0]]
    source = Image.fromarray(image)
    data = corners.ravel().tolist()  # from the upper left corner, counterclockwise
    warped = source.transform(source.size, Image.Transform.QUAD, data, Image.Resampling.BILINEAR)
    return np.array(warped)


def change_surroundings(
    image: ImageArray, surroundings: ImageArray, rng: np.random.Generator
) -> ImageArray:
    """Place the center of an image into the surroundings of another one.

    Many photos of a product may come from one visit to a store. Its shelf would then identify the
    product as surely as its appearance, but says nothing in the next store.
    """
    source = Image.fromarray(image)
    sides = [max(1, round(side * rng.uniform(*CENTER_FRACTION))) for side in source.size]
    room = [whole - side for whole, side in zip(source.size, sides, strict=True)]
    left, top = np.clip(rng.normal(0.5, 0.1, 2), 0, 1) * room
    mask = Image.new("L", source.size)
    mask.paste(_soft_disc().resize(sides), (round(left), round(top)))
    background = Image.fromarray(surroundings).resize(source.size, Image.Resampling.BILINEAR)
    return np.array(Image.composite(source, background, mask))


@cache
def _soft_disc(side: int = 128) -> Image.Image:
    """Return a round mask with a soft edge."""
    away = np.abs(np.arange(side) + 0.5 - side / 2) / (side / 2)
    distance = np.hypot(away[:, None], away[None])
    return Image.fromarray((255 * np.clip((1 - distance) / EDGE_WIDTH, 0, 1)).astype(np.uint8))


@dataclass(frozen=True)
class Scene:
    """What stays the same during a clip: the background with its distractors."""

    background: ImageArray

    @classmethod
    def compose(
        cls,
        store: ImageArray,
        distractors: Sequence[ImageArray],
        height: int,
        rng: np.random.Generator,
    ) -> Scene:
        """Compose a portrait background `height` pixels high from a store and distractors."""
        width = round(height * ASPECT)
        background = resize(random_crop(store, 0.5, rng), height, height)
        left = int(rng.integers(height - width + 1))
        background = blur(background[:, left : left + width], rng.uniform(*BACKGROUND_RESOLUTION))
        for image in distractors:
            _paste(background, image, rng.uniform(*DISTRACTOR_WIDTH), rng.random(2), rng)
        return cls(background)

    def render(
        self, product: ImageArray, width: float, rng: np.random.Generator
    ) -> tuple[ImageArray, Box]:
        """Render a frame with a held product, and return it with the product's box.

        width: of the product, as a fraction of the frame's width.
        """
        frame = self.background.copy()
        held = add_fingers(product, rng) if rng.random() < HAND_PROB else product
        box = _paste(frame, held, width, np.clip(rng.normal(0.5, 0.15, 2), 0, 1), rng)
        return frame, box


def _paste(
    background: ImageArray,
    image: ImageArray,
    scale: float,
    position: NDArray[np.float64],
    rng: np.random.Generator,
) -> Box:
    """Paste an image in place and return its box.

    position: (y, x), as fractions of the free space.
    """
    height, width = background.shape[:2]
    part = random_crop(image, 0.7, rng)
    w = max(4, round(width * scale))
    h = min(height, max(4, round(w * part.shape[0] / part.shape[1] * rng.uniform(0.8, 1.25))))
    top, left = round((height - h) * position[0]), round((width - w) * position[1])
    placement = Placement(top, left, h, w)
    paste_rounded(background, part, placement, rng.uniform(*CORNER_RADIUS))
    return placement.to_box(height, width)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image is pasted into a frame, in pixels. It must lie inside the frame."""

    top: int
    left: int
    height: int
    width: int

    def to_box(self, frame_height: int, frame_width: int) -> Box:
        """Return the box as fractions of a frame's width and height."""
        right, bottom = self.left + self.width, self.top + self.height
        left, top = self.left / frame_width, self.top / frame_height
        return left, top, right / frame_width, bottom / frame_height


def paste_rounded(
    background: ImageArray, image: ImageArray, placement: Placement, radius: float
) -> None:
    """Paste an image with rounded corners in place, resized to its placement.

    radius: of the corners, as a fraction of the shorter side.
    """
    h, w = placement.height, placement.width
    area = (slice(placement.top, placement.top + h), slice(placement.left, placement.left + w))
    mask = rounded_rectangle_mask(h, w, radius)
    mixed = mask * resize(image, h, w) + (1 - mask) * background[area]
    background[area] = mixed.round().astype(np.uint8)


def rounded_rectangle_mask(height: int, width: int, radius: float) -> NDArray[np.float64]:
    """Return how far a rectangle with rounded corners covers each pixel: (H, W, 1), 0..1.

    radius: of the corners, as a fraction of the shorter side.
    """
    radius_px = max(1.0, radius * min(height, width))
    beyond = [
        np.maximum(np.abs(np.arange(side) - (side - 1) / 2) - (side / 2 - radius_px), 0)
        for side in (height, width)
    ]
    distance = np.hypot(beyond[0][:, None], beyond[1][None])
    cover: NDArray[np.float64] = np.clip(radius_px - distance + 0.5, 0, 1)[..., None]
    return cover


def add_fingers(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Draw the fingers of a hand over the lower edge or a side of an image."""
    height, width = image.shape[:2]
    skin = SKIN_COLORS[int(rng.integers(len(SKIN_COLORS)))] * rng.uniform(0.8, 1.1)
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = image.astype(np.float64)
    side, start = int(rng.integers(3)), rng.uniform(0.1, 0.5)
    for finger in range(int(rng.integers(1, 5))):
        along, reach = start + 0.13 * finger, rng.uniform(0.12, 0.3)
        x, y = [(0.0, along), (1.0, along), (along, 1.0)][side]
        long, thick = (width * reach, height * 0.06) if side < 2 else (width * 0.06, height * reach)
        inside = ((columns - x * width) / long) ** 2 + ((rows - y * height) / thick) ** 2 < 1
        pixels[inside] = skin * rng.uniform(0.9, 1.1)
    return pixels.clip(0, 255).astype(np.uint8)


def blur(image: ImageArray, fraction: float) -> ImageArray:
    """Reduce an image to a `fraction` (0..1) of its size and enlarge it again."""
    height, width = image.shape[:2]
    small = resize(image, round(height * fraction), round(width * fraction))
    return resize(small, height, width)
