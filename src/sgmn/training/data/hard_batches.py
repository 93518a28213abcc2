"""An order of the examples that puts confusable products of one shop into one batch.

Axes: I items (labelled clips or photos), S products.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgmn.model.scoring import ProductVectors
from sgmn.training.losses.mining import Key, alike


def neighbours(
    keys: Sequence[Key], products: ProductVectors, classes: Tensor, count: int, block: int = 1024
) -> NDArray[np.int64]:
    """The places (S, count) of the most alike products of the same shop, nearest first.

    classes: (S,) long; a near-duplicate is no negative, so it takes no place. -1 where a shop
    has no more. Time is S²·D in the largest shop, memory block·S.
    """
    device = products.picture.device
    near, classes = torch.full((len(keys), count), -1, device=device), classes.to(device)
    for shop in (torch.tensor(places, device=device) for places in _shops(keys)):
        of_shop, shop_classes = products[shop], classes[shop]
        for rows in torch.split(shop, block):
            same = classes[rows][:, None] == shop_classes
            closeness = alike(products[rows], of_shop).masked_fill(same, -torch.inf)
            best = closeness.topk(min(count, len(shop)), dim=1)
            places = shop[best.indices].masked_fill(best.values == -torch.inf, -1)
            near[rows, : places.shape[1]] = places
    return near.cpu().numpy()


def _shops(keys: Sequence[Key]) -> list[list[int]]:
    """The places of each shop's products."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, (shop, _) in enumerate(keys):
        found[shop].append(place)
    return list(found.values())


def hard_order(
    items: Sequence[Sequence[Key]],
    keys: Sequence[Key],
    near: NDArray[np.int64],
    batch: int,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """A permutation of the items (I,), a pure function of its arguments; time I·count.

    Half of each batch is a random item and the nearest items still to come, one a product; the
    rest is random. items: the product keys of each. near: (S, count), see `neighbours`.
    Batches are cut from the epochs laid end to end, so an epoch may begin within one.
    """
    shuffled: list[int] = np.random.default_rng((seed, 2, epoch)).permutation(len(items)).tolist()
    places = {key: place for place, key in enumerate(keys)}
    own = [[places[key] for key in of_item if key in places] for of_item in items]
    waiting = _Waiting(own, shuffled, near.tolist())
    order: list[int] = []
    size = -epoch * len(items) % batch or batch
    while len(order) < len(items):
        order += waiting.batch(min(size, len(items) - len(order)))
        size = batch
    return np.array(order)


class _Waiting:
    """The items that are still to come."""

    def __init__(self, own: list[list[int]], shuffled: list[int], near: list[list[int]]) -> None:
        self.own, self.near = own, near
        self.placed = [False] * len(own)
        self.shuffled = (item for item in shuffled if not self.placed[item])
        self.of_product: dict[int, list[int]] = defaultdict(list)
        for item in shuffled:
            for place in own[item]:
                self.of_product[place].append(item)

    def batch(self, size: int) -> list[int]:
        """Some items: half of them confusable, the rest as they come."""
        chosen = self._confusable(self._placed(next(self.shuffled)), size // 2)
        return chosen + [self._placed(next(self.shuffled)) for _ in range(size - len(chosen))]

    def _confusable(self, first: int, count: int) -> list[int]:
        """The item, then one of each neighbour of its products, then of their neighbours."""
        chosen, chain = [first], list(self.own[first])
        seen = {-1, *chain}
        for product in chain:  # grows by those that had an item
            for other in self.near[product]:
                if len(chosen) >= count:
                    return chosen
                item = None if other in seen else self._of(other)
                seen.add(other)
                if item is not None:
                    chosen.append(item)
                    chain.append(other)
        return chosen

    def _of(self, product: int) -> int | None:
        """An item of the product, if one is still to come."""
        items = self.of_product[product]
        while items:
            item = items.pop()
            if not self.placed[item]:
                return self._placed(item)
        return None

    def _placed(self, item: int) -> int:
        self.placed[item] = True
        return item
