"""A database without space: requests that write are refused, and nothing else is lost."""

from __future__ import annotations

from typing import Any

import psycopg.errors
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.problems import _is_full
from tests.service.conftest import SHOP, Headers


@pytest.fixture(scope="module", params=["sqlite"])
def module_database() -> str:
    """SQLite: a server of PostgreSQL cannot be filled here."""
    return ""


def limit_pages(context: ServiceContext, spare: int) -> None:
    """Let the database grow by some pages only, as on a full disk."""
    with context.database.read() as connection:
        count = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + spare

    def limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={count}")

    context.database.engine.dispose()  # connections that are open have no limit
    event.listen(context.database.engine, "connect", limit)


def test_requests_get_507_until_there_is_space(
    client: TestClient, context: ServiceContext, editor: Headers
) -> None:
    limit_pages(context, spare=3)

    def make() -> Any:
        new = {"shop_id": SHOP, "name": "n" * 200}
        return client.post("/v1/catalogues", json=new, headers=editor)

    answers = [make()]
    while answers[-1].status_code == 201 and len(answers) < 500:
        answers.append(make())
    full = answers[-1]
    assert full.status_code == 507 and full.headers["content-type"] == "application/problem+json"
    assert full.json()["detail"] == "The disk of the service is full."
    with context.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        for table in ("catalogues", "audit"):  # what was refused has left nothing
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            assert count == len(answers) - 1 > 0
    limit_pages(context, spare=1000)
    assert make().status_code == 201


@pytest.mark.parametrize(
    ("cause", "is_full"),
    [
        (psycopg.errors.DiskFull("could not extend file: No space left on device"), True),
        (psycopg.OperationalError("the connection is closed"), False),
    ],
)
def test_only_a_database_without_space_is_full(cause: Exception, is_full: bool) -> None:
    error = OperationalError("SELECT :name", {"name": "disk is full"}, cause)
    assert _is_full(error) == is_full
