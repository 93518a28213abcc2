"""Sessions in the database: each change of their state is a row of their log as well."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sgmn.service.database import tables
from sgmn.service.database.engine import Database
from sgmn.service.log import SESSION, LogTransaction, Readers, log_transaction
from sgmn.service.streams.states import TERMINAL, Trigger, next_state, parse_state

Row = dict[str, Any]
_SESSIONS = tables.sessions


class SessionGone(Exception):  # noqa: N818 - an event rather than an error
    """The session does not exist any more."""


class SessionStore:
    """Reads and changes sessions.

    Args:
        database: The database.
        readers: Told of new rows of logs.
    """

    def __init__(self, database: Database, readers: Readers | None = None) -> None:
        self.database, self._readers = database, readers

    def find(self, session_id: str) -> Row | None:
        """Return a session; None if there is none."""
        with self.database.read() as connection:
            return find_session(connection, session_id)

    def unfinished(self) -> list[Row]:
        """Return the sessions that have not ended, oldest first."""
        query = (
            sa.select(_SESSIONS)
            .where(_SESSIONS.c.state.not_in(TERMINAL))
            .order_by(_SESSIONS.c.created_s, _SESSIONS.c.id)
        )
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def change(self, session_id: str, trigger: Trigger, detail: str = "", **values: Any) -> Row:
        """Apply a trigger to a session and return it; see `change_state`.

        Raises SessionGone if it does not exist any more.
        """
        with log_transaction(self.database, self._readers) as transaction:
            return change_state(transaction, session_id, trigger, detail, **values)

    def note_detail(self, session_id: str, detail: str) -> None:
        """Say why a session is still queued."""
        waits = sa.and_(_SESSIONS.c.id == session_id, _SESSIONS.c.state == "queued")
        with self.database.write() as connection:
            connection.execute(sa.update(_SESSIONS).where(waits).values(state_detail=detail))

    def append_events(self, session_id: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Append the events that are not in the log yet, all or none."""
        with log_transaction(self.database, self._readers) as transaction:
            for event in events:
                transaction.append_event(session_id, event)

    def append_gap(self, session_id: str, number: int, gap: Mapping[str, Any]) -> None:
        """Append the `number`-th gap, unless it is in the log already."""
        with log_transaction(self.database, self._readers) as transaction:
            transaction.append_gap(session_id, number, gap)

    def note_recording_problem(self, session_id: str, problem: str) -> None:
        """Say in the log why a session is not recorded, unless the log says it already."""
        data = {"change": "recording", "problem": problem}
        query = sa.select(tables.log.c.data).where(
            tables.log.c.session_id == session_id, tables.log.c.type == SESSION
        )
        with log_transaction(self.database, self._readers) as transaction:
            if data not in transaction.connection.execute(query).scalars().all():
                transaction.append(session_id, SESSION, data)

    def end(
        self,
        session_id: str,
        trigger: Trigger,
        detail: str,
        events: Sequence[Mapping[str, Any]],
        damage: Iterable[str] = (),
    ) -> Row:
        """Append the last events and the damage, and end the session, in one transaction."""
        with log_transaction(self.database, self._readers) as transaction:
            for event in events:
                transaction.append_event(session_id, event)
            found = find_session(transaction.connection, session_id)
            if found is not None and found["state"] not in TERMINAL:  # the end may be told twice
                for line in damage:
                    transaction.append(session_id, SESSION, {"change": "damage", "problem": line})
            return change_state(transaction, session_id, trigger, detail)


def insert_session(transaction: LogTransaction, values: Mapping[str, Any]) -> Row:
    """Store a new session, which is queued, and begin its log."""
    now_s = time.time()
    row = {
        "state": "queued",
        "created_s": now_s,
        "last_seq": 0,
        "last_event_id": 0,
        "gap_count": 0,
        "version": 1,
        **values,
    }
    transaction.connection.execute(sa.insert(_SESSIONS).values(row))
    transaction.append(row["id"], SESSION, {"change": "state", "state": "queued", "previous": None})
    found = find_session(transaction.connection, row["id"])
    assert found is not None
    return found


def find_session(connection: sa.Connection, session_id: str) -> Row | None:
    """Return a session; None if there is none."""
    query = sa.select(_SESSIONS).where(_SESSIONS.c.id == session_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def change_state(
    transaction: LogTransaction, session_id: str, trigger: Trigger, detail: str = "", **values: Any
) -> Row:
    """Apply a trigger to a session and return it.

    A trigger that changes nothing leaves the session and its log alone, so that everything may be
    reported twice.

    Args:
        transaction: Changes the session and appends to its log.
        session_id: The session.
        trigger: What has happened; see `states.next_state`.
        detail: Why, for people.
        values: Other columns to set if the state changes.

    Raises:
        SessionGone: It does not exist any more.
    """
    connection = transaction.connection
    # Locks the row, so that no two changes start from the same state.
    lock = sa.select(_SESSIONS).where(_SESSIONS.c.id == session_id).with_for_update()
    found = connection.execute(lock).mappings().one_or_none()
    if found is None:
        raise SessionGone(session_id)
    previous = parse_state(found["state"])
    state = next_state(previous, trigger)
    if state == previous:
        return dict(found)
    now_s = time.time()
    if state in TERMINAL:
        values = {**values, "ended_s": now_s}
    if state == "running" and found["started_s"] is None:
        values = {**values, "started_s": now_s}
    update = (
        sa.update(_SESSIONS)
        .where(_SESSIONS.c.id == session_id)
        .values(state=state, state_detail=detail or None, version=_SESSIONS.c.version + 1, **values)
    )
    connection.execute(update)
    content = {"change": "state", "state": state, "previous": previous, "detail": detail or None}
    transaction.append(session_id, SESSION, content)
    return {**found, **values, "state": state, "state_detail": detail or None}
