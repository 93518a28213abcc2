"""From a shelf's scores to the rank of what was really on sale.

The protocol is RICE's for LPR4M: a clip is searched on its own shelf only, it counts once
however many ground truths it has, and its best-ranked one speaks for it. A clip for which
nothing true was found is a miss (`rank` None) and stays in every denominator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.records import Clip

KEPT = 10  # how many of the best products a result remembers: enough for R@10 and NDCG@10


@dataclass(frozen=True, slots=True)
class Ranked:
    """The answer to one query.

    `rank` is that of the best-ranked ground truth, 1..shelf_size; None is a miss: no truth
    on the shelf, or none returned. `best` holds the first ten product ids, best first, and
    `scores` their scores. `truths` are all ground truths, on the shelf or not.
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
                f"rank {self.rank} is not in 1..{self.shelf_size}", where, "rank the clip anew"
            )
        if len(self.best) != len(self.scores):
            raise SgmnError(
                f"has {len(self.best)} best products and {len(self.scores)} scores",
                where,
                "give one score a product",
            )
        if not self.truths:
            raise SgmnError("has no ground truth", where, "label it or leave it out of the split")


def rank(clip: Clip, product_ids: Sequence[str], scores: NDArray[np.floating[Any]]) -> Ranked:
    """Rank the shelf `product_ids` by `scores` (S,), higher is better, for one clip.

    A product that scores -inf was not returned: it is never among the best, and a clip
    whose truths were all not returned is a miss. Ties are broken against the truth (its
    worst possible rank), then by place on the shelf: a scorer that cannot tell products
    apart must not look as if it could, so a constant scorer has R@1 of 0 on any shelf that
    holds something wrong. Two listings of one product are both truths or neither is found.

    Raises SgmnError, naming the clip, for scores that are NaN or +inf, that are not one a
    product, for a product twice on the shelf, and for a clip without any ground truth.

    >>> from pathlib import Path
    >>> clip = Clip("c1", video=Path("c1.mp4"), product_ids=("red",))
    >>> rank(clip, ["blue", "red", "green"], np.array([0.9, 0.7, 0.1])).rank
    2
    """
    values = np.asarray(scores, dtype=np.float64)
    _check(clip, product_ids, values)
    truths = frozenset(clip.product_ids)
    is_true = np.fromiter((p in truths for p in product_ids), bool, len(product_ids))
    order = _order(values, is_true)
    hits = np.flatnonzero(is_true[order])
    return Ranked(
        clip_id=clip.clip_id,
        shop_id=clip.shop_id,
        rank=int(hits[0]) + 1 if hits.size else None,
        best=tuple(product_ids[i] for i in order[:KEPT]),
        scores=tuple(float(s) for s in values[order[:KEPT]]),
        truths=tuple(dict.fromkeys(clip.product_ids)),
        shelf_size=len(product_ids),
        attributes=clip.attributes,
    )


def _order(scores: NDArray[np.float64], is_true: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places on the shelf of what was returned, best first, wrong before true when equal."""
    order = np.lexsort((is_true, -scores))  # stable, so the last tie-break is the place
    return order[scores[order] > -np.inf]


def _check(clip: Clip, product_ids: Sequence[str], scores: NDArray[np.float64]) -> None:
    where = f"clip {clip.clip_id!r}"
    if scores.shape != (len(product_ids),):
        raise SgmnError(
            f"scores have shape {scores.shape} for {len(product_ids)} products",
            where,
            "give one score a product",
        )
    broken = np.flatnonzero(np.isnan(scores) | (scores == np.inf))
    if broken.size:
        raise SgmnError(
            f"{broken.size} of {len(product_ids)} scores are NaN or infinite, "
            f"the first that of product {product_ids[broken[0]]!r}",
            where,
            "look for an empty input or an overflow in the scorer",
        )
    if len(set(product_ids)) != len(product_ids):
        raise SgmnError("its shelf holds a product twice", where, "list each product once")
