"""Lighting and surface color.

Colors are linear light. Texture and image bytes are converted from and to it with gamma 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import Floats, Vector

BYTE_TO_LINEAR = (np.arange(256, dtype=np.float32) / 255) ** 2


@dataclass(frozen=True, slots=True)
class Lighting:
    """A key light that casts shadows, a fill light that does not, and ambient light.

    Directions point to the light. Colors are linear RGB, about 0..1.5, and carry the white
    balance: an orange key light is a warm lamp. `sky_color` is the ambient light from above and
    `ground_color` that from below. `flare` (0..0.3) lifts the blacks.
    """

    key_direction: Vector = (0.35, 0.8, 0.6)
    key_color: Vector = (0.62, 0.62, 0.62)
    fill_direction: Vector = (-0.7, 0.3, 0.6)
    fill_color: Vector = (0.18, 0.18, 0.18)
    sky_color: Vector = (0.42, 0.42, 0.42)
    ground_color: Vector = (0.26, 0.26, 0.26)
    flare: float = 0.0


def normalize(vector: Vector) -> Floats:
    """Return the vector at length 1, as an array (3,)."""
    array = np.asarray(vector, np.float32)
    return array / np.float32(np.linalg.norm(array))


def shade(
    albedo: Floats,
    normals: Floats,
    view_directions: Floats,
    highlight: Floats,
    key_visibility: Floats,
    lighting: Lighting,
) -> Floats:
    """Return the linear color (N, 3) of N surface points.

    Args:
        albedo: (N, 3), linear.
        normals: (N, 3), unit length, towards the viewer.
        view_directions: (N, 3), unit length, from the eye to the point.
        highlight: (N, 2), specular strength and shininess.
        key_visibility: (N,), 0 in the shadow of the key light, 1 in full light.
        lighting: The lights of the scene.
    """
    key, fill = normalize(lighting.key_direction), normalize(lighting.fill_direction)
    sky, ground, key_color, fill_color = (
        np.asarray(color, np.float32)
        for color in (
            lighting.sky_color,
            lighting.ground_color,
            lighting.key_color,
            lighting.fill_color,
        )
    )
    total = ground + (normals[:, 1:2] + 1) / 2 * (sky - ground)
    total += (np.maximum(normals @ key, 0) * key_visibility)[:, None] * key_color
    total += np.maximum(normals @ fill, 0)[:, None] * fill_color
    total *= albedo
    specular = _specular(normals, view_directions, highlight, key_visibility, key)
    total += specular[:, None] * key_color
    return np.asarray(total + np.float32(lighting.flare), np.float32)


def _specular(
    normals: Floats, view_directions: Floats, highlight: Floats, key_visibility: Floats, key: Floats
) -> Floats:
    """Return the Blinn-Phong highlight (N,)."""
    half = key - view_directions
    cosine = row_dots(normals, half) / np.sqrt(row_dots(half, half))
    return np.asarray(
        highlight[:, 0] * np.maximum(cosine, 0) ** highlight[:, 1] * key_visibility, np.float32
    )


def row_dots(first: Floats, second: Floats) -> Floats:
    """Return the dot products (N,) of the rows of two (N, 3) arrays."""
    return np.asarray(np.einsum("ij,ij->i", first, second), np.float32)


def linear_to_bytes(linear: NDArray[np.floating]) -> ImageArray:
    """Convert linear light to image bytes; values above 1 are clipped to white."""
    return np.asarray(np.sqrt(np.clip(linear, 0, 1)) * 255 + 0.5, np.uint8)
