"""Ranks the products of a shelf for a clip, and finds the rank of the true product.

The protocol is that of RICE on LPR4M: a clip is searched on its own shelf only, and counts once,
with the best rank of its true products. A clip without any is a miss (`rank` None) and stays in
every denominator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.records import Clip

TOP_K = 10  # products that a result stores by default: enough for NDCG@10


@dataclass(frozen=True, slots=True)
class RankedClip:
    """The answer to one query.

    `rank` is that of the best-ranked true product, 1..shelf_size; None is a miss: no true
    product is on the shelf, or none was returned. `best` has the first product ids, ten
    by default, best first, and `scores` their scores. `truths` are all true products, on the
    shelf or not.
    """

    clip_id: str
    shop_id: str
    rank: int | None
    best: tuple[str, ...]
    scores: tuple[float, ...]
    truths: tuple[str, ...]
    shelf_size: int
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        where = f"clip {self.clip_id!r}"
        if self.rank is not None and not 1 <= self.rank <= self.shelf_size:
            raise SgmnError(
                f"rank {self.rank} is not in 1..{self.shelf_size}", where, "rank the clip again"
            )
        if len(self.best) != len(self.scores):
            raise SgmnError(
                f"has {len(self.best)} best products and {len(self.scores)} scores",
                where,
                "pass one score per product",
            )
        if not self.truths:
            raise SgmnError("has no true product", where, "label it or leave it out of the split")


def rank_clip(
    clip: Clip,
    product_ids: Sequence[str],
    scores: NDArray[np.floating[Any]],
    depth: int = TOP_K,
) -> RankedClip:
    """Rank the products of a shelf for one clip.

    A product that scores -inf was not returned: it is never among the best, and a clip whose
    true products were all not returned is a miss. Ties are broken against the true product (its
    worst possible rank), then by position on the shelf, so that a constant scorer has an R@1 of
    0 on every shelf with a wrong product.

    Args:
        clip: The clip, with its true products.
        product_ids: The S products of the shelf.
        scores: (S,), higher is better.
        depth: Products of the result.

    Raises:
        SgmnError: A score is NaN or +inf, there is not one score per product, a product is on
            the shelf twice, or the clip has no true product.

    >>> from pathlib import Path
    >>> clip = Clip("c1", video=Path("c1.mp4"), product_ids=("red",))
    >>> rank_clip(clip, ["blue", "red", "green"], np.array([0.9, 0.7, 0.1])).rank
    2
    """
    values = np.asarray(scores, dtype=np.float64)
    _validate(clip, product_ids, values)
    truths = frozenset(clip.product_ids)
    is_true = np.fromiter((p in truths for p in product_ids), bool, len(product_ids))
    order = _sort(values, is_true)
    hits = np.flatnonzero(is_true[order])
    return RankedClip(
        clip_id=clip.clip_id,
        shop_id=clip.shop_id,
        rank=int(hits[0]) + 1 if hits.size else None,
        best=tuple(product_ids[i] for i in order[:depth]),
        scores=tuple(float(s) for s in values[order[:depth]]),
        truths=tuple(dict.fromkeys(clip.product_ids)),
        shelf_size=len(product_ids),
        attributes=clip.attributes,
    )


def _sort(scores: NDArray[np.float64], is_true: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of the returned products, best first; of equal ones, wrong before true."""
    order = np.lexsort((is_true, -scores))  # stable, so the last tie-break is the position
    return order[scores[order] > -np.inf]


def _validate(clip: Clip, product_ids: Sequence[str], scores: NDArray[np.float64]) -> None:
    where = f"clip {clip.clip_id!r}"
    if scores.shape != (len(product_ids),):
        raise SgmnError(
            f"scores have shape {scores.shape} for {len(product_ids)} products",
            where,
            "pass one score per product",
        )
    invalid = np.flatnonzero(np.isnan(scores) | (scores == np.inf))
    if invalid.size:
        raise SgmnError(
            f"{invalid.size} of {len(product_ids)} scores are NaN or infinite, "
            f"the first that of product {product_ids[invalid[0]]!r}",
            where,
            "check the scorer for empty inputs and overflow",
        )
    if len(set(product_ids)) != len(product_ids):
        raise SgmnError("has a product twice on its shelf", where, "list each product once")
