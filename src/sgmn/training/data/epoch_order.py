"""The order of the examples in an epoch, given their shops and, for twins, their products.

An order is a function of the number of examples, the seed and the epoch; it returns the positions
(I,) of the examples. Batches are cut from consecutive epochs without a gap, so a batch may span
two epochs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sgmn.training.data.examples import Key

Order = Callable[[int, int, int], NDArray[np.int64]]  # (count, seed, epoch) -> positions (I,)


@lru_cache(maxsize=4)
def shuffled_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return a random permutation that depends on the seed and the epoch only."""
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


@dataclass(frozen=True)
class TwinGroups:
    """Places examples of near-twins next to each other, in groups.

    Attributes:
        keys: The product of each example (I); of several products, the first.
        neighbors: The near-twins of each product, nearest first.
        size: Examples in a group, each of another product. A group is smaller if a product has
            fewer near-twins left, and the end of a batch may part it.
    """

    keys: Sequence[Key]
    neighbors: Mapping[Key, Sequence[Key]]
    size: int

    def arrange(self, positions: Sequence[int]) -> list[int]:
        """Reorder positions: each that is not placed yet, then one of each of its near-twins."""
        waiting: dict[Key, deque[int]] = defaultdict(deque)
        for position in positions:
            waiting[self.keys[position]].append(position)
        arranged: dict[int, None] = {}  # a set that keeps its order
        for position in positions:
            if position not in arranged:
                arranged[position] = None
                arranged |= dict.fromkeys(self._take_twins(position, waiting, arranged))
        return list(arranged)

    def _take_twins(
        self, position: int, waiting: Mapping[Key, deque[int]], arranged: Collection[int]
    ) -> list[int]:
        """Take an example that is not arranged yet of each of the nearest twins."""
        twins: list[int] = []
        for key in self.neighbors[self.keys[position]]:
            examples = waiting.get(key, deque())
            while examples and examples[0] in arranged:
                examples.popleft()
            if examples and len(twins) < self.size - 1:
                twins.append(examples.popleft())
        return twins


class SingleShopOrder:
    """A permutation in which each batch contains examples of one shop, as far as they fill it.

    The model then learns to tell a clip's product from others on the same shelf, rather than from
    products of other trades. Leftover examples of all shops form mixed batches. Instances are
    picklable, because batches may be prepared in other processes.

    Args:
        shops: the shop of each example (I).
        batch_size: examples in a batch.
        twins: how to place examples of twins next to each other; None for a random order.
    """

    def __init__(
        self, shops: Sequence[str], batch_size: int, twins: TwinGroups | None = None
    ) -> None:
        self.shops, self.batch_size, self.twins = tuple(shops), batch_size, twins
        self._orders: dict[tuple[int, int], NDArray[np.int64]] = {}

    def __call__(self, count: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the order of an epoch; `count` must be I."""
        assert count == len(self.shops)
        if (seed, epoch) not in self._orders:
            last = list(self._orders.items())[-1:]  # a batch may span two epochs
            self._orders = dict(last)
            self._orders[seed, epoch] = self._compute(seed, epoch)
        return self._orders[seed, epoch]

    def _compute(self, seed: int, epoch: int) -> NDArray[np.int64]:
        rng, size, count = np.random.default_rng((seed, 0, epoch)), self.batch_size, len(self.shops)
        by_shop: dict[str, list[int]] = defaultdict(list)
        for position in rng.permutation(count).tolist():
            by_shop[self.shops[position]].append(position)
        if self.twins is not None:
            by_shop = {shop: self.twins.arrange(positions) for shop, positions in by_shop.items()}
        batches = [
            positions[start : start + size]
            for positions in by_shop.values()
            for start in range(0, len(positions) - size + 1, size)
        ]
        tails = [positions[len(positions) // size * size :] for positions in by_shop.values()]
        leftover = [position for shop in rng.permutation(len(tails)) for position in tails[shop]]
        head = min(-epoch * count % size, len(leftover))  # completes the last epoch's last batch
        mixed = range(head, len(leftover) - size + 1, size)
        batches += [leftover[start : start + size] for start in mixed]
        shuffled = [position for at in rng.permutation(len(batches)) for position in batches[at]]
        return np.array(leftover[:head] + shuffled + leftover[head + len(mixed) * size :], np.int64)
