"""Fonts, the width of text, and line breaking."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from math import log2

from PIL import ImageFont

EmphasizedWords = list[tuple[str, float]]  # words, each with its emphasis level 0..1
Line = list[tuple[int, str, float]]  # x in pixels, word and emphasis level
# Pillow's own font ("") covers little beyond English. The others are used where they exist.
FONT_FILES = ("", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "PingFang.ttc",
              "msyh.ttc")  # fmt: skip


def load_font(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    """Return the first font that contains every character of a text, else Pillow's own font."""
    names = (name for name in FONT_FILES if all(_has_glyph(name, char) for char in set(text)))
    font = _load_font_file(next(names, FONT_FILES[0]), size)
    assert font is not None
    return font


@cache
def _load_font_file(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:  # this system does not have it
        return None
    return font if isinstance(font, ImageFont.FreeTypeFont) else None


@cache
def _has_glyph(name: str, char: str) -> bool:
    """Whether a font draws a character itself, not the box for missing ones."""
    font = _load_font_file(name, 20)
    missing_char = "\ufffe"
    return font is not None and (
        char.isspace() or bytes(font.getmask(char)) != bytes(font.getmask(missing_char))
    )


def text_width(text: str, size: int) -> int:
    """Return the width of one line of text, in pixels."""
    return round(load_font(size, text).getlength(text))


def truncate_text(text: str, size: int, width: int) -> str:
    """Return the text, cut to so many pixels with an ellipsis if it is longer."""
    if text_width(text, size) <= width:
        return text
    fits = bisect_right(range(len(text)), width, key=lambda n: text_width(f"{text[:n]}…", size))
    return text[: max(0, fits - 1)].rstrip() + "…"


def select_fitting_words(
    words: EmphasizedWords, width: int, size: float, max_lines: int
) -> EmphasizedWords:
    """Return as many of the most emphasized words as fit, in their order, and an ellipsis."""
    by_level = sorted(range(len(words)), key=lambda index: -words[index][1])

    def most_emphasized(count: int) -> EmphasizedWords:
        return [*(words[index] for index in sorted(by_level[:count])), ("…", 0.0)]

    count = bisect_right(
        range(len(words)),
        max_lines,
        key=lambda count: len(wrap_words(most_emphasized(count), width, size)),
    )
    return most_emphasized(max(0, count - 1))


def wrap_words(words: EmphasizedWords, width: int, size: float) -> list[Line]:
    """Return the words in lines of at most `width` pixels."""
    lines: list[Line] = [[]]
    x = 0.0
    for word, level in words:
        text = truncate_text(word, emphasized_size(size, level), width)
        word_width = text_width(text, emphasized_size(size, level))
        if x and x + word_width > width:
            lines.append([])
            x = 0.0
        lines[-1].append((round(x), text, level))
        x += word_width + 0.3 * size
    return lines


def emphasis_level(times_average: float) -> float:
    """Return 0..1 for a weight in multiples of the average: 0.5 for once, 1 for eight times."""
    return min(1.0, max(0.0, 0.5 + log2(max(times_average, 1e-9)) / 6))


def emphasized_size(size: float, level: float) -> int:
    """Return the font size of a word in pixels: 70% to 100% of `size`."""
    return round(size * (0.7 + 0.3 * level))
