"""The surfaces that solids are put together from; lengths are metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgmn.records import Picture
from sgmn.synth.mesh import Part, Solid

_CREASE = np.cos(np.radians(35))  # a sharper bend of a profile is an edge, a softer one round


def sheet(
    points: NDArray[np.floating],
    texture: Picture,
    *,
    normals: NDArray[np.floating] | None = None,
    shine: float = 0.15,
    gloss: float = 24.0,
    uv: NDArray[np.floating] | None = None,
) -> Part:
    """A surface from a grid of points (M, N, 3); texture rows run along M, from the top."""
    m, n = points.shape[:2]
    normals = _normals(points) if normals is None else normals
    if uv is None:
        uv = np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m)), axis=-1)
    corner = (np.arange(m - 1)[:, None] * n + np.arange(n - 1)).ravel()
    halves = [corner, corner + n, corner + n + 1], [corner, corner + n + 1, corner + 1]
    faces = np.concatenate([np.stack(half, axis=1) for half in halves])
    flat = [np.asarray(a, np.float32).reshape(m * n, -1) for a in (points, normals, uv)]
    return Part(flat[0], flat[1], flat[2], faces, texture, shine, gloss)


def _normals(points: NDArray[np.floating]) -> NDArray[np.floating]:
    down, across = np.gradient(points, axis=0), np.gradient(points, axis=1)
    if np.allclose(points[:, 0], points[:, -1]):  # a closed ring: the seam is no edge
        across[:, 0] = across[:, -1] = points[:, 1] - points[:, -2]
    return _unit(np.cross(across, down))


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9))


def lathe(
    profile: Sequence[tuple[float, float]],
    texture: Picture,
    *,
    segments: int = 36,
    shine: float = 0.3,
    gloss: float = 40.0,
) -> Part:
    """A profile of (radius, height), from the top down, turned about the y axis.

    The middle of the texture faces +z. A sharp bend of the profile stays an edge.
    """
    radius, height, out, up, share = _creased(np.asarray(profile, float))
    angle = np.linspace(-np.pi, np.pi, segments + 1)
    sin, cos, one = np.sin(angle), np.cos(angle), np.ones(segments + 1)
    points = np.stack([np.outer(radius, sin), np.outer(height, one), np.outer(radius, cos)], -1)
    normals = np.stack([np.outer(out, sin), np.outer(up, one), np.outer(out, cos)], -1)
    uv = np.stack(np.meshgrid(np.linspace(0, 1, segments + 1), share), axis=-1)
    return sheet(points, texture, normals=normals, shine=shine, gloss=gloss, uv=uv)


def _creased(profile: NDArray[np.floating]) -> tuple[NDArray[np.floating], ...]:
    """Radius, height, normal (out, up) and share of the length; edges given twice."""
    step = np.diff(profile, axis=0)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(step, axis=1))])
    flat = _unit(np.stack([-step[:, 1], step[:, 0]], axis=1))
    rows: list[tuple[int, NDArray[np.floating]]] = [(0, flat[0])]
    for i in range(1, len(profile) - 1):
        before, after = flat[i - 1], flat[i]
        smooth = before @ after > _CREASE
        rows += [(i, _unit(before + after))] if smooth else [(i, before), (i, after)]
    rows.append((len(profile) - 1, flat[-1]))
    index = [i for i, _ in rows]
    normal = np.stack([n for _, n in rows])
    share = length[index] / length[-1]
    return profile[index, 0], profile[index, 1], normal[:, 0], normal[:, 1], share


def shell(
    rows: Sequence[tuple[float, float, float]],
    front: Picture,
    back: Picture,
    *,
    power: float = 1.0,
    segments: int = 20,
    shine: float = 0.3,
    gloss: float = 30.0,
) -> Solid:
    """Rows of (half width, half depth, height), from the top down, each a rounded outline.

    The outline is a super-ellipse: `power` 1 an ellipse, 0.4 nearly a rectangle.
    """
    wide, deep, high = np.asarray(rows, float).T
    angle = np.linspace(np.pi, 0, segments + 1)
    x, z = _rounded(np.cos(angle), power), _rounded(np.sin(angle), power)
    level = np.outer(high, np.ones(segments + 1))
    down = (high[0] - high) / (high[0] - high[-1])
    across = (1 - x) / 2  # the label runs straight over the width, not around the curve
    parts = []
    for side, texture in ((1.0, front), (-1.0, back)):
        points = np.stack([side * np.outer(wide, x), level, side * np.outer(deep, z)], -1)
        uv = np.stack(np.meshgrid(1 - across, down), axis=-1)
        parts.append(sheet(points, texture, shine=shine, gloss=gloss, uv=uv))
    return tuple(parts)


def _rounded(values: NDArray[np.floating], power: float) -> NDArray[np.floating]:
    return np.asarray(np.sign(values) * np.abs(values) ** power)


def cuboid(
    size: tuple[float, float, float],
    front: Picture,
    back: Picture,
    side: Picture,
    top: Picture,
    *,
    base: float = 0.0,
    shine: float = 0.15,
    gloss: float = 24.0,
) -> Solid:
    """A box of (width, height, depth) that stands on the height `base`."""
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
        sheet(np.array([[a, b], [c, e]]), texture, shine=shine, gloss=gloss)
        for a, b, c, e, texture in walls
    )


def ellipsoid(
    middle: ArrayLike,
    radii: ArrayLike,
    texture: Picture,
    *,
    top: float = 0.0,
    bottom: float = np.pi,
    segments: int = 24,
    shine: float = 0.15,
    gloss: float = 24.0,
) -> Part:
    """An ellipsoid, or the band of it between two angles from its upper pole (radians)."""
    polar, angle = np.linspace(top, bottom, segments // 2 + 1), np.linspace(-np.pi, np.pi, segments)
    sin, cos = np.sin(polar), np.cos(polar)
    ball = np.stack(
        [
            np.outer(sin, np.sin(angle)),
            np.outer(cos, np.ones(segments)),
            np.outer(sin, np.cos(angle)),
        ],
        axis=-1,
    )
    size = np.asarray(radii, float)
    points = ball * size + np.asarray(middle, float)
    return sheet(points, texture, normals=_unit(ball / size), shine=shine, gloss=gloss)


def tube(
    path: NDArray[np.floating],
    radius: float | Sequence[float],
    texture: Picture,
    *,
    segments: int = 12,
    shine: float = 0.2,
    gloss: float = 24.0,
) -> Part:
    """A round tube along a path (N, 3); `radius` may differ from point to point."""
    path = np.asarray(path, float)
    ahead = _unit(np.gradient(path, axis=0))
    guide = (
        np.array([0.0, 0.0, 1.0]) if np.abs(ahead[:, 2]).max() < 0.9 else np.array([0.3, 1, 0.2])
    )
    side = _unit(np.cross(ahead, guide))
    up = np.cross(side, ahead)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    out = side[:, None] * np.cos(angle)[:, None] + up[:, None] * np.sin(angle)[:, None]
    thick = np.broadcast_to(np.asarray(radius, float), len(path))[:, None, None]
    return sheet(path[:, None] + thick * out, texture, normals=out, shine=shine, gloss=gloss)


def capsule(start: ArrayLike, end: ArrayLike, radius: float, texture: Picture) -> Part:
    """A limb: a tube with round ends."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    ahead = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
    bend = np.radians([90, 70, 45, 20, 0])
    first = [a - ahead * radius * np.sin(t) for t in bend]
    last = [b + ahead * radius * np.sin(t) for t in bend[::-1]]
    thick = [radius * np.cos(t) for t in (*bend, *bend[::-1])]
    return tube(np.stack(first + last), thick, texture, segments=10, shine=0.05)
