"""Labels as brands print them: a layout, an emblem, a name, a variety and the small print.

A label is drawn at twice its size and reduced, which smooths every edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import Picture
from sgmn.synth.colours import contrast, readable
from sgmn.synth.emblems import emblem
from sgmn.synth.fonts import FACES, SMALL, font
from sgmn.synth.mesh import RGB


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed. `accent` is the variety's colour; `layout` and `face` are the brand's."""

    brand: str
    name: str
    kind: str
    variety: str
    size: str
    emblem: str
    ground: RGB
    ink: RGB
    second: RGB
    accent: RGB
    layout: int
    face: int


Canvas = ImageDraw.ImageDraw


def front(label: Label, wide: int, high: int) -> Picture:
    """The face of a pack, `wide` by `high` pixels."""
    image = Image.new("RGB", (2 * wide, 2 * high), label.ground)
    canvas = ImageDraw.Draw(image)
    LAYOUTS[label.layout % len(LAYOUTS)](canvas, label, 2 * wide, 2 * high)
    return np.asarray(image.reduce(2))


def back(label: Label, wide: int, high: int) -> Picture:
    """The other side: brand, lines of small print, a bar code."""
    image = Image.new("RGB", (2 * wide, 2 * high), label.ground)
    canvas, w, h = ImageDraw.Draw(image), 2 * wide, 2 * high
    canvas.rectangle((0, 0.86 * h, w, h), fill=label.accent)
    _text(canvas, label.brand, label, (0.5 * w, 0.1 * h), 0.7 * w, 0.09 * h, label.ink)
    rng = np.random.default_rng(len(label.brand) * 31 + len(label.name))
    for row in range(9):
        length = rng.uniform(0.45, 0.76) * w
        top = h * (0.2 + 0.04 * row)
        canvas.rectangle((0.12 * w, top, 0.12 * w + length, top + 0.014 * h), fill=label.ink)
    _bars(canvas, rng, (0.3 * w, 0.62 * h, 0.7 * w, 0.8 * h))
    return np.asarray(image.reduce(2))


def around(label: Label, wide: int, high: int) -> Picture:
    """A label that runs around a bottle: the face in the middle, the back split at the seam."""
    face = front(label, round(0.42 * wide), high)
    seam = back(label, round(0.34 * wide), high)
    gap = (wide - face.shape[1] - seam.shape[1]) // 2
    seen = np.pad(face, ((0, 0), (gap, gap), (0, 0)), mode="edge")
    cut = seam.shape[1] // 2
    return np.concatenate([seam[:, cut:], seen, seam[:, :cut]], axis=1)


def side(label: Label, wide: int, high: int) -> Picture:
    """The narrow side of a box: the accent's stripe and the name, read from below."""
    image = Image.new("RGB", (2 * wide, 2 * high), label.ground)
    canvas, w, h = ImageDraw.Draw(image), 2 * wide, 2 * high
    canvas.rectangle((0, 0, w, 0.12 * h), fill=label.accent)
    turned = Image.new("RGB", (int(0.8 * h), w), label.ground)
    words = ImageDraw.Draw(turned)
    middle = (turned.width / 2, turned.height / 2)
    _text(
        words, f"{label.brand} {label.name}", label, middle, 0.9 * turned.width, 0.6 * w, label.ink
    )
    image.paste(turned.rotate(90, expand=True), (0, int(0.16 * h)))
    return np.asarray(image.reduce(2))


def _bars(canvas: Canvas, rng: np.random.Generator, frame: tuple[float, ...]) -> None:
    left, top, right, bottom = frame
    canvas.rectangle((left, top, right, bottom), fill=(252, 252, 252))
    edges = np.sort(rng.uniform(left + 6, right - 6, 28))
    for start, end in edges.reshape(-1, 2):
        canvas.rectangle((start, top + 6, min(end, start + 9), bottom - 6), fill=(20, 20, 20))


