"""A canvas with text, bars and weighted words. Color is reserved for attention and bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from sgmn.records import ImageArray
from sgmn.report.text_layout import (
    emphasis_level,
    emphasized_size,
    load_font,
    select_fitting_words,
    wrap_words,
)

if TYPE_CHECKING:
    from sgmn.model.word_spans import WordWeight

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]  # x, y, width and height in pixels
TEXT_COLOR: Color = (28, 28, 32)
FAINT_TEXT_COLOR: Color = (176, 176, 184)
GRAY: Color = (128, 128, 136)
TRACK_COLOR: Color = (236, 236, 240)
BACKGROUND_COLOR: Color = (255, 255, 255)
GAP = 20  # pixels between elements


class Canvas:
    """A white image to draw on."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), BACKGROUND_COLOR)
        self.draw = ImageDraw.Draw(self.image)

    def draw_text(
        self,
        position: tuple[int, int],
        text: str,
        size: int,
        color: Color = TEXT_COLOR,
        anchor: str = "la",
    ) -> None:
        """Draw one line of text; `anchor` is one of Pillow's text anchors."""
        self.draw.text(position, text, color, load_font(size, text), anchor)

    def draw_bar(self, box: Box, start: float, end: float, color: Color) -> None:
        """Draw a bar between two shares (0..1) of the width of a box, on a faint track."""
        x, y, width, height = box
        self.draw.rectangle((x, y, x + width, y + height - 1), TRACK_COLOR)
        left, right = sorted((x + round(width * start), x + round(width * end)))
        self.draw.rectangle((left, y, max(right, left + 1), y + height - 1), color)

    def draw_words(self, words: Sequence[WordWeight], box: Box, size: int) -> int:
        """Draw words, larger and darker the more they weigh, and return the y below them.

        Many words are drawn smaller. If there are still too many, those that weigh least are
        left out.
        """
        x, y, width, height = box
        emphasized = [(word.text, emphasis_level(word.weight * len(words))) for word in words]
        for scale in (1.0, 0.8, 0.65):
            line_height = round(1.5 * scale * size)
            max_lines = max(1, height // line_height)
            lines = wrap_words(emphasized, width, scale * size)
            if len(lines) <= max_lines:
                break
        else:
            fitting = select_fitting_words(emphasized, width, scale * size, max_lines)
            lines = wrap_words(fitting, width, scale * size)
        for number, line in enumerate(lines):
            baseline = y + number * line_height + round(scale * size)
            for left, text, level in line:
                position = (x + left, baseline)
                word_size = emphasized_size(scale * size, level)
                self.draw_text(position, text, word_size, _emphasis_color(level), "ls")
        return y + len(lines) * line_height


def fit_size(image: ImageArray, width: int, height: int) -> tuple[int, int]:
    """Return the largest size (width, height) of an image within a box, its aspect ratio kept."""
    scale = min(width / image.shape[1], height / image.shape[0])
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def _emphasis_color(level: float) -> Color:
    pairs = zip(FAINT_TEXT_COLOR, TEXT_COLOR, strict=True)
    red, green, blue = (round(faint + (full - faint) * level) for faint, full in pairs)
    return red, green, blue
