"""Fixtures of the tests of streams."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sgmn.catalogue.index import Index
from sgmn.model import checkpoint
from sgmn.service.app import create_app
from sgmn.service.components import Component
from sgmn.service.context import ServiceContext
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.service import run_streams
from tests.service.conftest import SHOP, Headers
from tests.service.streams.api import SessionApi, add_catalogue
from tests.service.streams.world import TIMELINE, StreamWorld, comparable, make_video


@pytest.fixture(scope="session")
def stream_index(
    tiny: Callable[[], Any], world: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The index of a shop of six products, and beside it the tiny model that built it."""
    folder = tmp_path_factory.mktemp("stream-index")
    checkpoint.save(replace(tiny(), calibration={"timeline": TIMELINE}), folder / "model")
    index = Index.create(folder / "index", folder / "model")
    index.add(world / "products.jsonl", shop_id=SHOP)
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


@pytest.fixture
def settings(settings: ServiceSettings, tmp_path: Path) -> ServiceSettings:
    """Settings of a service that may stream the files of a folder."""
    (tmp_path / "media").mkdir()
    schemes = (*settings.source_schemes, "http", "file")
    return replace(settings, source_schemes=schemes, media_folder=str(tmp_path / "media"))


@pytest.fixture
def media(tmp_path: Path, settings: ServiceSettings, video: Path) -> Path:
    """The folder of files that may be streamed; it holds stream.mp4."""
    shutil.copy(video, tmp_path / "media" / "stream.mp4")
    return tmp_path / "media"


@pytest.fixture
def api(
    context: ServiceContext, stream_index: Path, media: Path, editor: Headers
) -> Iterator[SessionApi]:
    """Requests of an editor of SHOP to a service that runs sessions."""
    yield from _open_api(context, stream_index, editor, (run_streams,))


@pytest.fixture
def idle_api(
    context: ServiceContext, stream_index: Path, media: Path, editor: Headers
) -> Iterator[SessionApi]:
    """Requests of an editor of SHOP to a service whose sessions stay queued."""
    yield from _open_api(context, stream_index, editor, ())


def _open_api(
    context: ServiceContext, index: Path, headers: Headers, components: tuple[Component, ...]
) -> Iterator[SessionApi]:
    catalogue_id = add_catalogue(context, index)
    app = create_app(context, components=components)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield SessionApi(client, headers, catalogue_id)
