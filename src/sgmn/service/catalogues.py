"""Catalogues of shops: their rows in the database, and their indexes on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sgmn.service.auth import Caller
from sgmn.service.database import tables
from sgmn.service.ids import new_id
from sgmn.service.problems import not_found
from sgmn.service.settings import ServiceSettings

Row = dict[str, Any]
ACTIVE_SESSION_STATES = ("queued", "starting", "running", "reconnecting", "recovering", "stopping")


def catalogue_folder(settings: ServiceSettings, catalogue_id: str) -> Path:
    """The folder of what a catalogue keeps on disk."""
    return settings.data / "catalogues" / catalogue_id


def index_location(settings: ServiceSettings, catalogue_id: str) -> Path | str:
    """The folder of a catalogue's index, or its address in object storage."""
    if settings.index_url:
        return f"{settings.index_url.rstrip('/')}/{catalogue_id}"
    return catalogue_folder(settings, catalogue_id) / "index"


def insert_catalogue(connection: sa.Connection, shop_id: str, name: str) -> Row:
    """Store a new catalogue without products."""
    now = time.time()
    row = {
        "id": new_id("cat"),
        "shop_id": shop_id,
        "name": name,
        "index_version": 0,
        "product_count": 0,
        "model_id": None,
        "version": 1,
        "created_s": now,
        "updated_s": now,
    }
    connection.execute(sa.insert(tables.catalogues).values(row))
    return row


def find_catalogue(connection: sa.Connection, caller: Caller, catalogue_id: str) -> Row:
    """The row of a catalogue; 404 if it is unknown, deleted or of another shop."""
    catalogues = tables.catalogues
    query = sa.select(catalogues).where(
        catalogues.c.id == catalogue_id,
        catalogues.c.deleted_s.is_(None),
        caller.scope(catalogues.c.shop_id),
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found("catalogue")
    return dict(row)


def change_catalogue(connection: sa.Connection, catalogue_id: str, **values: Any) -> None:
    """Change a catalogue that exists, and its version."""
    catalogues = tables.catalogues
    values |= {"version": catalogues.c.version + 1, "updated_s": time.time()}
    connection.execute(
        sa.update(catalogues).where(catalogues.c.id == catalogue_id).values(**values)
    )


def count_active_sessions(connection: sa.Connection, catalogue_id: str) -> int:
    """How many sessions use a catalogue and have not ended."""
    sessions = tables.sessions
    query = sa.select(sa.func.count()).where(
        sessions.c.catalogue_id == catalogue_id, sessions.c.state.in_(ACTIVE_SESSION_STATES)
    )
    return int(connection.execute(query.select_from(sessions)).scalar_one())
