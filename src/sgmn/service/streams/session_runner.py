"""Runs one session in the service: its worker, the worker's restarts, and what it reports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from threading import Event, Lock, Thread
from time import monotonic, time
from typing import Any, Literal, TypeVar

from sqlalchemy.exc import DBAPIError

from sgmn.errors import SgmnError
from sgmn.live.events import to_json
from sgmn.media.reconnecting_stream import backoff_delays
from sgmn.service.streams.fleet import NodeUnavailable, Worker
from sgmn.service.streams.journal import FILE_NAME
from sgmn.service.streams.live_status import LiveStatus
from sgmn.service.streams.messages import ConnectionLost, Message
from sgmn.service.streams.states import Trigger
from sgmn.service.streams.store import Row, SessionGone, SessionStore
from sgmn.service.streams.timeline import end_journal
from sgmn.service.streams.worker_config import WorkerConfig

_LOG = logging.getLogger("sgmn.service.sessions")
_DATABASE_RETRY_S = 1.0
_RETRY_S = 1.0
_Result = TypeVar("_Result")
Outcome = Literal["finished", "failed", "crashed", "waits"]  # "waits" for a node or a lock


class _ClosedError(Exception):
    """The service closes while the database does not answer."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How workers are supervised.

    Attributes:
        heartbeat_timeout_s: Seconds without a message after which a worker counts as hung.
        stop_timeout_s: Seconds that a worker has to end its session.
        max_failures: Crashes in a row, without a new window in between, that a session survives.
        initial_backoff_s: Pause before the first restart; it doubles with each failure in a row.
        max_backoff_s: The longest pause.
    """

    heartbeat_timeout_s: float = 20.0
    stop_timeout_s: float = 30.0
    max_failures: int = 6
    initial_backoff_s: float = 0.5
    max_backoff_s: float = 30.0


class SessionRunner:
    """Runs a session in a thread until it has ended, or the service closes.

    Args:
        row: The session.
        config: Returns the configuration of a worker for the session as it is now.
        start_worker: Starts a worker, and notes in the status where.
        store: Changes the session.
        settings: How workers are supervised.
        on_end: Called with the session's id when the thread ends.
    """

    def __init__(
        self,
        row: Row,
        config: Callable[[Row], WorkerConfig],
        start_worker: Callable[[WorkerConfig, LiveStatus], Worker],
        store: SessionStore,
        settings: RunnerSettings,
        on_end: Callable[[str], None],
    ) -> None:
        self.session_id: str = row["id"]
        self.status = LiveStatus()
        self._config, self._start_worker, self._store = config, start_worker, store
        self._settings, self._on_end = settings, on_end
        self._worker: Worker | None = None
        self._lock = Lock()
        self._stop_event, self._close_event = Event(), Event()  # the session, the service
        self._failures, self._reason = 0, ""
        self._thread = Thread(target=self._run, name=f"session {self.session_id}", daemon=True)

    @property
    def worker_pid(self) -> int | None:
        """The process id of its worker."""
        worker = self._worker
        return None if worker is None else worker.pid

    def start(self, reason: str = "") -> None:
        """Start; `reason` says why it recovers, for a session that was running before."""
        self._reason = reason
        self._thread.start()

    def stop(self) -> None:
        """End the session; the last events are reported. A worker that hangs is killed."""
        if self._stop_event.is_set():
            return
        self._stop_event.set()
        with self._lock:
            if self._worker is not None:
                self._worker.stop()
        Thread(target=self._kill_later, daemon=True).start()

    def close(self) -> None:
        """Leave the session as it is, because the service closes or the session is deleted."""
        self.abandon()
        self.kill_worker()

    def abandon(self) -> None:
        """Start no more workers, and leave the session as it is."""
        self._close_event.set()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout_s)

    def kill_worker(self) -> None:
        """Kill the worker process, if there is one."""
        with self._lock:
            worker = self._worker
        if worker is not None:
            worker.kill()

    def _kill_later(self) -> None:
        self._thread.join(self._settings.stop_timeout_s)
        if self._thread.is_alive():
            self.kill_worker()

    def _run(self) -> None:
        try:
            try:
                self._run_workers()
            except (SessionGone, _ClosedError):
                raise
            except Exception as error:  # noqa: BLE001 - a fault here must not leave it running
                _LOG.exception(f"{self.session_id}: the session fails")
                self._end("failed", f"a fault of the service ({type(error).__name__}: {error})")
        except SessionGone:
            _LOG.info(f"{self.session_id}: the session was deleted")
        except _ClosedError:
            _LOG.info(f"{self.session_id}: the service closes before its state is stored")
        finally:
            try:
                self.kill_worker()
            finally:
                self._on_end(self.session_id)

    def _run_workers(self) -> None:
        delays = self._new_delays()
        while not self._close_event.is_set():
            outcome, detail = self._run_worker()
            if self._close_event.is_set() or outcome == "finished":
                return
            if outcome == "waits" and not self._stop_event.is_set():
                self._pause(detail, _RETRY_S)
                continue
            if outcome == "crashed" and not self._stop_event.is_set():
                if not self._failures:
                    delays = self._new_delays()
                self._failures += 1
                if self._failures <= self._settings.max_failures:
                    self._pause(detail, next(delays))
                    continue
                detail = f"{detail}; it failed {self._failures} times in a row"
            # A worker that does not stop in time was killed: its session ends all the same.
            self._end("finished" if self._stop_event.is_set() else "failed", detail)
            return

    def _new_delays(self) -> Any:
        settings = self._settings
        return backoff_delays(settings.initial_backoff_s, settings.max_backoff_s, Random())

    def _pause(self, reason: str, delay_s: float) -> None:
        """Note why there is no worker, and wait until the next one may start."""
        self._change("crashed", reason)
        self._reason = reason
        deadline_s = monotonic() + delay_s
        while monotonic() < deadline_s and not self._stop_event.is_set():
            if self._close_event.wait(min(0.1, delay_s)):
                return

    def _run_worker(self) -> tuple[Outcome, str]:
        """Run a worker until it is gone; return what became of it and why."""
        row = self._commit(lambda: self._store.find(self.session_id))
        if row is None:
            raise SessionGone(self.session_id)
        try:
            config = replace(self._config(row), reason=self._reason)
            worker = self._start_worker(config, self.status)
        except NodeUnavailable as error:
            self.status.node = ""
            return "waits", f"no node runs the worker ({error})"
        except (SgmnError, OSError, ConnectionLost) as error:
            return "crashed", f"the worker cannot be started ({error})"
        with self._lock:
            self._worker = worker
        if self._stop_event.is_set():
            worker.stop()
        if self._close_event.is_set():
            worker.kill()
        try:
            return self._listen(worker)
        except TimeoutError:
            return "crashed", "the worker did not answer and was killed"
        except ConnectionLost as error:
            return "crashed", f"the worker process has died ({_describe_end(worker.kill(), error)})"
        finally:
            worker.kill()
            self.status.note_end_of_worker()
            with self._lock:
                self._worker = None

    def _listen(self, worker: Worker) -> tuple[Outcome, str]:
        while True:
            message = worker.receive()
            content = message.content
            if message.type == "finished":
                self._end("finished", "the stream has ended")
                return "finished", ""
            if message.type == "stopped":
                return "crashed", "stopped before the first frame"
            if message.type == "failed":
                if content.get("is_locked"):
                    return "waits", content["detail"]
                return ("failed" if content["is_final"] else "crashed"), content["detail"]
            self._handle(message)

    def _handle(self, message: Message) -> None:
        content, store = message.content, self._store
        if message.type == "alive":
            self.status.note_heartbeat(content)
        elif message.type == "window":
            self._failures = 0
            self.status.now = content["now"]
        elif message.type == "events":
            self._commit(lambda: store.append_events(self.session_id, content["events"]))
        elif message.type == "gap":
            number, gap = content["number"], content["gap"]
            self._commit(lambda: store.append_gap(self.session_id, number, gap))
        elif message.type == "recording":
            self._commit(lambda: store.note_recording_problem(self.session_id, content["problem"]))
        elif message.type == "source":
            self._change("frames" if content["is_connected"] else "disconnected", "")
        elif message.type == "encoder":
            if content["is_lost"]:
                self._change("crashed", f"the encoder is away ({content['reason']})")
            else:
                self._change("frames", "")

    def _change(self, trigger: Trigger, detail: str) -> None:
        self._commit(lambda: self._store.change(self.session_id, trigger, detail))

    def _end(self, trigger: Literal["finished", "failed"], detail: str) -> None:
        """End the session, with the events that close what is open and the damage found."""
        change: Trigger = "finished" if trigger == "finished" else "gave_up"
        row = self._commit(lambda: self._store.find(self.session_id))
        if row is None:
            raise SessionGone(self.session_id)
        events: list[dict[str, Any]] = []
        try:
            replay = end_journal(self._config(row).folder / FILE_NAME, time())
            new = () if replay is None else replay.events[row["last_event_id"] :]
            events = [to_json(event) for event in new]
        except SgmnError as error:
            _LOG.error(f"{self.session_id}: {error}")
            detail = f"{detail} (its last events are unknown: {error})"
        damage = self.status.damage
        self._commit(lambda: self._store.end(self.session_id, change, detail, events, damage))

    def _commit(self, action: Callable[[], _Result]) -> _Result:
        """Run a transaction; if the database cannot be reached, try until it can.

        Nothing is lost meanwhile: the worker waits, and its journal holds everything.
        """
        while True:
            try:
                return action()
            except DBAPIError as error:
                _LOG.error(f"{self.session_id}: the database does not answer ({error})")
                if self._close_event.wait(_DATABASE_RETRY_S):
                    raise _ClosedError from error


def _describe_end(status: int | None, error: ConnectionLost) -> str:
    if status is None:
        return f"{error}; its exit status is unknown"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
