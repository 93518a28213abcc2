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


class ByShop:
    """Every item once, and in each batch those of one shop, as far as they fill it.

    So a clip is told from products of its own shelf, not from those of other trades. What the
    shops have left over makes up mixed batches. Goes to other processes along with its batches.
    """

    def __init__(self, shops: Sequence[str], batch: int) -> None:
        """shops: of each item (I). batch: items at a time."""
        self.shops, self.batch = tuple(shops), batch
        self._held: dict[tuple[int, int], NDArray[np.int64]] = {}

    def __call__(self, count: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """The order of an epoch; `count` is I."""
        assert count == len(self.shops)
        if (seed, epoch) not in self._held:
            self._held = dict(list(self._held.items())[-1:])  # a batch may lie in two epochs
            self._held[seed, epoch] = self._found(seed, epoch)
        return self._held[seed, epoch]

    def _found(self, seed: int, epoch: int) -> NDArray[np.int64]:
        rng, size, count = np.random.default_rng((seed, 0, epoch)), self.batch, len(self.shops)
        own: dict[str, list[int]] = {}
        for place in rng.permutation(count).tolist():
            own.setdefault(self.shops[place], []).append(place)
        full = [
            places[start : start + size]
            for places in own.values()
            for start in range(0, len(places) - size + 1, size)
        ]
        ends = [places[len(places) // size * size :] for places in own.values()]
        rest = [place for shop in rng.permutation(len(ends)) for place in ends[shop]]
        begun = min(-epoch * count % size, len(rest))  # what the last epoch's last batch lacks
        mixed = range(begun, len(rest) - size + 1, size)
        full += [rest[start : start + size] for start in mixed]
        drawn = [place for at in rng.permutation(len(full)) for place in full[at]]
        return np.array(rest[:begun] + drawn + rest[begun + len(mixed) * size :], np.int64)
