"""An order of the examples that puts confusable products of one shop into the same batch.

Axes: I examples (labeled clips or photos), S products.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgmn.model.scoring import ProductVectors
from sgmn.training.losses.mining import Key, product_similarity


def nearest_products(
    keys: Sequence[Key], products: ProductVectors, classes: Tensor, count: int, block: int = 1024
) -> NDArray[np.int64]:
    """Return the most similar products of the same shop: positions (S, count), nearest first.

    Args:
        keys: the key of each product.
        products: vectors of the products.
        classes: (S,) long, their duplicate classes; near-duplicates are never negatives and are
            left out.
        count: neighbors of each product; the rest is -1 where a shop has fewer.
        block: products compared at once.

    Time is S²·D in the largest shop, memory block·S.
    """
    device = products.image.device
    nearest, classes = torch.full((len(keys), count), -1, device=device), classes.to(device)
    for shop in (torch.tensor(positions, device=device) for positions in _group_by_shop(keys)):
        shop_products, shop_classes = products[shop], classes[shop]
        for rows in torch.split(shop, block):
            duplicate = classes[rows][:, None] == shop_classes
            similarity = product_similarity(products[rows], shop_products)
            best = similarity.masked_fill(duplicate, -torch.inf).topk(min(count, len(shop)), dim=1)
            positions = shop[best.indices].masked_fill(best.values == -torch.inf, -1)
            nearest[rows, : positions.shape[1]] = positions
    return nearest.cpu().numpy()


def _group_by_shop(keys: Sequence[Key]) -> list[list[int]]:
    """Return the positions of each shop's products."""
    groups: dict[str, list[int]] = defaultdict(list)
    for position, (shop, _) in enumerate(keys):
        groups[shop].append(position)
    return list(groups.values())


def hard_order(
    items: Sequence[Sequence[Key]],
    keys: Sequence[Key],
    nearest: NDArray[np.int64],
    batch_size: int,
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """Return a permutation of the examples (I,) with confusable products in each batch.

    Half of each batch is a random example and the nearest examples that are not placed yet, one
    per product; the other half is random. The result is a pure function of the arguments. Batches
    are cut from consecutive epochs, so an epoch may begin within a batch. Time is I·count.

    Args:
        items: the product keys of each example.
        keys: the key of each product.
        nearest: (S, count), see `nearest_products`.
        batch_size: examples in a batch.
        seed: seed of the random choices.
        epoch: number of the epoch.
    """
    shuffled: list[int] = np.random.default_rng((seed, 2, epoch)).permutation(len(items)).tolist()
    positions = {key: position for position, key in enumerate(keys)}
    products = [[positions[key] for key in item if key in positions] for item in items]
    remaining = _RemainingItems(products, shuffled, nearest.tolist())
    order: list[int] = []
    size = -epoch * len(items) % batch_size or batch_size
    while len(order) < len(items):
        order += remaining.take_batch(min(size, len(items) - len(order)))
        size = batch_size
    return np.array(order)


class _RemainingItems:
    """The examples of an epoch that are not in a batch yet."""

    def __init__(
        self, products: list[list[int]], shuffled: list[int], nearest: list[list[int]]
    ) -> None:
        self.products, self.nearest = products, nearest
        self.placed = [False] * len(products)
        self.shuffled = (item for item in shuffled if not self.placed[item])
        self.by_product: dict[int, list[int]] = defaultdict(list)
        for item in shuffled:
            for product in products[item]:
                self.by_product[product].append(item)

    def take_batch(self, size: int) -> list[int]:
        """Take a batch: half of it confusable, the rest in random order."""
        confusable = self._take_confusable(self._place(next(self.shuffled)), size // 2)
        rest = [self._place(next(self.shuffled)) for _ in range(size - len(confusable))]
        return confusable + rest

    def _take_confusable(self, first: int, count: int) -> list[int]:
        """Take an example of each neighbor of the first example's products, then of theirs."""
        chosen, queue = [first], list(self.products[first])
        seen = {-1, *queue}
        for product in queue:  # grows while it is iterated
            for neighbor in self.nearest[product]:
                if len(chosen) >= count:
                    return chosen
                item = None if neighbor in seen else self._take_item(neighbor)
                seen.add(neighbor)
                if item is not None:
                    chosen.append(item)
                    queue.append(neighbor)
        return chosen

    def _take_item(self, product: int) -> int | None:
        """Take an example of a product; None if all are placed."""
        items = self.by_product[product]
        while items:
            item = items.pop()
            if not self.placed[item]:
                return self._place(item)
        return None

    def _place(self, item: int) -> int:
        self.placed[item] = True
        return item
