"""Processes of a training run: signals, and the workers that prepare batches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def start_run(world: Path, folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start a long training run in a session of its own."""
    config = folder / "run.toml"
    config.write_text(
        f'[data]\nfolders = ["{world}"]\n[model]\ncanvases = [[64, 48], [48, 48]]\n'
        f"[train]\nsteps = 10000\nbatch_size = 4\nworkers = {workers}\nlog_every_steps = 1\n"
    )
    command = [sys.executable, "-m", "sgmn.cli", "train", str(config), "-o", str(folder / "run")]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)


def wait_until(condition: Callable[[], bool], timeout_s: float = 100) -> bool:
    """Wait for a condition; returns False if it does not hold in time."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def has_logged(folder: Path) -> bool:
    log = folder / "run" / "log.jsonl"
    return log.exists() and bool(log.read_text())


def test_a_signal_to_the_whole_group_saves_the_run(world: Path, tmp_path: Path) -> None:
    """Service managers send it to the group: workers must live until the trainer has saved."""
    with start_run(world, tmp_path, workers=1) as run:
        wait_until(lambda: run.poll() is not None or has_logged(tmp_path))
        os.killpg(run.pid, signal.SIGTERM)
        errors = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 0, errors
    assert (tmp_path / "run" / "state.json").exists() and "Traceback" not in errors


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_workers_end_with_a_killed_trainer(world: Path, tmp_path: Path) -> None:
    with start_run(world, tmp_path, workers=2) as run:
        wait_until(lambda: run.poll() is not None or has_logged(tmp_path))
        assert len(live_processes(run.pid)) > 2  # the trainer and its workers
        run.kill()
    ended = wait_until(lambda: not live_processes(run.pid), timeout_s=20)
    for pid in live_processes(run.pid):
        os.kill(pid, signal.SIGKILL)
    assert ended


def live_processes(session: int) -> list[int]:
    """Return the processes of a session that are alive."""
    alive = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the process has just ended
            state, _, _, own_session = path.read_text().rpartition(")")[2].split()[:4]
            if int(own_session) == session and state != "Z":
                alive.append(int(path.parent.name))
    return alive
