"""Starts the worker process when operations wait, and queues those again that it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.context import SpawnProcess

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import OperationalError

from sgmn.service.context import ServiceContext
from sgmn.service.ids import new_id
from sgmn.service.operations import queue
from sgmn.service.operations.worker import run_worker

POLL_S = 0.25
_STOP_TIMEOUT_S = 5.0
_LOG = structlog.get_logger("sgmn.service.operations")


@asynccontextmanager
async def run_operations(context: ServiceContext) -> AsyncIterator[None]:
    """Run operations in the background; a component of the service."""
    supervisor = Supervisor(context)
    task = asyncio.create_task(supervisor.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await run_in_threadpool(supervisor.stop)


class Supervisor:
    """Keeps one worker process as long as there is work."""

    def __init__(self, context: ServiceContext) -> None:
        self.context = context
        self.process: SpawnProcess | None = None
        self.worker = ""

    async def run(self) -> None:
        """Look for work, and after the worker, until cancelled."""
        while True:
            try:
                await run_in_threadpool(self.look)
            except OperationalError as error:  # such as a full disk, or PostgreSQL restarting
                _LOG.error("the queue of operations cannot be read", exc_info=error)
            await asyncio.sleep(POLL_S)

    def look(self) -> None:
        """Clear up after a worker that has ended, and start one if operations wait."""
        if self.process is not None and self.process.exitcode is not None:
            self._clear_up(self.process.exitcode)
        if self.process is None and queue.has_waiting(self.context.database):
            self._start()

    def stop(self) -> None:
        """End the worker; its operation goes on when the service starts again."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.join(_STOP_TIMEOUT_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self._clear_up(self.process.exitcode or 0)

    def _start(self) -> None:
        self.worker = new_id("wrk")
        arguments = (self.context.settings.to_json(), self.worker)
        process = multiprocessing.get_context("spawn").Process(
            target=run_worker, args=arguments, name="sgmn-operations", daemon=True
        )
        process.start()
        _LOG.info("worker starts", worker=self.worker, pid=process.pid)
        self.process = process

    def _clear_up(self, exit_code: int) -> None:
        count = queue.requeue_of_worker(self.context.database, self.worker)
        _LOG.info("worker ended", worker=self.worker, exit_code=exit_code, requeued=count)
        self.process = None
