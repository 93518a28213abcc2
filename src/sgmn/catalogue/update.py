"""A feed into the index: only what changed is encoded, and what is written stays written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from sgmn.background import ahead, behind
from sgmn.catalogue import entries, rows
from sgmn.catalogue.feed import Refused
from sgmn.catalogue.rows import Entry
from sgmn.errors import MediaError, RecordError
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index

Key = tuple[str, str]  # (shop_id, product_id)
Embed = Callable[[Sequence[ProductContent]], ProductVectors]
Progress = Callable[[Sequence[Key]], None]
OPTIMIZE_EVERY = 64  # batches; each leaves a small file, and many small files slow every reader


@dataclass(frozen=True, slots=True)
class Report:
    """What an update did: numbers of products, and those refused with their reasons."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    refused: tuple[Refused, ...] = ()


@dataclass
class Update:
    """One run: compares products with what the index holds, encodes and writes the rest."""

    index: Index
    embed: Embed
    batch: int
    max_side: int | None
    known: dict[str, str] = field(init=False)  # row id -> content hash, before this run
    seen: set[Key] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    unchanged: int = 0

    def __post_init__(self) -> None:
        self.known = self.index.hashes()

    def run(
        self, products: Iterable[Product], progress: Progress | None, replace_missing: bool
    ) -> Report:
        """Encode and write batch by batch; `progress` hears the keys of each committed batch."""
        written: list[Key] = []
        encoded = map(self._encoded, ahead(self._batches(products)))
        for number, keys in enumerate(behind(self._write, encoded), start=1):
            written.extend(keys)
            if progress is not None:
                progress(keys)
            if number % OPTIMIZE_EVERY == 0:
                self.index.optimize()
        removed = self._remove_missing() if replace_missing else 0
        if written or removed:
            self.index.optimize()
        return self._report(written, removed)

    def _batches(self, products: Iterable[Product]) -> Iterator[list[Entry]]:
        """Changed products, decoded, at most `batch` together; runs on the decoding thread."""
        waiting: list[Entry] = []
        for product in products:
            waiting.extend(self._changed(product))
            if len(waiting) == self.batch:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _changed(self, product: Product) -> list[Entry]:
        if product.key in self.seen:
            self._refuse(product, "was given before in this run; give each an id of its own")
            return []
        self.seen.add(product.key)
        try:
            digest = entries.content_hash(product)
            if self.known.get(rows.row_id(product.key)) == digest:
                self.unchanged += 1
                return []
            return [entries.entry(product, digest, self.max_side)]
        except (MediaError, RecordError) as error:
            self._refuse(product, str(error))
            return []

    def _refuse(self, product: Product, what: str) -> None:
        self.refused.append(Refused(f"product {product.product_id!r}", what))

    def _encoded(self, entries: Sequence[Entry]) -> tuple[list[Key], pa.Table]:
        vectors = self.embed([entry.content for entry in entries])
        keys = [entry.product.key for entry in entries]
        return keys, rows.table(entries, vectors, self.index.model)

    def _write(self, batch: tuple[list[Key], pa.Table]) -> list[Key]:
        """Runs on the writing thread, while the next batch is encoded on this one."""
        keys, table = batch
        self.index.write(table)
        return keys

    def _remove_missing(self) -> int:
        """Remove what the shops of this run no longer list; a refused product keeps its row."""
        shops = {shop for shop, _ in self.seen}
        kept = {rows.row_id(key) for key in self.seen}
        held = [key for shop in sorted(shops) for key in self.index.product_keys(shop)]
        gone = [rows.row_id(key) for key in held if rows.row_id(key) not in kept]
        return self.index.delete_rows("id", gone)

    def _report(self, written: Sequence[Key], removed: int) -> Report:
        replaced = sum(rows.row_id(key) in self.known for key in written)
        added = len(written) - replaced
        return Report(added, replaced, self.unchanged, removed, tuple(self.refused))
