from __future__ import annotations

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.service.app import ensure_admin_key
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from tests.service.conftest import SHOP, Headers, MakeKey

NEW = {"name": "overlay", "role": "viewer", "shops": [SHOP]}


def as_bearer(secret: str) -> Headers:
    return {"Authorization": f"Bearer {secret}"}


def test_the_first_key_is_made_once(context: ServiceContext, client: TestClient) -> None:
    secret = ensure_admin_key(context)
    assert secret is not None
    assert ensure_admin_key(context) is None
    [key] = client.get("/v1/keys", headers=as_bearer(secret)).json()["items"]
    assert (key["role"], key["shops"]) == ("admin", None)


def test_a_new_key_works_until_it_is_revoked(client: TestClient, admin: Headers) -> None:
    made = client.post("/v1/keys", json=NEW, headers=admin)
    assert made.status_code == 201
    key = made.json()
    assert client.get(made.headers["Location"], headers=admin).json() == {
        name: key[name] for name in key if name != "secret"
    }
    mine = as_bearer(key["secret"])
    assert client.get("/v1/catalogues", headers=mine).status_code == 200
    assert client.delete(f"/v1/keys/{key['id']}", headers=admin).status_code == 204
    assert client.get("/v1/catalogues", headers=mine).status_code == 401
    assert client.get(f"/v1/keys/{key['id']}", headers=admin).status_code == 404


def test_secrets_are_not_in_the_database(
    client: TestClient, admin: Headers, context: ServiceContext
) -> None:
    headers = admin | {"Idempotency-Key": "k1"}
    secret = client.post("/v1/keys", json=NEW, headers=headers).json()["secret"]
    with context.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            stored = [str(row) for row in connection.execute(sa.select(table))]
            assert not any(secret in row for row in stored), table.name
    assert client.post("/v1/keys", json=NEW, headers=headers).json()["secret"] == secret


@pytest.mark.parametrize("headers", [{}, as_bearer("sgmn_wrong"), {"Authorization": "Basic eA=="}])
def test_without_a_valid_key_there_is_no_answer(client: TestClient, headers: Headers) -> None:
    answer = client.get("/v1/catalogues", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_only_an_admin_manages_keys(client: TestClient, editor: Headers, viewer: Headers) -> None:
    for headers in (editor, viewer):
        assert client.get("/v1/keys", headers=headers).status_code == 403
        assert client.post("/v1/keys", json=NEW, headers=headers).status_code == 403


def test_an_admin_of_one_shop_is_refused(client: TestClient, admin: Headers) -> None:
    answer = client.post("/v1/keys", json={**NEW, "role": "admin"}, headers=admin)
    assert answer.status_code == 422
    assert "an admin's key is for all shops" in answer.json()["errors"][0]["message"]


def test_a_key_does_not_revoke_itself(
    client: TestClient, admin: Headers, make_key: MakeKey
) -> None:
    [key] = client.get("/v1/keys", headers=admin).json()["items"]
    place = f"/v1/keys/{key['id']}"
    assert client.delete(place, headers=admin).status_code == 409
    other = make_key("admin")
    assert client.delete(place, headers=other).status_code == 204


def test_keys_come_in_pages(client: TestClient, admin: Headers, make_key: MakeKey) -> None:
    for _ in range(4):
        make_key("viewer", [SHOP])
    everything = client.get("/v1/keys", headers=admin).json()["items"]
    paged: list[object] = []
    cursor = None
    while cursor is not None or not paged:
        query = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = client.get("/v1/keys", params=query, headers=admin).json()
        assert len(page["items"]) <= 2
        paged += page["items"]
        cursor = page["next_cursor"]
    assert len(everything) == 5
    assert paged == everything


def test_changes_are_in_the_audit_log(
    client: TestClient, admin: Headers, context: ServiceContext
) -> None:
    headers = admin | {"X-Request-Id": "r7"}
    key = client.post("/v1/keys", json=NEW, headers=headers).json()
    client.delete(f"/v1/keys/{key['id']}", headers=admin)
    columns = tables.audit.c
    query = sa.select(columns.action, columns.resource, columns.request_id)
    with context.database.read() as connection:
        rows = connection.execute(query.order_by(columns.wall_s)).all()
    assert [tuple(row)[:2] for row in rows] == [
        ("key.create", key["id"]),
        ("key.revoke", key["id"]),
    ]
    assert rows[0].request_id == "r7"
