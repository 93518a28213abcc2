"""Fixtures of the tests of streams."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sgmn.service.app import create_app
from sgmn.service.components import Component
from sgmn.service.context import ServiceContext
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.service import run_streams
from tests.service.conftest import Headers
from tests.service.streams.api import SessionApi, add_catalogue
from tests.service.streams.shop import build_index, recognize_events
from tests.service.streams.world import SharedEncoder, StreamWorld, make_video


@pytest.fixture(scope="session")
def stream_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of a shop of six products, and beside it the tiny model that built it."""
    return build_index(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of forty seconds with eight products on sale, one after another."""
    return make_video(tmp_path_factory.mktemp("video") / "stream.mp4", 40)


@pytest.fixture(scope="session")
def encoder() -> Iterator[EncoderProcess]:
    """The encoder process of all tests that need none of their own."""
    encoder = SharedEncoder()
    yield encoder
    encoder.end()


@pytest.fixture
def streams(tmp_path: Path, stream_index: Path, encoder: EncoderProcess) -> StreamWorld:
    """Sessions of a shop, on a SQLite database."""
    return StreamWorld(tmp_path, stream_index, encoder=encoder)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of five minutes, of which there is time to interrupt the recognition."""
    return make_video(tmp_path_factory.mktemp("video") / "long.mp4", 300)


@pytest.fixture(scope="session")
def long_events(
    long_video: Path,
    stream_index: Path,
    encoder: EncoderProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[Any, ...]]:
    """The events of the long video without any interruption."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return recognize_events(folder, stream_index, long_video, encoder)


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
    context: ServiceContext,
    stream_index: Path,
    media: Path,
    editor: Headers,
    encoder: EncoderProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[SessionApi]:
    """Requests of an editor of SHOP to a service that runs sessions, with the shared encoder."""
    monkeypatch.setattr("sgmn.service.streams.service.EncoderProcess", lambda *_: encoder)
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
