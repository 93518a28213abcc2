"""The index on disk: a LanceDB table of products with their vectors, made by one checkpoint.

Several processes may read and write it at once. A row that `update` has reported is on disk;
an update that was killed is simply run again. Not to be carried across a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
from lancedb.index import Bitmap, IvfRq
from numpy.typing import NDArray

from sgmn.catalogue import lance, rows, stamp
from sgmn.catalogue.lance import retried
from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.update import Embed, Key, Progress, Report, Update
from sgmn.errors import IndexingError
from sgmn.records import Product

__all__ = ["Hit", "Index", "ModelStamp", "Removed", "Report"]

Column = Literal["picture", "words"]
SAFE_AGE = timedelta(hours=1)  # no reader takes longer, so older versions are nobody's
NPROBES, REFINE = 40, 80  # benchmarks/search.py: recall@10 0.99 needs REFINE 40 at 66,000
_TABLE = "products"
_CHUNK = 500  # ids in one filter
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Hit:
    """A product found for a vector; `score` is their cosine, -1..1."""

    product: Product
    score: float


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows went, and the ids of which there was none."""

    count: int
    unknown: tuple[str, ...]


class Index:
    """The products of any number of shops. Open one with `open` or `create_or_open`."""

    def __init__(self, path: Path, table: Any, model: ModelStamp) -> None:
        self.path, self.model, self._table = path, model, table

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether an index's table stands in the folder `path`; it is not opened."""
        try:
            return (Path(path) / f"{_TABLE}.lance").is_dir()
        except OSError:  # a name too long, a folder that may not be entered
            return False

    @classmethod
    def open(cls, path: Path, model: ModelStamp | None = None) -> Index:
        """Open an index; `model` None opens it for listing, whichever model made it.

        Raises IndexingError for what is no index, a newer format, or another model's index.
        """
        path = Path(path)
        _require_no_file(path)
        if not cls.is_at(path):
            raise IndexingError("is no index", path, "make one with `sgmn index`")
        try:
            table = lance.connect(path).open_table(_TABLE)
            made_with = stamp.from_metadata(table.schema.metadata, path)
        except lance.ERRORS as error:
            raise IndexingError(
                f"cannot be opened ({lance.said(error)})", path, "index again into a new folder"
            ) from error
        if model is not None:
            stamp.require_same(made_with, model, path)
        return cls(path, table, made_with)

    @classmethod
    def create_or_open(cls, path: Path, model: ModelStamp) -> Index:
        """Open the index of `model` at `path`, or make an empty one there."""
        path = Path(path)
        _require_no_file(path)
        try:
            table = lance.connect(path).create_table(_TABLE, schema=rows.schema(model))
        except lance.ERRORS as error:
            if cls.is_at(path):  # there before, or another process was faster
                return cls.open(path, model)
            what = f"cannot be made ({lance.said(error)})"
            raise IndexingError(what, path, "give another folder") from error
        return cls(path, table, model)

    def update(
        self,
        products: Iterable[Product],
        embed: Embed,
        *,
        replace_missing: bool = False,
        batch: int = 32,
        max_side: int | None = 512,
        progress: Progress | None = None,
    ) -> Report:
        """Add new products, replace changed ones; unchanged ones are not encoded again.

        `embed` takes up to `batch` contents and gives their vectors. Pictures are decoded to
        at most `max_side` pixels, the next batch while this one is encoded. `progress` hears
        the keys (shop_id, product_id) of every batch once it is on disk. `replace_missing`
        removes what the shops of `products` no longer list (a refused product keeps its row).
        """
        run = Update(self, embed, batch, max_side)
        return run.run(products, progress, replace_missing)

    def remove(self, product_ids: Iterable[str], shop_id: str | None = None) -> Removed:
        """Remove products of one shop, or of every shop; unknown ids are reported."""
        wanted = list(dict.fromkeys(product_ids))
        held = {product_id for _, product_id in self.product_keys(shop_id)}
        known = [product_id for product_id in wanted if product_id in held]
        count = self.delete_rows("product_id", known, shop_id)
        return Removed(count, tuple(p for p in wanted if p not in held))

    def products(self, shop_id: str | None = None) -> list[Product]:
        """The records of one shop, or of all, ordered by shop and id."""
        found = self._rows(rows.RECORD, shop_id)
        return sorted(map(rows.product, found.to_pylist()), key=lambda product: product.key)

    def thumbnails(self, shop_id: str = "") -> dict[str, bytes]:
        """Small JPEGs by product_id, of the products of one shop that have a picture."""
        found = self._rows(["product_id", "thumbnail"], shop_id).to_pylist()
        return {row["product_id"]: row["thumbnail"] for row in found if row["thumbnail"]}

    def product_keys(self, shop_id: str | None = None) -> list[Key]:
        """(shop_id, product_id) of every row of one shop, or of all."""
        found = self._rows(["shop_id", "product_id"], shop_id)
        return list(zip(found["shop_id"].to_pylist(), found["product_id"].to_pylist(), strict=True))

    def shops(self) -> dict[str, int]:
        """How many products each shop has, by shop_id in alphabetical order."""
        counts = self._rows(["shop_id"], None)["shop_id"].value_counts().to_pylist()
        return dict(sorted((pair["values"], pair["counts"]) for pair in counts))

    def count(self) -> int:
        """How many products there are."""
        return int(self._table.count_rows())

    def shelf(self, shop_id: str = "") -> Shelf:
        """One shop in memory, ordered by product_id; IndexingError for one without products."""
        found = self._rows([*rows.RECORD, *rows.VECTORS], shop_id).sort_by("product_id")
        if not found.num_rows:
            known = ", ".join(repr(shop) for shop in list(self.shops())[:20]) or "none"
            raise IndexingError(
                f"holds no product of shop {shop_id!r}", self.path, f"shops there: {known}"
            )
        products = [rows.product(row) for row in found.select(rows.RECORD).to_pylist()]
        return Shelf(products, rows.vectors(found, self.model.dim))

    def search(
        self,
        vector: NDArray[np.float32],
        *,
        k: int = 10,
        shop_id: str | None = None,
        column: Column = "picture",
        exact: bool = False,
    ) -> list[Hit]:
        """The `k` products nearest to `vector` (D,) by cosine, best first.

        Within a shop always exact; across shops through the vector index where one was built,
        unless `exact`.
        """
        query = self._query(vector, column).limit(k)
        if shop_id is not None:  # a vector index under a filter loses rows
            query = query.where(f"shop_id = {rows.quoted(shop_id)}")
        if exact or shop_id is not None:
            query = query.bypass_vector_index()
        else:
            query = query.nprobes(NPROBES).refine_factor(REFINE)
        found = self._read(query.select([*rows.RECORD, "_distance"]))
        return [Hit(rows.product(row), 1.0 - row["_distance"]) for row in found.to_pylist()]

    def _query(self, vector: NDArray[np.float32], column: Column) -> Any:
        fits = np.shape(vector) == (self.model.dim,)
        if not fits or not np.isfinite(vector).all() or not np.any(vector):
            raise IndexingError(
                f"is no vector for this index (shape {np.shape(vector)})",
                where="the query",
                remedy=f"give {self.model.dim} finite numbers, not all zero",
            )
        query = self._table.search(np.asarray(vector, np.float32), vector_column_name=column)
        return query.distance_type("cosine")

    def build_vector_index(self, column: Column = "picture") -> None:
        """Build the approximate index for search across shops; worth it from some 50,000 rows.

        Rows written later are searched exactly until the next `optimize`. Raises IndexingError
        where there is nothing to index, and for a width that is no multiple of 8.
        """
        if self.model.dim % 8:
            what = f"has vectors of width {self.model.dim}, and the vector index needs 8, 16, 24, …"
            raise IndexingError(what, self.path, "search without it: exact, and slower")
        if not self._table.count_rows(f"{column} IS NOT NULL"):
            lacking = "a picture" if column == "picture" else "words"
            raise IndexingError(f"holds no product with {lacking}", self.path)
        config = IvfRq(distance_type="cosine")
        create = partial(self._table.create_index, column, config=config, replace=True)
        self._retried(create, "cannot be given a vector index")

    def optimize(self) -> None:
        """Merge small files, bring indexes up to date, drop versions older than SAFE_AGE."""
        fault = "cannot be optimized"
        self._retried(self._index_shops, fault)
        self._retried(partial(self._table.optimize, cleanup_older_than=SAFE_AGE), fault)

    def _index_shops(self) -> None:
        if self.count() and not any(i.columns == ["shop_id"] for i in self._table.list_indices()):
            self._table.create_index("shop_id", config=Bitmap())

    def hashes(self) -> dict[str, str]:
        """The content hash of every row, by row id."""
        found = self._rows(["id", "content_hash"], None)
        return dict(zip(found["id"].to_pylist(), found["content_hash"].to_pylist(), strict=True))

    def write(self, table: pa.Table) -> None:
        """Add or replace rows of the schema `rows.schema`; on disk when this returns.

        For `update` and for filling a benchmark: ids must be unique within `table`.
        """
        merge = self._table.merge_insert("id")
        merge.when_matched_update_all().when_not_matched_insert_all()
        # "null" leaves absent vectors null; LanceDB's default takes them for bad ones.
        execute = partial(merge.execute, table, on_bad_vectors="null")
        self._retried(execute, "cannot be written")

    def delete_rows(self, column: str, ids: Sequence[str], shop_id: str | None = None) -> int:
        """Delete rows whose `column` is one of `ids`; how many there were."""
        shop = "" if shop_id is None else f" AND shop_id = {rows.quoted(shop_id)}"
        deleted = 0
        for place in range(0, len(ids), _CHUNK):
            listed = ", ".join(rows.quoted(one) for one in ids[place : place + _CHUNK])
            where = f"{column} IN ({listed}){shop}"
            delete = partial(self._table.delete, where)
            deleted += self._retried(delete, "cannot have rows deleted").num_deleted_rows
        return deleted

    def _retried(self, action: Callable[[], _Result], fault: str) -> _Result:
        return retried(action, self.path, fault)

    def _rows(self, columns: list[str], shop_id: str | None) -> pa.Table:
        query = self._table.search().select(columns).limit(None)
        if shop_id is not None:
            query = query.where(f"shop_id = {rows.quoted(shop_id)}")
        return self._read(query)

    def _read(self, query: Any) -> pa.Table:
        try:
            return query.to_arrow()
        except lance.ERRORS as error:
            raise IndexingError(
                f"cannot be read ({lance.said(error)})", self.path, "index again into a new folder"
            ) from error


def _require_no_file(path: Path) -> None:
    try:
        is_file = path.exists() and not path.is_dir()
    except OSError:  # what cannot be looked up is refused on opening
        return
    if is_file:
        raise IndexingError("is a file", path, "give the folder of an index")
