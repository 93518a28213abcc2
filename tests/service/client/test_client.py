"""The clients against a real service."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import httpx
import pytest

from sgmn.client import ApiError, AsyncClient, Client, UnreachableError
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.operations.supervisor import run_operations
from tests.service.client.conftest import RunService
from tests.service.conftest import OTHER_SHOP, SHOP
from tests.service.rows import insert_row


def test_both_clients_have_the_same_methods() -> None:
    methods = {
        name: f for name, f in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"
    }
    assert len(methods) > 35
    for name, method in methods.items():
        other = getattr(AsyncClient, name)
        assert inspect.signature(method).parameters == inspect.signature(other).parameters, name
        assert method.__doc__ == other.__doc__


def test_keys_and_catalogues(sgmn: Client, service: str) -> None:
    key = sgmn.make_key("overlay", "viewer", [SHOP])
    assert key.secret is not None
    made = [sgmn.make_catalogue(SHOP, f"catalogue {number}") for number in range(60)]
    sgmn.make_catalogue(OTHER_SHOP, "other")
    with Client(service, key.secret) as viewer:
        assert list(viewer.list_catalogues()) == made  # two pages
        assert viewer.get_catalogue(made[0].id) == made[0]
        with pytest.raises(ApiError, match="403 The key has the role viewer"):
            viewer.make_catalogue(SHOP, "no")
    sgmn.delete_catalogue(made[0].id, if_version=made[0].version)
    assert len(list(sgmn.list_catalogues(SHOP))) == 59
    sgmn.revoke_key(key.id)
    assert [one.secret for one in sgmn.list_keys()] == [None]


def test_an_error_names_its_request_and_values(sgmn: Client) -> None:
    with pytest.raises(ApiError) as error:
        sgmn.get_catalogue("cat_" + "a" * 26)
    assert error.value.status == 404 and error.value.request_id.startswith("req_")
    assert "GET /v1/catalogues/cat_" in str(error.value)
    with pytest.raises(ApiError, match=r"422 .*body\.name") as error:
        sgmn.make_catalogue(SHOP, "")
    assert [where for where, _ in error.value.errors] == ["body.name"]


def test_webhooks_and_deliveries(sgmn: Client, context: ServiceContext) -> None:
    webhook = sgmn.make_webhook(SHOP, "https://127.0.0.1/hook", ["sgmn.event/1"])
    assert webhook.secret is not None and webhook.secret.startswith("whsec_")
    rotated = sgmn.rotate_secret(webhook.id)
    assert rotated.secret not in (None, webhook.secret) and rotated.previous_secret_until_s
    row = {"id": "dlv_" + "a" * 26, "webhook_id": webhook.id, "state": "dead"}
    insert_row(context.database, tables.deliveries, **row)
    [dead] = sgmn.list_deliveries(webhook.id, state="dead")
    assert sgmn.retry_delivery(webhook.id, dead.id).state == "pending"
    disabled = sgmn.change_webhook(webhook.id, if_version=2, state="disabled")
    assert disabled.state == "disabled" and sgmn.get_webhook(webhook.id) == disabled
    with pytest.raises(ApiError, match="412"):
        sgmn.change_webhook(webhook.id, if_version=1, state="active")
    sgmn.delete_webhook(webhook.id)
    assert list(sgmn.list_webhooks()) == []


@pytest.mark.slow
def test_a_catalogue_from_its_file_to_a_search(
    run_service: RunService, secret: str, tmp_path: Path
) -> None:
    feed = tmp_path / "products.csv"
    feed.write_text("id,title\nmug-1,Red mug\nmug-2,Blue mug\n,No id\n")
    with run_service(components=(run_operations,)) as address:
        with Client(address, secret) as client:
            catalogue = client.make_catalogue(SHOP, "mugs")
            operation = client.import_file(catalogue.id, feed)
            operation = client.wait_for_operation(operation.id, timeout_s=100)
            assert operation.state == "succeeded", operation.problem
            [rejected] = client.list_operation_rows(operation.id)
            assert rejected.location.startswith("products.csv:4")
            assert {p.product_id for p in client.list_products(catalogue.id)} == {"mug-1", "mug-2"}
            assert client.get_product(catalogue.id, "mug-1").title == "Red mug"
            hits = client.search(catalogue.id, "red mug", limit=1)
            assert len(hits) == 1 and hits[0].product.product_id.startswith("mug-")
            client.delete_product(catalogue.id, "mug-2")
            assert client.get_catalogue(catalogue.id).product_count == 1

        async def import_again() -> str:
            async with AsyncClient(address, secret) as client:
                operation = await client.import_file(catalogue.id, feed)
                return (await client.wait_for_operation(operation.id, timeout_s=100)).state

        assert asyncio.run(import_again()) == "succeeded"


class Flaky(httpx.BaseTransport):
    """Loses the answers of the first requests; the service has got them."""

    def __init__(self, failures: list[int]) -> None:
        self.inner, self.failures, self.keys = httpx.HTTPTransport(), failures, list[str | None]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("Idempotency-Key"))
        response = self.inner.handle_request(request)
        if not self.failures:
            return response
        response.close()
        if status := self.failures.pop(0):
            return httpx.Response(status, headers={"Retry-After": "0"}, request=request)
        raise httpx.ReadError("lost", request=request)


def test_a_lost_answer_makes_nothing_twice(service: str, secret: str) -> None:
    transport = Flaky([0, 503, 409])
    with Client(service, secret, transport=transport) as client:
        made = client.make_catalogue(SHOP, "once")
        assert list(client.list_catalogues()) == [made]
    assert len(transport.keys) == 5 and len(set(transport.keys[:4])) == 1
    with Client(service, secret, transport=Flaky([500])) as client, pytest.raises(ApiError):
        client.get_catalogue(made.id)  # a bug of the service is not tried again


def test_a_service_that_is_not_there(service: str) -> None:
    transport = httpx.MockTransport(lambda _: (_ for _ in ()).throw(httpx.ConnectError("refused")))
    with (
        Client("http://127.0.0.1:1", "x", transport=transport) as client,
        pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: does not answer \(refused\)"),
    ):
        client.make_catalogue(SHOP, "x")
