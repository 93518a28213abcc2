"""Words on paper: the fonts, how wide a text is, and how words break into lines."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from math import log2

from PIL import ImageFont

Written = list[tuple[str, float]]  # words, and how strongly each is written, 0..1
# Pillow's own font knows little beyond English; others are taken where a system has them.
FACES = ("", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "PingFang.ttc",
         "msyh.ttc")  # fmt: skip


def font_of(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    """Pillow's own font, or the first that has every letter of a text."""
    names = (name for name in FACES if all(_has(name, letter) for letter in set(text)))
    found = _face(next(names, FACES[0]), size)
    assert found is not None
    return found


@cache
def _face(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        found = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:  # this system does not have it
        return None
    return found if isinstance(found, ImageFont.FreeTypeFont) else None


@cache
def _has(name: str, letter: str) -> bool:
    """Whether a font draws a letter, not the box that stands for those it lacks."""
    font = _face(name, 20)
    lacking = "\ufffe"
    return font is not None and (
        letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(lacking))
    )


def width_of(text: str, size: int) -> int:
    """How many pixels a line of text takes."""
    return round(font_of(size, text).getlength(text))


def shortened(text: str, size: int, room: int) -> str:
    """A text that fits into so many pixels, with an ellipsis where it was cut."""
    if width_of(text, size) <= room:
        return text
    fits = bisect_right(range(len(text)), room, key=lambda n: width_of(f"{text[:n]}…", size))
    return text[: max(0, fits - 1)].rstrip() + "…"


def fitting(written: Written, wide: int, size: float, rows: int) -> Written:
    """As many of the strongest words as fit, in their order, with an ellipsis after them."""
    order = sorted(range(len(written)), key=lambda place: -written[place][1])

    def best(count: int) -> Written:
        return [*(written[place] for place in sorted(order[:count])), ("…", 0.0)]

    count = bisect_right(
        range(len(written)), rows, key=lambda count: len(broken(best(count), wide, size))
    )
    return best(max(0, count - 1))


def broken(written: Written, wide: int, size: float) -> list[list[tuple[int, str, float]]]:
    """Words broken into lines: each with its x, and how strongly it is written, 0..1."""
    lines: list[list[tuple[int, str, float]]] = [[]]
    x = 0.0
    for whole, level in written:
        text = shortened(whole, size_of(size, level), wide)
        length = width_of(text, size_of(size, level))
        if x and x + length > wide:
            lines.append([])
            x = 0.0
        lines[-1].append((round(x), text, level))
        x += length + 0.3 * size
    return lines


def level_of(times_even: float) -> float:
    """0..1 from how many times its even share a word has: 0.5 for once, 1 for eight times."""
    return min(1.0, max(0.0, 0.5 + log2(max(times_even, 1e-9)) / 6))


def size_of(size: float, level: float) -> int:
    """The size of a word in pixels: the larger, the more strongly it is written."""
    return round(size * (0.7 + 0.3 * level))
