"""Better models: trained from reviews, compared with the one in use, and adopted by an admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from sgmn.service import audit, problems
from sgmn.service.auth import Admin, Caller, Editor, Viewer
from sgmn.service.catalogues import Row, find_catalogue
from sgmn.service.context import Context, ServiceContext
from sgmn.service.database import tables
from sgmn.service.fields import CatalogueId, path_id
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.improvements.adoption import ADOPT, REVERT
from sgmn.service.improvements.reviewed import (
    MIN_HELD_OUT,
    MIN_TRAINING,
    ReviewedCounts,
    count_reviewed,
    read_reviewed,
)
from sgmn.service.improvements.training import KIND, model_folder
from sgmn.service.indexes import open_table
from sgmn.service.operations import queue
from sgmn.service.problems import ApiError, not_found
from sgmn.service.routes.operations import Operation, document

router = APIRouter(
    prefix="/v1/catalogues",
    tags=["improvements"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
MAX_SHOWN = 50
ImprovementId = Annotated[str, path_id("op", "an improvement, which is an operation")]
_TABLE = tables.operations
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    **problems.responses(409),
    202: {"headers": {"Location": {"schema": {"type": "string"}}}},
}


class NewImprovement(BaseModel):
    """How to train."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    steps: int | None = Field(
        default=None, ge=1, le=20_000, description="Training steps; those of own-pairs if null."
    )


class Reviewed(BaseModel):
    """How much has been reviewed of a catalogue."""

    sessions: int = Field(description="Sessions with a reviewed segment.")
    training: int = Field(description="Segments to train on.")
    held_out: int = Field(description="Segments to compare models on; never trained on.")
    products: int = Field(description="Different products in them.")
    min_training: int
    min_held_out: int
    shortage: str | None = Field(description="What is missing for a training, for people.")


class Improvement(Operation):
    """A training, and whether its model is in use."""

    base_id: str | None = Field(description="The improvement it starts from; null: the first.")
    is_adopted: bool


class Improvements(BaseModel):
    """The trainings of a catalogue, newest first."""

    model_id: str | None = Field(description="The improvement in use; null: the first model.")
    reviewed: Reviewed
    items: list[Improvement]


@router.get("/{catalogue_id}/improvements", summary="List improvements")
def list_improvements(context: Context, caller: Viewer, catalogue_id: CatalogueId) -> Improvements:
    """What has been reviewed, and the last trainings with their comparisons."""
    trained = sa.and_(_TABLE.c.catalogue_id == catalogue_id, _TABLE.c.kind == KIND)
    query = sa.select(_TABLE).where(trained).order_by(_TABLE.c.created_s.desc()).limit(MAX_SHOWN)
    with context.database.read() as connection:
        catalogue = find_catalogue(connection, caller, catalogue_id)
        counts = _count(context, connection, catalogue)
        rows = connection.execute(query).mappings().all()
    return Improvements(
        model_id=catalogue["model_id"],
        reviewed=_describe_counts(counts),
        items=[_improvement(dict(row), catalogue) for row in rows],
    )


@router.post(
    "/{catalogue_id}/improvements",
    status_code=202,
    summary="Train a better model",
    response_model=Improvement,
    dependencies=[IDEMPOTENT],
    responses=_ACCEPTED,
)
def start_improvement(
    context: Context,
    caller: Editor,
    request: Request,
    catalogue_id: CatalogueId,
    new: NewImprovement,
) -> JSONResponse:
    """Train a model from reviewed segments and compare it with the one in use on those that are
    held out. It is not used before an admin adopts it.
    """
    with context.database.write() as connection:
        catalogue = find_catalogue(connection, caller, catalogue_id)
        counts = _count(context, connection, catalogue)
        if counts.shortage is not None:
            raise ApiError(409, counts.shortage)
        table = open_table(context, catalogue_id)
        assert table is not None  # or there would be no reviewed products
        job = {
            "base_id": catalogue["model_id"],
            "base_model": table.stamp.name,
            "steps": new.steps,
        }
        row = queue.enqueue(connection, KIND, catalogue["shop_id"], catalogue_id, job)
        _record(connection, request, caller, "catalogue.improve", row)
        headers = {"Location": f"/v1/operations/{row['id']}"}
        return answer(connection, request, _improvement(row, catalogue), 202, headers)


