"""Weights of a canvas's patches as a map of the picture that lies on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.model.inputs import Canvas, Placement

Heatmap = NDArray[np.floating[Any]]


def project_to_image(cells: Heatmap, canvas: Canvas, at: Placement, shape: Sequence[int]) -> Heatmap:
    """Weights of a canvas's patches (rows, columns) to the pixels (h, w) of the picture on it.

    Each weight is spread evenly over its patch; what lies on the padding is cut away.
    """
    down = _overlap(cells.shape[0], canvas[0], at.top, at.height, shape[0])
    across = _overlap(cells.shape[1], canvas[1], at.left, at.width, shape[1])
    return np.asarray(down @ cells @ across.T)


def _overlap(cells: int, length: int, start: int, size: int, pixels: int) -> Heatmap:
    """(pixels, cells): the share of each cell of a side that lies in each of its pixels.

    The cells divide `length`; the pixels divide the stretch of `size` from `start` on.
    """
    cell = np.linspace(0, length, cells + 1)
    pixel = start + np.linspace(0, size, pixels + 1)[:, None]
    common = np.minimum(pixel[1:], cell[1:]) - np.maximum(pixel[:-1], cell[:-1])
    return np.asarray(common.clip(min=0) * cells / length)
