"""Supervises all sessions: admits those that wait, runs them, and recovers them after a crash."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

from sqlalchemy.exc import DBAPIError

from sgmn.errors import SgmnError
from sgmn.service.streams.admission import (
    NO_NODE,
    Limits,
    Load,
    Loads,
    choose_node,
    least_loaded,
)
from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.fleet import (
    MAX_FAULT_PAUSE_S,
    Fleet,
    Node,
    NodeUnavailable,
    Worker,
)
from sgmn.service.streams.live_status import LiveStatus
from sgmn.service.streams.session_runner import RunnerSettings, SessionRunner
from sgmn.service.streams.states import ACTIVE, RECOVERABLE
from sgmn.service.streams.store import Row, SessionGone, SessionStore
from sgmn.service.streams.worker_config import WorkerConfig

POLL_S = 0.25
RESTARTED = "the service was restarted"
_JOIN_TIMEOUT_S = 60.0
_LOG = logging.getLogger("sgmn.service.sessions")


@dataclass(frozen=True)
class SupervisorSettings:
    """What a supervisor needs.

    Attributes:
        lock_file: Held as long as it runs, because only one may supervise the sessions.
        config: Returns the configuration of a worker for a session.
        limits: How many streams are accepted.
        runner: How workers are supervised.
    """

    lock_file: Path
    config: Callable[[Row], WorkerConfig]
    limits: Limits
    runner: RunnerSettings = field(default_factory=RunnerSettings)


class Supervisor:
    """Runs all sessions of a service, each with a worker, on the machines of a fleet.

    Args:
        store: The sessions.
        encoder: The encoder process of this machine, which also draws heatmaps.
        fleet: Where the workers run.
        settings: See SupervisorSettings.
    """

    def __init__(
        self,
        store: SessionStore,
        encoder: EncoderProcess,
        fleet: Fleet,
        settings: SupervisorSettings,
    ) -> None:
        self.encoder = encoder
        self._store, self._fleet, self._settings = store, fleet, settings
        self._runners: dict[str, SessionRunner] = {}
        self._lock = Lock()
        self._wake_event, self._close_event = Event(), Event()
        self._known: set[str] = set()  # sessions that this process has run
        self._thread = Thread(target=self._run, name="sessions", daemon=True)
        self._lock_descriptor = -1

    def start(self) -> None:
        """Recover the sessions of the last run, and begin to supervise.

        Raises SgmnError if another process supervises them.
        """
        path = self._settings.lock_file
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock_descriptor)
            raise SgmnError(
                "another process of sgmn serve runs the sessions of this folder",
                path.parent,
                "stop it, or use another data folder",
            ) from error
        try:
            self._fleet.start()
            for row in self._store.unfinished():
                if row["state"] in RECOVERABLE:
                    self._store.change(row["id"], "crashed", RESTARTED)
        except BaseException:
            self.close()
            raise
        self._thread.start()

    def wake(self) -> None:
        """Look at the sessions now: one was added, or is to be stopped."""
        self._wake_event.set()

    def status(self, session_id: str) -> LiveStatus | None:
        """Return what a session with a worker says about itself."""
        runner = self._runners.get(session_id)
        return None if runner is None else runner.status

    def worker_pids(self) -> dict[str, int]:
        """Return the process ids of all workers, by session."""
        pids = {name: runner.worker_pid for name, runner in list(self._runners.items())}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def statuses(self) -> list[LiveStatus]:
        """Return what each session with a worker says about itself."""
        return [runner.status for runner in list(self._runners.values())]

    def load(self) -> Load:
        """Return what the streams take at the moment."""
        return measure_load(self.statuses(), self.nodes().values())

    def nodes(self) -> Mapping[str, Node]:
        """Return the machines that can run workers now, by name."""
        return self._fleet.nodes()

    def _loads(self) -> Loads:
        """Return the load and the limits of each node."""
        statuses, loads = self.statuses(), {}
        for name, node in self.nodes().items():
            on_node = [status for status in statuses if status.node == name]
            limits = self._settings.limits.for_node(node.cpus, len(statuses) - len(on_node))
            loads[name] = measure_load(on_node, [node]), limits
        return loads

    def drop(self, session_id: str) -> None:
        """Kill the worker of a session that has been deleted, and wait until it is gone."""
        with self._lock:
            runner = self._runners.get(session_id)
        if runner is not None:
            runner.close()
            runner.join(_JOIN_TIMEOUT_S)

    def close(self) -> None:
        """Kill all workers and the encoder; the sessions recover at the next start."""
        self._close_event.set()
        self._wake_event.set()
        if self._thread.is_alive():
            self._thread.join()
        runners = list(self._runners.values())
        for runner in runners:
            runner.abandon()
        self._fleet.kill_workers()
        for runner in runners:
            runner.close()
        for runner in runners:
            runner.join(_JOIN_TIMEOUT_S)
        self._fleet.close()
        self.encoder.close()
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def _run(self) -> None:
        pause_s = POLL_S
        while not self._close_event.is_set():
            if self._look_safely():
                pause_s = POLL_S
                self._wake_event.wait(pause_s)
            else:
                pause_s = min(2 * pause_s, MAX_FAULT_PAUSE_S)
                self._close_event.wait(pause_s)
            self._wake_event.clear()

    def _look_safely(self) -> bool:
        """Look at the sessions; log a fault and return False if that is impossible now."""
        try:
            self._look()
        except DBAPIError as error:
            _LOG.error(f"the database does not answer ({error})")
        except Exception:  # noqa: BLE001 - a fault here must not end it
            _LOG.exception("the sessions cannot be supervised")
        else:
            return True
        self._fleet.ask_for_node(False)
        return False

    def _look(self) -> None:
        obstacle = ""  # of the oldest session that has to wait; it keeps the others waiting
        for row in self._store.unfinished():
            if self._close_event.is_set():
                return
            runner = self._runners.get(row["id"])
            if row["state"] == "queued":
                obstacle = self._admit(row, obstacle)
            elif row["state"] in ACTIVE and runner is None:
                self._start(row, "" if row["id"] in self._known else RESTARTED, node="")
            if row["state"] == "stopping" and runner is not None:
                runner.stop()
        self._fleet.ask_for_node(self._needs_node(bool(obstacle)))

    def _needs_node(self, is_waiting: bool) -> bool:
        """Whether another node would help a session that waits, or those that lost theirs."""
        limit = self._settings.limits.max_streams
        has_room = not limit or len(self._runners) < limit
        return (is_waiting and has_room) or (bool(self._runners) and not self.nodes())

    def _admit(self, row: Row, obstacle: str) -> str:
        """Start a queued session, unless there is an obstacle; return the obstacle."""
        node, obstacle = (None, obstacle) if obstacle else choose_node(self._loads())
        if node is None:
            self._note_obstacle(row, obstacle)
            return obstacle
        with suppress(SessionGone):
            changed = self._store.change(row["id"], "admitted")
            self._fleet.ask_for_node(False)  # others may be admitted just as well
            if changed["state"] == "starting":
                self._start(changed, "", node)
        return ""

    def _note_obstacle(self, row: Row, obstacle: str) -> None:
        if row["state_detail"] is None:
            self._store.note_detail(row["id"], obstacle)

    def _start(self, row: Row, reason: str, node: str) -> None:
        settings = self._settings
        runner = SessionRunner(
            row, settings.config, self._start_worker, self._store, settings.runner, self._forget
        )
        runner.status.node = node
        with self._lock:
            self._runners[row["id"]] = runner
            self._known.add(row["id"])
        runner.start(reason)
        if row["state"] == "stopping":
            runner.stop()

    def _start_worker(self, config: WorkerConfig, status: LiveStatus) -> Worker:
        """Start a worker where its session was admitted, or else where there is the most room.

        Raises NodeUnavailable if there is no machine.
        """
        with self._lock:
            status.node = status.node or least_loaded(self._loads(), status.failed_node) or ""
        if not status.node:
            raise NodeUnavailable(NO_NODE)
        timeout_s = self._settings.runner.heartbeat_timeout_s
        return self._fleet.start_worker(status.node, config, timeout_s)

    def _forget(self, session_id: str) -> None:
        with self._lock:
            self._runners.pop(session_id, None)
        self.wake()


def measure_load(statuses: Collection[LiveStatus], nodes: Collection[Node]) -> Load:
    """What some streams, and the encoders of their machines, take at the moment."""
    lags = [float(status.now["lag_s"]) for status in statuses if status.now is not None]
    return Load(
        streams=len(statuses),
        warming=sum(status.is_warming for status in statuses),
        worker_cpu=sum(status.cpu or 0.0 for status in statuses if not status.is_warming),
        encoder_busy=max((float(node.encoder.get("busy", 0.0)) for node in nodes), default=0.0),
        max_lag_s=max(lags, default=0.0),
        reduced=sum(bool(status.heartbeat.get("is_reduced")) for status in statuses),
    )
