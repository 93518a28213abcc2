"""Nothing of a shop is visible to a key of another one, on any route of the API."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.routes import ROUTERS
from sgmn.service.streams.service import streams_of
from tests.service.conftest import OTHER_SHOP, SHOP, Headers, MakeKey
from tests.service.imports.shop import Shop
from tests.service.isolation.world import MARK, PAGES, ROUTES, Target, build_target

NOTED_ELSEWHERE = {"keys", "audit", "idempotency", "instance"}  # changed by requests that fail too


@pytest.fixture
def target(client: TestClient, context: ServiceContext, editor: Headers) -> Target:
    return build_target(Shop(client, context, editor))


def all_routes() -> set[str]:
    """Each route of the service, such as `GET /v1/keys`, whether the document has it or not."""
    routes = [route for router in ROUTERS for route in router.routes]
    found = [route for route in routes if isinstance(route, APIRoute)]
    assert len(found) == len(routes)  # nothing is mounted
    return {f"{method} {route.path_format}" for route in found for method in route.methods or ()}


def of_kind(*kinds: str) -> list[str]:
    return [route for route, (kind, _) in ROUTES.items() if kind in kinds]


def snapshot(context: ServiceContext) -> dict[str, list[str]]:
    """Everything that the database says about shops."""
    with context.database.read() as connection:
        return {
            table.name: sorted(map(str, connection.execute(table.select()).all()))
            for table in tables.metadata.sorted_tables
            if table.name not in NOTED_ELSEWHERE
        }


def test_every_route_is_in_the_matrix() -> None:
    assert all_routes() == set(ROUTES) | PAGES


def test_another_shop_gets_the_answer_of_unknown_ids(
    client: TestClient, context: ServiceContext, target: Target, make_key: MakeKey
) -> None:
    before = snapshot(context)
    for role in ("viewer", "editor"):
        headers = make_key(role, [OTHER_SHOP]) | {"X-Request-Id": "same"}
        for route in of_kind("resource", "create"):
            hidden = target.request(client, route, headers)
            unknown = target.unknown().request(client, route, headers)
            assert hidden.status_code in (403, 404), (route, hidden.text)
            assert (hidden.status_code, hidden.text) == (unknown.status_code, unknown.text), route
            assert dict(hidden.headers) == dict(unknown.headers), route
    assert snapshot(context) == before


def test_lists_of_another_shop_are_empty(
    client: TestClient, target: Target, editor: Headers, other_editor: Headers
) -> None:
    for route in of_kind("list"):
        own = target.request(client, route, editor)
        other = target.request(client, route, other_editor)
        assert own.json()["items"] and other.json()["items"] == [], route
        filtered = client.get(route.split()[1], params={"shop_id": SHOP}, headers=other_editor)
        assert filtered.json()["items"] == [], route


def test_without_a_key_nothing_is_answered(client: TestClient, target: Target) -> None:
    for route in ROUTES:
        answer = target.request(client, route, {})
        assert answer.status_code == (200 if ROUTES[route][0] == "public" else 401), route
        assert MARK not in answer.text and SHOP not in answer.text, route


def test_each_role_may_do_what_the_matrix_says(
    client: TestClient, target: Target, viewer: Headers, editor: Headers
) -> None:
    for route, (_, role) in ROUTES.items():
        if role in ("editor", "admin"):
            assert target.request(client, route, viewer).status_code == 403, route
        if role == "admin":
            assert target.request(client, route, editor).status_code == 403, route


def test_the_shop_itself_gets_answers(
    client: TestClient, context: ServiceContext, target: Target, make_key: MakeKey
) -> None:
    """The requests above are valid: with a key of the shop they find what they name."""
    streams_of(context).hub.is_closing = True  # or the stream of events would not end
    order = ["GET", "PUT", "POST", "DELETE"]
    routes = of_kind("list", "resource")
    keys = {"admin": make_key("admin")}
    keys |= {role: make_key(role, [SHOP]) for role in ("viewer", "editor")}
    for route in sorted(routes, key=lambda r: (order.index(r.split()[0]), -len(r))):
        answer = target.request(client, route, keys[ROUTES[route][1]])
        assert answer.status_code < 400 or answer.status_code in (409, 503), (route, answer.text)


def test_a_delivery_is_not_found_under_a_webhook_of_another_shop(
    client: TestClient, target: Target, other_editor: Headers
) -> None:
    body = {"shop_id": OTHER_SHOP, "url": "https://127.0.0.1/hook"}
    own = client.post("/v1/webhooks", json=body, headers=other_editor)
    assert own.status_code == 201, own.text
    mixed = Target(target.ids | {"webhook_id": own.json()["id"]}, OTHER_SHOP)
    route = "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}:retry"
    assert mixed.request(client, route, other_editor).status_code == 404
