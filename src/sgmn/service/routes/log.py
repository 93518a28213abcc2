"""The log of a session: by long poll, and as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, JsonValue

from sgmn.service import problems
from sgmn.service.context import Context
from sgmn.service.routes.session_models import SessionRow
from sgmn.service.streams.service import streams_of

router = APIRouter(
    prefix="/v1/sessions",
    tags=["log"],
    responses=problems.responses(401, 403, 404, 422),
)
MAX_WAIT_S = 30.0
MAX_ROWS = 500
_MAX_SEQ = 2**53
_RECONNECT_MS = 1000
_PING_S = 15.0
After = Annotated[int, Query(ge=0, le=_MAX_SEQ, description="Only rows after this number.")]


class Row(BaseModel):
    """A row of a log."""

    seq: int = Field(description="Counts from 1 in each session, without holes.")
    session: str
    type: str = Field(description="sgmn.event/1, sgmn.review/1 or sgmn.session/1.")
    wall_s: float
    data: dict[str, JsonValue]


class Rows(BaseModel):
    """Rows of a log, in order."""

    rows: list[Row]
    last_seq: int = Field(description="The number of the last row here, to ask for those after.")


@router.get("/{session_id}/log", summary="Read the log")
async def read_log(
    context: Context,
    session: SessionRow,
    after: After = 0,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the first row.")
    ] = 0.0,
    limit: Annotated[
        int,
        Query(ge=1, le=MAX_ROWS, description="Maximum number of rows; large rows: fewer."),
    ] = 200,
) -> Rows:
    """The rows after a number, in order. With `wait`, the answer comes with the first of them."""
    found = await streams_of(context).hub.rows_after(session["id"], after, wait, limit)
    rows = [Row.model_validate(row.to_json()) for row in found]
    return Rows(rows=rows, last_seq=rows[-1].seq if rows else after)


@router.get(
    "/{session_id}/stream",
    summary="Follow the log",
    response_class=EventSourceResponse,
)
async def follow_log(
    context: Context,
    session: SessionRow,
    after: After = 0,
    last_event_id: Annotated[
        str | None,
        Header(
            max_length=20,
            pattern=r"^[0-9]{1,15}$",
            description="The id of the last row received; wins over `after`.",
        ),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The log as server-sent events: `id` is the number of the row, `event` its type.

    A client that reconnects with the id of its last row gets each row once. The stream goes on
    after the session has ended, because reviews may follow.
    """
    seq, hub = int(last_event_id) if last_event_id else after, streams_of(context).hub
    yield ServerSentEvent(retry=_RECONNECT_MS, comment="log of a session")
    while not hub.is_closing:
        for row in await hub.rows_after(session["id"], seq, _PING_S):
            yield ServerSentEvent(raw_data=row.json, event=row.type, id=str(row.seq))
            seq = row.seq
