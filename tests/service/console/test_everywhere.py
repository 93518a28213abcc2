"""What holds on every page of streams: phones, slow networks, accessibility, weight."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

Visit = Callable[..., Visitor]
MAX_BYTES = 150_000  # of a page without pictures
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def paths(service: ConsoleService) -> list[str]:
    session = f"/console/sessions/{service.ended}"
    live = ["/console/live", f"/console/live/{service.running}", "/console/review"]
    return [*live, session, f"{session}/why/12.0"]


def settle(visitor: Visitor) -> None:
    """Wait until the page shows what it has loaded."""
    visitor.page.locator("main .card:visible, main .tile").first.wait_for()
    visitor.page.wait_for_timeout(300)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_a_phone_and_have_no_axe_findings(
    visit: Visit, service: ConsoleService, theme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": {"type": "tag", "values": RULES}}
    is_phone = theme == "dark"
    visitor = visit("/console/live", is_phone=is_phone, may_fail=True, color_scheme=theme)
    for path in paths(service):
        visitor.open(path)
        settle(visitor)
        assert visitor.overflow() == 0, path
        found = Axe().run(visitor.page, options=options).response["violations"]
        assert not found, (path, [(one["id"], one["nodes"][0]["html"]) for one in found])


def test_the_page_is_light(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/live")
    count_bytes = visitor.count_bytes()
    visitor.open(f"/console/sessions/{service.ended}")
    settle(visitor)
    assert 10_000 < count_bytes() < MAX_BYTES


def test_a_slow_network_shows_the_newest_picture(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/live")
    client = visitor.context.new_cdp_session(visitor.page)
    slow = {"offline": False, "latency": 400, "downloadThroughput": 40_000}
    client.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 20_000})
    visitor.open(f"/console/live/{service.running}")
    visitor.wait("() => document.querySelector('.frame-view img')?.naturalWidth > 0")
    visitor.wait("() => document.querySelector('.page').dataset.window")
    newest = service.get(f"/v1/sessions/{service.running}/now")["now"]["frame_s"]
    script = "(s) => document.querySelector('.frame-view').dataset.time >= s"
    visitor.wait(script, newest)
    visitor.press("Enter")
    visitor.wait("() => document.querySelector('.saving').dataset.saving === 'saved'")
    assert len(service.reviews(service.running)) == 1
