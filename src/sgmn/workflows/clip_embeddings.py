"""Embeds the clips of a dataset into a Lance table, in this process, in several, or on a cluster.

    clip_id      string
    shop_id      string
    product_ids  list of strings, the products on sale
    image        D float32 values with L2 norm 1, from the frames; null without frames
    text         D float32 values with L2 norm 1, from the transcript; null without one

A run appends its rows in the order of the clips. The metadata of the table names the model.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa

from sgmn.batching import batched
from sgmn.catalogue.lance import (
    LANCE_ERRORS,
    LazyTable,
    Location,
    connect,
    error_message,
    has_table,
    require_no_file,
    retry_on_conflict,
    to_location,
)
from sgmn.catalogue.stamp import ModelStamp, from_metadata, require_match, to_metadata
from sgmn.errors import IndexingError, SgmnError
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.records import Clip, ClipContent
from sgmn.scale.engine import Engine
from sgmn.workflows.evaluation import BATCH_SIZE, load_content

TABLE = "clips"
COMMIT_ROWS, COMMIT_S = 4096, 30.0  # commit after this many rows or seconds
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """Embeds a batch of clips, as `sgmn evaluate` does before it ranks them.

    Attributes:
        model: The name to load the model by.
        fingerprint: Of the model, which every machine must have.
        runtime: Runtime of the image and text towers.
    """

    model: str
    fingerprint: str
    runtime: str

    def open(self) -> Callable[[Sequence[Clip]], tuple[list[Row], list[str]]]:
        """Load the model; what is returned gives the rows, and lines about damage.

        Raises SgmnError on a machine with another model of this name.
        """
        model = checkpoint.load(self.model)
        if model.fingerprint() != self.fingerprint:
            remedy = "install the same version of sgmn, and the same model, on every node"
            raise SgmnError(f"is another model on the node {platform.node()}", self.model, remedy)
        embedder = Embedder(model, runtime=self.runtime)

        def embed(clips: Sequence[Clip]) -> tuple[list[Row], list[str]]:
            damage: list[str] = []
            loaded = [(clip, load_content(clip, embedder.max_side, damage)) for clip in clips]
            readable = [(clip, content) for clip, content in loaded if content is not None]
            return _to_rows(readable, embedder), damage

        return embed


class Progress(NamedTuple):
    """The result of one batch.

    Attributes:
        clips: Number of its clips.
        unreadable: Number of clips that cannot be read.
        damage: Lines about what cannot be read.
    """

    clips: int
    unreadable: int
    damage: Sequence[str]


class EmbeddingTable:
    """The table of a folder or an address in object storage; it is created if it is missing.

    Args:
        location: The folder, or an address such as s3://bucket/folder.
        stamp: The model whose vectors are written.

    Raises:
        IndexingError: There is a table of another model, it is damaged, or none can be there.
    """

    def __init__(self, location: Location, stamp: ModelStamp) -> None:
        self.location, self.stamp, self.schema = location, stamp, _schema(stamp)
        require_no_file(location)
        if not has_table(location, TABLE):
            create = partial(connect(location).create_table, TABLE, schema=self.schema)
            retry_on_conflict(create, location, "cannot be written")
        self._table = LazyTable(location, TABLE)
        found = from_metadata(self._table.schema.metadata, location)
        require_match(found, stamp, location, "use the model of the table, or another --output")

    def clip_ids(self) -> set[str]:
        """The clips that are in the table; raises IndexingError if it is damaged."""
        try:
            found = self._table.search().select(["clip_id"]).limit(None).to_arrow()
        except LANCE_ERRORS as error:
            message = f"cannot be read ({error_message(error)})"
            raise IndexingError(message, self.location, "use another --output") from error
        return set(found["clip_id"].to_pylist())

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows in one commit; raises IndexingError if they cannot be written."""
        batch = pa.Table.from_pylist(list(rows), self.schema)
        retry_on_conflict(partial(self._table.add, batch), self.location, "cannot be written")

    def optimize(self) -> None:
        """Merge the small files that commits have left."""
        retry_on_conflict(self._table.optimize, self.location, "cannot be optimized")


def embed_clips(
    clips: Sequence[Clip], table: EmbeddingTable, job: EmbeddingJob, engine: Engine
) -> Iterator[Progress]:
    """Embed clips and write them in their order; yield the result of each batch.

    A clip that cannot be read is not written, so that the next run tries it again.
    """
    pending_rows: list[Row] = []
    committed_s = time.monotonic()
    batches = list(batched(clips, BATCH_SIZE))
    for batch, (rows, damage) in zip(batches, engine.map(job, batches), strict=True):
        pending_rows += rows
        if len(pending_rows) >= COMMIT_ROWS or time.monotonic() - committed_s > COMMIT_S:
            table.add(pending_rows)
            pending_rows, committed_s = [], time.monotonic()
        yield Progress(len(batch), len(batch) - len(rows), damage)
    if pending_rows:
        table.add(pending_rows)
    table.optimize()


def _to_rows(loaded: Sequence[tuple[Clip, ClipContent]], embedder: Embedder) -> list[Row]:
    if not loaded:
        return []
    vectors = embedder.encode_clips([content for _, content in loaded])
    rows = []
    for number, (clip, _) in enumerate(loaded):
        row: Row = {"clip_id": clip.clip_id, "shop_id": clip.shop_id}
        row["product_ids"] = list(clip.product_ids)
        row["image"] = vectors.image[number].tolist() if vectors.has_image[number] else None
        row["text"] = vectors.text[number].tolist() if vectors.has_text[number] else None
        rows.append(row)
    return rows


def _schema(stamp: ModelStamp) -> pa.Schema:
    vector = pa.list_(pa.float32(), stamp.dim)
    fields = [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("shop_id", pa.string(), nullable=False),
        pa.field("product_ids", pa.list_(pa.string()), nullable=False),
        pa.field("image", vector),
        pa.field("text", vector),
    ]
    return pa.schema(fields, metadata=to_metadata(stamp))


def open_table(location: str, model: str) -> EmbeddingTable:
    """Open or create the table for the vectors of a model; see `EmbeddingTable`."""
    embedder = Embedder(checkpoint.load(model))
    return EmbeddingTable(to_location(location), ModelStamp.from_embedder(embedder))
