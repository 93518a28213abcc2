"""The contents of printed product labels, and their text."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageDraw

from sgmn.synth.graphics.mesh import RGB
from sgmn.synth.products.fonts import FONTS, SMALL_PRINT_FONT, load_font

Canvas = ImageDraw.ImageDraw


@dataclass(frozen=True, slots=True)
class Label:
    """The contents of a label.

    `accent` stands for the variety. `layout` and `font` are indices that belong to the
    brand; they may exceed the number of layouts and fonts.
    """

    brand: str
    name: str
    kind: str
    variety: str
    size: str
    emblem: str
    background: RGB
    ink: RGB
    secondary: RGB
    accent: RGB
    layout: int
    font: int


def draw_text(
    canvas: Canvas,
    text: str,
    label: Label,
    center: tuple[float, float],
    width: float,
    height: float,
    ink: RGB,
    small_print: bool = False,
) -> None:
    """Draw text centered on a point, as large as fits into `width` by `height` pixels."""
    if not text:
        return
    font = SMALL_PRINT_FONT if small_print else FONTS[label.font % len(FONTS)]
    size = max(8, int(height))
    left, _, right, _ = load_font(font, size).getbbox(text)
    if right - left > width:
        size = max(8, int(size * width / (right - left)))
    canvas.text(center, text, fill=ink, font=load_font(font, size), anchor="mm")
