from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext


def test_a_started_service_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok", "data": "ok"}}


def test_a_database_without_its_tables_is_not_ready(
    client: TestClient, context: ServiceContext
) -> None:
    with context.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'older'"))
    answer = client.get("/readyz")
    with context.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "has tables of version older"


def test_a_request_keeps_its_id_and_gets_one_if_it_has_none(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "a.b-1"}).headers["X-Request-Id"] == (
        "a.b-1"
    )
    assert client.get("/healthz").headers["X-Request-Id"].startswith("req_")
    hostile = client.get("/healthz", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"]
    assert hostile.startswith("req_")


def test_an_unknown_address_is_a_problem_document(client: TestClient, tmp_path: Path) -> None:
    answer = client.get("/v1/nothing", headers={"X-Request-Id": "r1"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "errors": [],
        "request_id": "r1",
    }
