"""Shaded surfaces: the solids that products, hosts and rooms are built from.

Lengths are metres; y is up, z points to whoever looks at the front, and a product stands on
y = 0 with its middle at x = z = 0. Textures are (h, w, 3) uint8 with row 0 at the top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgmn.records import Picture

Floats = NDArray[np.float32]
RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """One surface. `shine` 0..1 is the strength of its highlight, `gloss` the exponent of it."""

    points: Floats  # (V, 3)
    normals: Floats  # (V, 3), unit length, either side
    uv: Floats  # (V, 2), 0..1 over the texture
    faces: NDArray[np.int64]  # (F, 3)
    texture: Picture
    shine: float = 0.15
    gloss: float = 24.0

    def moved(self, matrix: Floats) -> Part:
        """The same surface after a rigid move (with one scale) given as a (4, 4) matrix."""
        turn = matrix[:3, :3] / np.cbrt(np.linalg.det(matrix[:3, :3]))
        points = self.points @ matrix[:3, :3].T + matrix[:3, 3]
        return replace(self, points=points, normals=self.normals @ turn.T)


Solid = tuple[Part, ...]
Vector = tuple[float, float, float]


def moved(solid: Iterable[Part], matrix: Floats) -> Solid:
    """Every part of a solid after the same move."""
    return tuple(part.moved(matrix) for part in solid)


def joined(parts: Sequence[Part]) -> Part:
    """Several parts as one; all take texture and shine of the first."""
    shift = np.cumsum([0, *(len(part.points) for part in parts[:-1])])
    return replace(
        parts[0],
        points=np.concatenate([part.points for part in parts]),
        normals=np.concatenate([part.normals for part in parts]),
        uv=np.concatenate([part.uv for part in parts]),
        faces=np.concatenate([p.faces + s for p, s in zip(parts, shift, strict=True)]),
    )


def bounds(solid: Iterable[Part]) -> tuple[Floats, Floats]:
    """The lowest and the highest corner of the box around a solid, each (3,)."""
    points = np.concatenate([part.points for part in solid])
    return points.min(axis=0), points.max(axis=0)


def plain(colour: RGB) -> Picture:
    """A texture of one colour."""
    return np.array([[colour]], np.uint8)


def at(place: ArrayLike, turn: NDArray[np.floating] | None = None, scale: float = 1.0) -> Floats:
    """A (4, 4) move: scale, then turn by a (3, 3) rotation, then shift to `place`."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = scale * (np.eye(3) if turn is None else turn)
    matrix[:3, 3] = place
    return matrix


def turned(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """The (3, 3) rotation by radians: roll about z, then pitch about x, then yaw about y."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)
