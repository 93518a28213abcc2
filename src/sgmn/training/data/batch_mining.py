"""Mines the products of a run: near-duplicates, and which products are confusable."""

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
from sgmn.training.data.hard_batches import hard_order, nearest_products
from sgmn.training.data.token_cache import hash_file
from sgmn.training.losses.mining import Duplicates

_LOG = logging.getLogger("sgmn.training")
NEIGHBORS = 16  # of each product
MAX_CLASS = 0.5  # share of the products: more are not one product, but a chain of similar ones
BATCH_SIZE = 64


def encode_products(network: SGMN, batches: Batches) -> ProductVectors:
    """Encode all products of a run with the current network; the vectors are on the CPU.

    A product that cannot be read has neither image nor text.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [
            network.encode_products(inputs).map_tensors(lambda tensor: tensor.cpu())
            for inputs in batches.iter_products(BATCH_SIZE)
        ]
    network.train(was_training)
    return ProductVectors.cat(parts)


def find_duplicates(network: SGMN, batches: Batches, config: LossConfig) -> Duplicates:
    """Find the products that are listed twice, according to the network before training.

    Towers that cannot distinguish most products, such as untrained ones, have no say: then only
    products with the same image file are duplicates.
    """
    products = batches.examples.products
    keys = list(products)
    if not config.near_duplicates:
        return Duplicates(keys)
    vectors = encode_products(network, batches)
    images, titles = vectors.image[vectors.has_image], vectors.text[vectors.has_text]
    hashes = [hash_file(p.image_paths[0]) if p.image_paths else "" for p in products.values()]
    thresholds = config.duplicate_image_cosine, config.duplicate_title_cosine
    are_distinct = all(map(_are_distinct, (images, titles), thresholds))
    found = Duplicates(keys, vectors if are_distinct else None, *thresholds, hashes)
    if not are_distinct or found.largest > MAX_CLASS * len(keys):
        _LOG.info("The towers cannot distinguish the products yet: comparing image files only")
        found = Duplicates(keys, image_hashes=hashes)
    _LOG.info("%d products are near-duplicates of others and not their negatives", found.count)
    return found


def _are_distinct(vectors: Tensor, threshold: float) -> bool:
    """Whether most of the vectors (N, D) are less similar to the next one than the threshold."""
    if len(vectors) < 2:
        return True
    return bool((vectors * vectors.roll(1, 0)).sum(1).median() < threshold)


class HardBatchOrder:
    """An order of the examples with confusable products in each batch, mined anew every epoch.

    `orders` holds the orders of the epochs in progress by epoch; a resumed run needs them.
    """

    def __init__(self, network: SGMN, batches: Batches, duplicates: Duplicates) -> None:
        self.network, self.batches, self.duplicates = network, batches, duplicates
        self.orders: dict[int, NDArray[np.int64]] = {}
        self._nearest: NDArray[np.int64] | None = None

    def __call__(self, count: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the order of an epoch; epochs must be requested one after the other."""
        if epoch not in self.orders:
            self.orders = {e: order for e, order in self.orders.items() if e == epoch - 1}
            self.orders[epoch] = self._mine(seed, epoch)
        return self.orders[epoch]

    def _mine(self, seed: int, epoch: int) -> NDArray[np.int64]:
        examples = self.batches.examples
        self._nearest = self._mine_nearest()
        keys, batch_size = list(examples.products), self.batches.train.batch_size
        return hard_order(examples.item_keys(), keys, self._nearest, batch_size, seed, epoch)

    def _mine_nearest(self) -> NDArray[np.int64]:
        keys = list(self.batches.examples.products)
        vectors = encode_products(self.network, self.batches)
        return nearest_products(keys, vectors, self.duplicates.classes, NEIGHBORS)

    def neighbors_of(self, positions: Sequence[int]) -> tuple[int, ...]:
        """Return the products most similar to those of some examples, nearest first."""
        if not self.batches.data.extra_negatives:
            return ()
        if self._nearest is None:  # the run was resumed within an epoch
            self._nearest = self._mine_nearest()
        examples = self.batches.examples
        items = [examples.items[position] for position in positions]
        own = [examples.product_index[key] for item in items for key in examples.product_keys(item)]
        neighbors = self._nearest[own].T.ravel().tolist()  # the nearest of each, then the second
        excluded = {-1, *own}
        return tuple(dict.fromkeys(n for n in neighbors if n not in excluded))
