"""What the mining knows of a run's products: near-duplicates, and who is confusable with whom."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgmn.model.network import SGMN
from sgmn.model.scoring import ProductVectors
from sgmn.training.config import LossConfig
from sgmn.training.data.batches import Batches
from sgmn.training.data.hard_batches import hard_order, neighbours
from sgmn.training.data.token_cache import file_hash
from sgmn.training.losses.mining import Duplicates

_LOG = logging.getLogger("sgmn.training")
NEIGHBOURS = 16
NEVER = 2.0  # no cosine reaches it
TOGETHER = 64  # products that are encoded at once


def every_product(network: SGMN, batches: Batches) -> ProductVectors:
    """All products of a run as the network sees them now, on the CPU, in the order of numbers.

    One that cannot be read has neither picture nor words.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [
            network.products(some).mapped(lambda tensor: tensor.cpu())
            for some in batches.plain_products(TOGETHER)
        ]
    network.train(was_training)
    return ProductVectors.cat(parts)


def duplicates(network: SGMN, batches: Batches, config: LossConfig) -> Duplicates:
    """The products that are listed twice, as the network sees them before it has learnt.

    A tower that takes most products for one, as one from scratch does, has no say: then only
    those with the same picture file are duplicates.
    """
    vectors = every_product(network, batches)
    products = batches.examples.products
    blind = not (
        _tells_apart(vectors.picture[vectors.has_picture], config.duplicate_picture)
        and _tells_apart(vectors.words[vectors.has_words], config.duplicate_title)
    )
    if blind:
        _LOG.info("the towers cannot tell products apart yet: duplicates by picture file only")
    found = Duplicates(
        list(products),
        vectors,
        NEVER if blind else config.duplicate_picture,
        NEVER if blind else config.duplicate_title,
        [
            file_hash(product.pictures[0]) if product.pictures else ""
            for product in products.values()
        ],
    )
    _LOG.info("%d products are near-duplicates of others: no negatives of them", found.count)
    return found


def _tells_apart(vectors: Tensor, threshold: float) -> bool:
    """Whether most of these vectors (N, D) are farther than the threshold from the next one."""
    if len(vectors) < 2:
        return True
    return bool((vectors * vectors.roll(1, 0)).sum(1).median() < threshold)


class HardOrders:
    """The order of the examples in each epoch, confusable products together, as found then.

    `held` are the orders of the epochs under way, which a run that goes on needs again.
    """

    def __init__(self, network: SGMN, batches: Batches, duplicates: Duplicates) -> None:
        self.network, self.batches, self.duplicates = network, batches, duplicates
        self.held: dict[int, NDArray[np.int64]] = {}
        self.near: NDArray[np.int64] | None = None

    def __call__(self, count: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """The order of an epoch; epochs come in turn."""
        if epoch not in self.held:
            self.held = {e: order for e, order in self.held.items() if e == epoch - 1}
            self.held[epoch] = self._found(seed, epoch)
        return self.held[epoch]

    def _found(self, seed: int, epoch: int) -> NDArray[np.int64]:
        examples = self.batches.examples
        known = list(examples.products)
        self.near = self._nearest()
        sold = [examples.sold(item) for item in examples.items]
        return hard_order(sold, known, self.near, self.batches.train.batch, seed, epoch)

    def _nearest(self) -> NDArray[np.int64]:
        known = list(self.batches.examples.products)
        vectors = every_product(self.network, self.batches)
        return neighbours(known, vectors, self.duplicates.classes, NEIGHBOURS)

    def beside(self, places: Sequence[int]) -> tuple[int, ...]:
        """Numbers of the products most alike to those of some items, nearest ones first."""
        if not self.batches.data.negatives:
            return ()
        if self.near is None:  # a run that goes on within an epoch
            self.near = self._nearest()
        examples = self.batches.examples
        sold = [examples.numbers[k] for at in places for k in examples.sold(examples.items[at])]
        found = self.near[sold].T.ravel().tolist()  # the nearest of each, then the second, …
        own = {-1, *sold}
        return tuple(dict.fromkeys(number for number in found if number not in own))
