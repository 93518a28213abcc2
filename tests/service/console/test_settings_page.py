"""Keys, webhooks with their deliveries, and health."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

Visit = Callable[..., Visitor]
URL = "https://127.0.0.1:9/hook"  # where nobody listens


def read_secret(visitor: Visitor) -> str:
    """The secret that is shown, after which the dialog is closed."""
    dialog = visitor.page.get_by_role("dialog")
    secret: str = dialog.locator("input.secret").input_value()
    dialog.get_by_role("button", name="I have stored it").click()
    return secret


def test_a_key_is_made_shown_once_and_revoked(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/settings")
    page = visitor.page
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("overlay")
    dialog.get_by_label("Shops").fill("shop-a, shop-b")
    visitor.press("Enter")
    secret = read_secret(visitor)
    headers = {"Authorization": f"Bearer {secret}"}
    catalogues = f"{service.address}/v1/catalogues"
    assert httpx.get(catalogues, headers=headers).status_code == 200
    row = page.locator(".row", has_text="overlay")
    assert "shops shop-a, shop-b" in row.inner_text() and "viewer" in row.inner_text()
    assert secret not in page.content()
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    assert httpx.get(catalogues, headers=headers).status_code == 401
    own = page.locator(".row", has_text="your key")
    assert own.get_by_role("button").count() == 0


def test_a_webhook_is_made_its_deliveries_retried_and_its_secret_replaced(
    visit: Visit, service: ConsoleService
) -> None:
    # The first form is refused.
    visitor = visit("/console/settings", service.make_key("who integrates"), may_fail=True)
    page = visitor.page
    assert page.get_by_role("link", name="API keys").count() == 0
    page.get_by_role("button", name="New webhook").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    dialog.get_by_label("States of sessions").uncheck()
    visitor.press("Enter")
    dialog.get_by_role("alert").filter(has_text="https").wait_for()
    dialog.get_by_label("Address").fill(URL)
    visitor.press("Enter")
    first = read_secret(visitor)
    [webhook] = [one for one in service.get("/v1/webhooks")["items"] if one["url"] == URL]
    assert webhook["types"] == ["sgmn.event/1", "sgmn.review/1"]

    review = {"start": 1.0, "end": 2.0, "product_id": "p1", "verdict": "confirmed"}
    place = f"/v1/sessions/{service.ended}/reviews/hook"
    service.client.put(place, json=review).raise_for_status()
    row = page.locator(f"[data-webhook={webhook['id']}]")
    row.get_by_role("button", name="Deliveries").click()
    row.get_by_text("cannot be reached").first.wait_for()
    with page.expect_response(lambda response: response.url.endswith(":retry")) as retried:
        row.get_by_role("button", name="Send again").first.click()
    assert retried.value.status == 200

    row.get_by_role("button", name="Replace secret").click()
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    page.get_by_role("dialog").locator("input.secret").wait_for()
    assert read_secret(visitor) != first
    row.get_by_text("the old secret also signs until").wait_for()
    row.get_by_role("button", name="Disable").click()
    row.get_by_role("button", name="Enable").wait_for()
    assert service.get(f"/v1/webhooks/{webhook['id']}")["state"] == "disabled"
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    row.wait_for(state="detached")
    assert service.client.get(f"/v1/webhooks/{webhook['id']}").status_code == 404


def test_health_has_checks_and_the_load_of_streams(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/settings", service.make_key("who looks", "viewer"), is_phone=True)
    for name in ("Database", "Data folder"):
        assert "works" in visitor.page.locator("li", has_text=name).inner_text()
    streams = visitor.page.locator("dl div", has_text="Streams with a worker").locator("dd")
    assert int(streams.inner_text()) >= 1
    assert visitor.overflow() <= 0
