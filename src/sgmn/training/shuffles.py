"""The order in which an epoch sees its examples when nothing is known of them but their shop.

An order is a function of the number of examples, the seed and the epoch, to the places (I,) of
the examples; batches are cut from one epoch after the other, without a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Order = Callable[[int, int, int], NDArray[np.int64]]


@lru_cache(maxsize=4)
def shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The plain order of an epoch: every item once, by the seed alone."""
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def by_shop(shops: Sequence[str], batch: int) -> Order:
    """Every item once, and in each batch those of one shop, as far as they fill it.

    So a clip is told from products of its own shelf, not from those of other trades. What the
    shops have left over makes up mixed batches. shops: of each item.
    """

    @lru_cache(maxsize=4)
    def order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
        assert count == len(shops)
        rng = np.random.default_rng((seed, 0, epoch))
        own: dict[str, list[int]] = {}
        for place in rng.permutation(count).tolist():
            own.setdefault(shops[place], []).append(place)
        full = [
            places[start : start + batch]
            for places in own.values()
            for start in range(0, len(places) - batch + 1, batch)
        ]
        ends = [places[len(places) // batch * batch :] for places in own.values()]
        rest = [place for shop in rng.permutation(len(ends)) for place in ends[shop]]
        begun = min(-epoch * count % batch, len(rest))  # what the last epoch's last batch lacks
        mixed = range(begun, len(rest) - batch + 1, batch)
        full += [rest[start : start + batch] for start in mixed]
        drawn = [place for at in rng.permutation(len(full)) for place in full[at]]
        return np.array(rest[:begun] + drawn + rest[begun + len(mixed) * batch :], np.int64)

    return order
