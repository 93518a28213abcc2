"""Disks that are really full, of the database and of kept frames. Needs root, to mount them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.kept_frames import FRAMES_FOLDER
from tests.service.process import wait_for
from tests.service.streams.world import StreamWorld, comparable

pytestmark = pytest.mark.slow


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of some size at a folder; skips the test if nothing can be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write a file until its disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


def test_sessions_wait_while_the_database_is_full(
    tmp_path: Path,
    stream_index: Path,
    encoder: EncoderProcess,
    long_video: Path,
    long_events: list[tuple[Any, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with small_disk(tmp_path / "database", "4m") as disk:
        streams = StreamWorld(tmp_path, stream_index, encoder=encoder, database_folder=disk)
        session = streams.add(long_video)
        with streams.supervise() as supervisor:
            streams.wait_for_windows(session, 5)
            fill(disk / "full")
            windows = len(streams.windows(session))
            wait_for(lambda: "disk is full" in caplog.text, "a transaction without space")
            known = len(streams.log(session))
            streams.wait_for_windows(session, windows + 5)  # it goes on meanwhile
            assert len(streams.log(session)) == known
            assert supervisor.worker_pids()[session]
            (disk / "full").unlink()
            row = streams.wait_for_state(session, "ended", "failed")
        assert row["state"] == "ended", row["state_detail"]
        assert comparable(streams.events(session)) == long_events
        assert streams.states(session) == ["queued", "starting", "running", "ended"]
        streams.database.close()


def test_a_session_goes_on_without_frames_when_their_disk_is_full(
    streams: StreamWorld, long_video: Path, long_events: list[tuple[Any, ...]]
) -> None:
    session = streams.add(long_video)
    frames = streams.folder / "sessions" / session / FRAMES_FOLDER
    with small_disk(frames, "16k"), streams.supervise() as supervisor:

        def damage() -> list[str]:
            status = supervisor.status(session)
            return [] if status is None else status.heartbeat.get("damage", [])

        fault = "frames cannot be kept (No space left on device)"
        streams.wait_for_windows(session, 10)
        encoder = supervisor.encoder.pid
        assert encoder is not None
        os.kill(encoder, signal.SIGSTOP)  # else the session may end before its next heartbeat
        wait_for(lambda: fault in damage(), "a report of what is missing")
        os.kill(encoder, signal.SIGCONT)
        row = streams.wait_for_state(session, "ended", "failed")
    assert row["state"] == "ended", row["state_detail"]
    assert comparable(streams.events(session)) == long_events
