"""The shelf: the products of one shop in memory, scored against clips all at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sgmn.errors import IndexingError
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.records import Match, Product


class Shelf:
    """The S products on sale in one live, with their vectors (S, D), in the same order."""

    def __init__(self, products: Sequence[Product], vectors: ProductVectors) -> None:
        """Raises IndexingError for no products, or as many vectors as there are not products."""
        if not products:
            raise IndexingError("holds no product", "the shelf", "index the shop's catalogue first")
        if len(vectors) != len(products):
            raise IndexingError(f"has {len(products)} products, {len(vectors)} vectors", "a shelf")
        self.products, self.vectors = tuple(products), vectors

    def __len__(self) -> int:
        return len(self.products)

    @property
    def product_ids(self) -> list[str]:
        """The ids, in the order of the columns of `scores`."""
        return [product.product_id for product in self.products]

    def to(self, device: torch.device | str) -> Shelf:
        """The same shelf with its vectors on another device."""
        return Shelf(self.products, self.vectors.to(device))

    def scores(self, clips: ClipVectors, ranker: Ranker) -> Tensor:
        """The score of every clip with every product, (B, S); higher is better."""
        return ranker.scores(clips, self.vectors)

    def best(self, clips: ClipVectors, ranker: Ranker, k: int) -> list[list[Match]]:
        """For each clip its `k` best products (all of them on a smaller shelf), best first.

        Products of equal score keep the order of the shelf.
        """
        ordered = self.scores(clips, ranker).sort(dim=1, descending=True, stable=True)
        values, places = ordered.values[:, :k].tolist(), ordered.indices[:, :k].tolist()
        return [
            [Match(self.products[s].product_id, value) for s, value in zip(row, found, strict=True)]
            for row, found in zip(places, values, strict=True)
        ]
