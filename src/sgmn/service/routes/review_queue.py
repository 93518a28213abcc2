"""What people should look at: the segments of which the machine is least certain."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sgmn.service import problems
from sgmn.service.auth import Viewer
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.fields import ShopId, id_pattern
from sgmn.service.routes.reviews import read_titles
from sgmn.service.routes.segment_models import Segment, describe_segment
from sgmn.service.streams.layers import read_layer
from sgmn.service.streams.service import streams_of
from sgmn.service.streams.store import Row

router = APIRouter(tags=["reviews"], responses=problems.responses(401, 403, 422))
MAX_SESSIONS = 50
_SESSIONS = tables.sessions


class QueuedSegment(BaseModel):
    """A segment that nobody has reviewed."""

    session_id: str
    catalogue_id: str
    source: str = Field(description="The address of the stream without its secrets.")
    segment: Segment


class ReviewQueue(BaseModel):
    """Segments without a review, least certain first."""

    items: list[QueuedSegment]
    total: int = Field(description="How many segments wait in the newest sessions.")


@router.get("/v1/review-queue", summary="List segments to review")
def get_review_queue(
    context: Context,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=200, description="Number of segments.")] = 50,
    session_id: Annotated[
        str | None, Query(pattern=id_pattern("ses"), description="Only those of this session.")
    ] = None,
    shop_id: Annotated[ShopId | None, Query(description="Only those of this shop.")] = None,
) -> ReviewQueue:
    """The closed segments of the newest 50 sessions that have no review, least certain first."""
    query = sa.select(_SESSIONS).where(caller.scope(_SESSIONS.c.shop_id))
    for column, value in ((_SESSIONS.c.id, session_id), (_SESSIONS.c.shop_id, shop_id)):
        if value is not None:
            query = query.where(column == value)
    newest = query.order_by(_SESSIONS.c.created_s.desc()).limit(MAX_SESSIONS)
    with context.database.read() as connection:
        rows = [dict(row) for row in connection.execute(newest).mappings()]
        found = [item for row in rows for item in _unreviewed(context, connection, row)]
    found.sort(key=lambda item: item.segment.confidence)
    return ReviewQueue(items=found[:limit], total=len(found))


def _unreviewed(context: Context, connection: sa.Connection, session: Row) -> list[QueuedSegment]:
    segments = read_layer(connection, session["id"], "reviewed", None)
    waiting = [segment for segment in segments if segment.review_id is None]
    if not waiting:
        return []
    titles = read_titles(streams_of(context), session)
    return [
        QueuedSegment(
            session_id=session["id"],
            catalogue_id=session["catalogue_id"],
            source=session["source_redacted"],
            segment=describe_segment(segment, titles),
        )
        for segment in waiting
    ]
