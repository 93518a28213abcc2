"""Textured triangle meshes, from which products, presenters and rooms are built.

Lengths are in meters. The y axis points up and the z axis towards the viewer of the front. A
product stands on y = 0, centered at x = z = 0. Textures are (H, W, 3) uint8, row 0 at the top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgmn.records import ImageArray

Floats = NDArray[np.float32]
RGB = tuple[int, int, int]  # 0..255
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Mesh:
    """One textured surface.

    `specular` is the strength of the highlight (0..1) and `shininess` its Phong exponent.
    """

    vertices: Floats  # (V, 3)
    normals: Floats  # (V, 3), unit length, on either side of the surface
    uv: Floats  # (V, 2), 0..1 over the texture
    faces: NDArray[np.int64]  # (F, 3)
    texture: ImageArray
    specular: float = 0.15
    shininess: float = 24.0

    def transform(self, matrix: Floats) -> Mesh:
        """Apply a rigid (4, 4) transform with one uniform scale."""
        rotation = matrix[:3, :3] / np.cbrt(np.linalg.det(matrix[:3, :3]))
        vertices = self.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        return replace(self, vertices=vertices, normals=self.normals @ rotation.T)


Solid = tuple[Mesh, ...]


def transform(solid: Iterable[Mesh], matrix: Floats) -> Solid:
    """Apply the same (4, 4) transform to every mesh of a solid."""
    return tuple(mesh.transform(matrix) for mesh in solid)


def merge_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """Merge meshes into one with the texture and the highlight of the first."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return replace(
        meshes[0],
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        faces=np.concatenate([m.faces + o for m, o in zip(meshes, offsets, strict=True)]),
    )


def bounding_box(solid: Iterable[Mesh]) -> tuple[Floats, Floats]:
    """Return the lowest and the highest corner of the box around a solid, each (3,)."""
    vertices = np.concatenate([mesh.vertices for mesh in solid])
    return vertices.min(axis=0), vertices.max(axis=0)


def color_texture(color: RGB) -> ImageArray:
    """Return a (1, 1, 3) texture of one color."""
    return np.array([[color]], np.uint8)


def transform_matrix(
    position: ArrayLike, rotation: NDArray[np.floating] | None = None, scale: float = 1.0
) -> Floats:
    """Return the (4, 4) matrix that scales, rotates by (3, 3) and then moves to `position`."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = scale * (np.eye(3) if rotation is None else rotation)
    matrix[:3, 3] = position
    return matrix


def rotation_matrix(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """Return the (3, 3) rotation by roll about z, then pitch about x, then yaw about y.

    Angles are in radians.
    """
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)
