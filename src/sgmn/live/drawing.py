"""An explanation as a picture, or as a film of its clip: what counted, where, and how much.

Quiet by intent: colour is kept for attention and bars. The scale of a map is absolute, so that
frames, products and models can be compared: what is looked at no more than an even look would
stays as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import log2
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from sgmn.live.page import clock, percent
from sgmn.model.explanation import Comparison, Explanation, Gaze, Heat, Word
from sgmn.records import Picture

Colour = tuple[int, int, int]
Written = list[tuple[str, float]]  # words, and how strongly each is written, 0..1
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
NAMES = {
    "text": "words",
    "match": "frame by frame",
    "instances": "patch by patch",
    "said-shown": "said and shown",
    "seen-titled": "seen and titled",
}
# Pillow's own font knows little beyond English; others are taken where a system has them.
FACES = ("", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "PingFang.ttc",
         "msyh.ttc")  # fmt: skip
ALIKE = "This model looks at everything alike: no part of it chooses where to look."
WIDTH, MARGIN, GAP = 1440, 48, 20  # of the picture, in pixels
FRAMES, FRAME_HIGH = 6, 380  # in the picture: those that counted most
ALIKE_SHARE = 1e-6  # shares no further apart are the same
FILM = (1280, 720)
FILM_HZ = Fraction(5)


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


def picture(scene: Scene) -> Image.Image:
    """The whole explanation on one sheet, 1440 pixels wide and as high as it needs."""
    sheet = Sheet(WIDTH, 2400)
    inner = WIDTH - 2 * MARGIN
    y = _head(sheet, scene, MARGIN)
    y = _frames(sheet, scene, y, inner) + 2 * GAP
    y = _said(sheet, scene.explanation.words, (MARGIN, y, inner, 170), 30) + 2 * GAP
    column = (inner - 3 * GAP) // 2
    places = [MARGIN, MARGIN + column + 3 * GAP][: len(scene.listings)]
    y = max(_product(sheet, scene, rank, (x, y, column)) for rank, x in enumerate(places))
    y = _legend(sheet, scene.explanation.guided, (MARGIN, y + 2 * GAP, inner))
    return sheet.image.crop((0, 0, WIDTH, y + MARGIN))


def _head(sheet: Sheet, scene: Scene, y: int) -> int:
    count = len(scene.frames)
    few = f", {FRAMES} of them here" if count > FRAMES else ""
    span = f"{_span(scene)}, {count} frame{'s' * (count > 1)}{few}"
    sheet.text((WIDTH - MARGIN, y + 8), span, 18, GREY, "ra")
    room = WIDTH - 2 * MARGIN - _wide(span, 18) - GAP
    sheet.text((MARGIN, y), _shortened(scene.name, 26, room), 26)
    return y + 26 + GAP


def _span(scene: Scene) -> str:
    return f"{clock(scene.times[0])} to {clock(scene.end_s)}"


def counted_most(gazes: Sequence[Gaze], count: int) -> list[int]:
    """The places of the `count` that weigh most, in the order of time; spread if all are alike."""
    shares = [gaze.share for gaze in gazes]
    if len(shares) > count and max(shares) - min(shares) < ALIKE_SHARE:
        return [place * len(shares) // count for place in range(count)]
    return sorted(sorted(range(len(shares)), key=lambda place: -shares[place])[:count])


def _frames(sheet: Sheet, scene: Scene, y: int, inner: int) -> int:
    """Frames in a row, with time, share and a bar for it under each."""
    gazes = scene.explanation.frames
    chosen = counted_most(gazes, FRAMES)
    room = (inner - (len(chosen) - 1) * GAP) // len(chosen)
    sizes = [within(scene.frames[place], room, FRAME_HIGH) for place in chosen]
    most, foot, x = max(gaze.share for gaze in gazes), y + max(size[1] for size in sizes), MARGIN
    for place, (wide, high) in zip(chosen, sizes, strict=True):
        shown = heated(scene.frames[place], gazes[place].heat, (wide, high))
        sheet.image.paste(shown, (x, foot - high))
        sheet.text((x, foot + 8), clock(scene.times[place]), 18, GREY)
        sheet.text((x + wide, foot + 8), percent(gazes[place].share), 18, INK, "ra")
        sheet.bar((x, foot + 36, wide, 6), 0, gazes[place].share / (most or 1), BARS[0])
        x += wide + GAP
    return foot + 42


def _said(sheet: Sheet, words: Sequence[Word], box: Box, size: int) -> int:
    x, y, wide, high = box
    if not words:
        sheet.text((x, y), "Nothing was said.", 18, GREY)
        return y + 18
    sheet.text((x, y), "What was said", 18, GREY)
    return sheet.words(words, (x, y + 18 + GAP // 2, wide, high), size)


def _product(sheet: Sheet, scene: Scene, rank: int, at: tuple[int, int, int]) -> int:
    """A product with its image, its title, and the terms of its score below."""
    x, y, wide = at
    compared, listing = scene.explanation.comparisons[rank], scene.listings[rank]
    sheet.text((x, y), SIDES[rank], 18, GREY)
    y, side, left = y + 18 + GAP // 2, 220, x + 220 + GAP
    _view(sheet, listing, compared, (x, y, side, side))
    end = sheet.words(compared.title, (left, y, wide - side - GAP, 120), 24)
    room = wide - side - GAP
    sheet.text((left, end + 6), _shortened(listing.product_id, 18, room), 18, GREY)
    sheet.text((left, y + side), f"{compared.score:.3f}", 44, BARS[rank], "ls")
    return _terms(sheet, scene.explanation.comparisons, rank, (x, y + side + GAP, wide))


def _view(sheet: Sheet, listing: Listing, compared: Comparison, box: Box) -> None:
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


def _terms(
    sheet: Sheet, comparisons: Sequence[Comparison], rank: int, at: tuple[int, int, int]
) -> int:
    """What each term adds, and the score, as bars on one scale for both products."""
    x, y, wide = at
    values = [value for one in comparisons for value in added(one).values() if value is not None]
    low, high = min(0.0, *values), max(0.0, *values) or 1.0
    details = {
        NAMES.get(term.name, term.name): f"{term.weight:.2f} x {term.value:.2f}"
        for term in comparisons[rank].terms
    }
    for name, value in added(comparisons[rank]).items():
        is_score = name == "score"
        if is_score:
            sheet.draw.line((x, y + 4, x + wide - 1, y + 4), RULE)
            y += 12
        sheet.text((x, y), name, 18, INK if is_score else GREY)
        if value is None:
            sheet.text((x + wide, y), "not there", 18, GREY, "ra")
        else:
            sheet.text((x + wide - 80, y + 3), details.get(name, ""), 14, GREY, "ra")
            sheet.text((x + wide, y), f"{value:+.3f}", 18, INK, "ra")
            box = (x + 180, y + 6, wide - 370, 10)
            start, end = (-low / (high - low), (value - low) / (high - low))
            sheet.bar(box, start, end, BARS[rank] if is_score else TINTS[rank])
        y += 28
    return y


def added(compared: Comparison) -> dict[str, float | None]:
    """What each term adds to the score (None: it dropped out), and the score, by readable names."""
    found = {NAMES.get(t.name, t.name): t.adds if t.present else None for t in compared.terms}
    return {**found, **compared.changes, "score": compared.score}


def _legend(sheet: Sheet, guided: bool, at: tuple[int, int, int]) -> int:
    """What the colours mean, or that there are none."""
    x, y, wide = at
    if not guided:
        sheet.text((x, y), _shortened(ALIKE, 18, wide), 18, GREY)
        return y + 18
    sheet.text((x, y), "Attention: even", 18, GREY)
    x += _wide("Attention: even", 18) + GAP // 2
    levels = np.linspace(0, 1, 160)[None].repeat(12, 0)
    sheet.image.paste(Image.fromarray(_lit(np.full((12, 160, 3), 255.0), levels)), (x, y + 5))
    sheet.text((x + 160 + GAP // 2, y), f"{HOTTEST:.0f} times that, or more", 18, GREY)
    return y + 18


def film(scene: Scene) -> Iterator[tuple[Image.Image, float]]:
    """The clip with its maps: a picture of 1280 by 720 for each frame, and its seconds."""
    ends = [*scene.times[1:], scene.end_s]
    for place, (start_s, end_s) in enumerate(zip(scene.times, ends, strict=True)):
        yield _moment(scene, place), max(end_s - start_s, float(1 / FILM_HZ))


def _moment(scene: Scene, place: int) -> Image.Image:
    """One frame of the film: the clip's frame, and beside it words and both products."""
    sheet, explanation = Sheet(*FILM), scene.explanation
    size = within(scene.frames[place], FILM[0] // 2, FILM[1])
    shown = heated(scene.frames[place], explanation.frames[place].heat, size)
    sheet.image.paste(shown, (0, (FILM[1] - size[1]) // 2))
    x, wide = size[0] + 2 * GAP, FILM[0] - size[0] - 4 * GAP
    sheet.text((x, GAP), clock(scene.times[place]), 26)
    sheet.text((x + wide, GAP + 8), _shortened(scene.name, 18, wide - 120), 18, GREY, "ra")
    _beats(sheet, explanation.frames, place, (x, 66, wide, 60))
    _said(sheet, explanation.words, (x, 160, wide, 190), 30)
    for rank in range(len(scene.listings)):
        _rival(sheet, scene, rank, place, (x, 376 + rank * 150, wide))
    _legend(sheet, explanation.guided, (x, FILM[1] - GAP - 18, wide))
    return sheet.image


def _beats(sheet: Sheet, gazes: Sequence[Gaze], now: int, box: Box) -> None:
    """How much each frame counted, as columns; the one of the moment is dark."""
    x, y, wide, high = box
    most, step = max(gaze.share for gaze in gazes) or 1.0, wide / len(gazes)
    for place, gaze in enumerate(gazes):
        left, tall = x + round(place * step), max(2, round(high * gaze.share / most))
        right = x + round((place + 1) * step) - 4
        area = (left, y + high - tall, max(left, right), y + high)
        sheet.draw.rectangle(area, BARS[0] if place == now else RULE)
    sheet.text((x, y + high + 6), f"counts {percent(gazes[now].share)}", 14, GREY)


def _rival(sheet: Sheet, scene: Scene, rank: int, place: int, at: tuple[int, int, int]) -> None:
    """A product in the film: how much this frame alone is like it, and its score."""
    x, y, wide = at
    compared, side = scene.explanation.comparisons[rank], 130
    _view(sheet, scene.listings[rank], compared, (x, y, side, side))
    left, room = x + side + GAP, wide - side - GAP
    title = scene.listings[rank].title or scene.listings[rank].product_id
    sheet.text((left, y), _shortened(f"{SIDES[rank]}: {title}", 18, room), 18)
    alone = compared.frames[place] if compared.frames else None
    every = [value for one in scene.explanation.comparisons for value in one.frames]
    scores = [one.score for one in scene.explanation.comparisons]
    rows = ("this frame", alone, every), ("score", compared.score, scores)
    for number, (name, value, all_values) in enumerate(rows):
        top = y + 40 + 38 * number
        sheet.text((left, top), name, 18, GREY)
        if value is not None:
            share = max(value, 0.0) / (max([*all_values, 0.0]) or 1.0)
            sheet.bar((left + 110, top + 5, room - 190, 10), 0, share, BARS[rank])
            sheet.text((left + room, top), f"{value:.3f}", 18, INK, "ra")


def write(scene: Scene, path: Path) -> None:
    """Write the film where `path` ends in .mp4, else the picture. Raises OSError."""
    if path.suffix.lower() == ".mp4":
        _write_film(scene, path)
    else:
        picture(scene).save(path)


def _write_film(scene: Scene, path: Path) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        with av.open(str(draft), "w", format="mp4") as container:
            track = container.add_stream("libx264", rate=FILM_HZ)
            track.width, track.height, track.pix_fmt = *FILM, "yuv420p"
            track.options = {"preset": "veryfast", "crf": "20"}
            shown_s, count = 0.0, 0
            for image, lasts_s in film(scene):
                shown_s += lasts_s
                frame = av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")
                while count < round(shown_s * FILM_HZ):
                    frame.pts, frame.time_base = count, 1 / FILM_HZ
                    container.mux(track.encode(frame))
                    count += 1
            container.mux(track.encode(None))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class Sheet:
    """Paper to draw on; boxes are x, y, width and height in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self, at: tuple[int, int], text: str, size: int, ink: Colour = INK, anchor: str = "la"
    ) -> None:
        """One line of text, by the anchors of Pillow."""
        self.draw.text(at, text, ink, _font(size, text), anchor)

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
        written = [(word.text, _level(word.share * len(words))) for word in words]
        for scale in (1.0, 0.8, 0.65):
            step, rows = round(1.5 * scale * size), max(1, high // round(1.5 * scale * size))
            lines = _lines(written, wide, scale * size)
            if len(lines) <= rows:
                break
        else:
            lines = _lines(_fitting(written, wide, scale * size, rows), wide, scale * size)
        for number, line in enumerate(lines):
            base = y + number * step + round(scale * size)
            for left, text, level in line:
                self.text((x + left, base), text, _size(scale * size, level), _ink(level), "ls")
        return y + len(lines) * step


def heat_colours(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths in 0..1, of any shape, to colours (…, 3) in 0..255."""
    ends = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(strength, ends, channel) for channel in zip(*HEAT, strict=True)], -1)


def heated(picture: Picture, heat: Heat | None, size: tuple[int, int]) -> Image.Image:
    """A picture at `size` (width, height) with its map, of any resolution, laid over it."""
    image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    if heat is None:
        return image
    times_even = np.maximum(heat * heat.size, 1.0)
    strength = np.clip(np.log2(times_even) / log2(HOTTEST), 0, 1)
    grey = Image.fromarray((255 * strength).round().astype(np.uint8)).resize(size)
    level = np.asarray(grey.filter(ImageFilter.GaussianBlur(max(size) / 60)), np.float64) / 255
    return Image.fromarray(_lit(np.asarray(image, np.float64), level))


def _lit(pixels: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pixels (h, w, 3) dimmed, and tinted by levels (h, w) in 0..1: light on any background."""
    alpha = OPACITY * level[..., None]
    mixed = (1 - alpha) * DIMMED * pixels + alpha * heat_colours(level)
    return np.asarray(mixed.round(), np.uint8)


def within(picture: Picture, wide: int, high: int) -> tuple[int, int]:
    """The size (width, height) at which a picture fills a box, its aspect kept."""
    scale = min(wide / picture.shape[1], high / picture.shape[0])
    return max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))


def _font(size: int, text: str = "") -> ImageFont.FreeTypeFont:
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


def _wide(text: str, size: int) -> int:
    return round(_font(size, text).getlength(text))


def _shortened(text: str, size: int, room: int) -> str:
    """A text that fits into so many pixels, with an ellipsis where it was cut."""
    if _wide(text, size) <= room:
        return text
    fits = bisect_right(range(len(text)), room, key=lambda n: _wide(f"{text[:n]}…", size))
    return text[: max(0, fits - 1)].rstrip() + "…"


def _fitting(written: Written, wide: int, size: float, rows: int) -> Written:
    """As many of the strongest words as fit, in their order, with an ellipsis after them."""
    order = sorted(range(len(written)), key=lambda place: -written[place][1])

    def best(count: int) -> Written:
        return [*(written[place] for place in sorted(order[:count])), ("…", 0.0)]

    count = bisect_right(
        range(len(written)), rows, key=lambda count: len(_lines(best(count), wide, size))
    )
    return best(max(0, count - 1))


def _lines(written: Written, wide: int, size: float) -> list[list[tuple[int, str, float]]]:
    """Words broken into lines: each with its x, and how strongly it is written, 0..1."""
    lines: list[list[tuple[int, str, float]]] = [[]]
    x = 0.0
    for whole, level in written:
        text = _shortened(whole, _size(size, level), wide)
        length = _wide(text, _size(size, level))
        if x and x + length > wide:
            lines.append([])
            x = 0.0
        lines[-1].append((round(x), text, level))
        x += length + 0.3 * size
    return lines


def _level(times_even: float) -> float:
    """0..1 from how many times its even share a word has: 0.5 for once, 1 for eight times."""
    return min(1.0, max(0.0, 0.5 + log2(max(times_even, 1e-9)) / 6))


def _size(size: float, level: float) -> int:
    return round(size * (0.7 + 0.3 * level))


def _ink(level: float) -> Colour:
    light = (176, 176, 184)
    red, green, blue = (round(a + (b - a) * level) for a, b in zip(light, INK, strict=True))
    return red, green, blue
