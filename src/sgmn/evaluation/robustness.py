"""Degrades clips in one respect, and computes ranks on smaller shelves.

Functions that use chance take a random generator: the same seed gives the same clips.
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
from sgmn.records import Clip, ImageArray

BRIGHTNESS_FACTOR = 0.35
NOISE_SIGMA = 4.0  # of the sensor noise, in values of 0..255
LOW_RESOLUTION_SIDE_PX = 64
JPEG_QUALITY = 15
FORBIDDEN_COST = 1e9  # more than any exchange without a forbidden pair costs


def swap_transcripts(clips: Sequence[Clip], rng: np.random.Generator) -> list[str]:
    """For each clip the transcript of another clip that sells none of its products.

    Each transcript goes to one other clip, in the same shop if possible. A clip without a
    transcript keeps none. Raises SgmnError if there is no such exchange, for example if one
    product has more than half of the clips.
    """
    texts = [clip.text for clip in clips]
    with_text = [index for index, text in enumerate(texts) if text]
    costs = _exchange_costs([clips[index] for index in with_text], rng)
    donors = linear_sum_assignment(costs)[1]
    if with_text and costs[np.arange(len(with_text)), donors].max() >= FORBIDDEN_COST:
        raise SgmnError(
            "one product has too many clips for each to get the transcript of another product",
            where="swapped transcripts",
            remedy="pass clips of more products",
        )
    swapped = {
        index: texts[with_text[donor]] for index, donor in zip(with_text, donors, strict=True)
    }
    return [swapped.get(index, "") for index in range(len(clips))]


def _exchange_costs(clips: Sequence[Clip], rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, n) of the cost that clip i gets the transcript of clip j; chance breaks ties."""
    costs = rng.random((len(clips), len(clips)))
    for i, receiver in enumerate(clips):
        for j, donor in enumerate(clips):
            if receiver.shop_id != donor.shop_id:
                costs[i, j] += 2 * len(clips)  # more than the sum of all random costs
            elif i == j or set(receiver.product_ids) & set(donor.product_ids):
                costs[i, j] = FORBIDDEN_COST
    return costs


def choose_half(count: int, rng: np.random.Generator) -> list[int]:
    """The indices of a random half of `count` frames, in order; the half is rounded up."""
    return sorted(rng.choice(count, ceil(count / 2), replace=False).tolist()) if count else []


def darken(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """An image (H, W, 3) in low light: BRIGHTNESS_FACTOR of each value, plus sensor noise."""
    dark = BRIGHTNESS_FACTOR * image.astype(np.float64) + rng.normal(0, NOISE_SIGMA, image.shape)
    return dark.round().clip(0, 255).astype(np.uint8)


def reduce_resolution(image: ImageArray) -> ImageArray:
    """An image (H, W, 3) scaled down to LOW_RESOLUTION_SIDE_PX, and back to its size."""
    full = Image.fromarray(image)
    small = full.copy()
    small.thumbnail((LOW_RESOLUTION_SIDE_PX, LOW_RESOLUTION_SIDE_PX), Image.Resampling.BICUBIC)
    return np.array(small.resize(full.size, Image.Resampling.BICUBIC))


def compress_jpeg(image: ImageArray) -> ImageArray:
    """An image (H, W, 3) after JPEG compression with JPEG_QUALITY."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return np.array(Image.open(file))


def top1_probability(rank: int | None, shelf_size: int, smaller_size: int) -> float:
    """The probability, 0..1, that a product at `rank` is first on a smaller shelf.

    The product stays, and the other `smaller_size` - 1 are drawn without replacement from the
    rest of the shelf. None of the rank - 1 better products may be drawn, so the probability is
    hypergeometric: C(S - rank, n - 1) / C(S - 1, n - 1). A miss (None) has 0. This is exact if
    scores do not depend on the other products; a re-ranker would score the best ones again.

    >>> top1_probability(2, 3, 2)
    0.5
    """
    if not 1 <= smaller_size <= shelf_size or not (rank is None or 1 <= rank <= shelf_size):
        raise SgmnError(
            f"{smaller_size} products and rank {rank} do not fit a shelf of {shelf_size}",
            where="smaller shelf",
            remedy="pass 1 product or more, and at most as many as the shelf has",
        )
    if rank is None:
        return 0.0
    return comb(shelf_size - rank, smaller_size - 1) / comb(shelf_size - 1, smaller_size - 1)
