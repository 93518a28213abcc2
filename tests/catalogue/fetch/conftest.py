"""A loopback server that counts as public, and options with short limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sgmn.catalogue.fetch.options import FetchOptions
from tests.catalogue.fetch.image_server import ImageServer, make_options, run_server, trust_server


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with run_server() as server, trust_server():
        yield server


@pytest.fixture
def options(tmp_path: Path) -> FetchOptions:
    return make_options(tmp_path / "cache")
