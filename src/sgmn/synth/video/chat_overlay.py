"""The overlay of a livestream app: a badge with the number of viewers, and lines of chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import ImageArray
from sgmn.synth.products.fonts import SMALL_PRINT_FONT, load_font
from sgmn.synth.word_lists import split_words

_NAMES = split_words("mia leo ana kim tom zoe ben ivy max eva sam lin joe amy dan uma")
_MESSAGES = (
    "hello from Lisbon",
    "price please",
    "is it back in stock",
    "love this one",
    "so cute",
    "how much is shipping",
    "I have it, it is great",
    "show the back please",
    "any discount today",
    "hi everyone",
    "which size is that",
    "the other one please",
    "ordered two",
    "♥♥♥",
    "wow",
    "does it come in blue",
    "first time here",
    "can you show it closer",
    "again please",
)
_MESSAGE_INTERVAL_S = 2.5
_VISIBLE_MESSAGES = 4


@dataclass(frozen=True, slots=True)
class ChatOverlay:
    """A viewer badge and a chat at the lower left that scrolls every few seconds."""

    seed: tuple[int, ...]
    viewers: int

    def draw(self, image: ImageArray, time: float) -> None:
        """Draw the overlay of a time over an image, in place."""
        height, width = image.shape[:2]
        font_px, left = max(7, height // 56), int(0.03 * width)
        _draw_lines(image, (left, int(0.015 * height)), [f"LIVE  {self.viewers}"], font_px)
        first = int(time / _MESSAGE_INTERVAL_S)
        messages = [self._message(first + row) for row in range(_VISIBLE_MESSAGES)]
        _draw_lines(image, (left, int(0.8 * height)), messages, font_px)

    def _message(self, number: int) -> str:
        rng = np.random.default_rng((*self.seed, number))
        return f"{rng.choice(_NAMES)}{rng.integers(99)}: {rng.choice(_MESSAGES)}"


def _draw_lines(
    image: ImageArray, corner: tuple[int, int], lines: Sequence[str], font_px: int
) -> None:
    """Draw white text on a darkened rectangle whose top left corner is given."""
    left, top = corner
    font = load_font(SMALL_PRINT_FONT, font_px)
    width = int(max(font.getlength(line) for line in lines)) + font_px
    width = min(width, image.shape[1] - left)
    height = min(round(1.5 * font_px * len(lines)) + font_px // 2, image.shape[0] - top)
    region = np.s_[top : top + height, left : left + width]
    darkened = Image.fromarray((image[region] * 0.62).astype(np.uint8))
    canvas = ImageDraw.Draw(darkened)
    for row, line in enumerate(lines):
        position = (font_px // 2, font_px // 4 + 1.5 * font_px * row)
        canvas.text(position, line, fill=(255, 255, 255), font=font)
    image[region] = np.asarray(darkened)
