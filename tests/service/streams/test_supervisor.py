"""Sessions with real workers and a real encoder: they end, crash, recover and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgmn.service.streams.states import ACTIVE
from tests.service.streams.world import StreamWorld, comparable, kill


def test_a_recording_is_recognized_to_its_end(streams: StreamWorld, video: Path) -> None:
    session = streams.add(video)
    with streams.supervise():
        streams.wait_for_state(session, "ended", "failed")
    assert streams.states(session) == ["queued", "starting", "running", "ended"]
    events = streams.events(session)
    assert [event["id"] for event in events] == list(range(1, len(events) + 1)) and len(events) > 3
    assert (events[-1]["kind"], events[-1]["time_s"]) == ("ended", 40.0)


@pytest.mark.slow
def test_killed_processes_leave_the_same_events(
    streams: StreamWorld, long_video: Path, long_events: list[tuple[Any, ...]]
) -> None:
    session = streams.add(long_video)
    with streams.supervise() as supervisor:
        streams.wait_for_windows(session, 10)
        kill(supervisor.worker_pids()[session])
        streams.wait_for_windows(session, 30)
        kill(supervisor.encoder.pid)
        streams.wait_for_windows(session, 50)
    assert streams.row(session)["state"] in ACTIVE  # the service was closed, as a crash would
    with streams.supervise():
        streams.wait_for_state(session, "ended", "failed")
    assert comparable(streams.events(session)) == long_events
    states = streams.states(session)
    assert states[-1] == "ended" and states.count("recovering") >= 2
    windows = streams.windows(session)
    assert [w.center_s for w in windows] == [1.0 + 2 * k for k in range(len(windows))]
