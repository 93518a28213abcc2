"""Light and surface colour: how bright a point looks.

Colours are linear light; a texture's byte is read, and a picture's byte written, with gamma 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmn.records import Picture
from sgmn.synth.mesh import Floats, Vector

LINEAR = (np.arange(256, dtype=np.float32) / 255) ** 2  # a texture's byte to linear light


@dataclass(frozen=True, slots=True)
class Light:
    """One strong lamp that casts shadows, one weak one that does not, and the sky's light.

    Directions point to the lamp; colours are linear RGB, about 0..1.5, and carry the white
    balance: an orange `key` is a warm lamp. `veil` 0..0.3 is flare that lifts the blacks.
    """

    key_from: Vector = (0.35, 0.8, 0.6)
    key: Vector = (0.62, 0.62, 0.62)
    fill_from: Vector = (-0.7, 0.3, 0.6)
    fill: Vector = (0.18, 0.18, 0.18)
    above: Vector = (0.42, 0.42, 0.42)
    below: Vector = (0.26, 0.26, 0.26)
    veil: float = 0.0


def unit(vector: Vector) -> Floats:
    """The vector at length 1, as an array."""
    array = np.asarray(vector, np.float32)
    return array / np.float32(np.linalg.norm(array))


def shaded(
    albedo: Floats, normals: Floats, views: Floats, shine: Floats, lit: Floats, light: Light
) -> Floats:
    """Linear colour (N, 3) of N points.

    `albedo` (N, 3) linear; `normals` (N, 3) towards the viewer; `views` (N, 3) unit, from the
    eye; `shine` (N, 2) strength and exponent of the highlight; `lit` (N,) 0..1 of the key.
    """
    key, fill = unit(light.key_from), unit(light.fill_from)
    above, below, strong, weak = (
        np.asarray(colour, np.float32)
        for colour in (light.above, light.below, light.key, light.fill)
    )
    total = below + (normals[:, 1:2] + 1) / 2 * (above - below)
    total += (np.maximum(normals @ key, 0) * lit)[:, None] * strong
    total += np.maximum(normals @ fill, 0)[:, None] * weak
    total *= albedo
    total += _highlight(normals, views, shine, lit, key)[:, None] * strong
    return np.asarray(total + np.float32(light.veil), np.float32)


def _highlight(normals: Floats, views: Floats, shine: Floats, lit: Floats, key: Floats) -> Floats:
    half = key - views
    facing = dots(normals, half) / np.sqrt(dots(half, half))
    return np.asarray(shine[:, 0] * np.maximum(facing, 0) ** shine[:, 1] * lit, np.float32)


def dots(one: Floats, other: Floats) -> Floats:
    """The products (N,) of vectors (N, 3), row by row."""
    return np.asarray(np.einsum("ij,ij->i", one, other), np.float32)


def developed(linear: NDArray[np.floating]) -> Picture:
    """Linear light to bytes; what is brighter than white burns out."""
    return np.asarray(np.sqrt(np.clip(linear, 0, 1)) * 255 + 0.5, np.uint8)
