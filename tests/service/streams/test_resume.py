"""Where a session continues: gaps of live streams, and clocks that jump."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import numpy as np
import pytest

from sgmn.live.evidence import TimelineSettings
from sgmn.media.live_source import LiveFrame
from sgmn.service.streams.journal import WindowRecord
from sgmn.service.streams.resume import ResumePoint, play_in_real_time

SETTINGS = TimelineSettings(window_s=10.0, hop_s=2.0)
LAST = WindowRecord(101.0, 106.0, 1_000_000.0, 106.5, 107, np.zeros(2, np.float32))


@pytest.mark.parametrize(
    ("wall_s", "gap_s"),
    [
        (1_000_007.0, 7.0),
        (999_000.0, 0.001),  # the clock was set back
        (1_000_000.0 + 86_400, 600.0),  # the clock was set ahead, or the service was down
    ],
)
def test_the_time_of_a_live_stream_continues_after_a_gap(wall_s: float, gap_s: float) -> None:
    gap = ResumePoint(LAST, SETTINGS, 0, 600.0, "crash").find_gap(wall_s)
    assert gap is not None and gap.from_s == 106.5
    assert gap.to_s - gap.from_s == pytest.approx(gap_s)
    assert (gap.from_wall_s, gap.to_wall_s, gap.reason) == (1_000_000.0, wall_s, "crash")


def test_a_stream_that_begins_has_no_gap_and_needs_every_frame() -> None:
    start = ResumePoint(None, SETTINGS)
    assert start.find_gap(5.0) is None
    assert start.frames_from_s < 0 and start.context_from_s < 0


def test_frames_are_needed_from_the_first_new_window_and_its_context_on() -> None:
    alone = ResumePoint(LAST, SETTINGS)
    assert (alone.done_s, alone.context_from_s, alone.frames_from_s) == (101.0, 101.0, 96.0)
    in_context = ResumePoint(LAST, SETTINGS, context_windows=15)
    assert (in_context.context_from_s, in_context.frames_from_s) == (71.0, 66.0)


def test_a_recording_continues_in_real_time_from_where_it_was() -> None:
    rgb = np.zeros((1, 1, 3), np.uint8)

    def frames() -> Iterator[LiveFrame]:
        for number in range(1000):
            yield LiveFrame(number / 100, 0.0, rgb)

    stop_event = Event()
    played = play_in_real_time(frames(), 9.0, stop_event)
    found = [next(played) for _ in range(950)]
    assert [frame.wall_s for frame in found[:901]] == [0.0] * 901  # seen before: at once
    later = found[901:]
    assert later[-1].wall_s - later[0].wall_s == pytest.approx(0.48)
    stop_event.set()
    assert list(played) == []
