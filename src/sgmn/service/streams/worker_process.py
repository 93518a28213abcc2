"""A worker process, as the service sees it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from sgmn.service.streams.messages import ConnectionLost, Message, MessageSocket
from sgmn.service.streams.worker_config import WorkerConfig

LOG_FILE = "worker.log"
_MAX_LOG_BYTES = 1 << 20
_KILL_TIMEOUT_S = 30.0


class WorkerProcess:
    """Starts a worker and talks to it.

    Args:
        config: Its session.
        heartbeat_timeout_s: Seconds without a message after which it counts as hung.
    """

    def __init__(self, config: WorkerConfig, heartbeat_timeout_s: float) -> None:
        config.folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        with theirs, _open_log(config.folder / LOG_FILE) as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sgmn.service.streams.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        ours.settimeout(heartbeat_timeout_s)
        self._socket = MessageSocket(ours)
        self._socket.send({"type": "config", "config": config.to_json()})

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def receive(self) -> Message:
        """Wait for its next message.

        Raises:
            ConnectionLost: It has exited.
            TimeoutError: It hangs.
        """
        return self._socket.receive()

    def stop(self) -> None:
        """Ask it to end its session."""
        with suppress(ConnectionLost):  # it has exited already
            self._socket.send({"type": "stop"})

    def kill(self) -> int | None:
        """Kill it if it still runs, and return its exit status; None if it cannot be killed."""
        self._process.kill()
        self._socket.close()
        try:
            return self._process.wait(_KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None  # in uninterruptible sleep; its journal stays locked until it is gone


def _open_log(path: Path) -> IO[bytes]:
    is_long = path.exists() and path.stat().st_size > _MAX_LOG_BYTES
    return path.open("wb" if is_long else "ab")
