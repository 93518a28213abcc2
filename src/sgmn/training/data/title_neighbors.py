"""Which products of a shop have similar titles: the cheapest sign of near-twins.

Twins that differ in an emblem or a cap have almost the same title, and are listed by the same shop.
Their titles tell so before the first step, without a model, and at no cost during training.

Axes: I examples, S products of a shop, W words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sgmn.training.data.examples import Key

ROWS = 1024  # titles compared at once


def title_neighbors(titles: Mapping[Key, str], count: int) -> dict[Key, list[Key]]:
    """Return the products of the same shop whose titles are most similar, the nearest first.

    Args:
        titles: the title of each product; products without one have no neighbors.
        count: neighbors of each product. Titles without a common word are no neighbors.

    The similarity is Jaccard's: common words / all words of both titles. Time is the number of
    pairs of titles with a common word, memory ROWS·S.
    """
    by_shop: dict[str, list[Key]] = defaultdict(list)
    for key in titles:
        by_shop[key[0]].append(key)
    neighbors: dict[Key, list[Key]] = {}
    for keys in by_shop.values():
        nearest = _nearest_titles([titles[key] for key in keys], count)
        neighbors |= {
            key: [keys[position] for position in row if position >= 0]
            for key, row in zip(keys, nearest.tolist(), strict=True)
        }
    return neighbors


def _nearest_titles(titles: Sequence[str], count: int) -> NDArray[np.int64]:
    """The positions (S, count) of the most similar titles, nearest first; -1 for none."""
    words = _word_matrix(titles)
    lengths, nearest = words.sum(1), np.full((len(titles), count), -1)
    for start in range(0, len(titles), ROWS):
        rows = slice(start, start + ROWS)
        common = (words[rows] @ words.T).toarray()
        similarity = common / np.maximum(lengths[rows, None] + lengths - common, 1)
        own = np.arange(len(common))
        similarity[own, own + start] = 0
        best = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        found = np.take_along_axis(similarity, best, 1) > 0
        nearest[rows, : best.shape[1]] = np.where(found, best, -1)
    return nearest


def _word_matrix(titles: Sequence[str]) -> csr_array:
    """Which words each title contains: (S, W), 1 or 0."""
    columns: dict[str, int] = {}
    rows = [{columns.setdefault(w, len(columns)) for w in t.casefold().split()} for t in titles]
    ends = np.cumsum([0, *map(len, rows)])
    indices = [column for row in rows for column in sorted(row)]
    return csr_array((np.ones(len(indices)), indices, ends), shape=(len(titles), len(columns)))
