"""Photographs composed into the frames of a cluttered stream.

A held product fills the middle of a portrait frame; behind it is the picture of some store, out
of focus, around it stand distractors, and part of the time others are held up instead.
Pictures are (H, W, 3) uint8.
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

from sgmn.records import Picture

ASPECT = 9 / 16  # width to height: the portrait of most livestreams
HELD_WIDTH = (0.3, 0.9)  # share of the frame's width
BESIDE_WIDTH = (0.18, 0.36)
SHARPNESS = (0.06, 1.0)  # of what stands behind
ROUNDNESS = (0.0, 0.3)  # of the corners, as a share of the shorter side
HAND = 0.3  # how often fingers cover an edge of what is held
ASKEW = 0.2  # share of a side by which a corner moves inwards at most
MIRRORED = 0.3  # how often
MIDDLE = (0.5, 1.0)  # share of a photo's sides that is left of it elsewhere
EDGE = 0.3  # how wide its edge is, as a share of its radius
SKINS = np.array([[236, 188, 160], [198, 134, 98], [141, 85, 54], [92, 56, 38]])


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


def askew(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture as from another place: each corner moved inwards, now and then mirrored."""
    height, width = picture.shape[:2]
    inwards = rng.uniform(0, ASKEW, (4, 2))
    corners = np.abs(np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) - inwards) * (width, height)
    if rng.random() < MIRRORED:
        corners = corners[[3, 2, 1, 0]]
    image = Image.fromarray(picture)
    data = corners.ravel().tolist()  # from the upper left one, counterclockwise
    turned = image.transform(image.size, Image.Transform.QUAD, data, Image.Resampling.BILINEAR)
    return np.array(turned)


def elsewhere(picture: Picture, around: Picture, rng: np.random.Generator) -> Picture:
    """The middle of a picture in the surroundings of another one.

    Many photographs of a product may come from one visit to a store, whose shelf tells it as surely
    as what it looks like, and says nothing in the next store.
    """
    shown = Image.fromarray(picture)
    sides = [max(1, round(side * rng.uniform(*MIDDLE))) for side in shown.size]
    room = [whole - side for whole, side in zip(shown.size, sides, strict=True)]
    left, top = np.clip(rng.normal(0.5, 0.1, 2), 0, 1) * room
    mask = Image.new("L", shown.size)
    mask.paste(_disc().resize(sides), (round(left), round(top)))
    ground = Image.fromarray(around).resize(shown.size, Image.Resampling.BILINEAR)
    return np.array(Image.composite(shown, ground, mask))


@cache
def _disc(side: int = 128) -> Image.Image:
    """A round mask with a soft edge."""
    away = np.abs(np.arange(side) + 0.5 - side / 2) / (side / 2)
    distance = np.hypot(away[:, None], away[None])
    return Image.fromarray((255 * np.clip((1 - distance) / EDGE, 0, 1)).astype(np.uint8))


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
        ground = blurred(ground[:, left : left + width], rng.uniform(*SHARPNESS))
        for picture in beside:
            _paste(ground, picture, rng.uniform(*BESIDE_WIDTH), rng.random(2), rng)
        return cls(ground)

    def holding(self, picture: Picture, scale: float, rng: np.random.Generator) -> Picture:
        """A frame with a product in the hand; `scale` is its share of the frame's width."""
        frame = self.ground.copy()
        held = gripped(picture, rng) if rng.random() < HAND else picture
        _paste(frame, held, scale, np.clip(rng.normal(0.5, 0.15, 2), 0, 1), rng)
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
    place = (slice(top, top + h), slice(left, left + w))
    shown = rounded(h, w, rng.uniform(*ROUNDNESS))
    mixed = shown * resized(part, h, w) + (1 - shown) * ground[place]
    ground[place] = mixed.round().astype(np.uint8)


def rounded(height: int, width: int, share: float) -> NDArray[np.float64]:
    """How far a rectangle covers each of its pixels (H, W, 1); `share` rounds its corners."""
    radius = max(1.0, share * min(height, width))
    beyond = [
        np.maximum(np.abs(np.arange(side) - (side - 1) / 2) - (side / 2 - radius), 0)
        for side in (height, width)
    ]
    distance = np.hypot(beyond[0][:, None], beyond[1][None])
    cover: NDArray[np.float64] = np.clip(radius - distance + 0.5, 0, 1)[..., None]
    return cover


def gripped(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture with the fingers of some hand over its lower edge or a side."""
    height, width = picture.shape[:2]
    skin = SKINS[int(rng.integers(len(SKINS)))] * rng.uniform(0.8, 1.1)
    rows, columns = np.mgrid[0:height, 0:width]
    seen = picture.astype(np.float64)
    side, start = int(rng.integers(3)), rng.uniform(0.1, 0.5)
    for finger in range(int(rng.integers(1, 5))):
        along, reach = start + 0.13 * finger, rng.uniform(0.12, 0.3)
        x, y = [(0.0, along), (1.0, along), (along, 1.0)][side]
        long, thick = (width * reach, height * 0.06) if side < 2 else (width * 0.06, height * reach)
        inside = ((columns - x * width) / long) ** 2 + ((rows - y * height) / thick) ** 2 < 1
        seen[inside] = skin * rng.uniform(0.9, 1.1)
    return seen.clip(0, 255).astype(np.uint8)


def blurred(picture: Picture, share: float) -> Picture:
    """The picture as if it had been taken at `share` (0..1) of its size."""
    height, width = picture.shape[:2]
    small = resized(picture, round(height * share), round(width * share))
    return resized(small, height, width)
