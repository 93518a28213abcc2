"""Which products of a shop have similar titles: the cheapest sign of near-twins.

Twins that differ in an emblem or a cap have almost the same title, and are listed by the same shop.
Their titles tell so before the first step, without a model, and at no cost during training.

Axes: S products of a shop, W words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sgmn.training.data.examples import Key

ROWS = 256  # titles compared at once


def title_neighbors(titles: Mapping[Key, str], count: int) -> dict[Key, list[Key]]:
    """Return the products of the same shop whose titles are most similar, the nearest first.

    Args:
        titles: the title of each product; products without one have no neighbors.
        count: neighbors of each product. Titles without a common word are no neighbors.

    The similarity is Jaccard's: common words / all words of both titles. Time is the number of
    pairs of titles of a shop with a common word, P·log S; memory is that of ROWS of S titles.
    """
    by_shop: dict[str, list[Key]] = defaultdict(list)
    for key in titles:
        by_shop[key[0]].append(key)
    neighbors: dict[Key, list[Key]] = {}
    for keys in by_shop.values():
        nearest = _nearest_titles([titles[key] for key in keys], count)
        neighbors |= {
            key: [keys[position] for position in row]
            for key, row in zip(keys, nearest, strict=True)
        }
    return neighbors


def _nearest_titles(titles: Sequence[str], count: int) -> list[NDArray[np.int64]]:
    """The positions (up to count,) of the titles most similar to each title, nearest first."""
    words = _word_matrix(titles)
    lengths = words.sum(1)
    nearest = []
    for start in range(0, len(titles), ROWS):
        common = (words[start : start + ROWS] @ words.T).tocsr()
        for row, (low, high) in enumerate(pairwise(common.indptr), start=start):
            others, shared = common.indices[low:high], common.data[low:high]
            similarity = shared / (lengths[row] + lengths[others] - shared)
            order = np.lexsort((others, -similarity))
            nearest.append(others[order][others[order] != row][:count])
    return nearest


def _word_matrix(titles: Sequence[str]) -> csr_array:
    """Which words each title contains: (S, W), 1 or 0."""
    columns: dict[str, int] = {}
    rows = [{columns.setdefault(w, len(columns)) for w in t.casefold().split()} for t in titles]
    ends = np.cumsum([0, *map(len, rows)])
    indices = [column for row in rows for column in sorted(row)]
    return csr_array((np.ones(len(indices)), indices, ends), shape=(len(titles), len(columns)))
