"""Photographs composed into the frames of a cluttered stream.

A held product fills the middle of a portrait frame; behind it is the picture of some store,
around it stand distractors, and part of the time another product is held up instead.
Pictures are (H, W, 3) uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sgmn.records import Picture

ASPECT = 9 / 16  # width to height: the portrait of most livestreams
HELD_WIDTH = (0.35, 0.95)  # share of the frame's width
BESIDE_WIDTH = (0.2, 0.4)


def resized(picture: Picture, height: int, width: int) -> Picture:
    """The picture at another size."""
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    size = (max(1, height), max(1, width))
    small = functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]
    return np.ascontiguousarray(small.permute(1, 2, 0).numpy())


def cropped(picture: Picture, least: float, rng: np.random.Generator) -> Picture:
    """A random part of the picture, each side at least the share `least` of the whole."""
    height, width = picture.shape[:2]
    share = rng.uniform(least, 1.0)
    h, w = max(1, round(height * share)), max(1, round(width * share))
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    return picture[top : top + h, left : left + w]


@dataclass(frozen=True)
class Scene:
    """What stays while the clip runs: the background and the distractors on it."""

    ground: Picture

    @classmethod
    def of(
        cls, back: Picture, beside: Sequence[Picture], height: int, rng: np.random.Generator
    ) -> Scene:
        """A store behind, and distractors around, `height` pixels high."""
        width = round(height * ASPECT)
        ground = resized(cropped(back, 0.5, rng), height, height)
        left = int(rng.integers(height - width + 1))
        ground = np.ascontiguousarray(ground[:, left : left + width])
        for picture in beside:
            _paste(ground, picture, rng.uniform(*BESIDE_WIDTH), rng.random(2), rng)
        return cls(ground)

    def holding(self, picture: Picture, scale: float, rng: np.random.Generator) -> Picture:
        """A frame with a product in the hand; `scale` is its share of the frame's width."""
        frame = self.ground.copy()
        _paste(frame, picture, scale, np.clip(rng.normal(0.5, 0.15, 2), 0, 1), rng)
        return frame


def _paste(
    ground: Picture,
    picture: Picture,
    scale: float,
    at: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Put a picture onto the ground, its place given as shares of the room there is."""
    height, width = ground.shape[:2]
    part = cropped(picture, 0.7, rng)
    w = max(4, round(width * scale))
    h = min(height, max(4, round(w * part.shape[0] / part.shape[1] * rng.uniform(0.8, 1.25))))
    top, left = round((height - h) * at[0]), round((width - w) * at[1])
    ground[top : top + h, left : left + w] = resized(part, h, w)


def lit(picture: Picture, light: NDArray[np.float64]) -> Picture:
    """The picture under another light: `light` (3, 2) is gain and offset of each channel."""
    shifted = picture * light[:, 0] + 255 * light[:, 1]
    return shifted.clip(0, 255).astype(np.uint8)


def some_light(strength: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random light (3, 2): brightness and contrast for all channels, a slight colour cast."""
    gain = np.exp(rng.normal(0, strength)) * np.exp(rng.normal(0, strength / 4, 3))
    offset = np.full(3, rng.normal(0, strength / 4))
    return np.stack([gain, offset], axis=1)


def blurred(picture: Picture, share: float) -> Picture:
    """The picture as if it had been taken at `share` (0..1) of its size."""
    height, width = picture.shape[:2]
    small = resized(picture, round(height * share), round(width * share))
    return resized(small, height, width)
