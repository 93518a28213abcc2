"""Replaces the table of an index by another one, such as one of a better model."""

from __future__ import annotations

from sgmn.catalogue import lance
from sgmn.catalogue.lance import TABLE_NAME, Location
from sgmn.catalogue.table import ProductTable


def replace_table(path: Location, source: ProductTable) -> ProductTable:
    """Replace all rows and the model of the index at `path` by those of another, in one commit.

    The version of the index grows as with any commit. Returns the table.

    Raises IndexingError if a table cannot be read or written.
    """

    def write() -> None:
        rows = lance.connect(source.path).open_table(TABLE_NAME).to_arrow()
        database = lance.connect(path)
        database.create_table(TABLE_NAME, rows, mode="overwrite", on_bad_vectors="null")

    lance.retry_on_conflict(write, path, "cannot be replaced")
    return ProductTable.open(path, source.stamp)
