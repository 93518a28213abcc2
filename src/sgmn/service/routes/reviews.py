"""Timelines of a session, and the reviews that people put over the machine's."""

from __future__ import annotations

import time
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sgmn.errors import SgmnError
from sgmn.service import audit, problems
from sgmn.service.auth import Editor
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.etags import IfMatch, etag, require_match
from sgmn.service.fields import SessionId
from sgmn.service.log import REVIEW, log_transaction
from sgmn.service.problems import ApiError, not_found
from sgmn.service.routes.segment_models import Timeline, describe_segment
from sgmn.service.routes.session_models import SessionRow, TimeS, find_session
from sgmn.service.streams.layers import Layer, Verdict, read_layer
from sgmn.service.streams.pinned_shelf import read_pinned_products
from sgmn.service.streams.service import Streams, streams_of
from sgmn.service.streams.store import Row

router = APIRouter(
    prefix="/v1/sessions",
    tags=["reviews"],
    responses=problems.responses(401, 403, 404, 422),
)
ReviewId = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="An id that the client chooses.",
        examples=["r-17"],
    ),
]
LayerQuery = Annotated[
    Layer, Query(description="machine, or reviewed: the machine's with all reviews on top.")
]
_REVIEWS = tables.reviews


class NewReview(BaseModel):
    """What a person says about a part of a stream."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"start": 12.0, "end": 31.5, "product_id": "mug-1", "verdict": "confirmed"}
            ]
        },
    )

    start: TimeS
    end: TimeS
    product_id: str | None = Field(default=None, max_length=1000)
    verdict: Verdict = Field(
        description="confirmed: the machine is right; corrected: it is product_id; nothing: "
        "nothing is on sale; unsure: marked, and nothing changes."
    )

    @model_validator(mode="after")
    def _check(self) -> NewReview:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        needs_product = self.verdict in ("confirmed", "corrected")
        if needs_product != (self.product_id is not None) and self.verdict != "unsure":
            raise ValueError("confirmed and corrected need product_id, nothing has none")
        return self


class Review(NewReview):
    """A review."""

    id: str
    version: int
    updated_s: float
    author_key_id: str
    author: str = Field(description="The name of the key.")


class Reviews(BaseModel):
    """The reviews of a session, in order of time in the stream."""

    items: list[Review]


@router.get("/{session_id}/timeline", summary="Get a timeline")
def get_timeline(context: Context, session: SessionRow, layer: LayerQuery = "machine") -> Timeline:
    """The segments of a session. Reviews never change the layer of the machine."""
    streams = streams_of(context)
    titles = read_titles(streams, session)
    with context.database.read() as connection:
        segments = read_layer(connection, session["id"], layer, stream_time_s(streams, session))
    items = [describe_segment(segment, titles) for segment in segments]
    return Timeline(layer=layer, last_seq=session["last_seq"], segments=items)


@router.get("/{session_id}/reviews", summary="List reviews")
def list_reviews(context: Context, session: SessionRow) -> Reviews:
    """All reviews of a session."""
    query = (
        sa.select(_REVIEWS, tables.keys.c.name.label("author"))
        .join(tables.keys, tables.keys.c.id == _REVIEWS.c.author_key_id)
        .where(_REVIEWS.c.session_id == session["id"])
        .order_by(_REVIEWS.c.start_s, _REVIEWS.c.review_id)
    )
    with context.database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return Reviews(items=[_document(dict(row)) for row in rows])


@router.put(
    "/{session_id}/reviews/{review_id}",
    summary="Make or change a review",
    responses=problems.responses(412),
)
def put_review(
    context: Context,
    caller: Editor,
    request: Request,
    response: Response,
    session_id: SessionId,
    review_id: ReviewId,
    new: NewReview,
    if_match: IfMatch = None,
) -> Review:
    """Store a review under an id that the client chooses; the log tells all others."""
    streams = streams_of(context)
    with context.database.read() as connection:
        session = find_session(connection, caller, session_id)
    if new.product_id is not None and new.product_id not in read_titles(streams, session):
        errors = [("body.product_id", "is not a product of this session")]
        raise ApiError(422, "The request has 1 invalid value.", errors)
    with log_transaction(context.database, streams.hub) as transaction:
        connection = transaction.connection
        find_session(connection, caller, session_id, lock=True)
        before = _find_review(connection, session_id, review_id)
        require_match(if_match, 0 if before is None else before["version"])
        row = _new_row(session_id, review_id, new, caller.key_id, before)
        _store_review(connection, row, is_new=before is None)
        review = _document({**row, "author": caller.name})
        transaction.append(session_id, REVIEW, review.model_dump())
        audit.record(
            connection,
            request,
            caller,
            "review.put",
            f"{session_id}/{review_id}",
            session["shop_id"],
        )
    response.headers["ETag"] = etag(review.version)
    return review


@router.delete(
    "/{session_id}/reviews/{review_id}",
    status_code=204,
    summary="Delete a review",
    responses=problems.responses(412),
)
def delete_review(
    context: Context,
    caller: Editor,
    request: Request,
    session_id: SessionId,
    review_id: ReviewId,
    if_match: IfMatch = None,
) -> Response:
    """Undo a review; what the machine says there counts again."""
    with log_transaction(context.database, streams_of(context).hub) as transaction:
        connection = transaction.connection
        session = find_session(connection, caller, session_id, lock=True)
        before = _find_review(connection, session_id, review_id)
        if before is None:
            raise not_found("review")
        require_match(if_match, before["version"])
        connection.execute(sa.delete(_REVIEWS).where(_is(session_id, review_id)))
        transaction.append(session_id, REVIEW, {"id": review_id, "deleted": True})
        audit.record(
            connection,
            request,
            caller,
            "review.delete",
            f"{session_id}/{review_id}",
            session["shop_id"],
        )
    return Response(status_code=204)


def read_titles(streams: Streams, session: Row) -> dict[str, str]:
    """The titles of a session's products by their id."""
    try:
        products = read_pinned_products(streams.shelf(session))
    except SgmnError as error:
        raise problems.from_sgmn_error(error, 409) from error
    return {product_id: product.title for product_id, product in products.items()}