@router.post(
    "/{catalogue_id}/improvements/{improvement_id}:adopt",
    status_code=202,
    summary="Use a trained model",
    response_model=Operation,
    dependencies=[IDEMPOTENT],
    responses=_ACCEPTED,
)
def adopt_improvement(
    context: Context,
    caller: Admin,
    request: Request,
    catalogue_id: CatalogueId,
    improvement_id: ImprovementId,
) -> JSONResponse:
    """Encode all products by this model and use it from then on, for new sessions and searches.

    Sessions that run keep the model that they began with.
    """
    with context.database.write() as connection:
        catalogue = find_catalogue(connection, caller, catalogue_id)
        improvement = _find(connection, catalogue_id, improvement_id)
        if improvement["state"] != "succeeded":
            raise ApiError(409, f"The improvement has not succeeded: {improvement['state']}.")
        if catalogue["model_id"] == improvement_id:
            raise ApiError(409, "The catalogue uses this model already.")
        folder = model_folder(context.settings, catalogue_id, improvement_id)
        job = {"model": str(folder.absolute()), "model_id": improvement_id}
        return _enqueue_change(connection, request, caller, ADOPT, catalogue, job)


@router.post(
    "/{catalogue_id}/improvements/{improvement_id}:revert",
    status_code=202,
    summary="Stop using a trained model",
    response_model=Operation,
    dependencies=[IDEMPOTENT],
    responses=_ACCEPTED,
)
def revert_improvement(
    context: Context,
    caller: Admin,
    request: Request,
    catalogue_id: CatalogueId,
    improvement_id: ImprovementId,
) -> JSONResponse:
    """Encode all products by the model from which this one was trained, and use that again."""
    with context.database.write() as connection:
        catalogue = find_catalogue(connection, caller, catalogue_id)
        improvement = _find(connection, catalogue_id, improvement_id)
        if catalogue["model_id"] != improvement_id:
            raise ApiError(409, "The catalogue does not use this model.")
        base = improvement["request"]
        job = {"model": base["base_model"], "model_id": base["base_id"]}
        return _enqueue_change(connection, request, caller, REVERT, catalogue, job)


def _enqueue_change(
    connection: sa.Connection,
    request: Request,
    caller: Caller,
    kind: str,
    catalogue: Row,
    job: Mapping[str, Any],
) -> JSONResponse:
    unfinished = sa.and_(
        _TABLE.c.catalogue_id == catalogue["id"],
        _TABLE.c.kind.in_((ADOPT, REVERT)),
        _TABLE.c.state.in_(queue.UNFINISHED),
    )
    if connection.execute(sa.select(_TABLE.c.id).where(unfinished)).first() is not None:
        raise ApiError(409, "The model of the catalogue is being changed already.")
    row = queue.enqueue(connection, kind, catalogue["shop_id"], catalogue["id"], job)
    _record(connection, request, caller, f"catalogue.{kind}", row)
    headers = {"Location": f"/v1/operations/{row['id']}"}
    return answer(connection, request, document(row), 202, headers)


def _record(
    connection: sa.Connection,
    request: Request,
    caller: Caller,
    action: str,
    row: Mapping[str, Any],
) -> None:
    detail = {"operation": row["id"], "model": row["request"].get("model_id")}
    resource, shop_id = row["catalogue_id"], row["shop_id"]
    audit.record(connection, request, caller, action, resource, shop_id, detail)


def _find(connection: sa.Connection, catalogue_id: str, operation_id: str) -> Mapping[str, Any]:
    query = sa.select(_TABLE).where(
        _TABLE.c.id == operation_id,
        _TABLE.c.catalogue_id == catalogue_id,
        _TABLE.c.kind == KIND,
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found("improvement")
    return dict(row)


def _count(context: ServiceContext, connection: sa.Connection, catalogue: Row) -> ReviewedCounts:
    table = open_table(context, catalogue["id"])
    products = [] if table is None else table.product_keys(catalogue["shop_id"])
    known = {product_id: None for _, product_id in products}
    return count_reviewed(read_reviewed(connection, catalogue["id"], known))


def _describe_counts(counts: ReviewedCounts) -> Reviewed:
    return Reviewed(
        sessions=counts.sessions,
        training=counts.training,
        held_out=counts.held_out,
        products=counts.products,
        min_training=MIN_TRAINING,
        min_held_out=MIN_HELD_OUT,
        shortage=counts.shortage,
    )


def _improvement(row: Mapping[str, Any], catalogue: Row) -> Improvement:
    return Improvement(
        **document(row).model_dump(),
        base_id=row["request"]["base_id"],
        is_adopted=catalogue["model_id"] == row["id"],
    )
