"""Emblems and all-over patterns: what a brand or a fabric is known by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from sgmn.records import Picture
from sgmn.synth.mesh import RGB

Canvas = ImageDraw.ImageDraw
Outline = NDArray[np.floating]
Mask = NDArray[Any]  # of numbers 0..1 or of truths


def emblem(
    canvas: Canvas, name: str, middle: tuple[float, float], radius: float, ink: RGB, second: RGB
) -> None:
    """Draw the emblem `name` around a point; `second` fills its inner mark."""
    for place, outline in enumerate(EMBLEMS[name]()):
        points = outline * radius + np.asarray(middle)
        canvas.polygon([tuple(p) for p in points.tolist()], fill=second if place else ink)


def _ring(r: NDArray[np.floating] | float, angle: NDArray[np.floating]) -> Outline:
    return np.stack([r * np.sin(angle), -r * np.cos(angle)], axis=1)


def _disc(x: float, y: float, r: float) -> Outline:
    return np.asarray(_ring(r, np.linspace(0, 2 * np.pi, 30)) + np.array([x, y]))


def _pointed(points: int, inner: float) -> Outline:
    angle = np.arange(2 * points) * np.pi / points
    return _ring(np.where(np.arange(2 * points) % 2, inner, 1.0), angle)


def _star() -> list[Outline]:
    return [_pointed(5, 0.42)]


def _sun() -> list[Outline]:
    return [_pointed(12, 0.62), _disc(0, 0, 0.42)]


def _leaf() -> list[Outline]:
    t = np.linspace(0, 1, 24)
    bulge = 0.55 * np.sin(np.pi * t)
    right, left = np.stack([bulge, 1 - 2 * t], 1), np.stack([-bulge, 1 - 2 * t], 1)[::-1]
    vein = np.array([(-0.04, 1.0), (0.04, 1.0), (0.03, -0.6), (-0.03, -0.6)])
    return [np.concatenate([right, left]), vein]


def _heart() -> list[Outline]:
    t = np.linspace(0, 2 * np.pi, 40)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [np.stack([x, -y], axis=1) / 17]


def _moon() -> list[Outline]:
    outer, inner = np.linspace(0.25, 2 * np.pi - 0.25, 30), np.linspace(2 * np.pi - 0.5, 0.5, 30)
    dent = _ring(0.72, inner + 0.9) + np.array([0.3, -0.2])
    return [np.concatenate([_ring(1.0, outer + 0.9), dent])]


def _drop() -> list[Outline]:
    t = np.linspace(0, 2 * np.pi, 40)
    return [np.stack([0.9 * np.sin(t) * np.sin(t / 2) ** 1.5, -np.cos(t)], axis=1)]


def _mountain() -> list[Outline]:
    peak = np.array([(-1, 0.7), (-0.25, -0.75), (0.1, -0.1), (0.4, -0.5), (1, 0.7)])
    snow = np.array([(-0.46, -0.32), (-0.25, -0.75), (0.0, -0.28), (-0.2, -0.15), (-0.32, -0.3)])
    return [peak, snow]


def _crown() -> list[Outline]:
    return [
        np.array([(-1, 0.6), (-1, -0.5), (-0.5, 0.1), (0, -0.8), (0.5, 0.1), (1, -0.5), (1, 0.6)])
    ]


def _flower() -> list[Outline]:
    t = np.linspace(0, 2 * np.pi, 80)
    return [_ring(0.72 + 0.28 * np.cos(6 * t), t), _disc(0, 0, 0.28)]


def _fish() -> list[Outline]:
    t = np.linspace(0.35, 2 * np.pi - 0.35, 30)
    body = np.stack([-0.75 * np.cos(t), 0.5 * np.sin(t)], axis=1) - np.array([0.2, 0])
    tail = np.array([(-0.9, -0.2), (-1.0, 0.0), (-0.9, 0.2)]) * [-1, -2.5]
    return [np.concatenate([body, tail])[:, :] * [-1, 1], _disc(0.55, -0.12, 0.09)]


def _bolt() -> list[Outline]:
    return [
        np.array([(0.2, -1), (-0.6, 0.15), (-0.05, 0.15), (-0.25, 1), (0.6, -0.25), (0.05, -0.25)])
    ]


def _diamond() -> list[Outline]:
    return [
        np.array([(0, 1), (-0.9, -0.2), (-0.5, -0.75), (0.5, -0.75), (0.9, -0.2)]),
        np.array([(0, 0.7), (-0.35, -0.18), (0.35, -0.18)]),
    ]


EMBLEMS: dict[str, Callable[[], list[Outline]]] = {
    "star": _star,
    "sun": _sun,
    "leaf": _leaf,
    "heart": _heart,
    "moon": _moon,
    "drop": _drop,
    "mountain": _mountain,
    "crown": _crown,
    "flower": _flower,
    "fish": _fish,
    "lightning": _bolt,
    "diamond": _diamond,
}


def pattern(name: str, one: RGB, other: RGB, side: int = 256, cells: int = 6) -> Picture:
    """A square swatch of an all-over pattern, `cells` repeats across; `plain` is `one` alone."""
    y, x = np.mgrid[0:side, 0:side] / side * cells
    share = np.clip(PATTERNS[name](x, y), 0, 1)[..., None]
    return np.asarray((1 - share) * np.array(one) + share * np.array(other), np.uint8)


def _cell(x: Outline, y: Outline) -> tuple[Outline, Outline]:
    return x % 1 - 0.5, (y + 0.5 * (np.floor(x) % 2)) % 1 - 0.5


def _blossoms(x: Outline, y: Outline) -> Mask:
    cx, cy = _cell(x, y)
    petals = 0.3 + 0.1 * np.cos(5 * np.arctan2(cy, cx))
    ring = np.hypot(cx, cy)
    return np.asarray((ring < petals) & (ring > 0.09))


def _zigzag(x: Outline, y: Outline) -> Mask:
    return np.asarray((y + np.abs(x % 1 - 0.5)) % 1 < 0.45)


def _stars(x: Outline, y: Outline) -> Mask:
    cx, cy = _cell(x, y)
    angle = np.arctan2(cy, cx)
    return np.hypot(cx, cy) < 0.13 + 0.2 * np.abs(np.cos(2.5 * angle)) ** 3


def _tartan(x: Outline, y: Outline) -> Mask:
    return 0.5 * ((x % 1) < 0.4) + 0.5 * ((y % 1) < 0.4)


PATTERNS: dict[str, Callable[[Outline, Outline], Mask]] = {
    "plain": lambda x, y: 0 * x,
    "striped": lambda x, y: (x % 1) < 0.45,
    "hooped": lambda x, y: (y % 1) < 0.45,
    "dotted": lambda x, y: np.hypot(*_cell(x, y)) < 0.27,
    "checked": _tartan,
    "zigzag": _zigzag,
    "starry": _stars,
    "floral": _blossoms,
}
