"""Updates of the index: encodes and writes only products that changed, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from sgmn.background import map_in_background
from sgmn.batching import batched
from sgmn.catalogue import entries
from sgmn.catalogue.maintenance import is_merge_due
from sgmn.catalogue.row_building import BuildRows, ChangedProduct, EncodedBatch
from sgmn.catalogue.rows import ProductKey
from sgmn.catalogue.stored_hashes import StoredHashes
from sgmn.catalogue.write_groups import join_batches
from sgmn.errors import MediaError, RecordError
from sgmn.records import Product
from sgmn.row_issues import RowIssue

if TYPE_CHECKING:
    from sgmn.catalogue.stamp import ModelStamp


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

    def count(self) -> int:
        """The number of rows."""

    def content_hashes(self, shop_id: str) -> dict[str, str]:
        """The content hash of each product of a shop, by product id."""

    def product_keys(self, shop_id: str | None = None) -> list[ProductKey]:
        """The keys of all products, or of one shop."""

    def write_rows(self, table: pa.Table) -> None:
        """Add or replace rows."""

    def delete_rows(self, column: str, ids: Sequence[str], shop_id: str | None = None) -> int:
        """Delete rows; return how many there were."""

    def optimize(self) -> None:
        """Merge small files and update indexes."""

    def needs_merge(self, new_rows: int) -> bool:
        """Whether an update should end with `optimize`, after this many new or removed rows."""


@dataclass
class TableUpdate:
    """One run: compares products with the table, then encodes and writes those that changed."""

    table: WritableTable
    build_rows: BuildRows
    options: UpdateOptions
    progress: ProgressCallback | None = None
    total: int | None = field(init=False, default=None)
    stored_hashes: StoredHashes = field(init=False)
    seen_keys: set[ProductKey] = field(default_factory=set)
    changed_keys: set[ProductKey] = field(default_factory=set)  # of products that were stored
    rejected_rows: list[RowIssue] = field(default_factory=list)
    warnings: list[RowIssue] = field(default_factory=list)
    added: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __post_init__(self) -> None:
        self.stored_hashes = StoredHashes(self.table.content_hashes)

    def run(self, products: Iterable[Product]) -> UpdateReport:
        """Encode and write batch by batch; report progress after each batch is on disk."""
        self.total = len(products) if isinstance(products, Sequence) else None
        row_count = self.table.count()
        writes = join_batches(self.build_rows(self._batches(products)), row_count)
        new_files = new_rows = 0  # since the last merge
        for batch in map_in_background(self._write, writes):
            self._count(batch)
            self._report_progress(batch.keys)
            new_files, new_rows = new_files + 1, new_rows + len(batch.keys)
            if is_merge_due(new_files, new_rows, row_count + self.added):
                self.table.optimize()
                new_files = new_rows = 0
        removed = self._remove_unlisted() if self.options.sync else 0
        is_changed = self.added or self.replaced or removed
        if is_changed and self.table.needs_merge(new_rows + removed):
            self.table.optimize()
        self._report_progress(())
        return self._build_report(removed)

    def _batches(self, products: Iterable[Product]) -> Iterator[Sequence[ChangedProduct]]:
        """Batches of new and changed products; may run on a thread of its own."""
        changes = filter(None, map(self._find_change, products))
        return batched(changes, self.options.batch_size)

    def _find_change(self, product: Product) -> ChangedProduct | None:
        if product.key in self.seen_keys:
            self._reject(product, "is listed twice in this run; give each product a unique id")
            return None
        self.seen_keys.add(product.key)
        try:
            missing = entries.find_missing_images(product)
            if self.options.strict:
                entries.require_all_images(missing)
            content_hash = entries.compute_content_hash(product)
            stored_hash = self.stored_hashes.get(product.key)
            if stored_hash != content_hash:
                if stored_hash is not None:
                    self.changed_keys.add(product.key)
                return ChangedProduct(product, content_hash, missing)
            self._warn(product, entries.missing_image_warnings(product, missing))
            self.unchanged += 1
        except (MediaError, RecordError) as error:
            self._reject(product, str(error))
        return None

    def _count(self, batch: EncodedBatch) -> None:
        """Count the products of a batch that is on disk, and collect its issues."""
        replaced = sum(key in self.changed_keys for key in batch.keys)
        self.replaced += replaced
        self.added += len(batch.keys) - replaced
        for product, message in batch.rejected:
            self._reject(product, message)
        for product, message in batch.warnings:
            self._warn(product, (message,))

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

    def _write(self, batch: EncodedBatch) -> EncodedBatch:
        """Write a batch; runs on the writing thread while the next batch is encoded."""
        if batch.keys:
            self.table.write_rows(batch.table)
        return batch

    def _report_progress(self, written: Sequence[ProductKey]) -> None:
        if self.progress is not None:
            done = self.added + self.replaced + self.unchanged + len(self.rejected_rows)
            self.progress(UpdateProgress(done, self.total, tuple(written)))

    def _remove_unlisted(self) -> int:
        """Remove products that the shops of this run no longer list; rejected ones stay."""
        listed = self.seen_keys.union(self.options.protected_keys)
        removed = 0
        for shop in sorted({shop for shop, _ in self.seen_keys}):
            unlisted = [key[1] for key in self.table.product_keys(shop) if key not in listed]
            removed += self.table.delete_rows("product_id", unlisted, shop)
        return removed

    def _build_report(self, removed: int) -> UpdateReport:
        return UpdateReport(
            added=self.added,
            replaced=self.replaced,
            unchanged=self.unchanged,
            removed=removed,
            rejected_rows=tuple(self.rejected_rows),
            warnings=tuple(self.warnings),
        )
