"""Faults: a full disk, a worker that hangs, sources that send garbage, break or end."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.service.streams.journal import FILE_NAME, JournalWriter
from tests.service.process import wait_for
from tests.service.streams.sender import Sender, to_mpeg_ts
from tests.service.streams.world import RUNNER, StreamWorld, comparable, kill


@pytest.mark.slow
def test_a_full_disk_fails_a_session_and_loses_nothing(
    streams: StreamWorld, long_video: Path
) -> None:
    session = streams.add(long_video)
    with streams.supervise() as supervisor:
        streams.wait_for_windows(session, 10)
        path = streams.folder / "sessions" / session / FILE_NAME
        limit = path.stat().st_size + 2000
        resource.prlimit(supervisor.worker_pids()[session], resource.RLIMIT_FSIZE, (limit, limit))
        row = streams.wait_for_state(session, "ended", "failed")
    assert row["state"] == "failed" and "the journal cannot be written" in row["state_detail"]
    windows, events = streams.windows(session), streams.events(session)
    assert len(windows) >= 10 and streams.states(session)[-1] == "failed"
    assert events[-1]["kind"] == "ended" and events[-1]["time_s"] == windows[-1].end_s


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(
    streams: StreamWorld, long_video: Path, long_events: list[tuple[object, ...]]
) -> None:
    streams.runner = replace(RUNNER, heartbeat_timeout_s=12.0)
    session = streams.add(long_video)
    with streams.supervise() as supervisor:
        streams.wait_for_windows(session, 10)
        os.kill(supervisor.worker_pids()[session], signal.SIGSTOP)
        streams.wait_for_state(session, "ended", "failed")
    details = [row.data.get("detail") for row in streams.log(session)]
    assert "the worker did not answer and was killed" in details
    assert comparable(streams.events(session)) == long_events


def test_a_session_that_crashes_again_and_again_fails_with_its_events_closed(
    streams: StreamWorld, long_video: Path
) -> None:
    streams.runner = replace(RUNNER, max_failures=2)
    session = streams.add(long_video)
    with streams.supervise():
        streams.wait_for_windows(session, 10)
        streams.version += 1  # the next worker does not find its products
        kill(wait_for(lambda: streams.worker_pid(session), "a worker"))
        row = streams.wait_for_state(session, "ended", "failed")
    assert row["state"] == "failed" and "failed 3 times in a row" in row["state_detail"]
    assert "products of the session cannot be read" in row["state_detail"]
    assert streams.events(session)[-1]["kind"] == "ended"


def test_garbage_is_a_clear_failure(streams: StreamWorld, tmp_path: Path) -> None:
    (tmp_path / "noise.ts").write_bytes(os.urandom(300_000))
    file = streams.add(tmp_path / "noise.ts")
    streams.options["attempts"] = 2
    with Sender([os.urandom(100_000)] * 5) as sender, streams.supervise():
        live = streams.add(sender.address)
        rows = [streams.wait_for_state(session, "ended", "failed") for session in (file, live)]
    assert [row["state"] for row in rows] == ["failed", "failed"]
    assert "noise.ts" in rows[0]["state_detail"]
    assert "delivered no frame in 2 attempts" in rows[1]["state_detail"]
    assert not streams.events(file) and not streams.windows(live)


def test_a_source_that_breaks_and_sends_garbage_goes_on_until_it_ends(
    streams: StreamWorld, video: Path
) -> None:
    recording = to_mpeg_ts(video)
    streams.options["attempts"] = 2
    with Sender([recording, os.urandom(100_000), recording]) as sender, streams.supervise():
        session = streams.add(sender.address)
        row = streams.wait_for_state(session, "ended", "failed")
    assert row["state"] == "ended"
    assert "reconnecting" in streams.states(session)
    events = streams.events(session)
    assert events[-1]["kind"] == "ended" and events[-1]["time_s"] > 75
    centers = [window.center_s for window in streams.windows(session)]
    assert centers == sorted(set(centers)) and len(centers) > 35


def test_a_live_stream_continues_after_a_gap(streams: StreamWorld, video: Path) -> None:
    recording = to_mpeg_ts(video)
    with Sender([recording, recording], pause_s=0.05) as sender, streams.supervise() as supervisor:
        session = streams.add(sender.address)
        streams.wait_for_windows(session, 4)
        kill(supervisor.worker_pids()[session])
        before = len(streams.windows(session))
        streams.wait_for_windows(session, before + 4)
        streams.store.change(session, "stop")
        supervisor.wake()
        row = streams.wait_for_state(session, "ended", "failed")
    assert row["state"] == "ended" and row["gap_count"] == 1
    [change] = [r.data for r in streams.log(session) if r.data.get("change") == "gap"]
    gap = change["gap"]
    assert "signal 9" in gap["reason"] and 0 < gap["to_s"] - gap["from_s"] < 3600
    assert gap["to_wall_s"] >= gap["from_wall_s"]
    centers = [window.center_s for window in streams.windows(session)]
    assert centers == sorted(set(centers))
    ids = [event["id"] for event in streams.events(session)]
    assert ids == list(range(1, len(ids) + 1))


def test_sessions_beyond_the_limit_wait_in_order(streams: StreamWorld, video: Path) -> None:
    streams.limits = replace(streams.limits, max_streams=1)
    sessions = [streams.add(video) for _ in range(3)]
    stopped = sessions[1]
    with streams.supervise() as supervisor:
        wait_for(lambda: streams.row(stopped)["state_detail"], "a reason")
        assert "the limit of streams is reached" in streams.row(stopped)["state_detail"]
        streams.store.change(stopped, "stop")
        supervisor.wake()
        for session in sessions:
            streams.wait_for_state(session, "ended")
    assert streams.states(stopped) == ["queued", "ended"]
    first, _, third = (streams.row(session) for session in sessions)
    assert third["started_s"] >= first["ended_s"]


@pytest.mark.parametrize("state", ["running", "stopping"])
def test_a_session_of_a_service_that_is_gone_recovers_or_ends(
    streams: StreamWorld, long_video: Path, state: str
) -> None:
    session = streams.add(long_video)
    with streams.supervise():
        streams.wait_for_windows(session, 10)
    if state == "stopping":
        streams.store.change(session, "stop")
    with streams.supervise():
        row = streams.wait_for_state(session, "ended", "failed")
    assert row["state"] == "ended" and streams.events(session)[-1]["kind"] == "ended"
    assert ("recovering" in streams.states(session)) == (state == "running")


def test_a_session_waits_for_the_lock_of_its_journal(streams: StreamWorld, video: Path) -> None:
    session = streams.add(video)
    streams.runner = replace(streams.runner, max_failures=0)  # waiting is no failure
    other = JournalWriter(streams.folder / "sessions" / session / FILE_NAME)
    with streams.supervise():
        found = streams.wait_for_state(session, "recovering")
        assert "another process is writing the journal" in found["state_detail"]
        tried: set[int | None] = set()
        while len(tried - {None}) < 2:
            tried.add(streams.worker_pid(session))
        assert streams.row(session)["state"] == "recovering"
        other.close()
        streams.wait_for_state(session, "ended")
    assert streams.events(session)[-1]["kind"] == "ended"
