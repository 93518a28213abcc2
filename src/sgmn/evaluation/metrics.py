"""Retrieval metrics: pure functions of ranks.

A rank is 1-based; None is a miss and counts in every metric as the worst that can be.
Nothing is ever left out: the denominator is the number of queries given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError

Values = NDArray[np.float64]
Ranks = Sequence[int | None]


def hits_at(ranks: Ranks, k: int) -> Values:
    """(n,) of 1 for each query whose rank is at most k, otherwise 0.

    >>> hits_at([1, 4, None], 3).tolist()
    [1.0, 0.0, 0.0]
    """
    return (_numbers(ranks) <= _depth(k)).astype(np.float64)


def reciprocal_ranks(ranks: Ranks) -> Values:
    """(n,) of 1 / rank, in 0..1; a miss has 0.

    >>> reciprocal_ranks([1, 4, None]).tolist()
    [1.0, 0.25, 0.0]
    """
    return 1.0 / _numbers(ranks)


def rank_numbers(ranks: Ranks) -> Values:
    """(n,) of the ranks as numbers; a miss is infinite.

    >>> rank_numbers([1, 4, None]).tolist()
    [1.0, 4.0, inf]
    """
    return _numbers(ranks)


def recall_at(ranks: Ranks, k: int) -> float:
    """R@k: the share of queries with at least one ground truth among the first k, 0..1.

    The definition of LPR4M and RICE: a query counts once however many truths it has.

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
    return float(np.median(_numbers(ranks)))


def ndcgs_at(found: Sequence[Sequence[str]], truths: Sequence[Collection[str]], k: int) -> Values:
    """(n,) of each query's NDCG@k with binary gains, 0..1.

    `found` holds each query's product ids, best first. DCG is the sum over the first k of
    1 / log2(place + 1) for every truth there; the ideal has all truths first, whether or
    not they are on the shelf (Järvelin and Kekäläinen, 2002; as MTEB reports it).

    >>> ndcgs_at([["a", "b"], ["a", "b"]], [{"a"}, {"c"}], 10).tolist()
    [1.0, 0.0]
    """
    if len(found) != len(truths) or not found:
        raise SgmnError(
            f"{len(found)} lists found and {len(truths)} sets of truths",
            where="NDCG",
            remedy="give one of each for every query, and at least one query",
        )
    discounts = 1.0 / np.log2(np.arange(_depth(k)) + 2.0)
    return np.array([_ndcg(f, frozenset(t), discounts) for f, t in zip(found, truths, strict=True)])


def ndcg_at(found: Sequence[Sequence[str]], truths: Sequence[Collection[str]], k: int) -> float:
    """The mean of `ndcgs_at` over all queries, 0..1.

    >>> round(ndcg_at([["a", "b", "c"]], [{"b"}], 10), 4)
    0.6309
    """
    return float(ndcgs_at(found, truths, k).mean())


def _ndcg(found: Sequence[str], truths: frozenset[str], discounts: Values) -> float:
    if not truths:
        raise SgmnError("a query has no ground truth", "NDCG", "label it or leave it out")
    firsts = list(dict.fromkeys(found))[: len(discounts)]  # a repeated answer gains once
    gains = np.array([product in truths for product in firsts], dtype=np.float64)
    return float(gains @ discounts[: len(gains)] / discounts[: len(truths)].sum())


def _numbers(ranks: Ranks) -> Values:
    numbers = np.array([np.inf if r is None else r for r in ranks], dtype=np.float64)
    if not numbers.size:
        raise SgmnError("there are no queries", "metrics", "give at least one")
    if not (numbers >= 1).all():
        raise SgmnError(
            f"a rank is {numbers[~(numbers >= 1)][0]:g}", "metrics", "give 1 or more, or None"
        )
    return numbers


def _depth(k: int) -> int:
    if k < 1:
        raise SgmnError(f"k is {k}", "metrics", "give 1 or more")
    return k
