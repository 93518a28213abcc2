"""What happens in several sessions as one stream: a browser opens few connections to a server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from sgmn.service.auth import LOGIN_COOKIE, Viewer, find_login
from sgmn.service.context import Context
from sgmn.service.fields import id_pattern
from sgmn.service.log import LogRow
from sgmn.service.problems import ApiError
from sgmn.service.routes.session_models import find_session
from sgmn.service.streams.service import Streams, streams_of

router = APIRouter(include_in_schema=False)
MAX_SESSIONS = 64
_POSITIONS = r"^[0-9]{1,15}(\.[0-9]{1,15}){0,63}$"
_TICK_S = 0.25  # how often the newest windows are looked at
_PING_S = 10.0  # browsers do not show comments to a page, so a ping is an event
_CHECK_S = 15.0  # how often a login is looked at: a revoked key ends the stream
_WAIT_S = 15.0
_RECONNECT_MS = 1000
_QUEUED_ROWS = 8  # for a browser that reads slowly


def _load_positions(
    context: Context,
    caller: Viewer,
    session: Annotated[
        list[Annotated[str, Field(pattern=id_pattern("ses"))]],
        Query(min_length=1, max_length=MAX_SESSIONS),
    ],
    after: Annotated[str | None, Query(pattern=_POSITIONS)] = None,
    last_event_id: Annotated[str | None, Header(pattern=_POSITIONS)] = None,
) -> list[tuple[str, int]]:
    """The sessions of the query, each with the last row that the browser knows."""
    text = last_event_id or after
    positions = [0] * len(session) if text is None else [int(part) for part in text.split(".")]
    if len(positions) != len(session):
        errors = [("query.after", f"has {len(positions)} numbers for {len(session)} sessions")]
        raise ApiError(422, "The request has 1 invalid value.", errors)
    with context.database.read() as connection:
        for session_id in session:
            find_session(connection, caller, session_id)
    return list(zip(session, positions, strict=True))


@router.get("/console/stream", response_class=EventSourceResponse)
async def follow_sessions(
    context: Context,
    request: Request,
    positions: Annotated[list[tuple[str, int]], Depends(_load_positions)],
) -> AsyncIterator[ServerSentEvent]:
    """The rows of several logs after some numbers, and the newest window of each session.

    The id of an event is the position in all logs, in the order of the query, such as `12.5.7`.
    `sgmn.now` has no id, as it is not in a log.
    """
    yield ServerSentEvent(retry=_RECONNECT_MS, comment="logs of sessions")
    follower, login = _Follower(streams_of(context), positions), request.cookies.get(LOGIN_COOKIE)
    async for event in follower.events():
        yield event
        is_due = login is not None and follower.is_check_due()
        if is_due and await run_in_threadpool(find_login, context, str(login)) is None:
            return


class _Follower:
    """Follows some sessions.

    Args:
        streams: The streams of the service.
        positions: Their ids, and the last row that is known of each.
    """

    def __init__(self, streams: Streams, positions: list[tuple[str, int]]) -> None:
        self._streams = streams
        self._sessions = [session_id for session_id, _ in positions]
        self._positions = [seq for _, seq in positions]
        self._queue: asyncio.Queue[tuple[int, LogRow]] = asyncio.Queue(maxsize=_QUEUED_ROWS)
        self._told: list[Any] = [None] * len(positions)
        self._checked_s = self._pinged_s = time.monotonic()

    def is_check_due(self) -> bool:
        """Whether it is time to look at the login again."""
        if time.monotonic() - self._checked_s < _CHECK_S:
            return False
        self._checked_s = time.monotonic()
        return True

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """Yield rows and newest windows until the service stops."""
        tasks = [asyncio.create_task(self._follow(i)) for i in range(len(self._sessions))]
        try:
            while not self._streams.hub.is_closing:
                try:
                    number, row = await asyncio.wait_for(self._queue.get(), _TICK_S)
                except TimeoutError:
                    for event in self._new_windows():
                        yield event
                    continue
                self._positions[number] = row.seq
                position = ".".join(map(str, self._positions))
                yield ServerSentEvent(raw_data=row.json, event=row.type, id=position)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, number: int) -> None:
        seq, hub = self._positions[number], self._streams.hub
        while not hub.is_closing:
            for row in await hub.rows_after(self._sessions[number], seq, _WAIT_S):
                await self._queue.put((number, row))
                seq = row.seq

    def _new_windows(self) -> list[ServerSentEvent]:
        events = []
        if time.monotonic() - self._pinged_s > _PING_S:
            self._pinged_s = time.monotonic()
            events.append(ServerSentEvent(raw_data="{}", event="sgmn.ping"))
        for number, session_id in enumerate(self._sessions):
            status = self._streams.status(session_id)
            known = None if status is None else (status.now, status.heartbeat)
            if known == self._told[number]:
                continue
            self._told[number] = known
            now, heartbeat = (None, None) if known is None else known
            content = {"session": session_id, "wall_s": time.time(), "now": now}
            data = json.dumps({**content, "stream": heartbeat})
            events.append(ServerSentEvent(raw_data=data, event="sgmn.now"))
        return events
