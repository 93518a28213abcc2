"""Rows of an index, for comparisons."""

from __future__ import annotations

from typing import Any

from sgmn.catalogue.table import ProductTable


def read_rows(table: ProductTable) -> list[dict[str, Any]]:
    """All columns of all rows, ordered by id."""
    rows: list[dict[str, Any]] = table._table.to_arrow().sort_by("id").to_pylist()
    return rows
