"""Training examples of datasets with millions of rows, read when they are drawn.

The same examples in the same order as `Examples`, so that a run draws the same batches. What a run
needs to know of all rows comes from columns of `RowTable`; processes share their pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgmn.data.dataset import Photo
from sgmn.data.row_table import RowTable, hash_key
from sgmn.data.tables import DatasetTables
from sgmn.records import Clip, Product
from sgmn.training.data.examples import Examples, Key

T = TypeVar("T")


class Selection(Sequence[T]):
    """Rows of a sequence, in the order of some positions."""

    def __init__(self, rows: Sequence[T], positions: NDArray[np.integer] | range) -> None:
        self.rows, self.positions = rows, positions

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Selection(self.rows, self.positions[index])
        return self.rows[int(self.positions[index])]


class ProductMap(Mapping[Key, Product]):
    """The products of a table by key; keys are compared, not only their hashes."""

    def __init__(self, table: RowTable[Product]) -> None:
        self.table = table

    def position(self, key: Key) -> int:
        """Return the row of a product; -1 if it is not listed."""
        row = int(self.table.find(np.array([hash_key(*key)], np.uint64))[0])
        return row if row >= 0 and self.table.key(row) == key else -1

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and self.position(key) >= 0

    def __getitem__(self, key: Key) -> Product:
        position = self.position(key)
        if position < 0:
            raise KeyError(key)
        return self.table[position]

    def __iter__(self) -> Iterator[Key]:
        return map(self.table.key, range(len(self.table)))

    def __len__(self) -> int:
        return len(self.table)


class ProductPositions(Mapping[Key, int]):
    """The positions of products by key."""

    def __init__(self, products: ProductMap) -> None:
        self.products = products

    def __getitem__(self, key: Key) -> int:
        position = self.products.position(key)
        if position < 0:
            raise KeyError(key)
        return position

    def __iter__(self) -> Iterator[Key]:
        return iter(self.products)

    def __len__(self) -> int:
        return len(self.products)


class ProductKeys(Sequence[Key]):
    """The keys of a table of products, in order."""

    def __init__(self, table: RowTable[Product]) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Key: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Key]: ...
    def __getitem__(self, index: int | slice) -> Key | Sequence[Key]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.table.key(range(len(self))[index])


class RowsByShop(Mapping[str, Sequence[T]]):
    """The rows of each shop, in order.

    Args:
        rows: the rows (n).
        shops: the position in `names` of each row's shop (n).
        names: the shops.
    """

    def __init__(self, rows: Sequence[T], shops: NDArray[np.integer], names: Sequence[str]) -> None:
        self.rows, self.shops = rows, shops
        self.names = {name: position for position, name in enumerate(names)}

    @cached_property
    def _order(self) -> NDArray[np.int32]:
        return np.argsort(self.shops, kind="stable").astype(np.int32)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum(np.bincount(self.shops, minlength=len(self.names)))

    def __getitem__(self, shop: str) -> Sequence[T]:
        if shop not in self.names:
            return ()
        place = self.names[shop]
        start = int(self._ends[place - 1]) if place else 0
        return Selection(self.rows, self._order[start : int(self._ends[place])])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class TableExamples(Examples):
    """The clips of a large dataset whose product is listed; see `Examples` for the attributes.

    Args:
        tables: the dataset; it has no photos.
        split: see `Examples`.
        clip_repeats: see `Examples`.
    """

    keeps_media = False
    products: Mapping[Key, Product]  # type: ignore[assignment]
    product_index: Mapping[Key, int]  # type: ignore[assignment]
    items: Sequence[Clip]  # type: ignore[assignment]

    def __init__(self, tables: DatasetTables, split: str = "", clip_repeats: int = 1) -> None:
        self.clips, self.product_table = tables.clips, tables.products
        self.products = ProductMap(tables.products)
        self.product_index = ProductPositions(self.products)
        in_split = self._find_split(split)
        is_listed = self._count_listed() > 0
        self.other_split_count = int((~in_split).sum())
        self.unlisted_count = int((in_split & ~is_listed).sum())
        self.rows = self._select(in_split & is_listed, clip_repeats)
        self.items = Selection(self.clips, self.rows)
        self.photos_by_product: dict[Key, list[Photo]] = defaultdict(list)
        self.photographed_by_shop: dict[str, list[Key]] = defaultdict(list)
        self._require_items([tables.root])

    def _find_split(self, split: str) -> NDArray[np.bool_]:
        """Return which clips (n) are of a split or of none."""
        names = self.clips.splits
        used = [i for i, name in enumerate(names) if not split or name in ("", split)]
        return np.isin(self.clips.row_splits, used)

    def _count_listed(self) -> NDArray[np.int32]:
        """Return how many listed products each clip is labeled with (n)."""
        found = np.zeros(len(self.clips.label_hashes) + 1, np.int32)
        np.cumsum(self.product_table.find(self.clips.label_hashes) >= 0, out=found[1:])
        counts = found[self.clips.label_ends]
        counts[1:] -= counts[:-1].copy()
        return counts

    def _select(self, chosen: NDArray[np.bool_], repeats: int) -> NDArray[np.integer] | range:
        if repeats == 1 and chosen.all():
            return range(len(chosen))  # nothing that each worker would have to hold
        return np.tile(np.flatnonzero(chosen).astype(np.int32), repeats)

    def _labels(self, row: int) -> list[int]:
        """Return the positions of the listed products that a clip is labeled with."""
        start = int(self.clips.label_ends[row - 1]) if row else 0
        hashes = self.clips.label_hashes[start : int(self.clips.label_ends[row])]
        return [p for p in self.product_table.find(hashes).tolist() if p >= 0]

    @property
    def _row_index(self) -> NDArray[np.integer]:
        rows = self.rows
        return np.arange(len(rows)) if isinstance(rows, range) else rows

    @cached_property
    def items_by_shop(self) -> Mapping[str, Sequence[Clip]]:  # type: ignore[override]
        """The examples of each shop."""
        shops = self.clips.row_shops[self._row_index]
        return RowsByShop(self.items, shops, self.clips.shops)

    @cached_property
    def keys_by_shop(self) -> Mapping[str, Sequence[Key]]:  # type: ignore[override]
        """The products of each shop."""
        table = self.product_table
        return RowsByShop(ProductKeys(table), table.row_shops, table.shops)

    def key_at(self, position: int) -> Key:
        """See `Examples`."""
        return self.product_table.key(position)

    def item_shops(self) -> list[str]:
        """See `Examples`."""
        return [self.clips.shops[i] for i in self.clips.row_shops[self._row_index].tolist()]

    def item_keys(self) -> list[list[Key]]:
        """See `Examples`."""
        return [[self.key_at(p) for p in self._labels(row)] for row in self._row_index.tolist()]

    def labeled_mask(self) -> Tensor:
        """See `Examples`."""
        ends, rows = np.asarray(self.clips.label_ends), np.unique(self._row_index)
        used = np.zeros(len(self.clips), bool)
        used[rows] = True
        counts = np.diff(ends, prepend=0)
        positions = self.product_table.find(self.clips.label_hashes[np.repeat(used, counts)])
        mask = np.zeros(len(self.products), bool)
        mask[positions[positions >= 0]] = True
        return torch.from_numpy(mask)
