"""What an explanation is drawn with, on a sheet as in a film: maps, products, words.

Quiet by intent: colour is kept for attention and bars. The scale of a map is absolute, so that
frames, products and models can be compared: what is looked at no more than an even look would
stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sgmn.records import Picture
from sgmn.report.text_layout import broken, fitting, font_of, level_of, shortened, size_of, width_of

if TYPE_CHECKING:
    from sgmn.model.explanation import Comparison, Explanation, Gaze
    from sgmn.model.heatmap import Heat
    from sgmn.model.word_spans import Word

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # x, y, width and height in pixels
# Violet to pale yellow in even steps: about 20 apart in CIELAB each, and always lighter.
HEAT: tuple[Colour, ...] = (
    (58, 39, 134),
    (147, 41, 162),
    (204, 58, 145),
    (242, 84, 121),
    (255, 125, 100),
    (255, 173, 100),
    (255, 230, 147),
)
HOTTEST = 8.0  # times an even look: the end of the scale
OPACITY = 0.85  # of the hottest
DIMMED = 0.75  # the light left to what is looked at no more than evenly
INK: Colour = (28, 28, 32)
GREY: Colour = (128, 128, 136)
RULE: Colour = (236, 236, 240)
PAPER: Colour = (255, 255, 255)
SIDES = ("Best match", "Runner-up")
BARS: tuple[Colour, ...] = ((40, 92, 168), (198, 116, 44))
TINTS: tuple[Colour, ...] = ((146, 176, 218), (230, 187, 146))
ALIKE = "This model looks at everything alike: no part of it chooses where to look."
GAP = 20  # pixels between things
ALIKE_SHARE = 1e-6  # shares no further apart are the same


@dataclass(frozen=True, eq=False)
class Listing:
    """A product as a person knows it; `views` are its pictures, none if it has none."""

    product_id: str
    title: str
    views: tuple[Picture, ...] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn: an explanation with its pictures, of any size, in the same order.

    times: (T,) seconds of the frames. end_s: where the last one ends. listings: the first two
    products of the explanation, or the only one.
    """

    name: str
    times: tuple[float, ...]
    end_s: float
    frames: tuple[Picture, ...]
    explanation: Explanation
    listings: tuple[Listing, ...]


