"""Joins encoded batches into writes that are large enough for the size of the table.

A write reads the ids of the whole table. If every write adds at least a fixed share of the table,
the total time grows with the number of products and not with its square.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from sgmn.catalogue.row_building import EncodedBatch

MIN_SHARE = 0.001  # of the rows of the table
MAX_ROWS, MAX_WAIT_S = 4096, 30.0  # of one write; what was not written is lost if a run is killed


def join_batches(batches: Iterable[EncodedBatch], row_count: int) -> Iterator[EncodedBatch]:
    """Yield the same rows, in order, in writes for a table that has `row_count` rows before."""
    group: list[EncodedBatch] = []
    start_s = time.monotonic()
    for batch in batches:
        group.append(batch)
        rows = sum(len(part.keys) for part in group)
        if rows >= min(MAX_ROWS, MIN_SHARE * row_count) or time.monotonic() - start_s > MAX_WAIT_S:
            yield _join(group)
            row_count += rows
            group, start_s = [], time.monotonic()
    if group:
        yield _join(group)


def _join(group: Sequence[EncodedBatch]) -> EncodedBatch:
    if len(group) == 1:
        return group[0]
    return EncodedBatch(
        tuple(key for batch in group for key in batch.keys),
        pa.concat_tables(batch.table for batch in group),
        tuple(remark for batch in group for remark in batch.rejected),
        tuple(remark for batch in group for remark in batch.warnings),
    )
