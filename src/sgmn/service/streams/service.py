"""The streams of a service: its sessions, their log, and what runs in the background for them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from fastapi.concurrency import run_in_threadpool

from sgmn.scale.engines import RAY
from sgmn.service.context import ServiceContext
from sgmn.service.outbound.policy import OutboundPolicy
from sgmn.service.streams.admission import Limits
from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.fleet import Fleet, LocalFleet
from sgmn.service.streams.hub import LogHub
from sgmn.service.streams.janitor import SESSIONS_FOLDER, SHELVES_FOLDER, clean_up
from sgmn.service.streams.live_status import LiveStatus
from sgmn.service.streams.pinned_shelf import shelf_path
from sgmn.service.streams.ray_fleet import RayFleet
from sgmn.service.streams.store import Row, SessionStore
from sgmn.service.streams.supervisor import Supervisor, SupervisorSettings
from sgmn.service.streams.worker_config import TranscriptOptions, WorkerConfig

CLEANING_INTERVAL_S = 60.0
_STOPPING_POLL_S = 0.1
_PART = "streams"
_LOG = structlog.get_logger("sgmn.service")


class Streams:
    """What the routes of sessions need.

    Attributes:
        hub: Followers of the logs.
        store: The sessions.
        supervisor: Runs the sessions; None if this process does not.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self.hub = LogHub(context.database)
        self.store = SessionStore(context.database, self.hub)
        self.supervisor: Supervisor | None = None

    @property
    def shelves(self) -> Path:
        """The folder of pinned products."""
        return self._context.settings.data / SHELVES_FOLDER

    def folder(self, session_id: str) -> Path:
        """The folder of a session."""
        return self._context.settings.data / SESSIONS_FOLDER / session_id

    def shelf(self, row: Row) -> Path:
        """The file of a session's products."""
        return shelf_path(self.shelves, row["catalogue_id"], row["index_version"])

    def wake(self) -> None:
        """Let the supervisor look at the sessions now."""
        if self.supervisor is not None:
            self.supervisor.wake()

    def status(self, session_id: str) -> LiveStatus | None:
        """What a session with a worker says about itself."""
        return None if self.supervisor is None else self.supervisor.status(session_id)

    def drop(self, session_id: str) -> None:
        """Kill the worker of a session that has been deleted, and delete its folder."""
        self.hub.forget(session_id)
        if self.supervisor is not None:
            self.supervisor.drop(session_id)
        shutil.rmtree(self.folder(session_id), ignore_errors=True)

    def create_supervisor(self) -> Supervisor:
        """A supervisor with the settings of the service."""
        settings = self._context.settings
        cpus, load = os.cpu_count() or 1, settings.max_load
        encoder = EncoderProcess(settings.encoder_threads, settings.runtime)
        fleet: Fleet = LocalFleet(encoder, cpus)
        if settings.engine == RAY:
            fleet = RayFleet(settings.ray_address, settings.encoder_threads, settings.runtime)
        limits = Limits(settings.max_streams, cpus, load, load)
        lock_file = settings.data / SESSIONS_FOLDER / ".lock"
        supervision = SupervisorSettings(lock_file, self.worker_config, limits)
        return Supervisor(self.store, encoder, fleet, supervision)

    def worker_config(self, row: Row) -> WorkerConfig:
        """The configuration of a session's worker."""
        settings, options = self._context.settings, row["options"]
        secrets = json.loads(self._context.sealer.open(row["source_sealed"]))
        transcript = {**options["transcript"], "url": secrets["subtitles"]}
        return WorkerConfig(
            session_id=row["id"],
            source=secrets["source"],
            folder=self.folder(row["id"]),
            shelf=self.shelf(row),
            policy=asdict(OutboundPolicy.from_settings(settings)),
            modalities=tuple(options["modalities"]),
            transcript=TranscriptOptions(**transcript),
            lag_s=options["lag_s"],
            realtime=options["realtime"],
            attempts=options["attempts"],
            kept_side=settings.keep_frames_px if settings.keep_frames_hours > 0 else None,
            record=options.get("record", False),
            may_skip=options.get("effort", "adaptive") == "adaptive",
            last_event_id=row["last_event_id"],
            logged_gaps=row["gap_count"],
            threads=max(1, (os.cpu_count() or 1) // 2),
        )


def streams_of(context: ServiceContext) -> Streams:
    """The streams of a service."""
    if _PART not in context.parts:
        context.parts.setdefault(_PART, Streams(context))  # atomic, unlike an assignment here
    streams: Streams = context.parts[_PART]
    return streams


def seal_source(context: ServiceContext, source: str, subtitles: str) -> str:
    """Seal the addresses of a session, which may hold credentials."""
    return context.sealer.seal(json.dumps({"source": source, "subtitles": subtitles}))


@asynccontextmanager
async def run_streams(context: ServiceContext) -> AsyncIterator[None]:
    """Run the sessions of a service; a component, see `components`."""
    streams = streams_of(context)
    streams.hub.open()
    supervisor = streams.create_supervisor()
    await run_in_threadpool(supervisor.start)
    streams.supervisor = supervisor
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(streams.hub.watch_other_processes()),
        asyncio.create_task(_close_in_time(context, streams.hub)),
        asyncio.create_task(_clean_up_regularly(context)),
    ]
    try:
        yield
    finally:
        streams.hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await run_in_threadpool(supervisor.close)
        streams.supervisor = None


async def _close_in_time(context: ServiceContext, hub: LogHub) -> None:
    """Let followers end as soon as the service is asked to stop: it waits for their requests."""
    while not context.stopping.is_set():
        await asyncio.sleep(_STOPPING_POLL_S)
    hub.close()


async def _clean_up_regularly(context: ServiceContext) -> None:
    while True:
        try:
            await run_in_threadpool(clean_up, context.database, context.settings)
        except Exception as error:  # noqa: BLE001 - such as a database that restarts
            _LOG.error("old frames cannot be deleted", exc_info=error)
        await asyncio.sleep(CLEANING_INTERVAL_S)
