"""Rows for tests that care about a few columns only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sgmn.service.database.engine import Database

_DEFAULTS: dict[type, Any] = {str: "", int: 0, float: 0.0, object: {}}  # object: JSON


def insert_row(database: Database, table: sa.Table, **values: Any) -> None:
    """Insert a row; required columns without a value are empty or 0."""
    required = [column for column in table.columns if not column.nullable]
    defaults = {column.name: _DEFAULTS[column.type.python_type] for column in required}
    with database.write() as connection:
        connection.execute(sa.insert(table).values({**defaults, **values}))
