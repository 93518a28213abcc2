"""Turns changed products into rows of the index: decodes their images, then encodes them.

The two steps run in this process, or as a job on the machines of a cluster.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from sgmn.background import prefetch
from sgmn.catalogue import entries
from sgmn.catalogue import stamp as stamps
from sgmn.catalogue.entries import IndexEntry
from sgmn.catalogue.model_source import to_embedder
from sgmn.catalogue.rows import ProductKey, build_schema
from sgmn.catalogue.stamp import ModelStamp
from sgmn.errors import IndexingError, MediaError
from sgmn.records import Product, ProductContent

if TYPE_CHECKING:
    from sgmn.model.embedder import Embedder
    from sgmn.model.scoring import ProductVectors
    from sgmn.scale.engine import Engine

EncodeProducts = Callable[[Sequence[ProductContent]], "ProductVectors"]


@dataclass(frozen=True, slots=True)
class ChangedProduct:
    """A product to encode, the hash of its content, and the image files that do not exist."""

    product: Product
    content_hash: str
    missing: tuple[Path, ...] = ()


Remarks = tuple[tuple[Product, str], ...]


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """Products that are ready to be encoded; rejections and warnings with their reasons."""

    entries: tuple[IndexEntry, ...]
    rejected: Remarks
    warnings: Remarks


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Rows of the index and the keys of their products; rejections and warnings."""

    keys: tuple[ProductKey, ...]
    table: pa.Table
    rejected: Remarks
    warnings: Remarks


BuildRows = Callable[[Iterator[Sequence[ChangedProduct]]], Iterable[EncodedBatch]]


@dataclass(frozen=True)
class RowBuilder:
    """The two steps; see `entries.load_entry` for `max_side` and `strict`."""

    encode_products: EncodeProducts
    stamp: ModelStamp
    max_side: int | None
    strict: bool

    def load(self, batch: Sequence[ChangedProduct]) -> LoadedBatch:
        """Decode the images of products; those that cannot do without one are rejected."""
        loaded: list[IndexEntry] = []
        rejected: list[tuple[Product, str]] = []
        for change in batch:
            try:
                entry = entries.load_entry(
                    change.product,
                    change.content_hash,
                    self.max_side,
                    strict=self.strict,
                    text_fields=self.stamp.text_fields,
                )
            except MediaError as error:
                rejected.append((change.product, str(error)))
            else:
                loaded.append(entry)
        warnings = tuple((entry.product, text) for entry in loaded for text in entry.warnings)
        return LoadedBatch(tuple(loaded), tuple(rejected), warnings)

    def encode(self, batch: LoadedBatch) -> EncodedBatch:
        """Encode products as rows."""
        from sgmn.catalogue.vectors import build_table  # needs PyTorch

        table = build_schema(self.stamp).empty_table()
        if batch.entries:
            vectors = self.encode_products([entry.content for entry in batch.entries])
            table = build_table(batch.entries, vectors, self.stamp)
        keys = tuple(entry.product.key for entry in batch.entries)
        return EncodedBatch(keys, table, batch.rejected, batch.warnings)

    def build(self, batches: Iterator[Sequence[ChangedProduct]]) -> Iterator[EncodedBatch]:
        """Encode each batch while the images of the next one are decoded on a thread."""
        return map(self.encode, prefetch(map(self.load, batches)))


@dataclass(frozen=True, slots=True)
class RowJob:
    """The two steps on any machine (a `scale.engine.Job`), which loads the model by its name.

    Attributes:
        model: The name or the folder of the model.
        stamp: Identifies the model of the index.
        strict: Reject products with a missing or unreadable image.
        runtime: What runs the towers of the model.
    """

    model: str
    stamp: ModelStamp
    strict: bool
    runtime: str

    def open(self) -> Callable[[Sequence[ChangedProduct]], EncodedBatch]:
        """Load the model; raises IndexingError if it is not that of the index."""
        embedder = to_embedder(self.model, self.runtime)
        stamps.require_match(self.stamp, ModelStamp.from_embedder(embedder), platform.node())
        builder = RowBuilder(embedder.encode_products, self.stamp, embedder.max_side, self.strict)

        def build(batch: Sequence[ChangedProduct]) -> EncodedBatch:
            for change in batch:
                _require_same_files(change)
            return builder.encode(builder.load(batch))

        return build


def _require_same_files(change: ChangedProduct) -> None:
    """Raise IndexingError for an image that exists where the index is written, but not here."""
    for path in entries.find_missing_images(change.product):
        if path not in change.missing:
            message = f"does not exist on the node {platform.node()}"
            raise IndexingError(message, path, "mount its folder at the same path on every node")


def row_building(
    embedder: Embedder, stamp: ModelStamp, strict: bool, engine: Engine | None = None
) -> BuildRows:
    """What turns batches into rows: with a loaded model here, or with an engine elsewhere."""
    if engine is None:
        return RowBuilder(embedder.encode_products, stamp, embedder.max_side, strict).build
    name = ModelStamp.from_embedder(embedder).name
    return partial(engine.map, RowJob(name, stamp, strict, embedder.runtime))
