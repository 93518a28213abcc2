"""Cloth and paint of things without a label: a pattern, and a badge with the emblem."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import Picture
from sgmn.synth.colours import COLOURS, contrast, mixed, readable
from sgmn.synth.emblems import EMBLEMS, PATTERNS, emblem, pattern
from sgmn.synth.fonts import FACES, font
from sgmn.synth.mesh import RGB, Solid
from sgmn.synth.product import Article, Family

_COLOURS, _EMBLEMS, _PATTERNS = tuple(COLOURS), tuple(EMBLEMS), tuple(PATTERNS)


def family(
    name: str,
    category: str,
    kinds: tuple[str, ...],
    detail: str,
    build: Callable[[Article, int], Solid],
    *,
    varies: tuple[str, ...] = (),
) -> Family:
    """A family with a colour, a pattern, an emblem and one coloured `detail`.

    Twins may differ in any of them, or only in those of `varies`.
    """
    values = {"colour": _COLOURS, "pattern": _PATTERNS, "emblem": _EMBLEMS, detail: _COLOURS}
    return Family(name, category, kinds, values, varies or tuple(values), build)


def cloth(article: Article, rng: np.random.Generator, detail: int, cells: int = 7) -> Picture:
    """A swatch of the article's pattern, at least 64 pixels wide."""
    colour = article.colour("colour")
    other = mixed(_partner(colour, rng), (250, 250, 250), 0.3)
    return pattern(article["pattern"], colour, other, max(64, detail), cells)


def badged(article: Article, weave: Picture, face: int, size: float = 0.3) -> Picture:
    """The cloth with the emblem and the brand on a patch in its middle."""
    image = Image.fromarray(weave).resize((2 * weave.shape[1], 2 * weave.shape[0]))
    canvas, (w, h) = ImageDraw.Draw(image), image.size
    colour = article.colour("colour")
    ink = readable(colour)
    r = size * min(w, h)
    canvas.ellipse((w / 2 - r, h / 2 - r, w / 2 + r, h / 2 + r), fill=colour, outline=ink, width=4)
    emblem(canvas, article["emblem"], (w / 2, h / 2 - 0.2 * r), 0.48 * r, ink, colour)
    words = font(FACES[face % len(FACES)], max(8, int(0.3 * r)))
    canvas.text((w / 2, h / 2 + 0.58 * r), article["brand"], fill=ink, font=words, anchor="mm")
    return np.asarray(image.reduce(2))


def _partner(colour: RGB, rng: np.random.Generator) -> RGB:
    """A second colour that stands out from the first; the same draw for every twin."""
    names = rng.permutation(len(COLOURS))
    choices = [COLOURS[_COLOURS[i]] for i in names]
    return max(choices[:4], key=lambda other: contrast(colour, other))
