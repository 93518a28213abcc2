"""Retrieval metrics: pure functions of ranks.

A rank is 1-based. None is a miss, and counts in every metric as the worst possible rank.
The denominator is always the number of queries.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError

FloatArray = NDArray[np.float64]
Ranks = Sequence[int | None]


def hits_at(ranks: Ranks, k: int) -> FloatArray:
    """(n,) of 1 for each query whose rank is at most k, otherwise 0.

    >>> hits_at([1, 4, None], 3).tolist()
    [1.0, 0.0, 0.0]
    """
    return (ranks_to_array(ranks) <= _validate_k(k)).astype(np.float64)


def reciprocal_ranks(ranks: Ranks) -> FloatArray:
    """(n,) of 1 / rank, in 0..1; a miss has 0.

    >>> reciprocal_ranks([1, 4, None]).tolist()
    [1.0, 0.25, 0.0]
    """
    return 1.0 / ranks_to_array(ranks)


def ranks_to_array(ranks: Ranks) -> FloatArray:
    """(n,) of the ranks as numbers; a miss is infinite.

    Raises SgmnError for no ranks, and for a rank below 1.

    >>> ranks_to_array([1, 4, None]).tolist()
    [1.0, 4.0, inf]
    """
    values = np.array([np.inf if r is None else r for r in ranks], dtype=np.float64)
    if not values.size:
        raise SgmnError("there are no queries", "metrics", "pass at least one")
    if not (values >= 1).all():
        invalid = values[~(values >= 1)][0]
        raise SgmnError(f"a rank is {invalid:g}", "metrics", "pass 1 or more, or None")
    return values


def recall_at(ranks: Ranks, k: int) -> float:
    """R@k: the share of queries with at least one true product among the first k, 0..1.

    As LPR4M and RICE define it: a query counts once, however many true products it has.

    >>> recall_at([1, 4, None, 2], 3)
    0.5
    """
    return float(hits_at(ranks, k).mean())


def mrr(ranks: Ranks) -> float:
    """Mean reciprocal rank, 0..1; a miss contributes 0.

    >>> mrr([1, 4, None, 2])
    0.4375
    """
    return float(reciprocal_ranks(ranks).mean())


def median_rank(ranks: Ranks) -> float:
    """The median of the ranks, 1 or more; infinite when half the queries or more are misses.

    >>> median_rank([1, 4, None])
    4.0
    >>> median_rank([1, None])
    inf
    """
    return float(np.median(ranks_to_array(ranks)))


def ndcgs_at(
    rankings: Sequence[Sequence[str]], truths: Sequence[Collection[str]], k: int
) -> FloatArray:
    """(n,) of each query's NDCG@k with binary gains, 0..1.

    `rankings` has the product ids of each query, best first. DCG is the sum of
    1 / log2(rank + 1) over the true products among the first k; the ideal ranks all of them
    first, whether or not they are on the shelf (Järvelin and Kekäläinen, 2002; as MTEB reports it).

    >>> ndcgs_at([["a", "b"], ["a", "b"]], [{"a"}, {"c"}], 10).tolist()
    [1.0, 0.0]
    """
    if len(rankings) != len(truths) or not rankings:
        raise SgmnError(
            f"{len(rankings)} rankings and {len(truths)} sets of true products",
            where="NDCG",
            remedy="pass one of each per query, and at least one query",
        )
    discounts = 1.0 / np.log2(np.arange(_validate_k(k)) + 2.0)
    pairs = zip(rankings, truths, strict=True)
    return np.array([_ndcg(ranking, frozenset(true), discounts) for ranking, true in pairs])


def ndcg_at(rankings: Sequence[Sequence[str]], truths: Sequence[Collection[str]], k: int) -> float:
    """The mean of `ndcgs_at` over all queries, 0..1.

    >>> round(ndcg_at([["a", "b", "c"]], [{"b"}], 10), 4)
    0.6309
    """
    return float(ndcgs_at(rankings, truths, k).mean())


def _ndcg(ranking: Sequence[str], truths: frozenset[str], discounts: FloatArray) -> float:
    if not truths:
        raise SgmnError("a query has no true product", "NDCG", "label it or leave it out")
    top = list(dict.fromkeys(ranking))[: len(discounts)]  # a repeated answer gains once
    gains = np.array([product in truths for product in top], dtype=np.float64)
    return float(gains @ discounts[: len(gains)] / discounts[: len(truths)].sum())


def _validate_k(k: int) -> int:
    if k < 1:
        raise SgmnError(f"k is {k}", "metrics", "pass 1 or more")
    return k
