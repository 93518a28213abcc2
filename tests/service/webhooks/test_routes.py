"""The routes of webhooks: secrets, shops, versions, refused addresses, deliveries."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.settings import ServiceSettings
from tests.service.conftest import OTHER_SHOP, SHOP, Headers
from tests.service.webhooks.conftest import add_row, add_session

URL = "https://ann:s3cret@127.0.0.1:9/hook?token=t0p"
NEW = {"shop_id": SHOP, "url": URL}


def make(client: TestClient, editor: Headers) -> str:
    """Make a webhook and return its address."""
    made = client.post("/v1/webhooks", json=NEW, headers=editor)
    assert made.status_code == 201, made.text
    return str(made.headers["Location"])


def test_a_webhook_from_its_birth_to_its_end(client: TestClient, editor: Headers) -> None:
    made = client.post("/v1/webhooks", json=NEW, headers=editor)
    webhook = made.json()
    assert webhook.pop("secret").startswith("whsec_")
    assert webhook["url"] == "https://***@127.0.0.1:9/hook?token=***"
    assert webhook["types"] == ["sgmn.event/1", "sgmn.review/1", "sgmn.session/1"]
    place = made.headers["Location"]
    found = client.get(place, headers=editor)
    assert found.json() == webhook and found.headers["ETag"] == '"1"'
    change = {"types": ["sgmn.event/1"], "state": "disabled"}
    matching = editor | {"If-Match": '"1"'}
    changed = client.put(place, json=change, headers=matching)
    assert changed.json() == webhook | change | {"version": 2}
    assert client.put(place, json=change, headers=matching).status_code == 412
    moved = client.put(place, json={"url": "https://127.0.0.1/x"}, headers=editor).json()
    assert (moved["url"], moved["state"]) == ("https://127.0.0.1/x", "active")
    assert client.get("/v1/webhooks", headers=editor).json()["items"] == [moved]
    assert client.delete(place, headers=editor).status_code == 204
    assert client.get(place, headers=editor).status_code == 404


def test_addresses_and_secrets_are_sealed(
    client: TestClient, editor: Headers, context: ServiceContext
) -> None:
    secret = client.post("/v1/webhooks", json=NEW, headers=editor).json()["secret"]
    with context.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            stored = str(connection.execute(sa.select(table)).all())
            assert not [word for word in (secret, "s3cret", "t0p") if word in stored], table.name


def test_another_shop_sees_nothing(
    client: TestClient, editor: Headers, other_editor: Headers, viewer: Headers
) -> None:
    place = make(client, editor)
    unknown = "/v1/webhooks/whk_" + "a" * 26
    assert client.get("/v1/webhooks", headers=other_editor).json()["items"] == []
    retry = "/deliveries/dlv_" + "a" * 26 + ":retry"
    routes = [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", retry)]
    for method, path in routes:
        body = {"types": ["sgmn.event/1"]} if method == "PUT" else None
        answers = [
            client.request(method, address + path, json=body, headers=other_editor)
            for address in (place, unknown)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        first, second = (answer.json() for answer in answers)
        assert first["detail"] == second["detail"]
    assert client.get(place, headers=viewer).status_code == 403
    other = client.post("/v1/webhooks", json=NEW | {"shop_id": OTHER_SHOP}, headers=editor)
    assert other.status_code == 404


def test_a_shop_has_a_limited_number(client: TestClient, editor: Headers) -> None:
    made = [client.post("/v1/webhooks", json=NEW, headers=editor) for _ in range(51)]
    assert [answer.status_code for answer in made] == [*[201] * 50, 409]


class TestPublicOnly:
    """A service with the default policy."""

    @pytest.fixture
    def settings(self, settings: ServiceSettings) -> ServiceSettings:
        return ServiceSettings(data=settings.data, database_url=settings.database_url)

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("https://127.0.0.1/", "is not public"),
            ("https://[::ffff:10.0.0.1]/", "is not public"),
            ("https://2130706433/", "is not public"),
            ("https://169.254.169.254/latest/meta-data", "is not public"),
            ("http://shop.example/", "does not allow"),
            ("file:///etc/passwd", "does not allow"),
            ("https://", "is not a valid address"),
        ],
    )
    def test_private_addresses_are_refused(
        self, client: TestClient, editor: Headers, url: str, message: str
    ) -> None:
        refused = client.post("/v1/webhooks", json=NEW | {"url": url}, headers=editor)
        assert refused.status_code == 422
        assert message in refused.json()["detail"]


def test_deliveries_are_listed_and_sent_again(
    client: TestClient, editor: Headers, context: ServiceContext
) -> None:
    place = make(client, editor)
    session = add_session(context)
    for seq in (1, 2, 3):
        add_row(context, session, seq)
    dead = sa.update(tables.deliveries).where(tables.deliveries.c.seq == 2)
    with context.database.write() as connection:
        connection.execute(dead.values(state="dead", attempts=11, last_status=500))
    first = client.get(f"{place}/deliveries?limit=2", headers=editor).json()
    rest = client.get(
        f"{place}/deliveries", params={"cursor": first["next_cursor"]}, headers=editor
    ).json()
    assert sorted(item["seq"] for item in first["items"] + rest["items"]) == [1, 2, 3]
    [item] = client.get(f"{place}/deliveries?state=dead", headers=editor).json()["items"]
    assert (item["seq"], item["attempts"], item["last_status"]) == (2, 11, 500)
    retry = f"{place}/deliveries/{item['id']}:retry"
    sent = client.post(retry, headers=editor | {"Idempotency-Key": "r"})
    assert (sent.json()["state"], sent.json()["attempts"]) == ("pending", 0)
    assert client.get(f"{place}/deliveries?state=dead", headers=editor).json()["items"] == []
    client.put(place, json={"state": "disabled"}, headers=editor)
    assert client.post(retry, headers=editor).status_code == 409
    missing = f"{place}/deliveries/dlv_{'a' * 26}:retry"
    assert client.post(missing, headers=editor).status_code == 404


def test_changes_are_audited(client: TestClient, editor: Headers, context: ServiceContext) -> None:
    place = make(client, editor)
    client.delete(place, headers=editor)
    query = sa.select(tables.audit).order_by(tables.audit.c.wall_s)
    with context.database.read() as connection:
        rows = connection.execute(query).mappings().all()
    assert [row["action"] for row in rows] == ["webhook.create", "webhook.delete"]
    assert {row["resource"] for row in rows} == {place.rpartition("/")[2]}
    assert all(row["key_id"] and row["request_id"] and row["shop_id"] == SHOP for row in rows)
