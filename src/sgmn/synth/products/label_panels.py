"""The printed sides of a package: front, back, narrow side and wraparound label.

Each side is drawn at twice its size and then reduced, which smooths all edges.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import ImageArray
from sgmn.synth.products.label_layouts import LAYOUTS
from sgmn.synth.products.labels import Canvas, Label, draw_text


def draw_front(label: Label, width: int, height: int) -> ImageArray:
    """Draw the front of a package, `width` by `height` pixels."""
    image = Image.new("RGB", (2 * width, 2 * height), label.background)
    canvas = ImageDraw.Draw(image)
    LAYOUTS[label.layout % len(LAYOUTS)](canvas, label, 2 * width, 2 * height)
    return np.asarray(image.reduce(2))


def draw_back(label: Label, width: int, height: int) -> ImageArray:
    """Draw the back of a package: brand, lines of small print and a bar code."""
    image = Image.new("RGB", (2 * width, 2 * height), label.background)
    canvas, w, h = ImageDraw.Draw(image), 2 * width, 2 * height
    canvas.rectangle((0, 0.86 * h, w, h), fill=label.accent)
    draw_text(canvas, label.brand, label, (0.5 * w, 0.1 * h), 0.7 * w, 0.09 * h, label.ink)
    rng = np.random.default_rng(len(label.brand) * 31 + len(label.name))
    for row in range(9):
        length = rng.uniform(0.45, 0.76) * w
        top = h * (0.2 + 0.04 * row)
        canvas.rectangle((0.12 * w, top, 0.12 * w + length, top + 0.014 * h), fill=label.ink)
    _draw_barcode(canvas, rng, (0.3 * w, 0.62 * h, 0.7 * w, 0.8 * h))
    return np.asarray(image.reduce(2))


def draw_wraparound(label: Label, width: int, height: int) -> ImageArray:
    """Draw a label around a bottle: the front in the middle, the back split at the seam."""
    front = draw_front(label, round(0.42 * width), height)
    seam = draw_back(label, round(0.34 * width), height)
    gap = (width - front.shape[1] - seam.shape[1]) // 2
    padded = np.pad(front, ((0, 0), (gap, gap), (0, 0)), mode="edge")
    cut = seam.shape[1] // 2
    return np.concatenate([seam[:, cut:], padded, seam[:, :cut]], axis=1)


def draw_side(label: Label, width: int, height: int) -> ImageArray:
    """Draw the narrow side of a box: a stripe in the accent color and the name, rotated."""
    image = Image.new("RGB", (2 * width, 2 * height), label.background)
    canvas, w, h = ImageDraw.Draw(image), 2 * width, 2 * height
    canvas.rectangle((0, 0, w, 0.12 * h), fill=label.accent)
    rotated = Image.new("RGB", (int(0.8 * h), w), label.background)
    rotated_canvas = ImageDraw.Draw(rotated)
    center = (rotated.width / 2, rotated.height / 2)
    draw_text(
        rotated_canvas,
        f"{label.brand} {label.name}",
        label,
        center,
        0.9 * rotated.width,
        0.6 * w,
        label.ink,
    )
    image.paste(rotated.rotate(90, expand=True), (0, int(0.16 * h)))
    return np.asarray(image.reduce(2))


def _draw_barcode(canvas: Canvas, rng: np.random.Generator, box: tuple[float, ...]) -> None:
    left, top, right, bottom = box
    canvas.rectangle((left, top, right, bottom), fill=(252, 252, 252))
    edges = np.sort(rng.uniform(left + 6, right - 6, 28))
    for start, end in edges.reshape(-1, 2):
        canvas.rectangle((start, top + 6, min(end, start + 9), bottom - 6), fill=(20, 20, 20))
