"""A tiny catalogue, a stream of it, and a supervisor on a real database."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from sgmn.catalogue.table import ProductTable
from sgmn.service.database.engine import Database
from sgmn.service.database.migrate import upgrade
from sgmn.service.ids import new_id
from sgmn.service.log import LogRow, log_transaction, read_rows
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.admission import Limits
from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.fleet import Fleet, LocalFleet
from sgmn.service.streams.hub import LogHub
from sgmn.service.streams.journal import FILE_NAME, WindowRecord, read_journal
from sgmn.service.streams.pinned_shelf import pin_shelf, shelf_path
from sgmn.service.streams.session_runner import RunnerSettings
from sgmn.service.streams.store import Row, SessionStore, insert_session
from sgmn.service.streams.supervisor import Supervisor, SupervisorSettings
from sgmn.service.streams.worker_config import WorkerConfig
from tests.service.conftest import SHOP
from tests.service.process import wait_for
from tests.world import COLORS, make_image

# Every window decides by itself, so that a model with random weights has many events.
TIMELINE = {"switch_cost": 0.2, "nothing_threshold": 0.0, "window_s": 4.0, "hop_s": 2.0}
RUNNER = RunnerSettings(heartbeat_timeout_s=20.0, stop_timeout_s=30.0, initial_backoff_s=0.05)


def make_video(path: Path, seconds: int, seed: int = 0) -> Path:
    """A video of 2 frames a second; every five seconds it shows another product."""
    colors = list(COLORS.values())
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=2)
        track.width, track.height, track.pix_fmt = 48, 64, "yuv420p"
        track.options = {"g": "4"}
        for number in range(2 * seconds):
            color = colors[(seed + number // 10) % len(colors)]
            image = make_image(color, number).resize((48, 64))
            video.mux(track.encode(av.VideoFrame.from_image(image)))
        video.mux(track.encode())
    return path


class SharedEncoder(EncoderProcess):
    """An encoder process for several supervisors, because it takes seconds to start."""

    def close(self) -> None:
        """Stay for the next supervisor."""

    def end(self) -> None:
        """Stop it."""
        super().close()


@dataclass
class StreamWorld:
    """Sessions of one shop without the HTTP API.

    Attributes:
        folder: Everything is in here.
        index: The index of the shop.
        options: Fields of `WorkerConfig` that all sessions have.
        encoder: The encoder process; one of its own for each supervisor if None.
        sources: The source of each session.
        database_folder: Where the database is; by default in `folder`.
        fleet: Where workers run; this machine if None.
    """

    folder: Path
    index: Path
    options: dict[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(max_streams=10, cpus=64))
    runner: RunnerSettings = RUNNER
    encoder: EncoderProcess | None = None
    sources: dict[str, str] = field(default_factory=dict)
    database_folder: Path | None = None
    fleet: Fleet | None = None

    def __post_init__(self) -> None:
        self.database = Database(ServiceSettings(data=self.database_folder or self.folder))
        upgrade(self.database)
        self.store = SessionStore(self.database, LogHub(self.database))
        table = ProductTable.open(self.index)
        self.version = pin_shelf(table, SHOP, self.folder / "shelves", "cat")
        self.supervisor: Supervisor | None = None

    @contextmanager
    def supervise(self) -> Iterator[Supervisor]:
        """Run a supervisor, as one start of the service does."""
        encoder = self.encoder or EncoderProcess()
        settings = SupervisorSettings(self.folder / "lock", self.config, self.limits, self.runner)
        fleet = self.fleet or LocalFleet(encoder, self.limits.cpus)
        supervisor = Supervisor(self.store, encoder, fleet, settings)
        self.supervisor = supervisor
        supervisor.start()
        try:
            yield supervisor
        finally:
            supervisor.close()

    def config(self, row: Row) -> WorkerConfig:
        """The configuration of the worker of a session."""
        options = {"last_event_id": row["last_event_id"], **self.options}
        return WorkerConfig(
            session_id=row["id"],
            source=self.sources[row["id"]],
            folder=self.folder / "sessions" / row["id"],
            shelf=shelf_path(self.folder / "shelves", "cat", self.version),
            logged_gaps=row["gap_count"],
            **options,
        )

    def add(self, source: Path | str) -> str:
        """Queue a session and return its id."""
        session_id = new_id("ses")
        self.sources[session_id] = str(source)
        values = {
            "id": session_id,
            "shop_id": SHOP,
            "catalogue_id": "cat",
            "index_version": self.version,
            "source_redacted": str(source),
            "source_sealed": "",
            "options": {},
        }
        with log_transaction(self.database) as transaction:
            insert_session(transaction, values)
        return session_id

    def row(self, session_id: str) -> Row:
        """A session as it is now."""
        row = self.store.find(session_id)
        assert row is not None
        return row

    def log(self, session_id: str) -> list[LogRow]:
        """The whole log of a session; its numbers have no holes."""
        with self.database.read() as connection:
            rows = read_rows(connection, session_id, 0, 100_000)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        return rows

    def states(self, session_id: str) -> list[str]:
        """The states of a session, as its log says."""
        changes = [row.data for row in self.log(session_id) if row.type == "sgmn.session/1"]
        return [change["state"] for change in changes if change["change"] == "state"]

    def events(self, session_id: str) -> list[dict[str, Any]]:
        """The events of a session, as its log says."""
        return [dict(row.data) for row in self.log(session_id) if row.type == "sgmn.event/1"]

    def windows(self, session_id: str) -> list[WindowRecord]:
        """The windows in the journal of a session."""
        path = self.folder / "sessions" / session_id / FILE_NAME
        return [record for record in read_journal(path) if isinstance(record, WindowRecord)]

    def wait_for_state(self, session_id: str, *states: str) -> Row:
        """Wait until a session is in one of some states."""
        found: Row = wait_for(
            lambda: row if (row := self.row(session_id))["state"] in states else None,
            " or ".join(states),
        )
        return found

    def wait_for_windows(self, session_id: str, count: int) -> None:
        """Wait until a journal has some windows, and no longer."""
        wait_for(lambda: len(self.windows(session_id)) >= count, f"{count} windows", 0.02)

    def worker_pid(self, session_id: str) -> int | None:
        """The process id of the worker of a session, if it has one now."""
        return None if self.supervisor is None else self.supervisor.worker_pids().get(session_id)


def kill(pid: int | None) -> None:
    """Kill a process as a crash does."""
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def comparable(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What must be the same in the events of two runs of a recording."""
    names = ("id", "kind", "time_s", "found_s", "product_id", "before", "corrects")
    return [tuple(event[name] for name in names) for event in events]
