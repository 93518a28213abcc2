"""An explanation as a film of its clip: each frame with its map, and how far it spoke for whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image

from sgmn.report.drawing import (
    BARS,
    GAP,
    GREY,
    INK,
    RULE,
    SIDES,
    Box,
    Scene,
    Sheet,
    heated,
    legend,
    said,
    view,
    within,
)
from sgmn.report.formatting import clock, percent
from sgmn.report.text_layout import shortened

if TYPE_CHECKING:
    from sgmn.model.explanation import Gaze

FILM = (1280, 720)
FILM_HZ = Fraction(5)


def write(scene: Scene, path: Path) -> None:
    """Write the film as MP4; it appears whole or not at all. Raises OSError."""
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
    sheet.text((x + wide, GAP + 8), shortened(scene.name, 18, wide - 120), 18, GREY, "ra")
    _beats(sheet, explanation.frames, place, (x, 66, wide, 60))
    said(sheet, explanation.words, (x, 160, wide, 190), 30)
    for rank in range(len(scene.listings)):
        _rival(sheet, scene, rank, place, (x, 376 + rank * 150, wide))
    legend(sheet, explanation.guided, (x, FILM[1] - GAP - 18, wide))
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
    view(sheet, scene.listings[rank], compared, (x, y, side, side))
    left, room = x + side + GAP, wide - side - GAP
    title = scene.listings[rank].title or scene.listings[rank].product_id
    sheet.text((left, y), shortened(f"{SIDES[rank]}: {title}", 18, room), 18)
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
