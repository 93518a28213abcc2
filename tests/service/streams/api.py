"""A shop in the service: its catalogue with an index on disk, and requests about sessions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.service.catalogues import change_catalogue, index_location, insert_catalogue
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from tests.service.conftest import SHOP, Headers
from tests.service.process import wait_for

TERMINAL = ("ended", "failed")


def add_catalogue(context: ServiceContext, index: Path, shop_id: str = SHOP) -> str:
    """Add a catalogue whose index is a copy of another; return its id."""
    with context.database.write() as connection:
        catalogue_id: str = insert_catalogue(connection, shop_id, "test")["id"]
        change_catalogue(connection, catalogue_id, product_count=6, index_version=2)
    shutil.copytree(index, index_location(context.settings, catalogue_id))
    return catalogue_id


class SessionApi:
    """Requests of one key about the sessions of a catalogue."""

    def __init__(self, client: TestClient, headers: Headers, catalogue_id: str) -> None:
        self.client, self.headers, self.catalogue_id = client, headers, catalogue_id

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The response to a request to /v1/sessions and a path."""
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.request(method, f"/v1/sessions{path}", headers=headers, **options)

    def get(self, path: str, **query: Any) -> Any:
        """The document at a path."""
        response = self.request("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def start(self, source: str, **options: Any) -> str:
        """Start a session and return its id."""
        body = {"catalogue_id": self.catalogue_id, "source": source, **options}
        response = self.request("POST", "", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def wait_for_end(self, session: str) -> dict[str, Any]:
        """Wait until a session has ended, and return it."""
        found: dict[str, Any] = wait_for(
            lambda: one if (one := self.get(f"/{session}"))["state"] in TERMINAL else None,
            "the end",
        )
        return found

    def log(self, session: str) -> list[dict[str, Any]]:
        """The whole log of a session."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/{session}/log", after=len(rows), limit=50)["rows"]
            if not page:
                return rows
            rows += page


def count_rows(context: ServiceContext, table: sa.Table) -> int:
    """The number of rows of a table."""
    with context.database.read() as connection:
        query = sa.select(sa.func.count()).select_from(table)
        return int(connection.execute(query).scalar_one())


SESSION_TABLES = (tables.sessions, tables.log, tables.reviews)