def _text(
    canvas: Canvas,
    words: str,
    label: Label,
    middle: tuple[float, float],
    wide: float,
    high: float,
    ink: RGB,
    small: bool = False,
) -> None:
    """Words centred on a point, as large as fits into `wide` by `high`."""
    if not words:
        return
    face = SMALL if small else FACES[label.face % len(FACES)]
    size = max(8, int(high))
    left, _, right, _ = font(face, size).getbbox(words)
    if right - left > wide:
        size = max(8, int(size * wide / (right - left)))
    canvas.text(middle, words, fill=ink, font=font(face, size), anchor="mm")


def _words(canvas: Canvas, label: Label, w: float, h: float, tops: tuple[float, ...]) -> None:
    """Brand, name and kind at three heights (shares of h), in the brand's ink."""
    brand, name, kind = tops
    _text(canvas, label.brand, label, (w / 2, brand * h), 0.86 * w, 0.17 * h, label.ink)
    _text(canvas, label.name, label, (w / 2, name * h), 0.8 * w, 0.1 * h, label.ink)
    _text(canvas, label.kind, label, (w / 2, kind * h), 0.7 * w, 0.06 * h, label.ink, small=True)


def _variety(canvas: Canvas, label: Label, box: tuple[float, ...], ink: RGB | None = None) -> None:
    left, top, right, bottom = box
    middle = ((left + right) / 2, (top + bottom) / 2)
    words = label.variety.upper()
    wide, high = 0.86 * (right - left), 0.62 * (bottom - top)
    _text(canvas, words, label, middle, wide, high, ink or readable(label.accent), small=True)


def _size(canvas: Canvas, label: Label, w: float, h: float, top: float = 0.955) -> None:
    r, g, b = np.asarray(canvas._image.getpixel((int(w / 2), int(top * h) - 1))).tolist()
    on = (r, g, b)
    ink = label.ink if contrast(label.ink, on) > 60 else readable(on)
    _text(canvas, label.size, label, (w / 2, top * h), 0.6 * w, 0.06 * h, ink, small=True)


def _band(canvas: Canvas, label: Label, w: float, h: float) -> None:
    _words(canvas, label, w, h, (0.14, 0.3, 0.39))
    emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.57 * h),
        min(0.26 * w, 0.13 * h),
        label.accent,
        label.second,
    )
    canvas.rectangle((0, 0.74 * h, w, 0.88 * h), fill=label.accent)
    _variety(canvas, label, (0, 0.74 * h, w, 0.88 * h))
    _size(canvas, label, w, h, 0.94)


def _diagonal(canvas: Canvas, label: Label, w: float, h: float) -> None:
    canvas.polygon([(0, 0.72 * h), (w, 0.5 * h), (w, 0.74 * h), (0, 0.96 * h)], fill=label.accent)
    canvas.polygon([(0, 0.68 * h), (w, 0.46 * h), (w, 0.49 * h), (0, 0.71 * h)], fill=label.second)
    _words(canvas, label, w, h, (0.15, 0.31, 0.4))
    emblem(
        canvas, label.emblem, (0.28 * w, 0.54 * h), min(0.18 * w, 0.09 * h), label.ink, label.ground
    )
    _variety(canvas, label, (0.05 * w, 0.66 * h, 0.95 * w, 0.8 * h))
    _size(canvas, label, w, h)


def _medal(canvas: Canvas, label: Label, w: float, h: float) -> None:
    canvas.rectangle((0, 0, w, 0.07 * h), fill=label.accent)
    r, x, y = min(0.42 * w, 0.25 * h), 0.5 * w, 0.34 * h
    canvas.ellipse((x - r, y - r, x + r, y + r), fill=label.accent)
    canvas.ellipse((x - 0.86 * r, y - 0.86 * r, x + 0.86 * r, y + 0.86 * r), fill=label.ground)
    emblem(canvas, label.emblem, (x, y), 0.56 * r, label.accent, label.second)
    _words(canvas, label, w, h, (0.68, 0.8, 0.87))
    _variety(canvas, label, (0, 0.9 * h, 0.6 * w, 0.99 * h), label.ink)
    _text(
        canvas, label.size, label, (0.8 * w, 0.945 * h), 0.32 * w, 0.05 * h, label.ink, small=True
    )


