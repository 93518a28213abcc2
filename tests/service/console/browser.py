"""Chromium, for tests and tools."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MISSING = "no Chromium is installed (Debian: apt-get install chromium)"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage")


def find_chromium() -> str | None:
    """The path of Chromium, or None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def open_browser() -> Iterator[Any]:
    """Playwright's browser, which is closed at the end.

    Raises:
        SystemExit: No Chromium is installed.
    """
    from playwright.sync_api import sync_playwright

    if (path := find_chromium()) is None:
        raise SystemExit(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()
