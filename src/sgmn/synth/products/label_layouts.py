"""Layouts of the front of a package. All of them place the same contents of a label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sgmn.synth.graphics.mesh import RGB
from sgmn.synth.products.colors import brightness_difference, readable_ink
from sgmn.synth.products.emblems import draw_emblem
from sgmn.synth.products.labels import Canvas, Label, draw_text


def _draw_names(canvas: Canvas, label: Label, w: float, h: float, tops: tuple[float, ...]) -> None:
    """Draw brand, name and kind at three heights, given as fractions of h."""
    brand, name, kind = tops
    draw_text(canvas, label.brand, label, (w / 2, brand * h), 0.86 * w, 0.17 * h, label.ink)
    draw_text(canvas, label.name, label, (w / 2, name * h), 0.8 * w, 0.1 * h, label.ink)
    draw_text(
        canvas, label.kind, label, (w / 2, kind * h), 0.7 * w, 0.06 * h, label.ink, small_print=True
    )


def _draw_variety(
    canvas: Canvas, label: Label, box: tuple[float, ...], ink: RGB | None = None
) -> None:
    left, top, right, bottom = box
    center = ((left + right) / 2, (top + bottom) / 2)
    text = label.variety.upper()
    width, height = 0.86 * (right - left), 0.62 * (bottom - top)
    draw_text(
        canvas,
        text,
        label,
        center,
        width,
        height,
        ink or readable_ink(label.accent),
        small_print=True,
    )


def _draw_size(canvas: Canvas, label: Label, w: float, h: float, top: float = 0.955) -> None:
    r, g, b = np.asarray(canvas._image.getpixel((int(w / 2), int(top * h) - 1))).tolist()
    on = (r, g, b)
    ink = label.ink if brightness_difference(label.ink, on) > 60 else readable_ink(on)
    draw_text(canvas, label.size, label, (w / 2, top * h), 0.6 * w, 0.06 * h, ink, small_print=True)


def _band_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    _draw_names(canvas, label, w, h, (0.14, 0.3, 0.39))
    draw_emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.57 * h),
        min(0.26 * w, 0.13 * h),
        label.accent,
        label.secondary,
    )
    canvas.rectangle((0, 0.74 * h, w, 0.88 * h), fill=label.accent)
    _draw_variety(canvas, label, (0, 0.74 * h, w, 0.88 * h))
    _draw_size(canvas, label, w, h, 0.94)


def _diagonal_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    canvas.polygon([(0, 0.72 * h), (w, 0.5 * h), (w, 0.74 * h), (0, 0.96 * h)], fill=label.accent)
    canvas.polygon(
        [(0, 0.68 * h), (w, 0.46 * h), (w, 0.49 * h), (0, 0.71 * h)], fill=label.secondary
    )
    _draw_names(canvas, label, w, h, (0.15, 0.31, 0.4))
    draw_emblem(
        canvas,
        label.emblem,
        (0.28 * w, 0.54 * h),
        min(0.18 * w, 0.09 * h),
        label.ink,
        label.background,
    )
    _draw_variety(canvas, label, (0.05 * w, 0.66 * h, 0.95 * w, 0.8 * h))
    _draw_size(canvas, label, w, h)


def _medal_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    canvas.rectangle((0, 0, w, 0.07 * h), fill=label.accent)
    r, x, y = min(0.42 * w, 0.25 * h), 0.5 * w, 0.34 * h
    canvas.ellipse((x - r, y - r, x + r, y + r), fill=label.accent)
    canvas.ellipse((x - 0.86 * r, y - 0.86 * r, x + 0.86 * r, y + 0.86 * r), fill=label.background)
    draw_emblem(canvas, label.emblem, (x, y), 0.56 * r, label.accent, label.secondary)
    _draw_names(canvas, label, w, h, (0.68, 0.8, 0.87))
    _draw_variety(canvas, label, (0, 0.9 * h, 0.6 * w, 0.99 * h), label.ink)
    draw_text(
        canvas,
        label.size,
        label,
        (0.8 * w, 0.945 * h),
        0.32 * w,
        0.05 * h,
        label.ink,
        small_print=True,
    )


def _split_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    canvas.rectangle((0, 0, w, 0.45 * h), fill=label.ink)
    inner = replace(label, ink=label.background)
    _draw_names(canvas, inner, w, h, (0.16, 0.31, 0.4))
    canvas.rectangle((0, 0.45 * h, w, 0.49 * h), fill=label.accent)
    draw_emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.65 * h),
        min(0.24 * w, 0.12 * h),
        label.accent,
        label.secondary,
    )
    _draw_variety(canvas, label, (0, 0.8 * h, w, 0.93 * h), label.ink)
    _draw_size(canvas, label, w, h)


def _minimal_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    draw_emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.26 * h),
        min(0.34 * w, 0.2 * h),
        label.accent,
        label.secondary,
    )
    _draw_names(canvas, label, w, h, (0.58, 0.72, 0.8))
    _draw_variety(canvas, label, (0, 0.84 * h, w, 0.93 * h), label.ink)
    _draw_size(canvas, label, w, h, 0.965)


def _frame_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    edge = 0.06 * min(w, h)
    canvas.rectangle((0, 0, w, h), fill=label.accent)
    canvas.rectangle((edge, edge, w - edge, h - edge), fill=label.background)
    canvas.rectangle((2 * edge, 2 * edge, w - 2 * edge, h - 2 * edge), outline=label.ink, width=4)
    _draw_names(canvas, label, w, h, (0.22, 0.38, 0.46))
    draw_emblem(
        canvas, label.emblem, (0.5 * w, 0.63 * h), min(0.22 * w, 0.11 * h), label.accent, label.ink
    )
    _draw_variety(canvas, label, (0.1 * w, 0.79 * h, 0.9 * w, 0.9 * h), label.ink)


def _checks_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    cell = w / 8
    for i in range(8):
        for j in range(3):
            fill = label.accent if (i + j) % 2 else label.secondary
            box = (i * cell, 0.62 * h + j * cell, (i + 1) * cell, 0.62 * h + (j + 1) * cell)
            canvas.rectangle(box, fill=fill)
    _draw_names(canvas, label, w, h, (0.36, 0.49, 0.57))
    draw_emblem(
        canvas, label.emblem, (0.5 * w, 0.15 * h), min(0.24 * w, 0.11 * h), label.accent, label.ink
    )
    box = (0.12 * w, 0.62 * h + 0.7 * cell, 0.88 * w, 0.62 * h + 2.3 * cell)
    canvas.rectangle(box, fill=label.background)
    _draw_variety(canvas, label, box, label.ink)


def _wave_layout(canvas: Canvas, label: Label, w: float, h: float) -> None:
    x = np.linspace(0, w, 60)
    for lift, fill in ((0.0, label.secondary), (0.05, label.accent)):
        y = (0.6 + lift) * h + 0.03 * h * np.sin(2 * np.pi * x / w * 1.5 + 9 * lift)
        canvas.polygon([(0, h), *zip(x.tolist(), y.tolist(), strict=True), (w, h)], fill=fill)
    draw_emblem(
        canvas,
        label.emblem,
        (0.5 * w, 0.15 * h),
        min(0.24 * w, 0.11 * h),
        label.accent,
        label.secondary,
    )
    _draw_names(canvas, label, w, h, (0.36, 0.49, 0.56))
    _draw_variety(canvas, label, (0, 0.72 * h, w, 0.86 * h))
    _draw_size(canvas, label, w, h)


LAYOUTS: tuple[Callable[[Canvas, Label, float, float], None], ...] = (
    _band_layout,
    _diagonal_layout,
    _medal_layout,
    _split_layout,
    _minimal_layout,
    _frame_layout,
    _checks_layout,
    _wave_layout,
)
