"""Runs workers and the encoder that they share on a node of a Ray cluster, for `ray_fleet`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.messages import ConnectionLost, Message
from sgmn.service.streams.worker_config import WorkerConfig
from sgmn.service.streams.worker_process import WorkerProcess

MAX_WORKERS = 1000  # each one that is waited for takes a thread, which exists once it is needed
ORPHAN_S = 600.0  # a worker that nobody has listened to for so long is killed
_Result = TypeVar("_Result")


class NodeAgent:
    """A Ray actor. When it ends, its connections close, and its workers and the encoder exit.

    Args:
        encoder_threads: See `EncoderProcess`.
        runtime: See `EncoderProcess`.
    """

    def __init__(self, encoder_threads: int, runtime: str) -> None:
        self._encoder = EncoderProcess(encoder_threads, runtime)
        self._encoder.start()
        self._workers: dict[int, WorkerProcess] = {}
        self._heard_s: dict[int, float] = {}  # when somebody last listened to a worker
        self._unwanted: set[int] = set()  # workers that were killed before they had started
        self._threads = ThreadPoolExecutor(MAX_WORKERS)

    async def report(self) -> tuple[dict[str, Any], int]:
        """Return the newest report of the encoder, and how often it was started again."""
        late_s = monotonic() - ORPHAN_S
        for number in [n for n, heard_s in self._heard_s.items() if heard_s < late_s]:
            await self.kill(number)
        return self._encoder.load, self._encoder.restarts

    async def start_worker(
        self, number: int, config: dict[str, Any], heartbeat_timeout_s: float
    ) -> int:
        """Start a worker under a number that the service has chosen; return its process id."""
        threads = max(1, (os.cpu_count() or 1) // 2)
        here = replace(
            WorkerConfig.from_json(config), encoder=self._encoder.socket, threads=threads
        )
        worker = await self._in_thread(lambda: WorkerProcess(here, heartbeat_timeout_s))
        self._workers[number], self._heard_s[number] = worker, monotonic()
        if number in self._unwanted:
            await self.kill(number)
        return worker.pid

    async def receive(self, number: int) -> Message:
        """Wait for the next message of a worker; see `WorkerProcess.receive`."""
        worker = self._workers.get(number)
        if worker is None:
            raise ConnectionLost("it was killed")
        self._heard_s[number] = monotonic()
        return await self._in_thread(worker.receive)

    async def stop(self, number: int) -> None:
        """Ask a worker to end its session."""
        worker = self._workers.get(number)
        if worker is not None:
            await self._in_thread(worker.stop)

    async def kill(self, number: int) -> int | None:
        """Kill a worker and forget it; see `WorkerProcess.kill`."""
        worker = self._workers.pop(number, None)
        self._heard_s.pop(number, None)
        if worker is None:
            self._unwanted.add(number)
            return None
        return await self._in_thread(worker.kill)

    async def _in_thread(self, action: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)
