"""Patch weights of a canvas as a heatmap of the image on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.model.inputs import Canvas, Placement

Heatmap = NDArray[np.floating[Any]]  # (h, w)


def project_to_image(
    cells: Heatmap, canvas: Canvas, placement: Placement, shape: Sequence[int]
) -> Heatmap:
    """Turn patch weights into a heatmap in the pixels of the original image.

    Each weight is spread evenly over its patch, and weight on the padding is removed.

    Args:
        cells: (rows, columns) weights of the patches of a canvas.
        canvas: (height, width) of the canvas in pixels.
        placement: The part of the canvas that the image covers.
        shape: (h, w, …) of the original image in pixels.
    """
    rows = _overlap(cells.shape[0], canvas[0], placement.top, placement.height, shape[0])
    columns = _overlap(cells.shape[1], canvas[1], placement.left, placement.width, shape[1])
    return np.asarray(rows @ cells @ columns.T)


def _overlap(cells: int, length: int, start: int, size: int, pixels: int) -> Heatmap:
    """The fraction (pixels, cells) of each cell along one axis that lies in each pixel.

    The cells divide `length`. The pixels divide the range of `size` from `start`.
    """
    cell_edges = np.linspace(0, length, cells + 1)
    pixel_edges = start + np.linspace(0, size, pixels + 1)[:, None]
    end = np.minimum(pixel_edges[1:], cell_edges[1:])
    common = end - np.maximum(pixel_edges[:-1], cell_edges[:-1])
    return np.asarray(common.clip(min=0) * cells / length)
