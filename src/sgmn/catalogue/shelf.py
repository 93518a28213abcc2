"""The products of one shop in memory, scored against clips all at once."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import torch
from torch import Tensor

from sgmn.catalogue import rows
from sgmn.catalogue.vectors import parse_vectors
from sgmn.errors import IndexingError
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.records import Match, Product


class Shelf:
    """The S products on sale in one livestream, and their vectors (S, D) in the same order."""

    def __init__(self, products: Sequence[Product], vectors: ProductVectors) -> None:
        """Raises IndexingError without products, or if there is not one vector per product."""
        if not products:
            raise IndexingError("has no product", "the shelf", "index the shop's catalogue first")
        if len(vectors) != len(products):
            raise IndexingError(
                f"has {len(products)} products, but {len(vectors)} vectors", "the shelf"
            )
        self.products, self.vectors = tuple(products), vectors

    @classmethod
    def from_rows(cls, records: pa.Table, dim: int) -> Shelf:
        """The shelf of S rows of an index whose vectors have the width `dim`."""
        columns = records.select(rows.RECORD_COLUMNS).to_pylist()
        return cls([rows.parse_product(row) for row in columns], parse_vectors(records, dim))

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
        return ranker.score(clips, self.vectors)

    def rank(self, clips: ClipVectors, ranker: Ranker, k: int) -> list[list[tuple[int, float]]]:
        """For each clip the positions and scores of its `k` best products, best first.

        A shelf with fewer than `k` products returns all of them. Products of equal score keep
        the order of the shelf.
        """
        ordered = self.scores(clips, ranker).sort(dim=1, descending=True, stable=True)
        scores, places = ordered.values[:, :k].tolist(), ordered.indices[:, :k].tolist()
        return [list(zip(*pair, strict=True)) for pair in zip(places, scores, strict=True)]

    def top_matches(self, clips: ClipVectors, ranker: Ranker, k: int) -> list[list[Match]]:
        """For each clip its `k` best products, best first; see `rank`."""
        return [
            [Match(self.products[place].product_id, score) for place, score in row]
            for row in self.rank(clips, ranker, k)
        ]
