"""Deletes what sessions have kept for long enough, and what deleted sessions have left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from sgmn.service.database import tables
from sgmn.service.database.engine import Database
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.journal import FILE_NAME
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.pinned_shelf import SUFFIX, shelf_path
from sgmn.service.streams.recordings import RECORDING_FOLDER, delete_older_than
from sgmn.service.streams.states import TERMINAL

SESSIONS_FOLDER, SHELVES_FOLDER = "sessions", "shelves"
_YOUNG_S = 3600.0  # a file may be there before the session that it is for


def clean_up(database: Database, settings: ServiceSettings) -> None:
    """Delete old frames and recordings, journals of sessions that ended long ago, and orphans."""
    sessions = tables.sessions
    columns = (sessions.c.id, sessions.c.catalogue_id, sessions.c.index_version)
    query = sa.select(*columns, sessions.c.state, sessions.c.ended_s)
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    now_s = time.time()
    folder = settings.data / SESSIONS_FOLDER
    for row in rows:
        frames = KeptFrames(folder / row["id"] / FRAMES_FOLDER)
        frames.delete_older_than(now_s - 3600 * settings.keep_frames_hours)
        oldest_s = now_s - 86_400 * settings.keep_recordings_days
        delete_older_than(folder / row["id"] / RECORDING_FOLDER, oldest_s)
        oldest_s = now_s - 86_400 * settings.keep_journals_days
        if row["state"] in TERMINAL and (row["ended_s"] or now_s) < oldest_s:
            (folder / row["id"] / FILE_NAME).unlink(missing_ok=True)
    _delete_others(folder.glob("*/"), {row["id"] for row in rows}, now_s)
    shelves = settings.data / SHELVES_FOLDER
    used = {shelf_path(shelves, row["catalogue_id"], row["index_version"]).name for row in rows}
    _delete_others(shelves.glob(f"*{SUFFIX}"), used, now_s)


def _delete_others(paths: Iterable[Path], names: set[str], now_s: float) -> None:
    for path in paths:
        if path.name in names or path.stat().st_mtime > now_s - _YOUNG_S:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
