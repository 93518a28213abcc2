"""The table of an index on disk: products with their vectors, in LanceDB.

Several processes may read and write a table at once. Rows that `update` has reported are on disk,
and an update that was killed can simply be run again. A table must not be used across a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sgmn.catalogue import lance, maintenance, rows, snapshot
from sgmn.catalogue import stamp as stamps
from sgmn.catalogue.lance import TABLE_NAME, Location
from sgmn.catalogue.row_building import EncodeProducts, RowBuilder
from sgmn.catalogue.rows import VECTOR_COLUMN, ProductKey, VectorModality
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.update import (
    ProgressCallback,
    RemovalReport,
    TableUpdate,
    UpdateOptions,
    UpdateReport,
)
from sgmn.errors import IndexingError
from sgmn.records import Product

if TYPE_CHECKING:
    from sgmn.catalogue.shelf import Shelf

MAX_READ_TIME = timedelta(hours=1)  # older versions of the table are deleted by `optimize`
NPROBES, REFINE_FACTOR = 40, 80  # benchmarks/search.py: recall@10 of 0.99 needs 40 at 66,000 rows
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Hit:
    """A product that a search returns; a higher `score` is a better match."""

    product: Product
    score: float


class ProductTable:
    """The products of any number of shops. Use `open` or `create_or_open` to get one."""

    def __init__(self, path: Location, table: Any, stamp: ModelStamp) -> None:
        self.path, self.stamp, self._table = path, stamp, table

    @staticmethod
    def exists(path: Location) -> bool:
        """Whether there is an index at `path`; it is not opened."""
        return lance.has_table(path, TABLE_NAME)

    @classmethod
    def open(cls, path: Location, stamp: ModelStamp | None = None) -> ProductTable:
        """Open a table; with `stamp`, only if that model built it.

        Raises IndexingError if `path` is not an index, or has another format or model.
        """
        path = lance.to_location(path)
        lance.require_no_file(path)
        if not cls.exists(path):
            raise IndexingError("is not an index", path, "create one with `sgmn index`")
        table: Any = lance.LazyTable(path, TABLE_NAME)
        metadata = snapshot.read_metadata(path) or table.schema.metadata
        index_stamp = stamps.from_metadata(metadata, path)
        if stamp is not None:
            stamps.require_match(index_stamp, stamp, path)
        return cls(path, table, index_stamp)

    @classmethod
    def create_or_open(cls, path: Location, stamp: ModelStamp) -> ProductTable:
        """Open the table of a model at `path`, or create an empty one there."""
        path = lance.to_location(path)
        lance.require_no_file(path)
        try:
            table = lance.connect(path).create_table(TABLE_NAME, schema=rows.build_schema(stamp))
        except lance.LANCE_ERRORS as error:
            if cls.exists(path):  # it was there before, or another process was faster
                return cls.open(path, stamp)
            message = f"cannot be created ({lance.error_message(error)})"
            raise IndexingError(message, path, "choose another folder") from error
        return cls(path, table, stamp)

    def update(
        self,
        products: Iterable[Product],
        encode: EncodeProducts,
        options: UpdateOptions | None = None,
        progress: ProgressCallback | None = None,
    ) -> UpdateReport:
        """Add new products and replace changed ones; unchanged ones are not encoded again.

        Args:
            products: The products, of any shops.
            encode: Returns the vectors of up to `batch_size` products.
            options: Batch size, image size, and what happens to missing products and images.
            progress: Called with an UpdateProgress after each batch is on disk.
        """
        options = options or UpdateOptions()
        builder = RowBuilder(encode, self.stamp, options.max_side, options.strict)
        return TableUpdate(self, builder.build, options, progress).run(products)

    def remove(self, product_ids: Iterable[str], shop_id: str | None = None) -> RemovalReport:
        """Remove products of one shop, or of all shops; report unknown ids."""
        requested = list(dict.fromkeys(product_ids))
        stored = {
            row["product_id"]
            for listed in rows.sql_lists(requested)
            for row in self.select(["product_id"], f"product_id IN ({listed}){_in_shop(shop_id)}")
        }
        known = [product_id for product_id in requested if product_id in stored]
        count = self.delete_rows("product_id", known, shop_id)
        return RemovalReport(count, tuple(p for p in requested if p not in stored))

    def products(self, shop_id: str | None = None) -> list[Product]:
        """The products of one shop, or of all shops, ordered by shop and id."""
        records = self._read_columns(rows.RECORD_COLUMNS, shop_id)
        products = map(rows.parse_product, records.to_pylist())
        return sorted(products, key=lambda product: product.key)

    def thumbnails(self, shop_id: str = "") -> dict[str, bytes]:
        """Small JPEGs by product_id, of the products of one shop that have an image."""
        records = self._read_columns(["product_id", "thumbnail"], shop_id).to_pylist()
        return {row["product_id"]: row["thumbnail"] for row in records if row["thumbnail"]}

    def product_keys(self, shop_id: str | None = None) -> list[ProductKey]:
        """(shop_id, product_id) of every row of one shop, or of all shops."""
        keys = self._read_columns(["shop_id", "product_id"], shop_id)
        return list(zip(keys["shop_id"].to_pylist(), keys["product_id"].to_pylist(), strict=True))

    def shops(self) -> dict[str, int]:
        """The number of products of each shop, by shop_id in alphabetical order."""
        counts = self._read_columns(["shop_id"], None)["shop_id"].value_counts().to_pylist()
        return dict(sorted((pair["values"], pair["counts"]) for pair in counts))

    @property
    def version(self) -> int:
        """Grows with each commit."""
        return int(self._table.version)

    def count(self) -> int:
        """The number of products."""
        return int(self._table.count_rows())

    def content_hashes(self, shop_id: str) -> dict[str, str]:
        """The content hash of every product of a shop, by product id."""
        hashes = self._read_columns(["product_id", "content_hash"], shop_id)
        columns = (hashes[name].to_pylist() for name in ("product_id", "content_hash"))
        return dict(zip(*columns, strict=True))

    def shelf(self, shop_id: str = "") -> Shelf:
        """One shop in memory, ordered by product_id.

        Raises IndexingError for a shop without products.
        """
        return self._to_shelf(self.shelf_rows(shop_id))

    def shelf_rows(self, shop_id: str = "") -> pa.Table:
        """The rows of one shop with the columns of a shelf, ordered by product_id.

        Raises IndexingError for a shop without products.
        """
        records = self._read_columns(rows.SHELF_COLUMNS, shop_id)
        if not records.num_rows:
            shops = ", ".join(repr(shop) for shop in list(self.shops())[:20]) or "none"
            raise IndexingError(
                f"has no product of shop {shop_id!r}", self.path, f"its shops are: {shops}"
            )
        return records.sort_by("product_id")

    def candidates(
        self, searches: Iterable[tuple[NDArray[np.float32], VectorModality]], k: int
    ) -> Shelf | None:
        """The `k` nearest products of all shops for each of some searches; None if there are none.

        Products are ordered by shop and id.
        """
        columns = [*rows.SHELF_COLUMNS, "_distance"]  # reading rows by id would scan the table
        found = [self._read(self._vector_query(*s).limit(k).select(columns)) for s in searches]
        records = pa.concat_tables(found).drop_columns("_distance")
        keys = zip(*(records[name].to_pylist() for name in ("shop_id", "product_id")), strict=True)
        places = {key: place for place, key in enumerate(keys)}
        if not places:
            return None
        return self._to_shelf(records.take([place for _, place in sorted(places.items())]))

    def _to_shelf(self, records: pa.Table) -> Shelf:
        from sgmn.catalogue.shelf import Shelf  # needs PyTorch

        return Shelf.from_rows(records, self.stamp.dim)

    def select(self, columns: list[str], condition: str) -> list[dict[str, Any]]:
        """The rows that meet a condition in SQL, in no particular order."""
        return list(self._read(self._select(columns).where(condition)).to_pylist())

    def search(
        self,
        vector: NDArray[np.float32],
        *,
        k: int = 10,
        shop_id: str | None = None,
        modality: VectorModality = "image",
        exact: bool = False,
    ) -> list[Hit]:
        """The `k` products whose vectors are nearest to `vector` (D,), best first.

        The score of a hit is the cosine, -1..1. A search in one shop is always exact; a search
        across shops uses the vector index, if there is one, unless `exact` is set.
        """
        query = self._vector_query(vector, modality).limit(k)
        if shop_id is not None:
            query = query.where(f"shop_id = {rows.sql_literal(shop_id)}")
        if exact or shop_id is not None:  # a vector index under a filter would lose rows
            query = query.bypass_vector_index()
        records = self._read(query.select([*rows.RECORD_COLUMNS, "_distance"])).to_pylist()
        return [Hit(rows.parse_product(row), 1.0 - row["_distance"]) for row in records]

    def _vector_query(self, vector: NDArray[np.float32], modality: VectorModality) -> Any:
        has_shape = np.shape(vector) == (self.stamp.dim,)
        if not has_shape or not np.isfinite(vector).all() or not np.any(vector):
            raise IndexingError(
                f"is not a vector of this index (shape {np.shape(vector)})",
                where="the query",
                remedy=f"pass {self.stamp.dim} finite numbers, not all of them zero",
            )
        column = VECTOR_COLUMN[modality]
        query = self._table.search(np.asarray(vector, np.float32), vector_column_name=column)
        return query.distance_type("cosine").nprobes(NPROBES).refine_factor(REFINE_FACTOR)

    def build_vector_index(self, modality: VectorModality | None = None) -> None:
        """Build the approximate index for search across shops; useful from 50,000 rows on.

        Indexes images and titles, or only one of them. Rows written later are searched exactly
        until the next `optimize`. Raises IndexingError if there is nothing to index, or if the
        width is not a multiple of 8.
        """
        maintenance.build_vector_index(self._table, modality, self.stamp.dim, self.path)

    def optimize(self) -> None:
        """Merge small files, update indexes, and delete versions older than MAX_READ_TIME."""
        failure = "cannot be optimized"
        self._retry(partial(maintenance.index_shops, self._table), failure)
        self._retry(partial(self._table.optimize, cleanup_older_than=MAX_READ_TIME), failure)

    def needs_merge(self, new_rows: int) -> bool:
        """Whether an update should end with `optimize`; always for a small table."""
        return maintenance.needs_merge(self._table, new_rows)

    def write_rows(self, table: pa.Table) -> None:
        """Add or replace rows of the schema `rows.build_schema`; on disk when this returns.

        Ids must be unique within `table`.
        """
        merge = self._table.merge_insert("id")
        merge.when_matched_update_all().when_not_matched_insert_all()
        # "null" leaves absent vectors null; LanceDB's default takes them for invalid ones.
        self._retry(partial(merge.execute, table, on_bad_vectors="null"), "cannot be written")

    def delete_rows(self, column: str, ids: Sequence[str], shop_id: str | None = None) -> int:
        """Delete the rows whose `column` is one of `ids`; return how many there were."""
        deleted = 0
        for listed in rows.sql_lists(ids):
            delete = partial(self._table.delete, f"{column} IN ({listed}){_in_shop(shop_id)}")
            deleted += self._retry(delete, "cannot delete rows").num_deleted_rows
        return deleted

    def _retry(self, action: Callable[[], _Result], failure: str) -> _Result:
        return lance.retry_on_conflict(action, self.path, failure)

    def _select(self, columns: list[str]) -> Any:
        return self._table.search().select(columns).limit(None)

    def _read_columns(self, columns: list[str], shop_id: str | None) -> pa.Table:
        copied = snapshot.read_rows(self.path, columns, shop_id)
        if copied is not None:
            return copied
        query = self._select(columns)
        if shop_id is not None:
            query = query.where(f"shop_id = {rows.sql_literal(shop_id)}")
        return self._read(query)

    def _read(self, query: Any) -> pa.Table:
        try:
            return query.to_arrow()
        except lance.LANCE_ERRORS as error:
            message = f"cannot be read ({lance.error_message(error)})"
            raise IndexingError(message, self.path, "index again into a new folder") from error


def _in_shop(shop_id: str | None) -> str:
    return "" if shop_id is None else f" AND shop_id = {rows.sql_literal(shop_id)}"