def stream_time_s(streams: Streams, session: Row) -> float | None:
    """Where a running stream is now; None after its end."""
    status = streams.status(session["id"])
    if session["ended_s"] is not None or status is None or status.now is None:
        return None
    return float(status.now["time_s"])


def _find_review(connection: sa.Connection, session_id: str, review_id: str) -> Row | None:
    query = sa.select(_REVIEWS).where(_is(session_id, review_id))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _new_row(
    session_id: str, review_id: str, new: NewReview, key_id: str, before: Row | None
) -> Row:
    return {
        "session_id": session_id,
        "review_id": review_id,
        "start_s": new.start,
        "end_s": new.end,
        "product_id": new.product_id,
        "verdict": new.verdict,
        "author_key_id": key_id,
        "version": 1 if before is None else before["version"] + 1,
        "updated_s": time.time(),
    }


def _store_review(connection: sa.Connection, row: dict[str, Any], *, is_new: bool) -> None:
    if is_new:
        connection.execute(sa.insert(_REVIEWS).values(row))
    else:
        where = _is(row["session_id"], row["review_id"])
        connection.execute(sa.update(_REVIEWS).where(where).values(row))


def _is(session_id: str, review_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(_REVIEWS.c.session_id == session_id, _REVIEWS.c.review_id == review_id)


def _document(row: Row) -> Review:
    return Review(
        id=row["review_id"],
        start=row["start_s"],
        end=row["end_s"],
        product_id=row["product_id"],
        verdict=row["verdict"],
        version=row["version"],
        updated_s=row["updated_s"],
        author_key_id=row["author_key_id"],
        author=row["author"],
    )
