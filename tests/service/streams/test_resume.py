"""Where a session continues: gaps of live streams, and clocks that jump."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from threading import Event
from time import sleep, time
from typing import Any, cast

import numpy as np
import pytest

from sgmn.live.evidence import TimelineSettings
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.service.streams import live_status, resume
from sgmn.service.streams.encoder_client import FrameStore
from sgmn.service.streams.journal import WindowRecord
from sgmn.service.streams.live_status import LiveStatus
from sgmn.service.streams.resume import ResumePoint, play_in_real_time
from sgmn.service.streams.worker_frames import SessionFrames
from sgmn.service.streams.worker_transcript import TimeShift

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
    assert later[-1].wall_s - later[0].wall_s == pytest.approx(0.48, abs=0.2)
    stop_event.set()
    assert list(played) == []


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_recording_goes_on_when_the_clock_is_set(
    jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb, clock = np.zeros((1, 1, 3), np.uint8), Clock()
    monkeypatch.setattr(resume, "time", clock)
    frames = (LiveFrame(number / 100, 0.0, rgb) for number in range(20))
    found = []
    for frame in play_in_real_time(frames, 0.0, Event()):
        found.append(frame)
        if len(found) == 10:
            clock.shift_s = jump_s
    assert [frame.time_s for frame in found] == [number / 100 for number in range(20)]
    steps_s = [after.wall_s - before.wall_s for before, after in pairwise(found[1:])]
    assert steps_s.pop(8) == pytest.approx(jump_s + 0.01, abs=1.0)
    assert steps_s == pytest.approx([0.01] * 17, abs=1.0)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_the_times_of_a_live_stream_continue_when_the_clock_is_set(jump_s: float) -> None:
    rgb = np.zeros((1, 1, 3), np.uint8)
    arrivals_s = [1_000_000.0 + second + (jump_s if second > 4 else 0.0) for second in range(10)]
    source = LiveFrames(
        LiveFrame(float(second), wall_s, rgb) for second, wall_s in enumerate(arrivals_s)
    )
    start = ResumePoint(None, SETTINGS)
    frames = SessionFrames(
        cast(LiveSource, source), start, FrameStore(), None, TimeShift(), on_gap=fail
    )
    found = [(time_s, frames.wall_s) for time_s in frames.times_s(lambda: None, None)]
    assert found == list(zip(range(10), arrivals_s, strict=True))


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_the_load_of_a_worker_does_not_depend_on_the_clock(
    jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(live_status, "time", clock, raising=False)
    status = LiveStatus()
    status.note_heartbeat({"cpu_s": 1.0})
    sleep(0.05)
    clock.shift_s = jump_s
    status.note_heartbeat({"cpu_s": 1.01})
    assert status.cpu is not None and 0.0 < status.cpu <= 0.2


def test_damage_outlives_the_worker_that_found_it() -> None:
    status = LiveStatus(node="a")
    status.note_heartbeat({"cpu_s": 1.0, "damage": ["a packet is broken (2 times)"]})
    status.note_end_of_worker()
    assert (status.node, status.failed_node) == ("", "a")
    status.note_heartbeat({"cpu_s": 0.5, "damage": ["a frame is missing (1 times)"]})
    expected = ["a packet is broken (2 times)", "a frame is missing (1 times)"]
    assert status.damage == expected
    status.note_end_of_worker()
    assert status.damage == expected


class LiveFrames(list[LiveFrame]):
    """The frames of a live source."""

    is_recording = False


class Clock:
    """A clock of the machine that can be set."""

    shift_s = 0.0

    def __call__(self) -> float:
        return time() + self.shift_s


def fail(*_: object) -> Any:
    raise AssertionError("is not to be called")
