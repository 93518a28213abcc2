"""Updates of the index: encodes and writes only products that changed, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from sgmn.background import map_in_background, prefetch
from sgmn.catalogue import entries, rows
from sgmn.catalogue.entries import IndexEntry
from sgmn.catalogue.rows import ProductKey
from sgmn.errors import MediaError, RecordError
from sgmn.records import Product, ProductContent
from sgmn.row_issues import RowIssue

if TYPE_CHECKING:
    from sgmn.catalogue.stamp import ModelStamp
    from sgmn.model.scoring import ProductVectors

EncodeProducts = Callable[[Sequence[ProductContent]], "ProductVectors"]
OPTIMIZE_EVERY = 64  # batches; each adds a small file, and many small files slow down every reader


@dataclass(frozen=True, slots=True)
class UpdateProgress:
    """How many products of an update are done, of `total` if that is known.

    `written` holds the keys of the batch that was just written to disk.
    """

    done: int
    total: int | None
    written: tuple[ProductKey, ...] = ()


ProgressCallback = Callable[[UpdateProgress], None]


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """The result of an update: numbers of products, rejected rows and warnings.

    A row with a warning is indexed, but lacks an image that its listing names.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    rejected_rows: tuple[RowIssue, ...] = ()
    warnings: tuple[RowIssue, ...] = ()


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """How many rows were removed, and the ids that no row had."""

    count: int
    unknown_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """Options of an update; see `ProductTable.update`.

    Attributes:
        batch_size: Number of products that are encoded and written at once.
        max_side: Maximum length of the longer side of an image, in pixels.
        sync: Remove products that the shops of the update no longer list.
        strict: Reject products with a missing or unreadable image.
        protected_keys: Products that `sync` does not remove, although they are not listed.
        locations: The place of each product in its catalogue, for reports.
    """

    batch_size: int = 32
    max_side: int | None = 512
    sync: bool = False
    strict: bool = False
    protected_keys: Collection[ProductKey] = frozenset()
    locations: Mapping[ProductKey, str] = field(default_factory=dict)


class WritableTable(Protocol):
    """What an update needs of `ProductTable`, which starts updates itself."""

    @property
    def stamp(self) -> ModelStamp:
        """Identifies the model that built the index."""

    def content_hashes(self) -> dict[str, str]:
        """The content hash of each row, by row id."""

    def product_keys(self, shop_id: str | None = None) -> list[ProductKey]:
        """The keys of all products, or of one shop."""

    def write_rows(self, table: pa.Table) -> None:
        """Add or replace rows."""

    def delete_rows(self, column: str, ids: Sequence[str], shop_id: str | None = None) -> int:
        """Delete rows; return how many there were."""

    def optimize(self) -> None:
        """Merge small files and update indexes."""


@dataclass
class TableUpdate:
    """One run: compares products with the table, then encodes and writes those that changed."""

    table: WritableTable
    encode: EncodeProducts
    options: UpdateOptions
    progress: ProgressCallback | None = None
    total: int | None = None
    stored_hashes: dict[str, str] = field(init=False)  # row id -> content hash, before this run
    seen_keys: set[ProductKey] = field(default_factory=set)
    written_keys: list[ProductKey] = field(default_factory=list)
    rejected_rows: list[RowIssue] = field(default_factory=list)
    warnings: list[RowIssue] = field(default_factory=list)
    unchanged: int = 0

    def __post_init__(self) -> None:
        self.stored_hashes = self.table.content_hashes()

    def run(self, products: Iterable[Product]) -> UpdateReport:
        """Encode and write batch by batch; report progress after each batch is on disk."""
        tables = map(self._encode, prefetch(self._batches(products)))
        for number, keys in enumerate(map_in_background(self._write, tables), start=1):
            self.written_keys.extend(keys)
            self._report_progress(keys)
            if number % OPTIMIZE_EVERY == 0:
                self.table.optimize()
        removed = self._remove_unlisted() if self.options.sync else 0
        if self.written_keys or removed:
            self.table.optimize()
        self._report_progress(())
        return self._build_report(removed)

    def _batches(self, products: Iterable[Product]) -> Iterator[list[IndexEntry]]:
        """Batches of changed products with decoded images; runs on the decoding thread."""
        batch: list[IndexEntry] = []
        for product in products:
            entry = self._load_if_changed(product)
            if entry is None:
                continue
            batch.append(entry)
            if len(batch) == self.options.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _load_if_changed(self, product: Product) -> IndexEntry | None:
        if product.key in self.seen_keys:
            self._reject(product, "is listed twice in this run; give each product a unique id")
            return None
        self.seen_keys.add(product.key)
        try:
            missing = entries.find_missing_images(product)
            if self.options.strict:
                entries.require_all_images(missing)
            content_hash = entries.compute_content_hash(product)
            if self.stored_hashes.get(rows.row_id(product.key)) == content_hash:
                self._warn(product, entries.missing_image_warnings(product, missing))
                self.unchanged += 1
                return None
            entry = entries.load_entry(
                product,
                content_hash,
                self.options.max_side,
                strict=self.options.strict,
                text_fields=self.table.stamp.text_fields,
            )
        except (MediaError, RecordError) as error:
            self._reject(product, str(error))
            return None
        self._warn(product, entry.warnings)
        return entry

    def _reject(self, product: Product, message: str) -> None:
        self.rejected_rows.append(self._issue(product, message))

    def _warn(self, product: Product, messages: Iterable[str]) -> None:
        self.warnings.extend(self._issue(product, message) for message in messages)

    def _issue(self, product: Product, message: str) -> RowIssue:
        name, location = f"product {product.product_id!r}", self.options.locations.get(product.key)
        return (
            RowIssue(name, message)
            if location is None
            else RowIssue(location, f"{name}: {message}")
        )

    def _encode(self, batch: Sequence[IndexEntry]) -> tuple[list[ProductKey], pa.Table]:
        from sgmn.catalogue.vectors import build_table  # needs PyTorch

        vectors = self.encode([entry.content for entry in batch])
        keys = [entry.product.key for entry in batch]
        return keys, build_table(batch, vectors, self.table.stamp)

    def _write(self, batch: tuple[list[ProductKey], pa.Table]) -> list[ProductKey]:
        """Write a batch; runs on the writing thread while the next batch is encoded."""
        keys, table = batch
        self.table.write_rows(table)
        return keys

    def _report_progress(self, written: Sequence[ProductKey]) -> None:
        if self.progress is not None:
            done = len(self.written_keys) + self.unchanged + len(self.rejected_rows)
            self.progress(UpdateProgress(done, self.total, tuple(written)))

    def _remove_unlisted(self) -> int:
        """Remove products that the shops of this run no longer list; rejected ones stay."""
        listed = self.seen_keys.union(self.options.protected_keys)
        shops = sorted({shop for shop, _ in self.seen_keys})
        unlisted = [
            rows.row_id(key)
            for shop in shops
            for key in self.table.product_keys(shop)
            if key not in listed
        ]
        return self.table.delete_rows("id", unlisted)

    def _build_report(self, removed: int) -> UpdateReport:
        replaced = sum(rows.row_id(key) in self.stored_hashes for key in self.written_keys)
        return UpdateReport(
            added=len(self.written_keys) - replaced,
            replaced=replaced,
            unchanged=self.unchanged,
            removed=removed,
            rejected_rows=tuple(self.rejected_rows),
            warnings=tuple(self.warnings),
        )
