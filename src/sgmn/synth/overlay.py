"""What a livestream app lays over the picture: a badge with viewers, and lines of chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import Picture
from sgmn.synth.fonts import SMALL, font
from sgmn.synth.word_lists import listed

_NAMES = listed("mia leo ana kim tom zoe ben ivy max eva sam lin joe amy dan uma")
_LINES = (
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
_CHANGE_S = 2.5


@dataclass(frozen=True, slots=True)
class Overlay:
    """Chat at the lower left, changing every few seconds; it never hides much."""

    seed: tuple[int, ...]
    viewers: int

    def draw(self, picture: Picture, time: float) -> None:
        """Lay the overlay of a time over a picture, in place."""
        high, wide = picture.shape[:2]
        size = max(7, high // 56)
        self._badge(picture, size)
        first = int(time / _CHANGE_S)
        lines = [self._line(first + row) for row in range(4)]
        corner = (int(0.03 * wide), int(0.8 * high))
        _print(picture, corner, lines, size)

    def _badge(self, picture: Picture, size: int) -> None:
        corner = (int(0.03 * picture.shape[1]), int(0.015 * picture.shape[0]))
        _print(picture, corner, [f"LIVE  {self.viewers}"], size)

    def _line(self, number: int) -> str:
        rng = np.random.default_rng((*self.seed, number))
        return f"{rng.choice(_NAMES)}{rng.integers(99)}: {rng.choice(_LINES)}"


def _print(picture: Picture, corner: tuple[int, int], lines: Sequence[str], size: int) -> None:
    """White words on a dark veil."""
    left, top = corner
    face = font(SMALL, size)
    wide = min(int(max(face.getlength(line) for line in lines)) + size, picture.shape[1] - left)
    high = min(round(1.5 * size * len(lines)) + size // 2, picture.shape[0] - top)
    here = np.s_[top : top + high, left : left + wide]
    image = Image.fromarray((picture[here] * 0.62).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        canvas.text(
            (size // 2, size // 4 + 1.5 * size * row), line, fill=(255, 255, 255), font=face
        )
    picture[here] = np.asarray(image)
