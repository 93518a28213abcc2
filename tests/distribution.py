"""The order of the tests: `pytest -n 2 --dist loadfile --no-loadscope-reorder`.

The folders that take long come first, so that no process is left alone with them at the end.
"""

from __future__ import annotations

import pytest

LONG = ("tests/service/console/", "tests/service/streams/", "tests/speech/", "tests/workflows/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders that take long first; nothing else changes its place."""
    places = {folder: place for place, folder in enumerate(LONG)}
    items.sort(key=lambda item: next((places[f] for f in LONG if item.nodeid.startswith(f)), 9))
