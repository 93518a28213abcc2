"""The queue of operations: rows that a worker process claims, and reports about.

A worker that claims an operation raises its `attempt`. What it writes later counts only while
that number stands, so a worker that was taken for dead cannot disturb its successor.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgmn.row_issues import RowIssue
from sgmn.service.database import tables
from sgmn.service.database.engine import Database
from sgmn.service.ids import new_id

HEARTBEAT_S = 1.0
DEAD_AFTER_S = 15.0  # without a heartbeat
MAX_ATTEMPTS = 5
UNFINISHED = ("queued", "running")
_TABLE = tables.operations
_ROWS_PER_INSERT = 500


@dataclass(frozen=True, slots=True)
class Job:
    """An operation that a worker has claimed."""

    id: str
    kind: str
    shop_id: str
    catalogue_id: str | None
    request: Mapping[str, Any]
    attempt: int

    @property
    def where(self) -> sa.ColumnElement[bool]:
        """The row of the operation, as long as this claim stands."""
        claimed = (_TABLE.c.id == self.id, _TABLE.c.attempt == self.attempt)
        return sa.and_(*claimed, _TABLE.c.state == "running")


def enqueue(
    connection: sa.Connection,
    kind: str,
    shop_id: str,
    catalogue_id: str | None,
    request: Mapping[str, Any],
    operation_id: str | None = None,
) -> dict[str, Any]:
    """Store a new operation and return its row."""
    row = {
        "id": operation_id or new_id("op"),
        "shop_id": shop_id,
        "catalogue_id": catalogue_id,
        "kind": kind,
        "state": "queued",
        "request": dict(request),
        "progress": {},
        "attempt": 0,
        "created_s": time.time(),
    }
    connection.execute(sa.insert(_TABLE).values(row))
    return row


def claim(database: Database, worker: str) -> Job | None:
    """Claim the oldest operation that waits, or whose worker has died; None if there is none.

    Operations of one catalogue run one after another.
    """
    now = time.time()
    with database.write() as connection:
        requeue(connection, _TABLE.c.heartbeat_s < now - DEAD_AFTER_S)
        busy = sa.select(_TABLE.c.catalogue_id).where(
            _TABLE.c.state == "running", _TABLE.c.catalogue_id.is_not(None)
        )
        waiting = sa.and_(_TABLE.c.state == "queued", _TABLE.c.catalogue_id.not_in(busy))
        oldest = sa.select(_TABLE.c.id).where(waiting).order_by(_TABLE.c.created_s).limit(1)
        values = {
            "state": "running",
            "attempt": _TABLE.c.attempt + 1,
            "worker": worker,
            "started_s": sa.func.coalesce(_TABLE.c.started_s, now),
            "heartbeat_s": now,
        }
        update = sa.update(_TABLE).where(
            _TABLE.c.id == oldest.scalar_subquery(), _TABLE.c.state == "queued"
        )
        row = connection.execute(update.values(values).returning(_TABLE)).mappings().one_or_none()
        if row is None:
            return None
        connection.execute(_delete_rows(row["id"]))  # of an attempt that was interrupted
        names = ("id", "kind", "shop_id", "catalogue_id", "request", "attempt")
        return Job(**{name: row[name] for name in names})


def requeue(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    """Queue running operations again whose workers have died; fail those that kill workers."""
    lost = sa.and_(_TABLE.c.state == "running", condition)
    detail = f"The worker process has died {MAX_ATTEMPTS} times during this operation."
    failed = {
        "state": "failed",
        "problem": {"title": "Worker died", "detail": detail},
        "ended_s": time.time(),
    }
    hopeless = sa.and_(lost, _TABLE.c.attempt >= MAX_ATTEMPTS)
    connection.execute(sa.update(_TABLE).where(hopeless).values(failed))
    values = {"state": "queued", "worker": None, "heartbeat_s": None}
    return int(connection.execute(sa.update(_TABLE).where(lost).values(values)).rowcount)


def requeue_of_worker(database: Database, worker: str) -> int:
    """Queue the operations of a worker again that is known to be dead."""
    with database.write() as connection:
        return requeue(connection, _TABLE.c.worker == worker)


def has_waiting(database: Database) -> bool:
    """Whether there is an operation to claim."""
    dead = _TABLE.c.heartbeat_s < time.time() - DEAD_AFTER_S
    waiting = sa.or_(_TABLE.c.state == "queued", sa.and_(_TABLE.c.state == "running", dead))
    with database.read() as connection:
        return (
            connection.execute(sa.select(_TABLE.c.id).where(waiting).limit(1)).first() is not None
        )


def unfinished_ids(database: Database) -> set[str]:
    """The ids of all operations that have not ended."""
    query = sa.select(_TABLE.c.id).where(_TABLE.c.state.in_(UNFINISHED))
    with database.read() as connection:
        return set(connection.execute(query).scalars())


def beat(database: Database, job: Job, progress: Mapping[str, Any]) -> bool:
    """Report that a job is alive and how far it is; False if it should stop."""
    values = {"heartbeat_s": time.time(), "progress": dict(progress)}
    with database.write() as connection:
        result = connection.execute(sa.update(_TABLE).where(job.where).values(values))
        return bool(result.rowcount)


def finish(connection: sa.Connection, job: Job, state: str, **values: Any) -> bool:
    """End a job: state, and its `result` or `problem`; False if the claim no longer stands."""
    values |= {"state": state, "ended_s": time.time(), "heartbeat_s": None}
    return bool(connection.execute(sa.update(_TABLE).where(job.where).values(**values)).rowcount)


def add_rows(
    connection: sa.Connection, job: Job, errors: Iterable[RowIssue], warnings: Iterable[RowIssue]
) -> None:
    """Store the report of a job: one row for each problem with a row of its input."""
    levels = [("error", issue) for issue in errors] + [("warning", issue) for issue in warnings]
    rows = [
        {
            "operation_id": job.id,
            "number": number,
            "level": level,
            "location": _storable(issue.where),
            "message": _storable(issue.message),
        }
        for number, (level, issue) in enumerate(levels, start=1)
    ]
    for start in range(0, len(rows), _ROWS_PER_INSERT):
        connection.execute(sa.insert(tables.operation_rows), rows[start : start + _ROWS_PER_INSERT])


def cancel(connection: sa.Connection, operation_id: str) -> bool:
    """Cancel an operation that has not ended; its worker notices at the next heartbeat."""
    unfinished = sa.and_(_TABLE.c.id == operation_id, _TABLE.c.state.in_(UNFINISHED))
    values = {"state": "cancelled", "ended_s": time.time(), "heartbeat_s": None}
    return bool(connection.execute(sa.update(_TABLE).where(unfinished).values(values)).rowcount)


def cancel_of_catalogue(connection: sa.Connection, catalogue_id: str) -> None:
    """Cancel all operations of a catalogue that have not ended."""
    of_catalogue = sa.and_(_TABLE.c.catalogue_id == catalogue_id, _TABLE.c.state.in_(UNFINISHED))
    values = {"state": "cancelled", "ended_s": time.time(), "heartbeat_s": None}
    connection.execute(sa.update(_TABLE).where(of_catalogue).values(values))


def _delete_rows(operation_id: str) -> sa.Delete:
    rows = tables.operation_rows
    return sa.delete(rows).where(rows.c.operation_id == operation_id)


def _storable(text: str) -> str:
    """A text that both databases can hold: without null characters and lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
