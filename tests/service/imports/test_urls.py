"""Imports of catalogues at an address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from sgmn.service.database import tables
from tests.catalogue.fetch.image_server import ImageServer, run_server
from tests.service.imports.shop import Shop


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with run_server() as server:
        yield server


def test_an_address_is_imported_with_its_images(shop: Shop, server: ImageServer) -> None:
    rows = "id,title,image_link\na,red milk,/image/a\nb,green milk,/missing/b\n"
    server.content["/feed.csv?token=secret"] = rows.encode()
    operation = shop.finish(shop.import_url(f"{server.address}/feed.csv?token=secret"))
    assert operation["state"] == "succeeded", operation
    assert operation["result"]["added"] == 2
    [row] = operation["rows"]
    assert (row["level"], "answers with status 404" in row["message"]) == ("warning", True)
    assert shop.get("/products/a")["image_count"] == 1


def test_the_address_is_not_stored_in_clear(shop: Shop, server: ImageServer) -> None:
    shop.import_url(f"{server.address}/feed.csv?token=a-secret-token")
    with shop.context.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            stored = [str(row) for row in connection.execute(sa.select(table))]
            assert not any("a-secret-token" in row for row in stored), table.name


def test_private_addresses_are_refused_unless_allowed(shop: Shop, server: ImageServer) -> None:
    shop.context.settings = replace(shop.context.settings, allow_private_addresses=False)
    operation = shop.finish(shop.import_url(f"{server.address}/feed.csv"))
    assert operation["state"] == "failed"
    assert "leads to an address that is not public" in operation["problem"]["detail"]
    assert not server.requests


def test_local_paths_in_a_feed_from_the_network_are_addresses(
    shop: Shop, server: ImageServer
) -> None:
    server.content["/feed.csv"] = b"id,title,image_link\na,red milk,file:///etc/passwd\n"
    operation = shop.finish(shop.import_url(f"{server.address}/feed.csv"))
    assert shop.get("/products/a")["image_count"] == 0
    assert "neither an http nor" in operation["rows"][0]["message"]
