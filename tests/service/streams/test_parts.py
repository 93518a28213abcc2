"""Messages between processes, the limit of streams, and kept frames."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.service.streams.admission import Limits, Load, find_obstacle
from sgmn.service.streams.kept_frames import KeptFrames
from sgmn.service.streams.messages import ConnectionLost, MessageBuffer, pack

JSON = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)


@given(
    messages=st.lists(st.tuples(JSON, st.lists(st.binary(max_size=50), max_size=3)), max_size=4),
    size=st.integers(1, 64),
)
def test_messages_arrive_however_they_are_cut(messages: list[Any], size: int) -> None:
    sent = [({**content, "type": "x"}, tuple(parts)) for content, parts in messages]
    data = b"".join(pack(content, parts) for content, parts in sent)
    buffer = MessageBuffer()
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    received = [message for chunk in chunks for message in buffer.feed(chunk)]
    assert [(message.content, message.parts) for message in received] == sent


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 12,
        b"\0\0\0\x02\0\0\0\0\0\0\0\0[]",
        b"\0\0\0\x02\0\0\0\0\0\0\0\0{}",
        b"\0\0\0\x01\0\0\0\0\0\0\0\0{",
        b"\0\0\0\x02\0\0\0\x01\0\0\0\0{}",
        b"\0\0\0\x02\0\0\0\0\0\0\0\x01{}x",
    ],
)
def test_what_is_no_message_ends_the_connection(data: bytes) -> None:
    with pytest.raises(ConnectionLost):
        MessageBuffer().feed(data)


LIMITS = Limits(max_streams=20, cpus=2)


@pytest.mark.parametrize(
    ("load", "obstacle"),
    [
        (Load(), None),
        (Load(streams=5, worker_cpu=0.5, encoder_busy=0.2), None),
        (Load(streams=5, worker_cpu=0.5, reduced=2), "2 streams are reduced to their key frames"),
        (Load(streams=20), "the limit of streams is reached"),
        (Load(streams=10, worker_cpu=1.4, encoder_busy=0.3), "85 % of the CPUs"),
        (Load(streams=8, worker_cpu=0.1, encoder_busy=0.84), "the encoder works 84 %"),
        (Load(streams=3, worker_cpu=0.1, max_lag_s=30.0), "lags by 30 s"),
        (Load(streams=4, warming=4), "4 other streams are starting"),
        # Two that start count as much as the two that are measured.
        (Load(streams=4, warming=2, worker_cpu=0.9), "45 % of the CPUs"),
    ],
)
def test_a_machine_accepts_streams_by_its_load(load: Load, obstacle: str | None) -> None:
    found = find_obstacle(load, LIMITS)
    assert found is None if obstacle is None else found is not None and obstacle in found


def save_frames(frames: KeptFrames, times_s: list[float]) -> None:
    for time_s in times_s:
        frames.save(time_s, b"jpeg")


def test_the_newest_frame_before_a_time_is_found(tmp_path: Path) -> None:
    frames = KeptFrames(tmp_path)
    save_frames(frames, [0.0, 1.04, 58.96, 61.0, 200.0])

    def find(time_s: float) -> float | None:
        found = frames.find(time_s)
        return None if found is None else found[0]

    assert [find(t) for t in (0.0, 1.0, 5.0, 60.5, 61.0, 205.0)] == [0, 0, 1.04, 58.96, 61.0, 200.0]
    assert find(190.0) is None and find(5000.0) is None
    assert [time_s for time_s, _ in frames.between(1.04, 61.0)] == [1.04, 58.96]
    assert frames.spans() == [(0.0, 61.0), (200.0, 200.0)]
    assert KeptFrames(tmp_path / "nothing").spans() == []


def test_frames_are_deleted_by_their_age(tmp_path: Path) -> None:
    frames = KeptFrames(tmp_path)
    save_frames(frames, [5.0, 65.0])
    old_s = time.time() - 7200
    os.utime(tmp_path / "000000", (old_s, old_s))
    assert frames.delete_older_than(time.time() - 3600) == 1
    assert frames.find(5.0) is None and frames.find(65.0) is not None