def _split(canvas: Canvas, label: Label, w: float, h: float) -> None:
    canvas.rectangle((0, 0, w, 0.45 * h), fill=label.ink)
    inner = replace(label, ink=label.ground)
    _words(canvas, inner, w, h, (0.16, 0.31, 0.4))
    canvas.rectangle((0, 0.45 * h, w, 0.49 * h), fill=label.accent)
    emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.65 * h),
        min(0.24 * w, 0.12 * h),
        label.accent,
        label.second,
    )
    _variety(canvas, label, (0, 0.8 * h, w, 0.93 * h), label.ink)
    _size(canvas, label, w, h)


def _quiet(canvas: Canvas, label: Label, w: float, h: float) -> None:
    emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.26 * h),
        min(0.34 * w, 0.2 * h),
        label.accent,
        label.second,
    )
    _words(canvas, label, w, h, (0.58, 0.72, 0.8))
    _variety(canvas, label, (0, 0.84 * h, w, 0.93 * h), label.ink)
    _size(canvas, label, w, h, 0.965)


def _frame(canvas: Canvas, label: Label, w: float, h: float) -> None:
    edge = 0.06 * min(w, h)
    canvas.rectangle((0, 0, w, h), fill=label.accent)
    canvas.rectangle((edge, edge, w - edge, h - edge), fill=label.ground)
    canvas.rectangle((2 * edge, 2 * edge, w - 2 * edge, h - 2 * edge), outline=label.ink, width=4)
    _words(canvas, label, w, h, (0.22, 0.38, 0.46))
    emblem(
        canvas, label.emblem, (0.5 * w, 0.63 * h), min(0.22 * w, 0.11 * h), label.accent, label.ink
    )
    _variety(canvas, label, (0.1 * w, 0.79 * h, 0.9 * w, 0.9 * h), label.ink)


def _checks(canvas: Canvas, label: Label, w: float, h: float) -> None:
    cell = w / 8
    for i in range(8):
        for j in range(3):
            fill = label.accent if (i + j) % 2 else label.second
            box = (i * cell, 0.62 * h + j * cell, (i + 1) * cell, 0.62 * h + (j + 1) * cell)
            canvas.rectangle(box, fill=fill)
    _words(canvas, label, w, h, (0.36, 0.49, 0.57))
    emblem(
        canvas, label.emblem, (0.5 * w, 0.15 * h), min(0.24 * w, 0.11 * h), label.accent, label.ink
    )
    box = (0.12 * w, 0.62 * h + 0.7 * cell, 0.88 * w, 0.62 * h + 2.3 * cell)
    canvas.rectangle(box, fill=label.ground)
    _variety(canvas, label, box, label.ink)


def _wave(canvas: Canvas, label: Label, w: float, h: float) -> None:
    x = np.linspace(0, w, 60)
    for lift, fill in ((0.0, label.second), (0.05, label.accent)):
        y = (0.6 + lift) * h + 0.03 * h * np.sin(2 * np.pi * x / w * 1.5 + 9 * lift)
        canvas.polygon([(0, h), *zip(x.tolist(), y.tolist(), strict=True), (w, h)], fill=fill)
    emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.15 * h),
        min(0.24 * w, 0.11 * h),
        label.accent,
        label.second,
    )
    _words(canvas, label, w, h, (0.36, 0.49, 0.56))
    _variety(canvas, label, (0, 0.72 * h, w, 0.86 * h))
    _size(canvas, label, w, h)


LAYOUTS: tuple[Callable[[Canvas, Label, float, float], None], ...] = (
    _band,
    _diagonal,
    _medal,
    _split,
    _quiet,
    _frame,
    _checks,
    _wave,
)
