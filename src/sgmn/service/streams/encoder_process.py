"""Runs the encoder process, and starts it again whenever it dies or hangs."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from sgmn.media.reconnecting_stream import backoff_delays
from sgmn.model.runtimes import TORCH

SILENCE_TIMEOUT_S = 120.0  # without a report; a batch on a busy machine takes seconds
STOP_TIMEOUT_S = 10.0
_STABLE_S = 60.0  # a process that lived longer is started again without delay
_LOG = logging.getLogger("sgmn.service.encoder")


class EncoderProcess:
    """The encoder process, from `start` until `close`.

    Args:
        threads: Number of its threads.
        runtime: What runs the towers of its models, see `ServiceSettings.runtime`.

    Attributes:
        socket: Its local socket. It exists while the encoder is ready.
        load: Its newest report: the share of time that it was busy, and the number of streams.
        restarts: How often it was started again.
    """

    def __init__(self, threads: int = 1, runtime: str = TORCH) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sgmn-")
        self.socket = Path(self._folder.name) / "encoder"
        self.load: dict[str, Any] = {}
        self.restarts = 0
        self._threads, self._runtime, self._lock = threads, runtime, Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stopped = Event()
        self._reported_s = monotonic()
        self._thread: Thread | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start it, unless it was started before."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._supervise, name="encoder", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._stopped.set()
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()  # it exits at the end of its input
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None:
            self._thread.join()
        self._folder.cleanup()

    def _supervise(self) -> None:
        delays = _new_delays()
        watchdog = Thread(target=self._kill_if_silent, name="encoder watchdog", daemon=True)
        watchdog.start()
        while not self._stopped.is_set():
            started_s = monotonic()
            self._run()
            if self._stopped.is_set():
                return
            if monotonic() - started_s > _STABLE_S:
                delays = _new_delays()
            self.restarts += 1
            delay_s = next(delays)
            _LOG.warning(f"the encoder process has died; it starts again in {delay_s:.1f} s")
            self._stopped.wait(delay_s)

    def _run(self) -> None:
        """Start the process and read its reports until it dies."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads)}
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        command = [sys.executable, "-m", "sgmn.service.streams.encoder", str(self.socket)]
        with subprocess.Popen(
            [*command, "--threads", str(self._threads), "--runtime", self._runtime],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the service, which ends its processes
        ) as process:
            self._process, self._reported_s = process, monotonic()
            assert process.stdout is not None
            for line in process.stdout:
                self._reported_s = monotonic()
                self.load = json.loads(line)
        self.load = {}

    def _kill_if_silent(self) -> None:
        while not self._stopped.wait(SILENCE_TIMEOUT_S / 10):
            process = self._process
            if process is not None and monotonic() - self._reported_s > SILENCE_TIMEOUT_S:
                _LOG.warning("the encoder process hangs and is killed")
                process.kill()


def _new_delays() -> Iterator[float]:
    return backoff_delays(0.2, 30.0, Random())
