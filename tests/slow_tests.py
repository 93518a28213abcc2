"""Slow tests run without coverage measurement, which would make them half again as slow.

Most of what they execute is in other processes, or is covered by faster tests anyway.
"""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Pause pytest-cov while a slow test runs."""
    if item.get_closest_marker("slow") is not None:
        item.add_marker("no_cover")
