"""Emblems of brands, drawn as polygons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from sgmn.synth.graphics.mesh import RGB

Canvas = ImageDraw.ImageDraw
Outline = NDArray[np.floating]  # (N, 2), in -1..1, y downwards


def draw_emblem(
    canvas: Canvas, name: str, center: tuple[float, float], radius: float, ink: RGB, secondary: RGB
) -> None:
    """Draw the emblem `name` in `ink`; its inner shape is filled with `secondary`."""
    for number, outline in enumerate(EMBLEMS[name]()):
        points = outline * radius + np.asarray(center)
        canvas.polygon([tuple(p) for p in points.tolist()], fill=secondary if number else ink)


def _polar(radius: NDArray[np.floating] | float, angle: NDArray[np.floating]) -> Outline:
    return np.stack([radius * np.sin(angle), -radius * np.cos(angle)], axis=1)


def _circle(x: float, y: float, radius: float) -> Outline:
    return np.asarray(_polar(radius, np.linspace(0, 2 * np.pi, 30)) + np.array([x, y]))


def _spiked(points: int, inner: float) -> Outline:
    angle = np.arange(2 * points) * np.pi / points
    return _polar(np.where(np.arange(2 * points) % 2, inner, 1.0), angle)


def _star() -> list[Outline]:
    return [_spiked(5, 0.42)]


def _sun() -> list[Outline]:
    return [_spiked(12, 0.62), _circle(0, 0, 0.42)]


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
    dent = _polar(0.72, inner + 0.9) + np.array([0.3, -0.2])
    return [np.concatenate([_polar(1.0, outer + 0.9), dent])]


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
    return [_polar(0.72 + 0.28 * np.cos(6 * t), t), _circle(0, 0, 0.28)]


def _fish() -> list[Outline]:
    t = np.linspace(0.35, 2 * np.pi - 0.35, 30)
    body = np.stack([-0.75 * np.cos(t), 0.5 * np.sin(t)], axis=1) - np.array([0.2, 0])
    tail = np.array([(-0.9, -0.2), (-1.0, 0.0), (-0.9, 0.2)]) * [-1, -2.5]
    return [np.concatenate([body, tail])[:, :] * [-1, 1], _circle(0.55, -0.12, 0.09)]


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
