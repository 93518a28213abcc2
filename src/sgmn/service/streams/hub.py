"""Tells those who follow a log of new rows, and keeps the newest rows for them in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

import sqlalchemy as sa
from fastapi.concurrency import run_in_threadpool

from sgmn.service.database import tables
from sgmn.service.database.engine import Database
from sgmn.service.log import LogRow, iter_rows

KEPT_ROWS = 256  # of each session, in memory
KEPT_BYTES = 1 << 20  # of each session, in memory, as JSON
MAX_TAILS = 1000  # sessions with rows in memory
# What a follower holds while it waits for a slow connection. A follower that does not read keeps
# it for as long as it likes, so it must be little.
BATCH_ROWS = 32
BATCH_BYTES = 128 << 10
POLL_S = 0.25  # how often rows of other processes are looked for


class _Tail:
    """The newest rows of a session, and those who wait for more."""

    def __init__(self) -> None:
        self.rows: OrderedDict[int, LogRow] = OrderedDict()
        self.size_bytes = 0
        self.last_seq = 0
        self.changed = asyncio.Event()
        self.readers = 0

    def add(self, rows: Sequence[LogRow]) -> None:
        for row in rows:
            self.rows[row.seq] = row
            self.size_bytes += row.size_bytes
            self.last_seq = max(self.last_seq, row.seq)
        while len(self.rows) > KEPT_ROWS or (self.size_bytes > KEPT_BYTES and len(self.rows) > 1):
            self.size_bytes -= self.rows.popitem(last=False)[1].size_bytes

    def after(self, seq: int) -> Iterator[LogRow]:
        """The rows in memory that follow a number without a hole."""
        while (row := self.rows.get(seq + 1)) is not None:
            yield row
            seq += 1


class LogHub:
    """The followers of all logs in this process.

    `publish` may be called from any thread, everything else in the event loop.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tails: dict[str, _Tail] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = Lock()
        self.is_closing = False

    def open(self) -> None:
        """Attach to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let all followers end, because the service stops. May be called from any thread."""
        self.is_closing = True
        self._call(self._wake_all)

    def publish(self, rows: list[LogRow]) -> None:
        """Receive rows that have been committed."""
        self._call(self._add, rows)

    async def rows_after(
        self, session_id: str, seq: int, wait_s: float, limit: int = BATCH_ROWS
    ) -> list[LogRow]:
        """Return the first rows after a number; waits up to `wait_s` for the first one.

        There are at most `limit` of them, and no more than fit into `BATCH_BYTES`, or else one.
        """
        self.open()
        tail = self._tails.setdefault(session_id, _Tail())
        tail.readers += 1
        try:
            deadline_s = asyncio.get_running_loop().time() + wait_s
            while True:
                changed = tail.changed
                rows = _batch(tail.after(seq), limit)
                if not rows and (seq < tail.last_seq or not tail.last_seq):
                    rows = await run_in_threadpool(self._read, session_id, seq, limit)
                remaining_s = deadline_s - asyncio.get_running_loop().time()
                if rows or remaining_s <= 0 or self.is_closing:
                    return rows
                await _wait(changed, remaining_s)
        finally:
            tail.readers -= 1
            if not tail.readers and self._tails.get(session_id) is tail and not tail.rows:
                del self._tails[session_id]

    async def watch_other_processes(self) -> None:
        """Look for rows that other processes have written, until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            watched = [name for name, tail in self._tails.items() if tail.readers]
            if watched:
                for session_id, last_seq in await run_in_threadpool(self._last_seqs, watched):
                    self._note(session_id, last_seq)

    def forget(self, session_id: str) -> None:
        """Forget a session that has been deleted. May be called from any thread."""
        self._call(self._forget, session_id)

    def _call(self, function: object, *arguments: object) -> None:
        with self._lock:
            loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(function, *arguments)  # type: ignore[arg-type]

    def _add(self, rows: list[LogRow]) -> None:
        for row in rows:
            tail = self._tails.setdefault(row.session_id, _Tail())
            tail.add([row])
            _wake(tail)
        if len(self._tails) > MAX_TAILS:
            unused = [name for name, tail in self._tails.items() if not tail.readers]
            for name in unused[: len(self._tails) - MAX_TAILS]:
                del self._tails[name]

    def _note(self, session_id: str, last_seq: int) -> None:
        tail = self._tails.get(session_id)
        if tail is not None and last_seq > tail.last_seq:
            tail.last_seq = last_seq
            _wake(tail)

    def _wake_all(self) -> None:
        for tail in self._tails.values():
            _wake(tail)

    def _forget(self, session_id: str) -> None:
        tail = self._tails.pop(session_id, None)
        if tail is not None:
            _wake(tail)

    def _read(self, session_id: str, seq: int, limit: int) -> list[LogRow]:
        with self._database.read() as connection:
            return _batch(iter_rows(connection, session_id, seq, limit), limit)

    def _last_seqs(self, session_ids: Sequence[str]) -> list[tuple[str, int]]:
        sessions = tables.sessions
        query = sa.select(sessions.c.id, sessions.c.last_seq).where(sessions.c.id.in_(session_ids))
        with self._database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]


def _batch(rows: Iterable[LogRow], limit: int) -> list[LogRow]:
    """The first rows, as far as `limit` and `BATCH_BYTES` allow; at least one if there is one."""
    found: list[LogRow] = []
    size_bytes = 0
    for row in rows:
        size_bytes += row.size_bytes
        if found and size_bytes > BATCH_BYTES:
            break
        found.append(row)
        if len(found) == limit:
            break
    return found


def _wake(tail: _Tail) -> None:
    tail.changed.set()
    tail.changed = asyncio.Event()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
