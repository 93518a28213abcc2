"""The log of a session: what happened, numbered without holes, in the transaction that did it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from sgmn.service import metrics
from sgmn.service.database import tables
from sgmn.service.database.engine import Database
from sgmn.service.webhooks import outbox

RowType = Literal["sgmn.event/1", "sgmn.review/1", "sgmn.session/1"]
EVENT: RowType = "sgmn.event/1"
REVIEW: RowType = "sgmn.review/1"
SESSION: RowType = "sgmn.session/1"
_SESSIONS, _LOG = tables.sessions, tables.log


@dataclass(frozen=True)
class LogRow:
    """A row of the log.

    Attributes:
        session_id: The session.
        seq: Its number in the session, from 1 without holes.
        type: What `data` is.
        wall_s: When it was written, in seconds since 1970.
        data: An event (docs/events.md), a review, or a change of the session.
    """

    session_id: str
    seq: int
    type: str
    wall_s: float
    data: Mapping[str, Any]

    @cached_property
    def json(self) -> str:
        """The row as consumers get it, `{seq, session, type, wall_s, data}`; made once for all."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))

    @property
    def size_bytes(self) -> int:
        """About how many bytes it takes as JSON."""
        return len(self.json)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON types."""
        return {
            "seq": self.seq,
            "session": self.session_id,
            "type": self.type,
            "wall_s": self.wall_s,
            "data": dict(self.data),
        }


class Readers(Protocol):
    """Those who wait for new rows."""

    def publish(self, rows: list[LogRow]) -> None:
        """Receive rows that have been committed."""


class LogTransaction:
    """A transaction that may append to logs.

    Attributes:
        connection: For the changes that the rows report.
        rows: The rows so far.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.rows: list[LogRow] = []

    def append(self, session_id: str, row_type: RowType, data: Mapping[str, Any]) -> LogRow | None:
        """Append a row and return it; None for a session that does not exist (any more)."""
        return self._append(session_id, row_type, data, sa.true(), {})

    def append_event(self, session_id: str, event: Mapping[str, Any]) -> LogRow | None:
        """Append an event of `sgmn.event/1`; None if it is in the log already.

        Raises ValueError if an event before it is missing.
        """
        event_id, column = int(event["id"]), _SESSIONS.c.last_event_id
        values = {"last_event_id": event_id}
        row = self._append(session_id, EVENT, event, column == event_id - 1, values)
        if row is None:
            query = sa.select(column).where(_SESSIONS.c.id == session_id)
            last_id = self.connection.execute(query).scalar()
            if last_id is not None and last_id < event_id - 1:
                raise ValueError(f"event {event_id} of {session_id} comes after {last_id}")
        return row

    def append_gap(self, session_id: str, number: int, gap: Mapping[str, Any]) -> LogRow | None:
        """Append the `number`-th gap; None if it is in the log already."""
        column = _SESSIONS.c.gap_count
        data = {"change": "gap", "gap": dict(gap)}
        return self._append(session_id, SESSION, data, column == number - 1, {"gap_count": number})

    def _append(
        self,
        session_id: str,
        row_type: RowType,
        data: Mapping[str, Any],
        condition: sa.ColumnElement[bool],
        values: Mapping[str, Any],
    ) -> LogRow | None:
        # The update locks the session's row, so numbers are given one at a time.
        update = (
            sa.update(_SESSIONS)
            .where(_SESSIONS.c.id == session_id, condition)
            .values(last_seq=_SESSIONS.c.last_seq + 1, **values)
            .returning(_SESSIONS.c.last_seq)
        )
        seq = self.connection.execute(update).scalar()
        if seq is None:
            return None
        row = LogRow(session_id, int(seq), row_type, time.time(), dict(data))
        content = {
            "session_id": session_id,
            "seq": row.seq,
            "type": row_type,
            "wall_s": row.wall_s,
            "data": row.data,
        }
        self.connection.execute(sa.insert(_LOG).values(content))
        outbox.enqueue(self.connection, session_id, row.seq, row_type)
        self.rows.append(row)
        return row


@contextmanager
def log_transaction(database: Database, readers: Readers | None = None) -> Iterator[LogTransaction]:
    """A transaction that may append to logs; readers are told once it is committed.

    Example:
        >>> with log_transaction(database, hub) as transaction:  # doctest: +SKIP
        ...     transaction.append(session_id, SESSION, {"change": "state", "state": "running"})
    """
    with database.write() as connection:
        transaction = LogTransaction(connection)
        yield transaction
    for row in transaction.rows:
        metrics.LOG_ROWS.labels(row.type).inc()
    if readers is not None and transaction.rows:
        readers.publish(transaction.rows)


def read_rows(connection: sa.Connection, session_id: str, after: int, limit: int) -> list[LogRow]:
    """Return up to `limit` rows of a session after a number, in order."""
    return list(iter_rows(connection, session_id, after, limit))


def iter_rows(
    connection: sa.Connection, session_id: str, after: int, limit: int
) -> Iterator[LogRow]:
    """Yield up to `limit` rows of a session after a number, in order."""
    query = (
        sa.select(_LOG)
        .where(_LOG.c.session_id == session_id, _LOG.c.seq > after)
        .order_by(_LOG.c.seq)
        .limit(limit)
    )
    for row in connection.execute(query).mappings():
        yield LogRow(row["session_id"], row["seq"], row["type"], row["wall_s"], row["data"])
