from __future__ import annotations

import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from tests.service.conftest import OTHER_SHOP, SHOP, Headers
from tests.service.rows import insert_row

NEW = {"shop_id": SHOP, "name": "spring"}


def test_a_catalogue_is_made_changed_and_deleted(client: TestClient, editor: Headers) -> None:
    made = client.post("/v1/catalogues", json=NEW, headers=editor)
    assert made.status_code == 201
    place = made.headers["Location"]
    assert made.json()["product_count"] == 0
    assert client.get(place, headers=editor).json() == made.json()
    changed = client.put(place, json={"name": "summer"}, headers=editor).json()
    assert (changed["name"], changed["version"]) == ("summer", 2)
    assert client.delete(place, headers=editor).status_code == 204
    assert client.get(place, headers=editor).status_code == 404
    assert client.get("/v1/catalogues", headers=editor).json()["items"] == []


def test_a_change_of_an_older_version_is_refused(client: TestClient, editor: Headers) -> None:
    made = client.post("/v1/catalogues", json=NEW, headers=editor)
    place, tag = made.headers["Location"], made.headers["ETag"]
    match = editor | {"If-Match": tag}
    assert client.put(place, json={"name": "b"}, headers=match).status_code == 200
    late = client.put(place, json={"name": "c"}, headers=match)
    assert late.status_code == 412
    assert late.headers["ETag"] == '"2"'
    assert client.delete(place, headers=match).status_code == 412
    assert client.get(place, headers=editor).json()["name"] == "b"


def test_a_viewer_reads_only(client: TestClient, editor: Headers, viewer: Headers) -> None:
    place = client.post("/v1/catalogues", json=NEW, headers=editor).headers["Location"]
    assert client.get(place, headers=viewer).status_code == 200
    assert client.post("/v1/catalogues", json=NEW, headers=viewer).status_code == 403
    assert client.put(place, json={"name": "x"}, headers=viewer).status_code == 403
    assert client.delete(place, headers=viewer).status_code == 403


def test_another_shop_sees_nothing(
    client: TestClient, editor: Headers, other_editor: Headers
) -> None:
    place = client.post("/v1/catalogues", json=NEW, headers=editor).headers["Location"]
    unknown = client.get(place[:-26] + "a" * 26, headers=other_editor | {"X-Request-Id": "r"})
    assert unknown.status_code == 404
    hidden = client.get(place, headers=other_editor | {"X-Request-Id": "r"})
    assert (hidden.status_code, hidden.json()) == (404, unknown.json())
    assert client.get("/v1/catalogues", headers=other_editor).json()["items"] == []
    own = NEW | {"shop_id": OTHER_SHOP}
    assert client.post("/v1/catalogues", json=own, headers=editor).status_code == 404
    listed = client.get("/v1/catalogues", params={"shop_id": SHOP}, headers=other_editor)
    assert listed.json()["items"] == []


def test_a_repeated_request_makes_one_catalogue(client: TestClient, editor: Headers) -> None:
    headers = editor | {"Idempotency-Key": "once"}
    first = client.post("/v1/catalogues", json=NEW, headers=headers)
    again = client.post("/v1/catalogues", json=NEW, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/v1/catalogues", headers=editor).json()["items"]) == 1
    other = client.post("/v1/catalogues", json=NEW | {"name": "other"}, headers=headers)
    assert other.status_code == 409


def test_a_failed_request_may_be_repeated_with_its_key(client: TestClient, editor: Headers) -> None:
    headers = editor | {"Idempotency-Key": "k"}
    refused = client.post("/v1/catalogues", json=NEW | {"shop_id": OTHER_SHOP}, headers=headers)
    assert refused.status_code == 404
    assert client.post("/v1/catalogues", json=NEW, headers=headers).status_code == 201


def test_a_request_that_still_runs_is_a_conflict(
    client: TestClient, editor: Headers, context: ServiceContext
) -> None:
    headers = editor | {"Idempotency-Key": "k"}
    client.post("/v1/catalogues", json=NEW, headers=headers)
    table = tables.idempotency
    with context.database.write() as connection:
        connection.execute(sa.update(table).values(status=None))
    conflict = client.post("/v1/catalogues", json=NEW, headers=headers)
    assert conflict.status_code == 409 and int(conflict.headers["Retry-After"]) > 0
    with context.database.write() as connection:  # as if a crash had interrupted it
        connection.execute(sa.update(table).values(created_s=table.c.created_s - 3600))
    assert client.post("/v1/catalogues", json=NEW, headers=headers).status_code == 201


def test_a_catalogue_in_use_is_not_deleted(
    client: TestClient, editor: Headers, context: ServiceContext
) -> None:
    made = client.post("/v1/catalogues", json=NEW, headers=editor)
    session = {"id": "ses_x", "shop_id": SHOP, "catalogue_id": made.json()["id"]}
    insert_row(context.database, tables.sessions, **session, state="running")
    assert client.delete(made.headers["Location"], headers=editor).status_code == 409
    with context.database.write() as connection:
        connection.execute(sa.update(tables.sessions).values(state="ended"))
    assert client.delete(made.headers["Location"], headers=editor).status_code == 204


def test_invalid_cursors_are_refused(client: TestClient, editor: Headers) -> None:
    for cursor in ("x", "WzFd", "W10", "e30", "WyJhXHUwMDAwIl0"):
        answer = client.get("/v1/catalogues", params={"cursor": cursor}, headers=editor)
        assert answer.status_code == 400, cursor


def test_names_that_a_database_cannot_hold_are_refused(client: TestClient, editor: Headers) -> None:
    for name in (r"\u0000", r"\ud800", ""):
        body = f'{{"shop_id": "{SHOP}", "name": "{name}"}}'
        headers = editor | {"Content-Type": "application/json"}
        answer = client.post("/v1/catalogues", content=body, headers=headers)
        assert answer.status_code == 422, name
        assert answer.json()["errors"][0]["where"] == "body.name"
