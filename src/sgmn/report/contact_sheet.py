"""An explanation as one picture: what counted, where, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sgmn.report.drawing import (
    BARS,
    GAP,
    GREY,
    INK,
    RULE,
    SIDES,
    TINTS,
    Scene,
    Sheet,
    counted_most,
    heated,
    legend,
    said,
    view,
    within,
)
from sgmn.report.formatting import clock, percent
from sgmn.report.text_layout import shortened, width_of

if TYPE_CHECKING:
    from sgmn.model.explanation import Comparison

NAMES = {
    "text": "words",
    "match": "frame by frame",
    "instances": "patch by patch",
    "said-shown": "said and shown",
    "seen-titled": "seen and titled",
}
WIDTH, MARGIN = 1440, 48  # of the picture, in pixels
FRAMES, FRAME_HIGH = 6, 380  # in the picture: those that counted most


def write(scene: Scene, path: Path) -> None:
    """Write the picture, in the format of the path's ending. Raises OSError."""
    picture(scene).save(path)


def picture(scene: Scene) -> Image.Image:
    """The whole explanation on one sheet, 1440 pixels wide and as high as it needs."""
    sheet = Sheet(WIDTH, 2400)
    inner = WIDTH - 2 * MARGIN
    y = _head(sheet, scene, MARGIN)
    y = _frames(sheet, scene, y, inner) + 2 * GAP
    y = said(sheet, scene.explanation.words, (MARGIN, y, inner, 170), 30) + 2 * GAP
    column = (inner - 3 * GAP) // 2
    places = [MARGIN, MARGIN + column + 3 * GAP][: len(scene.listings)]
    y = max(_product(sheet, scene, rank, (x, y, column)) for rank, x in enumerate(places))
    y = legend(sheet, scene.explanation.guided, (MARGIN, y + 2 * GAP, inner))
    return sheet.image.crop((0, 0, WIDTH, y + MARGIN))


def _head(sheet: Sheet, scene: Scene, y: int) -> int:
    count = len(scene.frames)
    few = f", {FRAMES} of them here" if count > FRAMES else ""
    span = f"{_span(scene)}, {count} frame{'s' * (count > 1)}{few}"
    sheet.text((WIDTH - MARGIN, y + 8), span, 18, GREY, "ra")
    room = WIDTH - 2 * MARGIN - width_of(span, 18) - GAP
    sheet.text((MARGIN, y), shortened(scene.name, 26, room), 26)
    return y + 26 + GAP


def _span(scene: Scene) -> str:
    return f"{clock(scene.times[0])} to {clock(scene.end_s)}"


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


def _product(sheet: Sheet, scene: Scene, rank: int, at: tuple[int, int, int]) -> int:
    """A product with its image, its title, and the terms of its score below."""
    x, y, wide = at
    compared, listing = scene.explanation.comparisons[rank], scene.listings[rank]
    sheet.text((x, y), SIDES[rank], 18, GREY)
    y, side, left = y + 18 + GAP // 2, 220, x + 220 + GAP
    view(sheet, listing, compared, (x, y, side, side))
    end = sheet.words(compared.title, (left, y, wide - side - GAP, 120), 24)
    room = wide - side - GAP
    sheet.text((left, end + 6), shortened(listing.product_id, 18, room), 18, GREY)
    sheet.text((left, y + side), f"{compared.score:.3f}", 44, BARS[rank], "ls")
    return _terms(sheet, scene.explanation.comparisons, rank, (x, y + side + GAP, wide))


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
