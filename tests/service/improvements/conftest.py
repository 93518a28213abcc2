"""Fixtures of the streams, and a reviewed session without its stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sgmn.media.image import encode_jpeg
from sgmn.records import Segment
from sgmn.service.context import ServiceContext
from sgmn.service.operations import queue
from sgmn.service.operations.worker import run_job
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.layers import LayeredSegment
from sgmn.service.streams.pairs import split_segments
from sgmn.service.streams.service import streams_of
from tests.service.streams.api import SessionApi
from tests.service.streams.conftest import (  # noqa: F401 - fixtures
    idle_api,
    media,
    settings,
    stream_index,
    video,
)
from tests.world import COLORS, make_image

SEGMENT_S = 10


@pytest.fixture
def session(idle_api: SessionApi, context: ServiceContext) -> Iterator[str]:  # noqa: F811
    """A session with frames and 24 reviewed segments of ten seconds."""
    api = idle_api
    session = api.start("stream.mp4")
    frames = KeptFrames(streams_of(context).folder(session) / FRAMES_FOLDER)
    colors = list(COLORS.values())
    for number in range(24):
        start_s, place = SEGMENT_S * number, number % len(colors)
        for second in (2, 5, 8):
            image = np.asarray(make_image(colors[place], number), np.uint8)
            frames.save(start_s + second, encode_jpeg(image))
        body = {
            "start": start_s,
            "end": start_s + SEGMENT_S,
            "product_id": f"p{place}",
            "verdict": "corrected",
        }
        review = choose_id(session, number, "train" if number % 4 else "val")
        response = api.request("PUT", f"/{session}/reviews/{review}", json=body)
        assert response.status_code == 200, response.text
    yield session


def choose_id(session: str, number: int, side: str) -> str:
    """An id for a review that puts it on one side, whatever the id of the session is."""
    for trial in range(1000):
        review = f"r{number}-{trial}"
        one = LayeredSegment(Segment(0, 1, "p0"), False, review, "confirmed")
        if split_segments(session, [one])[0][1] == side:
            return review
    raise AssertionError("no id is on this side")


def run_jobs(context: ServiceContext) -> list[dict[str, Any]]:
    """Run all operations that wait, in this process; return them as the database has them."""
    from sgmn.service.database import tables

    while (job := queue.claim(context.database, "test")) is not None:
        run_job(context, job)
    with context.database.read() as connection:
        rows = connection.execute(tables.operations.select().order_by("created_s")).mappings()
        return [dict(row) for row in rows]
