"""Fixtures of the tests of streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgmn.catalogue.index import Index
from sgmn.model import checkpoint
from tests.service.streams.world import StreamWorld, comparable, make_video


@pytest.fixture(scope="session")
def stream_index(
    tiny: Callable[[], Any], world: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The index of a shop of six products, and beside it the tiny model that built it."""
    folder = tmp_path_factory.mktemp("stream-index")
    checkpoint.save(tiny(), folder / "model")
    index = Index.create(folder / "index", folder / "model")
    index.add(world / "products.jsonl")
    return folder / "index"


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of forty seconds with eight products on sale, one after another."""
    return make_video(tmp_path_factory.mktemp("video") / "stream.mp4", 40)


@pytest.fixture
def streams(tmp_path: Path, stream_index: Path) -> StreamWorld:
    """Sessions of a shop, on a SQLite database."""
    return StreamWorld(tmp_path, stream_index)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of ten minutes, of which there is time to interrupt the recognition."""
    return make_video(tmp_path_factory.mktemp("video") / "long.mp4", 600)


@pytest.fixture(scope="session")
def long_events(
    long_video: Path, stream_index: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, ...]]:
    """The events of the long video without any interruption."""
    streams = StreamWorld(tmp_path_factory.mktemp("uninterrupted"), stream_index)
    session = streams.add(long_video)
    with streams.supervise():
        streams.wait_for_state(session, "ended", "failed")
    return comparable(streams.events(session))
