"""Sessions with real workers and a real encoder: they end, crash, recover and stop."""

from __future__ import annotations

from math import isfinite, isnan
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from sgmn.service.streams.admission import Limits
from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.fleet import LocalFleet
from sgmn.service.streams.states import ACTIVE
from tests.service.process import wait_for
from tests.service.streams.shop import build_index, recognize_events
from tests.service.streams.world import StreamWorld, comparable, kill


def test_a_recording_is_recognized_to_its_end(streams: StreamWorld, video: Path) -> None:
    session = streams.add(video)
    with streams.supervise():
        streams.wait_for_state(session, "ended", "failed")
    assert streams.states(session) == ["queued", "starting", "running", "ended"]
    events = streams.events(session)
    assert [event["id"] for event in events] == list(range(1, len(events) + 1)) and len(events) > 3
    assert (events[-1]["kind"], events[-1]["time_s"]) == ("ended", 40.0)
    assert all(isnan(window.saliency) for window in streams.windows(session))  # without guidance


def test_saliency_is_journaled_and_survives_a_crash(
    tmp_path: Path, encoder: EncoderProcess, video: Path
) -> None:
    index = build_index(tmp_path / "shop", guided=True)
    expected = recognize_events(tmp_path / "expected", index, video, encoder)
    streams = StreamWorld(tmp_path / "killed", index, encoder=encoder)
    streams.options["realtime"] = True  # until the kill, so that the stream has not ended by then
    session = streams.add(video)
    with streams.supervise() as supervisor:
        streams.wait_for_windows(session, 3)
        del streams.options["realtime"]
        kill(supervisor.worker_pids()[session])
        streams.wait_for_state(session, "ended", "failed")
    saliency = [window.saliency for window in streams.windows(session)]
    assert all(map(isfinite, saliency)) and len(set(saliency)) > 10
    assert comparable(streams.events(session)) == expected


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


class AskedFleet(LocalFleet):
    """This machine, and whether it was asked for another one, look by look."""

    def __init__(self, encoder: EncoderProcess) -> None:
        super().__init__(encoder, 64)
        self.asked: list[bool] = []

    def ask_for_node(self, is_wanted: bool) -> None:
        """Note the question."""
        self.asked.append(is_wanted)

    def wait_for_answer(self) -> bool:
        """Whether a node is wanted at the next looks, after the one in progress."""
        self.asked.clear()
        wait_for(lambda: len(self.asked) >= 3, "other looks")
        [answer] = {*self.asked[1:]}
        return answer


def asked_fleet_of(streams: StreamWorld) -> AskedFleet:
    """Let sessions run on this machine, in real time, so that none ends during a test.

    The encoder ends with their supervisor.
    """
    streams.options |= {"realtime": True}
    streams.encoder = EncoderProcess()
    streams.fleet = fleet = AskedFleet(streams.encoder)
    return fleet


@pytest.mark.parametrize(
    ("limits", "expected"), [(Limits(0, 64, max_warming=1), True), (Limits(1, 64), False)]
)
def test_a_node_is_wanted_only_if_it_would_take_a_stream_that_waits(
    streams: StreamWorld, long_video: Path, limits: Limits, expected: bool
) -> None:
    """Here a node starts one stream at a time, or the service runs only one, wherever it is."""
    fleet = asked_fleet_of(streams)
    streams.limits = limits
    sessions = [streams.add(long_video) for _ in range(2)]
    with streams.supervise():
        wait_for(lambda: streams.row(sessions[1])["state_detail"], "the reason")
        assert fleet.wait_for_answer() is expected


def test_a_node_is_wanted_if_all_are_lost(
    streams: StreamWorld, long_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = asked_fleet_of(streams)
    session = streams.add(long_video)
    with streams.supervise():
        streams.wait_for_windows(session, 1)
        assert fleet.wait_for_answer() is False
        monkeypatch.setattr(fleet, "nodes", dict)
        assert fleet.wait_for_answer() is True


def test_a_fault_is_logged_more_and_more_rarely_and_asks_for_no_node(
    streams: StreamWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = asked_fleet_of(streams)

    def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(streams.store, "unfinished", list)
    with streams.supervise():
        monkeypatch.setattr(streams.store, "unfinished", fail)
        sleep(4.0)  # 0.5 + 1 + 2 seconds between the looks
    faults = [r for r in caplog.records if r.message == "the sessions cannot be supervised"]
    assert 2 <= len(faults) <= 4
    assert fleet.asked[-1] is False
