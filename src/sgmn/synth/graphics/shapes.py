"""Shapes from which solids are assembled. All lengths are in meters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import Mesh, Solid

_SMOOTH_COSINE = np.cos(np.radians(35))  # a profile bends smoothly below this angle


def grid_mesh(
    points: NDArray[np.floating],
    texture: ImageArray,
    *,
    normals: NDArray[np.floating] | None = None,
    specular: float = 0.15,
    shininess: float = 24.0,
    uv: NDArray[np.floating] | None = None,
) -> Mesh:
    """Build a surface from a grid of points (M, N, 3); texture rows run along M, from the top."""
    m, n = points.shape[:2]
    normals = _grid_normals(points) if normals is None else normals
    if uv is None:
        uv = np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m)), axis=-1)
    corner = (np.arange(m - 1)[:, None] * n + np.arange(n - 1)).ravel()
    halves = [corner, corner + n, corner + n + 1], [corner, corner + n + 1, corner + 1]
    faces = np.concatenate([np.stack(half, axis=1) for half in halves])
    flat = [np.asarray(a, np.float32).reshape(m * n, -1) for a in (points, normals, uv)]
    return Mesh(flat[0], flat[1], flat[2], faces, texture, specular, shininess)


def _grid_normals(points: NDArray[np.floating]) -> NDArray[np.floating]:
    down, across = np.gradient(points, axis=0), np.gradient(points, axis=1)
    if np.allclose(points[:, 0], points[:, -1]):  # in a closed ring the seam is no edge
        across[:, 0] = across[:, -1] = points[:, 1] - points[:, -2]
    return _normalize(np.cross(across, down))


def _normalize(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9))


def lathe(
    profile: Sequence[tuple[float, float]],
    texture: ImageArray,
    *,
    segments: int = 36,
    specular: float = 0.3,
    shininess: float = 40.0,
) -> Mesh:
    """Rotate a profile of (radius, height), listed from the top down, about the y axis.

    The middle of the texture faces +z. A sharp bend of the profile stays a sharp edge.
    """
    radius, height, out, up, v = _split_at_edges(np.asarray(profile, float))
    angle = np.linspace(-np.pi, np.pi, segments + 1)
    sin, cos, one = np.sin(angle), np.cos(angle), np.ones(segments + 1)
    points = np.stack([np.outer(radius, sin), np.outer(height, one), np.outer(radius, cos)], -1)
    normals = np.stack([np.outer(out, sin), np.outer(up, one), np.outer(out, cos)], -1)
    uv = np.stack(np.meshgrid(np.linspace(0, 1, segments + 1), v), axis=-1)
    return grid_mesh(
        points, texture, normals=normals, specular=specular, shininess=shininess, uv=uv
    )


def _split_at_edges(profile: NDArray[np.floating]) -> tuple[NDArray[np.floating], ...]:
    """Return radius, height, normal (out, up) and fraction of the length of each profile point.

    A point at a sharp edge appears twice, once with the normal of each side.
    """
    step = np.diff(profile, axis=0)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(step, axis=1))])
    flat = _normalize(np.stack([-step[:, 1], step[:, 0]], axis=1))
    rows: list[tuple[int, NDArray[np.floating]]] = [(0, flat[0])]
    for i in range(1, len(profile) - 1):
        before, after = flat[i - 1], flat[i]
        smooth = before @ after > _SMOOTH_COSINE
        rows += [(i, _normalize(before + after))] if smooth else [(i, before), (i, after)]
    rows.append((len(profile) - 1, flat[-1]))
    index = [i for i, _ in rows]
    normal = np.stack([n for _, n in rows])
    fraction = length[index] / length[-1]
    return profile[index, 0], profile[index, 1], normal[:, 0], normal[:, 1], fraction


def loft(
    rows: Sequence[tuple[float, float, float]],
    front: ImageArray,
    back: ImageArray,
    *,
    power: float = 1.0,
    segments: int = 20,
    specular: float = 0.3,
    shininess: float = 30.0,
) -> Solid:
    """Connect horizontal superellipses, given as (half width, half depth, height) from the top.

    A `power` of 1 makes ellipses, 0.4 nearly rectangles. The front and the back half have a
    texture each.
    """
    half_width, half_depth, height = np.asarray(rows, float).T
    angle = np.linspace(np.pi, 0, segments + 1)
    x, z = _signed_power(np.cos(angle), power), _signed_power(np.sin(angle), power)
    level = np.outer(height, np.ones(segments + 1))
    down = (height[0] - height) / (height[0] - height[-1])
    across = (1 - x) / 2  # the label runs straight over the width, not around the curve
    meshes = []
    for side, texture in ((1.0, front), (-1.0, back)):
        points = np.stack(
            [side * np.outer(half_width, x), level, side * np.outer(half_depth, z)], -1
        )
        uv = np.stack(np.meshgrid(1 - across, down), axis=-1)
        meshes.append(grid_mesh(points, texture, specular=specular, shininess=shininess, uv=uv))
    return tuple(meshes)


def _signed_power(values: NDArray[np.floating], power: float) -> NDArray[np.floating]:
    return np.asarray(np.sign(values) * np.abs(values) ** power)


def cuboid(
    size: tuple[float, float, float],
    front: ImageArray,
    back: ImageArray,
    side: ImageArray,
    top: ImageArray,
    *,
    base: float = 0.0,
    specular: float = 0.15,
    shininess: float = 24.0,
) -> Solid:
    """Build a box of (width, height, depth) whose underside is at the height `base`."""
    w, h, d = size[0] / 2, size[1], size[2] / 2
    lo, hi = base, base + h
    walls = (
        ((-w, hi, d), (w, hi, d), (-w, lo, d), (w, lo, d), front),
        ((w, hi, -d), (-w, hi, -d), (w, lo, -d), (-w, lo, -d), back),
        ((w, hi, d), (w, hi, -d), (w, lo, d), (w, lo, -d), side),
        ((-w, hi, -d), (-w, hi, d), (-w, lo, -d), (-w, lo, d), side),
        ((-w, hi, -d), (w, hi, -d), (-w, hi, d), (w, hi, d), top),
        ((-w, lo, d), (w, lo, d), (-w, lo, -d), (w, lo, -d), top[-1:, -1:]),
    )
    return tuple(
        grid_mesh(np.array([[a, b], [c, e]]), texture, specular=specular, shininess=shininess)
        for a, b, c, e, texture in walls
    )


def ellipsoid(
    center: ArrayLike,
    radii: ArrayLike,
    texture: ImageArray,
    *,
    top: float = 0.0,
    bottom: float = np.pi,
    segments: int = 24,
    specular: float = 0.15,
    shininess: float = 24.0,
) -> Mesh:
    """Build an ellipsoid, or the band of it between two angles from its top pole, in radians."""
    polar, angle = np.linspace(top, bottom, segments // 2 + 1), np.linspace(-np.pi, np.pi, segments)
    sin, cos = np.sin(polar), np.cos(polar)
    sphere = np.stack(
        [
            np.outer(sin, np.sin(angle)),
            np.outer(cos, np.ones(segments)),
            np.outer(sin, np.cos(angle)),
        ],
        axis=-1,
    )
    size = np.asarray(radii, float)
    points = sphere * size + np.asarray(center, float)
    normals = _normalize(sphere / size)
    return grid_mesh(points, texture, normals=normals, specular=specular, shininess=shininess)


def tube(
    path: NDArray[np.floating],
    radius: float | Sequence[float],
    texture: ImageArray,
    *,
    segments: int = 12,
    specular: float = 0.2,
    shininess: float = 24.0,
) -> Mesh:
    """Build a round tube along a path (N, 3); `radius` is one number or one per point."""
    path = np.asarray(path, float)
    forward = _normalize(np.gradient(path, axis=0))
    guide = (
        np.array([0.0, 0.0, 1.0]) if np.abs(forward[:, 2]).max() < 0.9 else np.array([0.3, 1, 0.2])
    )
    side = _normalize(np.cross(forward, guide))
    up = np.cross(side, forward)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    out = side[:, None] * np.cos(angle)[:, None] + up[:, None] * np.sin(angle)[:, None]
    radii = np.broadcast_to(np.asarray(radius, float), len(path))[:, None, None]
    points = path[:, None] + radii * out
    return grid_mesh(points, texture, normals=out, specular=specular, shininess=shininess)


def capsule(start: ArrayLike, end: ArrayLike, radius: float, texture: ImageArray) -> Mesh:
    """Build a tube with round ends, such as a limb."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    forward = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
    bend = np.radians([90, 70, 45, 20, 0])
    first = [a - forward * radius * np.sin(t) for t in bend]
    last = [b + forward * radius * np.sin(t) for t in bend[::-1]]
    radii = [radius * np.cos(t) for t in (*bend, *bend[::-1])]
    return tube(np.stack(first + last), radii, texture, segments=10, specular=0.05)
