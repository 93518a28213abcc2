"""How an answer holds up: clips made worse in one respect, shelves made smaller.

What draws takes a generator and nothing else by chance: the same seed gives the same clips.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import ceil, comb

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import linear_sum_assignment

from sgmn.errors import SgmnError
from sgmn.records import Clip, Picture

LIGHT, NOISE = 0.35, 4.0  # what is left of the light; sigma of the sensor's noise, of 255
SMALL_SIDE = 64  # pixels
QUALITY = 15  # of JPEG
FORBIDDEN = 1e9  # above the cost of any exchange without a forbidden pair


def swapped_words(clips: Sequence[Clip], rng: np.random.Generator) -> list[str]:
    """For each clip the words of another one that sells nothing of what it sells.

    Each clip's words go to one other clip, of the same shop as far as that can be done. A
    clip that says nothing stays silent. Raises SgmnError where there is no such exchange,
    as when one product has more than half of the clips.
    """
    words = [clip.words for clip in clips]
    talking = [place for place, said in enumerate(words) if said]
    costs = _costs([clips[place] for place in talking], rng)
    givers = linear_sum_assignment(costs)[1]
    if talking and costs[np.arange(len(talking)), givers].max() >= FORBIDDEN:
        raise SgmnError(
            "one product has too many clips for each to get the words of another product",
            where="swapped words",
            remedy="give clips of more products",
        )
    given = {taker: words[talking[giver]] for taker, giver in zip(talking, givers, strict=True)}
    return [given.get(place, "") for place in range(len(clips))]


def _costs(clips: Sequence[Clip], rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, n) of what it costs that clip i takes the words of clip j; chance decides the rest."""
    costs = rng.random((len(clips), len(clips)))
    for i, taker in enumerate(clips):
        for j, giver in enumerate(clips):
            if taker.shop_id != giver.shop_id:
                costs[i, j] += 2 * len(clips)  # more than all that chance can add up to
            elif i == j or set(taker.product_ids) & set(giver.product_ids):
                costs[i, j] = FORBIDDEN
    return costs


def half(count: int, rng: np.random.Generator) -> list[int]:
    """Which of `count` frames are kept when half of them are lost: in order, rounded up."""
    return sorted(rng.choice(count, ceil(count / 2), replace=False).tolist()) if count else []


def darkened(picture: Picture, rng: np.random.Generator) -> Picture:
    """A picture in low light: LIGHT of every value, and noise of sigma NOISE."""
    dark = LIGHT * picture.astype(np.float64) + rng.normal(0, NOISE, picture.shape)
    return dark.round().clip(0, 255).astype(np.uint8)


def coarsened(picture: Picture) -> Picture:
    """A picture that was once SMALL_SIDE pixels on its longer side; its size stays."""
    image = Image.fromarray(picture)
    small = image.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BICUBIC)
    return np.array(small.resize(image.size, Image.Resampling.BICUBIC))


def compressed(picture: Picture) -> Picture:
    """A picture after JPEG of QUALITY."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY)
    return np.array(Image.open(file))


def first_on_smaller(rank: int | None, shelf_size: int, smaller: int) -> float:
    """The chance, 0..1, that a truth at `rank` is first among `smaller` products of its shelf.

    The truth stays and the others are drawn without replacement from the rest of the shelf:
    none of the rank - 1 better ones may be drawn, so the chance is hypergeometric,
    C(S - rank, n - 1) / C(S - 1, n - 1). A miss (None) has 0. It is exact where a score
    does not depend on what else is on the shelf; a re-ranker would score the best anew.

    >>> first_on_smaller(2, 3, 2)
    0.5
    """
    if not 1 <= smaller <= shelf_size or not (rank is None or 1 <= rank <= shelf_size):
        raise SgmnError(
            f"{smaller} products, and a truth at {rank}, of a shelf of {shelf_size}",
            where="smaller shelf",
            remedy="give 1 product or more, and no more than the shelf has",
        )
    if rank is None:
        return 0.0
    return comb(shelf_size - rank, smaller - 1) / comb(shelf_size - 1, smaller - 1)
