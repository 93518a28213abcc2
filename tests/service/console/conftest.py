"""A real browser on a real service; skipped where there is no Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.service.console.browser import MISSING, find_chromium, open_browser
from tests.service.console.shop import ConsoleService, run_console
from tests.service.console.visitor import Visitor

REQUIRED = "SGMN_REQUIRE_BROWSER"  # set where a missing browser is an error


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    if (path := find_chromium()) is None:
        if os.environ.get(REQUIRED):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


@pytest.fixture(scope="session")
def console_service(
    chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleService]:
    """The service of all tests."""
    with run_console(tmp_path_factory.mktemp("console")) as service:
        yield service


# Playwright occupies the event loop of its thread, so it ends before the tests of other packages.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Any]:
    """A browser."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def service(console_service: ConsoleService) -> Iterator[ConsoleService]:
    """The service, which forgets all reviews after each test."""
    yield console_service
    console_service.forget_reviews()


@pytest.fixture
def visit(browser: Any, service: ConsoleService) -> Iterator[Callable[..., Visitor]]:
    """Opens a page of the console, logged in; after the test no page may have reported an error."""
    visitors: list[Visitor] = []

    def open_page(path: str, key: str = "", **options: Any) -> Visitor:
        visitor = Visitor(browser, service, **options)
        visitors.append(visitor)
        visitor.log_in(key or service.process.admin_key)
        visitor.open(path)
        return visitor

    yield open_page
    errors = [error for visitor in visitors for error in visitor.close()]
    assert not errors, errors
