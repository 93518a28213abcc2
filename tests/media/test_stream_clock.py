"""The time of a stream across connections."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from types import SimpleNamespace
from typing import cast

import pytest
from av import VideoFrame
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.media.stream_clock import StreamClock

STREAM = cast(
    VideoStream, SimpleNamespace(time_base=Fraction(1, 100), guessed_rate=10, average_rate=10)
)
STEPS = st.one_of(st.integers(1, 20), st.integers(-(10**6), 10**6), st.none())


def frame_at(pts: int | None) -> VideoFrame:
    return cast(VideoFrame, SimpleNamespace(pts=pts, duration=10))


@settings(max_examples=60)
@given(st.lists(st.tuples(STEPS, st.integers(0, 999), st.booleans()), min_size=1, max_size=15))
def test_time_never_decreases_and_never_jumps(frames: list[tuple[int | None, int, bool]]) -> None:
    """Each frame: a step in hundredths (None: no timestamp), a wait, and whether it reconnects."""
    clock, faults = StreamClock(10.0), Counter[str]()
    pts, arrival_s, last_s = 500, 0.0, None
    for step, wait_s, is_new_connection in frames:
        arrival_s += wait_s
        if is_new_connection or last_s is None:
            clock.start_connection(STREAM, faults)
        if step is not None:
            pts += step
        time_s = clock.advance(frame_at(None if step is None else pts), arrival_s)
        if last_s is None:
            assert time_s == 0.0
        elif is_new_connection:
            assert time_s - last_s == pytest.approx(wait_s, abs=1e-6)
        else:
            assert 0 <= time_s - last_s <= 10.0 + 1e-6
        last_s = time_s


def test_examples_by_hand() -> None:
    clock, faults = StreamClock(10.0), Counter[str]()

    def advance(pts: int, arrival_s: float) -> float:
        return round(clock.advance(frame_at(pts), arrival_s), 6)

    clock.start_connection(STREAM, faults)
    # A gap of 9.9 s is kept.
    assert [advance(700, 0.0), advance(710, 9.0), advance(1700, 9.0)] == [0.0, 0.1, 10.0]
    # A jump of 73 s becomes one frame.
    assert [advance(9000, 9.0), advance(9010, 9.0)] == [10.1, 10.2]
    # A step back becomes one frame.
    assert [advance(100, 9.0), advance(110, 10.0)] == [10.3, 10.4]
    assert sum(faults.values()) == 2
    clock.start_connection(STREAM, faults)
    # 2.5 s of wall clock have passed.
    assert [advance(5, 12.5), advance(15, 12.5)] == [12.9, 13.0]
    assert sum(faults.values()) == 2
