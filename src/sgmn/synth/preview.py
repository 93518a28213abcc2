"""A contact sheet: near-twins of a shop beside each other, and frames of its films below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import Picture
from sgmn.synth import product_photo, scenario
from sgmn.synth.fonts import SMALL, font
from sgmn.synth.footage import Film
from sgmn.synth.product import Article
from sgmn.synth.settings import WorldSettings

_CELL = 150  # pixels of a product's picture
_COLUMNS = 8  # products a row; two groups may share one
_ROWS = 9
_CLIPS, _FRAMES = 4, 4  # clips, and frames of each
_FRAME = (186, 330)
_LINE = 16  # pixels of a line of text


def preview(path: Path, settings: WorldSettings) -> None:
    """Write a PNG of a shop's products and of frames of its clips, as a world would have them."""
    parts = [products(settings), frames(settings)]
    wide = max(part.shape[1] for part in parts)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([_widened(part, wide) for part in parts])).save(path, "PNG")


def products(settings: WorldSettings) -> Picture:
    """Groups of near-twins of the first shop, each titled, one of each family as far as it goes."""
    rows = [_group(group) for group in _groups(scenario.of_shop(settings, 0))]
    half = (len(rows) + 1) // 2
    blank = np.full_like(rows[0], 255)
    rows += [blank] * (2 * half - len(rows))
    return np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)


def _groups(articles: Sequence[Article]) -> list[list[Article]]:
    groups = [list(group) for _, group in groupby(articles, key=lambda a: a.group)]
    first: dict[str, list[Article]] = {}
    for group in sorted(groups, key=len, reverse=True):
        first.setdefault(group[0].family, group)
    return list(first.values())[: 2 * _ROWS]


def _group(group: Sequence[Article]) -> Picture:
    shown = group[: _COLUMNS // 2 + 1]
    cells = [product_photo.picture(scenario.built(article, 256), _CELL) for article in shown]
    row = _widened(np.concatenate(cells, axis=1), (_COLUMNS // 2 + 1) * _CELL)
    varies = f"{len(group)} differ in {group[0].varies}: " if group[0].varies else ""
    return np.concatenate([row, _words(f"{varies}{group[0].title}", row.shape[1])])


def frames(settings: WorldSettings) -> Picture:
    """Frames of the first clips, spread over their time."""
    small = replace(settings, shops=1, train=1.0, val=0.0, test=0.0)
    strips = [_strip(small, number) for number in range(_CLIPS)]
    pairs = [np.concatenate(strips[i : i + 2], axis=1) for i in range(0, _CLIPS, 2)]
    return np.concatenate(pairs)


def _strip(settings: WorldSettings, number: int) -> Picture:
    plan = scenario.clip(settings, number)
    shot = Film(scenario.set_of(plan, settings))
    times = [showing.start + 0.55 * (showing.end - showing.start) for showing in plan.showings]
    times += [plan.seconds * share for share in (0.15, 0.4, 0.6, 0.85)]
    cells = [_small(shot.frame(time, boxes=False).picture) for time in sorted(times[:_FRAMES])]
    strip = np.concatenate(cells, axis=1)
    said = " ".join(cue.text for cue in plan.words)
    title = f"{plan.cast[0].title} — “{said}”"
    return np.concatenate([strip, _words(title, strip.shape[1])])


def _small(picture: Picture) -> Picture:
    return np.asarray(Image.fromarray(picture).resize(_FRAME, Image.Resampling.LANCZOS))


def _words(text: str, wide: int) -> Picture:
    image = Image.new("RGB", (wide, _LINE), (255, 255, 255))
    face = font(SMALL, 11)
    while face.getlength(text) > wide - 8:
        text = text[: int(0.96 * len(text)) - 1] + "…"
    ImageDraw.Draw(image).text((4, 1), text, fill=(60, 60, 60), font=face)
    return np.asarray(image)


def _widened(picture: Picture, wide: int) -> Picture:
    short = max(0, wide - picture.shape[1])
    return np.pad(picture[:, :wide], ((0, 0), (0, short), (0, 0)), constant_values=255)
