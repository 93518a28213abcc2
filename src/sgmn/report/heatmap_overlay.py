"""Draws heatmaps over images, on one absolute color scale.

The scale is absolute so that frames, products and models can be compared. A place that gets no
more attention than under uniform attention keeps the colors of the image, only dimmed.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sgmn.records import ImageArray

if TYPE_CHECKING:
    from sgmn.model.heatmap import Heatmap

# Violet to pale yellow in even steps: about 20 apart in CIELAB each, and always lighter.
COLORMAP: tuple[tuple[int, int, int], ...] = (
    (58, 39, 134),
    (147, 41, 162),
    (204, 58, 145),
    (242, 84, 121),
    (255, 125, 100),
    (255, 173, 100),
    (255, 230, 147),
)
MAX_TIMES_UNIFORM = 8.0  # times uniform attention, at the end of the scale
MAX_OPACITY = 0.85  # of the color at the end of the scale
BACKGROUND_BRIGHTNESS = 0.75  # of what gets no more than uniform attention


def heatmap_levels(heatmap: Heatmap) -> NDArray[np.float64]:
    """Return levels 0..1: 0 for uniform attention or less, 1 for MAX_TIMES_UNIFORM times that."""
    # Relative to its own peak, a map of nearly uniform attention would glow like one of sharp
    # attention, and no two maps could be compared.
    times_uniform = np.maximum(heatmap * heatmap.size, 1.0)
    return np.asarray(np.clip(np.log2(times_uniform) / log2(MAX_TIMES_UNIFORM), 0, 1))


def heatmap_colors(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return colors (…, 3) in 0..255 for levels of any shape in 0..1."""
    stops = np.linspace(0, 1, len(COLORMAP))
    channels = [np.interp(levels, stops, channel) for channel in zip(*COLORMAP, strict=True)]
    return np.stack(channels, -1)


def overlay_heatmap(
    image: ImageArray, heatmap: Heatmap | None, size: tuple[int, int]
) -> Image.Image:
    """Return an image at `size` (width, height) with a heatmap of any resolution over it."""
    resized = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    if heatmap is None:
        return resized
    gray = (255 * heatmap_levels(heatmap)).round().astype(np.uint8)
    blur = ImageFilter.GaussianBlur(max(size) / 60)
    smooth = Image.fromarray(gray).resize(size).filter(blur)
    levels = np.asarray(smooth, np.float64) / 255
    return Image.fromarray(blend_heatmap(np.asarray(resized, np.float64), levels))


def blend_heatmap(pixels: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return pixels (h, w, 3) blended with the colors of levels (h, w) in 0..1."""
    transmission, glow = overlay_layers(levels)
    return np.asarray((transmission * pixels + glow).round(), np.uint8)


def overlay_layers(
    levels: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what levels (h, w) do to an image: result = transmission * image + glow.

    The transmission is (h, w, 1) in 0..1, the glow (h, w, 3) in 0..255. Low levels dim the image,
    so that high levels stand out on any background.
    """
    alpha = MAX_OPACITY * levels[..., None]
    return (1 - alpha) * BACKGROUND_BRIGHTNESS, alpha * heatmap_colors(levels)
