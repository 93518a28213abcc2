"""Somebody who uses the console in a browser of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.service.console.shop import ConsoleService

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
TIMEOUT_MS = 30_000
_MEDIA = ("Image", "Media")
# The browser reports each request that fails; a test that breaks the network expects them.
_NETWORK = re.compile(r"Failed to load resource|net::ERR_")


class Visitor:
    """A page with cookies of its own.

    Args:
        browser: Playwright's browser.
        service: The service.
        is_phone: Whether the window has the width of a phone.
        may_fail: Whether requests may fail; other errors never may.
        options: Of the browser's context.
    """

    def __init__(
        self,
        browser: Any,
        service: ConsoleService,
        is_phone: bool = False,
        may_fail: bool = False,
        **options: Any,
    ) -> None:
        viewport = PHONE if is_phone else DESKTOP
        self.service, self._may_fail = service, may_fail
        self.context = browser.new_context(viewport=viewport, locale="en-GB", **options)
        self.context.set_default_timeout(TIMEOUT_MS)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(f"page: {error}"))

    def log_in(self, key: str) -> None:
        """Log in without the form, as a browser that comes back."""
        headers = {"Origin": self.service.address}
        address = f"{self.service.address}/console/login"
        response = self.context.request.post(address, data={"key": key}, headers=headers)
        assert response.ok, response.text()

    def open(self, path: str) -> None:
        """Open a page and wait until it is shown."""
        self.page.goto(f"{self.service.address}{path}", wait_until="domcontentloaded")
        self.page.locator("main h1").first.wait_for()

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector: str) -> str:
        """The text of an element."""
        return str(self.page.locator(selector).inner_text())

    def wait(self, script: str, argument: Any = None) -> None:
        """Wait until an expression of the page is true."""
        self.page.wait_for_function(script, arg=argument)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element has a text in it."""
        script = "([s, t]) => document.querySelector(s)?.textContent.includes(t)"
        self.wait(script, [selector, text])

    def count_bytes(self) -> Callable[[], int]:
        """From now on, count the bytes of what is loaded, pictures and videos left out.

        Nothing comes from the cache. Returns what returns the number so far.
        """
        client = self.context.new_cdp_session(self.page)
        client.send("Network.enable")
        client.send("Network.setCacheDisabled", {"cacheDisabled": True})
        kinds: dict[str, str] = {}
        sizes: dict[str, int] = {}

        def note_kind(event: dict[str, Any]) -> None:
            kinds[event["requestId"]] = event["type"]

        def note_size(event: dict[str, Any]) -> None:
            sizes[event["requestId"]] = event["encodedDataLength"]

        client.on("Network.responseReceived", note_kind)
        client.on("Network.loadingFinished", note_size)
        return lambda: sum(size for key, size in sizes.items() if kinds.get(key) not in _MEDIA)

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def close(self) -> list[str]:
        """Close the window; return what it has reported."""
        self.context.close()
        return self.errors

    def _note(self, message: Any) -> None:
        is_expected = self._may_fail and _NETWORK.search(message.text)
        if message.type in ("error", "warning") and not is_expected:
            self.errors.append(f"{message.type}: {message.text}")
