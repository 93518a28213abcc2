"""Operations: long jobs, their progress, and what they say about each row."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from sgmn.service import audit, problems
from sgmn.service.auth import Caller, Editor, Viewer
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.fields import OperationId, id_pattern
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute
from sgmn.service.operations import queue
from sgmn.service.pagination import Page, Paging
from sgmn.service.problems import ApiError, not_found

router = APIRouter(
    prefix="/v1/operations",
    tags=["operations"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
CatalogueFilter = Annotated[
    str | None,
    Query(pattern=id_pattern("cat"), description="Only those of this catalogue."),
]
_TABLE = tables.operations


class OperationProblem(BaseModel):
    """Why an operation failed."""

    title: str
    detail: str


class Operation(BaseModel):
    """A long job."""

    id: str
    shop_id: str
    catalogue_id: str | None
    kind: str = Field(examples=["import"])
    state: State
    progress: dict[str, Any] = Field(
        description="The phase, and in most phases how much of what is done.",
        examples=[{"phase": "indexing", "done": 320, "total": 1200}],
    )
    result: dict[str, Any] | None = Field(
        description="What an operation that has succeeded did.",
        examples=[{"added": 1190, "replaced": 0, "unchanged": 8, "rejected": 2}],
    )
    problem: OperationProblem | None
    attempt: int = Field(description="More than 1 if a crash interrupted the operation.")
    created_s: float
    started_s: float | None
    ended_s: float | None


class OperationRow(BaseModel):
    """What an operation says about one row of its input."""

    number: int
    level: Literal["error", "warning"] = Field(
        description="A row with an error is left out; one with a warning lacks something."
    )
    location: str = Field(examples=["products.csv:12:3"])
    message: str


def document(row: Any) -> Operation:
    """The document of a row."""
    return Operation.model_validate({name: row.get(name) for name in Operation.model_fields})


@router.get("", summary="List operations")
def list_operations(
    context: Context,
    caller: Viewer,
    page: Paging,
    catalogue_id: CatalogueFilter = None,
    state: State | None = None,
) -> Page[Operation]:
    """The operations of the shops of the key, newest first."""
    query = sa.select(_TABLE).where(caller.scope(_TABLE.c.shop_id))
    if catalogue_id is not None:
        query = query.where(_TABLE.c.catalogue_id == catalogue_id)
    if state is not None:
        query = query.where(_TABLE.c.state == state)
    query = page.select(query, _TABLE.c.created_s, _TABLE.c.id, newest_first=True)
    with context.database.read() as connection:
        found = connection.execute(query).mappings().all()
    rows, cursor = page.cut(found, "created_s", "id")
    return Page(items=[document(row) for row in rows], next_cursor=cursor)


@router.get("/{operation_id:id}", summary="Get an operation")
def get_operation(context: Context, caller: Viewer, operation_id: OperationId) -> Operation:
    """The state, the progress and the result of an operation."""
    with context.database.read() as connection:
        return document(_find(connection, caller, operation_id))


@router.get("/{operation_id}/rows", summary="List the report of an operation")
def list_rows(
    context: Context,
    caller: Viewer,
    page: Paging,
    operation_id: OperationId,
    level: Literal["error", "warning"] | None = None,
) -> Page[OperationRow]:
    """What an operation says about rows of its input; rows without problems are not listed."""
    rows = tables.operation_rows
    query = sa.select(rows).where(rows.c.operation_id == operation_id)
    if level is not None:
        query = query.where(rows.c.level == level)
    with context.database.read() as connection:
        _find(connection, caller, operation_id)
        found = connection.execute(page.select(query, rows.c.number)).mappings().all()
    shown, cursor = page.cut(found, "number")
    items = [OperationRow.model_validate(dict(row)) for row in shown]
    return Page(items=items, next_cursor=cursor)


@router.post(
    "/{operation_id}:cancel",
    summary="Cancel an operation",
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def cancel_operation(
    context: Context, caller: Editor, request: Request, operation_id: OperationId
) -> Operation:
    """Cancel an operation. What it has written stays; 409 if it has ended otherwise."""
    with context.database.write() as connection:
        row = _find(connection, caller, operation_id)
        if queue.cancel(connection, operation_id):
            audit.record(
                connection, request, caller, "operation.cancel", operation_id, row["shop_id"]
            )
        elif row["state"] != "cancelled":
            raise ApiError(409, f"The operation has {row['state']} already.")
        return document(_find(connection, caller, operation_id))


def _find(connection: sa.Connection, caller: Caller, operation_id: str) -> Any:
    query = sa.select(_TABLE).where(_TABLE.c.id == operation_id, caller.scope(_TABLE.c.shop_id))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found("operation")
    return row
