"""Login, the menu and the wall of streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

Visit = Callable[..., Visitor]


def test_a_key_opens_the_wall_with_its_streams(browser: Any, service: ConsoleService) -> None:
    visitor = Visitor(browser, service, may_fail=True)
    page = visitor.page
    page.goto(service.address)
    page.get_by_label("API key").fill("sgmn_wrong")
    page.keyboard.press("Enter")
    page.get_by_text("This key is unknown or revoked.").wait_for()
    page.get_by_label("API key").fill(service.process.admin_key)
    page.keyboard.press("Enter")
    tile = page.locator(".tile", has_text="running.mp4")
    tile.locator("confidence-bar").wait_for()
    assert page.url.endswith("/console/live") and page.title() == "Live · sgmn"
    visitor.wait("() => document.querySelector('.tile .frame').naturalWidth > 0")
    page.get_by_label("Log out").click()
    page.get_by_label("API key").wait_for()
    assert not visitor.close()
