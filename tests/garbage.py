"""Keeps the garbage collector from walking again and again through what the test session holds.

A process that has imported PyTorch and collected all tests holds millions of objects that live as
long as it does. Each full collection would visit all of them, and the readers of live streams ask
for one whenever they connect.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

YOUNG_OBJECTS = 20_000  # allocations until the next collection; the default is 700


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while modules are imported, and exempt what is there afterwards."""
    gc.disable()
    result = yield
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
    return result
