"""The products of a catalogue as they were when a session started, in one file.

A session keeps the products that it began with, even if the catalogue changes or is deleted
meanwhile. Sessions of one version share the file and, in the encoder process, its memory.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sgmn.errors import IndexingError

if TYPE_CHECKING:
    import pyarrow as pa

    from sgmn.catalogue.shelf import Shelf
    from sgmn.catalogue.stamp import ModelStamp
    from sgmn.catalogue.table import ProductTable
    from sgmn.records import Product

SUFFIX = ".arrow"


def shelf_path(folder: Path, catalogue_id: str, index_version: int) -> Path:
    """Return where the products of a version of a catalogue are pinned."""
    return folder / f"{catalogue_id}-{index_version}{SUFFIX}"


def pin_shelf(table: ProductTable, shop_id: str, folder: Path, catalogue_id: str) -> int:
    """Write the products of a shop and the stamp of their model to a file, if it is missing.

    Returns the version of the index that they are of. Raises IndexingError for a shop without
    products.
    """
    from sgmn.catalogue.stamp import to_metadata

    while True:
        version = table.version
        path = shelf_path(folder, catalogue_id, version)
        with suppress(FileNotFoundError):
            os.utime(path)  # the janitor leaves young files alone
            return version
        records: pa.Table = table.shelf_rows(shop_id)
        if table.version == version:  # else another process has written meanwhile
            _write(records.replace_schema_metadata(to_metadata(table.stamp)), path)
            return version


def _write(records: pa.Table, path: Path) -> None:
    from pyarrow import feather

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        feather.write_feather(records, temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_pinned(path: Path) -> tuple[Shelf, ModelStamp]:
    """Return the products of a file with their vectors, and the stamp of their model.

    Raises IndexingError if the file is missing or damaged.
    """
    from sgmn.catalogue.shelf import Shelf
    from sgmn.catalogue.stamp import from_metadata

    records = _read(path)
    stamp = from_metadata(records.schema.metadata, path)
    return Shelf.from_rows(records, stamp.dim), stamp


@lru_cache(maxsize=16)  # a file never changes
def read_pinned_products(path: Path) -> Mapping[str, Product]:
    """Return the products of a file by their id, without their vectors."""
    from sgmn.catalogue import rows

    records = _read(path, rows.RECORD_COLUMNS).to_pylist()
    return {row["product_id"]: rows.parse_product(row) for row in records}


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    from pyarrow import ArrowInvalid, feather

    try:
        return feather.read_table(path, columns=columns, memory_map=False)
    except (OSError, ArrowInvalid) as error:
        message = f"the products of the session cannot be read ({error})"
        raise IndexingError(message, path, "start a new session") from error
