"""A stream on a public server, and a server of the private network that nobody may reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.service.outbound.network import (
    PRIVATE,
    PUBLIC,
    Resolver,
    WebServer,
    make_certificate,
    run_resolver,
    run_web,
)

SEGMENTS = 3


@pytest.fixture(scope="session")
def hls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HLS stream of three segments: `a.m3u8` and `a0.ts` to `a2.ts`."""
    folder = tmp_path_factory.mktemp("hls")
    options = {"hls_time": "1", "hls_list_size": "0"}
    with av.open(str(folder / "a.m3u8"), "w", format="hls", options=options) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"g": "10", "preset": "ultrafast"}
        for number in range(10 * SEGMENTS):
            rgb = np.full((48, 64, 3), 8 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode(None))
    return folder


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of shop.example and cdn.example."""
    folder = tmp_path_factory.mktemp("certificate")
    return make_certificate(folder, "shop.example", "cdn.example")


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    with run_resolver() as resolver:
        yield resolver


@pytest.fixture
def web(resolver: Resolver, hls_folder: Path) -> Iterator[WebServer]:
    """The public server, with the HLS stream."""
    with run_web(PUBLIC) as server:
        server.add_folder(hls_folder)
        yield server


@pytest.fixture
def inside(resolver: Resolver, hls_folder: Path) -> Iterator[WebServer]:
    """A server of the private network. Its address counts as private, see `network.py`."""
    with run_web(PRIVATE) as server:
        server.add_folder(hls_folder)
        yield server
