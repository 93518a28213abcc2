"""All-over patterns of fabrics, walls and other surfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import RGB

Grid = NDArray[np.floating]  # (N, N), coordinates in pattern repeats
Mask = NDArray[Any]  # (N, N), bool or 0..1: the weight of the second color


def pattern_texture(
    name: str, first: RGB, second: RGB, size_px: int = 256, repeats: int = 6
) -> ImageArray:
    """Draw a square swatch of a pattern in two colors; `plain` uses only the first color."""
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px * repeats
    weight = np.clip(PATTERNS[name](x, y), 0, 1)[..., None]
    return np.asarray((1 - weight) * np.array(first) + weight * np.array(second), np.uint8)


def _cell_coordinates(x: Grid, y: Grid) -> tuple[Grid, Grid]:
    """Return the position relative to the middle of a cell; every other column is shifted."""
    return x % 1 - 0.5, (y + 0.5 * (np.floor(x) % 2)) % 1 - 0.5


def _blossoms(x: Grid, y: Grid) -> Mask:
    cx, cy = _cell_coordinates(x, y)
    petals = 0.3 + 0.1 * np.cos(5 * np.arctan2(cy, cx))
    radius = np.hypot(cx, cy)
    return np.asarray((radius < petals) & (radius > 0.09))


def _zigzag(x: Grid, y: Grid) -> Mask:
    return np.asarray((y + np.abs(x % 1 - 0.5)) % 1 < 0.45)


def _stars(x: Grid, y: Grid) -> Mask:
    cx, cy = _cell_coordinates(x, y)
    angle = np.arctan2(cy, cx)
    return np.hypot(cx, cy) < 0.13 + 0.2 * np.abs(np.cos(2.5 * angle)) ** 3


def _tartan(x: Grid, y: Grid) -> Mask:
    return 0.5 * ((x % 1) < 0.4) + 0.5 * ((y % 1) < 0.4)


PATTERNS: dict[str, Callable[[Grid, Grid], Mask]] = {
    "plain": lambda x, y: 0 * x,
    "striped": lambda x, y: (x % 1) < 0.45,
    "hooped": lambda x, y: (y % 1) < 0.45,
    "dotted": lambda x, y: np.hypot(*_cell_coordinates(x, y)) < 0.27,
    "checked": _tartan,
    "zigzag": _zigzag,
    "starry": _stars,
    "floral": _blossoms,
}
