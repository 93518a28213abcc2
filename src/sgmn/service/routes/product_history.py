"""When a product was on sale: the segments of a catalogue's newest sessions."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sgmn.service import problems
from sgmn.service.auth import Viewer
from sgmn.service.catalogues import find_catalogue
from sgmn.service.context import Context, ServiceContext
from sgmn.service.database import tables
from sgmn.service.fields import CatalogueId
from sgmn.service.routes.reviews import read_titles, stream_time_s
from sgmn.service.routes.segment_models import Segment, describe_segment
from sgmn.service.streams.layers import read_layer
from sgmn.service.streams.service import streams_of
from sgmn.service.streams.store import Row

router = APIRouter(
    prefix="/v1/catalogues",
    tags=["products"],
    responses=problems.responses(401, 403, 404, 422),
)
MAX_SESSIONS = 50
_SESSIONS = tables.sessions


class SessionSegment(BaseModel):
    """A segment and the session that it is of."""

    session_id: str
    source: str = Field(description="The address of the stream without its secrets.")
    created_s: float = Field(description="When the session began.")
    segment: Segment


class ProductHistory(BaseModel):
    """The segments in which a product was on sale, of the newest session first."""

    items: list[SessionSegment]


@router.get("/{catalogue_id}/segments", summary="List when a product was on sale")
def list_segments(
    context: Context,
    caller: Viewer,
    catalogue_id: CatalogueId,
    product_id: Annotated[
        str, Query(min_length=1, max_length=1000, description="The product.", examples=["sku-1"])
    ],
) -> ProductHistory:
    """The segments of a product in the newest 50 sessions of its catalogue, with all reviews."""
    with context.database.read() as connection:
        find_catalogue(connection, caller, catalogue_id)
        newest = (
            sa.select(_SESSIONS)
            .where(_SESSIONS.c.catalogue_id == catalogue_id)
            .order_by(_SESSIONS.c.created_s.desc(), _SESSIONS.c.id)
            .limit(MAX_SESSIONS)
        )
        rows = [dict(row) for row in connection.execute(newest).mappings()]
        found = [item for row in rows for item in _find(context, connection, row, product_id)]
    return ProductHistory(items=found)


def _find(
    context: ServiceContext, connection: sa.Connection, session: Row, product_id: str
) -> list[SessionSegment]:
    streams = streams_of(context)
    segments = read_layer(connection, session["id"], "reviewed", stream_time_s(streams, session))
    found = [one for one in segments if one.segment.product_id == product_id]
    if not found:
        return []
    titles = read_titles(streams, session)
    return [
        SessionSegment(
            session_id=session["id"],
            source=session["source_redacted"],
            created_s=session["created_s"],
            segment=describe_segment(segment, titles),
        )
        for segment in found
    ]
