"""Upkeep of a table: indexes of its columns, and when small files are worth merging.

LanceDB merges all files below a million rows into one, which rewrites their rows. Merging after a
fixed number of writes would rewrite a large table again and again; merging after a fixed share of
new rows rewrites each row about five times, whatever the size.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sgmn.catalogue import lance
from sgmn.catalogue.lance import Location
from sgmn.catalogue.rows import VECTOR_COLUMN, VectorModality
from sgmn.errors import IndexingError

MAX_FILE_ROWS = 1 << 20  # LanceDB does not merge files of this size again
MIN_FILES = 64  # fewer small files do not slow down readers
NEW_SHARE, FINAL_SHARE = 0.25, 0.01  # of the rows that a merge would rewrite
CHEAP_ROWS = 50_000  # merging these takes about a second
PROBED_SHARE, MIN_PROBES = 0.05, 40  # partitions of a vector index that a search reads


def needs_merge(table: Any, new_rows: int) -> bool:
    """Whether an update should end with a merge, after writing or removing some rows.

    Encoding FINAL_SHARE of the rows takes much longer than merging all of them. A smaller change
    is left for later, unless there are many small files or the shops are not indexed yet.
    """
    stats = table.stats()
    limit = FINAL_SHARE * min(stats["num_rows"], MAX_FILE_ROWS)
    if stats["num_rows"] <= CHEAP_ROWS or new_rows >= limit or not _has_index(table, "shop_id"):
        return True
    return bool(stats["fragment_stats"]["num_small_fragments"] >= MIN_FILES)


def is_merge_due(new_files: int, new_rows: int, row_count: int) -> bool:
    """Whether a running update should merge the files that it has written since the last merge."""
    return new_files >= MIN_FILES and new_rows >= NEW_SHARE * min(row_count, MAX_FILE_ROWS)


def index_shops(table: Any) -> None:
    """Build the index of shops, with which one shop is found without reading the table."""
    if table.count_rows() and not _has_index(table, "shop_id"):
        table.create_index("shop_id", config=lance.bitmap_index_config())


def build_vector_index(
    table: Any, modality: VectorModality | None, dim: int, path: Location
) -> None:
    """Build the approximate index of one kind of vectors or of all; see `ProductTable`."""
    if dim % 8:
        message = f"has vectors of width {dim}, not a multiple of 8"
        raise IndexingError(message, path, "search without it: exact, but slower")
    present = _list_modalities(table)
    for one in present if modality is None else [modality]:
        if one not in present:
            what = "an image" if one == "image" else "a title"
            raise IndexingError(f"has no product with {what}", path)
        config = lance.vector_index_config()
        create = partial(table.create_index, VECTOR_COLUMN[one], config=config, replace=True)
        lance.retry_on_conflict(create, path, "cannot build a vector index")
    if not present:
        raise IndexingError("has no product", path, "index a catalogue first")


def _list_modalities(table: Any) -> list[VectorModality]:
    """The modalities of which at least one product has a vector."""
    return [m for m, column in VECTOR_COLUMN.items() if table.count_rows(f"{column} IS NOT NULL")]


def _has_index(table: Any, column: str) -> bool:
    return any(index.columns == [column] for index in table.list_indices())