class Sheet:
    """Paper to draw on; boxes are x, y, width and height in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self, at: tuple[int, int], text: str, size: int, ink: Colour = INK, anchor: str = "la"
    ) -> None:
        """One line of text, by the anchors of Pillow."""
        self.draw.text(at, text, ink, font_of(size, text), anchor)

    def bar(self, box: Box, start: float, end: float, colour: Colour) -> None:
        """A bar from one share of the box's width to another, over a faint track."""
        x, y, wide, high = box
        self.draw.rectangle((x, y, x + wide, y + high - 1), RULE)
        low, more = sorted((x + round(wide * start), x + round(wide * end)))
        self.draw.rectangle((low, y, max(more, low + 1), y + high - 1), colour)

    def words(self, words: Sequence[Word], box: Box, size: int) -> int:
        """Words, the larger and darker the more they weighed; the y below them comes back.

        They are smaller where there are many; where there are too many, the least are left out.
        """
        x, y, wide, high = box
        written = [(word.text, level_of(word.share * len(words))) for word in words]
        for scale in (1.0, 0.8, 0.65):
            step, rows = round(1.5 * scale * size), max(1, high // round(1.5 * scale * size))
            lines = broken(written, wide, scale * size)
            if len(lines) <= rows:
                break
        else:
            lines = broken(fitting(written, wide, scale * size, rows), wide, scale * size)
        for number, line in enumerate(lines):
            base = y + number * step + round(scale * size)
            for left, text, level in line:
                self.text((x + left, base), text, size_of(scale * size, level), _ink(level), "ls")
        return y + len(lines) * step


def said(sheet: Sheet, words: Sequence[Word], box: Box, size: int) -> int:
    """What was said, under its heading; the y below comes back."""
    x, y, wide, high = box
    if not words:
        sheet.text((x, y), "Nothing was said.", 18, GREY)
        return y + 18
    sheet.text((x, y), "What was said", 18, GREY)
    return sheet.words(words, (x, y + 18 + GAP // 2, wide, high), size)


def view(sheet: Sheet, listing: Listing, compared: Comparison, box: Box) -> None:
    """The view of a product that weighed most, in the middle of a box."""
    x, y, wide, high = box
    if not listing.views:
        sheet.draw.rectangle((x, y, x + wide - 1, y + high - 1), RULE)
        sheet.text((x + wide // 2, y + high // 2), "no picture", 18, GREY, "mm")
        return
    place = counted_most(compared.views, 1)[0]
    size = within(listing.views[place], wide, high)
    shown = heated(listing.views[place], compared.views[place].heat, size)
    sheet.image.paste(shown, (x + (wide - size[0]) // 2, y + (high - size[1]) // 2))


def legend(sheet: Sheet, guided: bool, at: tuple[int, int, int]) -> int:
    """What the colours mean, or that there are none."""
    x, y, wide = at
    if not guided:
        sheet.text((x, y), shortened(ALIKE, 18, wide), 18, GREY)
        return y + 18
    sheet.text((x, y), "Attention: even", 18, GREY)
    x += width_of("Attention: even", 18) + GAP // 2
    levels = np.linspace(0, 1, 160)[None].repeat(12, 0)
    sheet.image.paste(Image.fromarray(tinted(np.full((12, 160, 3), 255.0), levels)), (x, y + 5))
    sheet.text((x + 160 + GAP // 2, y), f"{HOTTEST:.0f} times that, or more", 18, GREY)
    return y + 18


def counted_most(gazes: Sequence[Gaze], count: int) -> list[int]:
    """The places of the `count` that weigh most, in the order of time; spread if all are alike."""
    shares = [gaze.share for gaze in gazes]
    if len(shares) > count and max(shares) - min(shares) < ALIKE_SHARE:
        return [place * len(shares) // count for place in range(count)]
    return sorted(sorted(range(len(shares)), key=lambda place: -shares[place])[:count])


def heat_levels(heat: Heat) -> NDArray[np.float64]:
    """How hot each place of a map is: 0 for an even look or less, 1 for HOTTEST times that."""
    # Absolute, on every sheet, film and page: held against a map's own peak, a look at everything
    # alike would glow as much as a look at one thing, and no two maps could be compared.
    times_even = np.maximum(heat * heat.size, 1.0)
    return np.asarray(np.clip(np.log2(times_even) / log2(HOTTEST), 0, 1))


def heat_colours(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths in 0..1, of any shape, to colours (…, 3) in 0..255."""
    ends = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(strength, ends, channel) for channel in zip(*HEAT, strict=True)], -1)


def heated(picture: Picture, heat: Heat | None, size: tuple[int, int]) -> Image.Image:
    """A picture at `size` (width, height) with its map, of any resolution, laid over it."""
    image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    if heat is None:
        return image
    grey = Image.fromarray((255 * heat_levels(heat)).round().astype(np.uint8)).resize(size)
    level = np.asarray(grey.filter(ImageFilter.GaussianBlur(max(size) / 60)), np.float64) / 255
    return Image.fromarray(tinted(np.asarray(image, np.float64), level))


def tinted(pixels: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pixels (h, w, 3) under the veil of levels (h, w) in 0..1."""
    light, glow = veil(level)
    return np.asarray((light * pixels + glow).round(), np.uint8)


def veil(level: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of a picture's light (h, w, 1) that levels let through, and the glow they add.

    The glow is (h, w, 3) in 0..255. What is cold is dimmed, so that what is hot shows on any
    background.
    """
    alpha = OPACITY * level[..., None]
    return (1 - alpha) * DIMMED, alpha * heat_colours(level)


def within(picture: Picture, wide: int, high: int) -> tuple[int, int]:
    """The size (width, height) at which a picture fills a box, its aspect kept."""
    scale = min(wide / picture.shape[1], high / picture.shape[0])
    return max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))


def _ink(level: float) -> Colour:
    light = (176, 176, 184)
    red, green, blue = (round(a + (b - a) * level) for a, b in zip(light, INK, strict=True))
    return red, green, blue
