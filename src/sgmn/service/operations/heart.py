"""The heartbeat of a job: its progress for readers, and when it has to stop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from sgmn.service.database.engine import Database
from sgmn.service.operations import queue
from sgmn.service.operations.queue import Job

STOP_GRACE_S = 10.0
_LOG = structlog.get_logger("sgmn.service.operations")


class StopJobError(Exception):
    """Raised in a job that was cancelled, or that takes too long."""


class Heart:
    """Reports while a job runs that it does. Use it as a context manager.

    The job calls `report`, which raises StopJobError when the job has to stop. A job that does not
    call it in time, because a library hangs, ends with its process.

    Args:
        database: Holds the queue.
        job: The job.
        timeout_s: Maximum duration of the job.
    """

    def __init__(self, database: Database, job: Job, timeout_s: float) -> None:
        self.database, self.job, self.timeout_s = database, job, timeout_s
        self._progress: Mapping[str, Any] = {}
        self._stop_reason = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, **progress: Any) -> None:
        """Tell how far the job is. Raises StopJobError if it has to stop."""
        self._progress = progress
        if self._stop_reason:
            raise StopJobError(self._stop_reason)

    def _beat(self) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not self._ended.wait(queue.HEARTBEAT_S):
            if time.monotonic() > deadline:
                self._fail_late()
            elif self._is_wanted():
                continue
            else:
                self._stop_reason = "cancelled"
            if not self._ended.wait(STOP_GRACE_S):
                _LOG.warning("job does not stop; its process ends", operation=self.job.id)
                os._exit(1)
            return

    def _is_wanted(self) -> bool:
        try:
            return queue.beat(self.database, self.job, self._progress)
        except OperationalError as error:  # such as a full disk; the job finds out by itself
            _LOG.error("heartbeat failed", operation=self.job.id, exc_info=error)
            return True

    def _fail_late(self) -> None:
        detail = f"The operation did not end within {self.timeout_s:g} s."
        self._stop_reason = detail
        with self.database.write() as connection:
            problem = {"title": "Timeout", "detail": detail}
            queue.finish(connection, self.job, "failed", problem=problem)
