"""Worker processes of a world end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PARENT = """
import time
from multiprocessing import get_context
from sgmn.background import exit_with_parent
if __name__ == '__main__':
    work = lambda: (exit_with_parent(), time.sleep(60))
    child = get_context('fork').Process(target=work)
    child.start()
    print(child.pid, flush=True)
    time.sleep(60)
"""


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split()[2] != "Z"


def test_workers_end_when_their_parent_is_killed() -> None:
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while is_running(child):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the worker is still running")
        time.sleep(0.05)
