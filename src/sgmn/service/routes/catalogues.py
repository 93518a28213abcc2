"""Catalogues: each belongs to a shop and has an index of its own."""

from __future__ import annotations

import time
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sgmn.service import audit, problems
from sgmn.service.auth import Editor, Viewer
from sgmn.service.catalogues import (
    Row,
    change_catalogue,
    count_active_sessions,
    find_catalogue,
    insert_catalogue,
)
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.etags import IfMatch, etag, require_match
from sgmn.service.fields import CatalogueId, Name, ShopId
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.operations import queue
from sgmn.service.pagination import Page, Paging
from sgmn.service.problems import ApiError

router = APIRouter(
    prefix="/v1/catalogues",
    tags=["catalogues"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
ShopFilter = Annotated[ShopId | None, Query(description="Only those of this shop.")]
_EXAMPLE: dict[str, JsonValue] = {"name": "Spring collection"}


class CatalogueChange(BaseModel):
    """What can be changed of a catalogue."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: Name


class NewCatalogue(CatalogueChange):
    """A catalogue to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"shop_id": "shop-7", **_EXAMPLE}]}
    )

    shop_id: ShopId


class Catalogue(BaseModel):
    """A catalogue of a shop."""

    id: str
    shop_id: str
    name: str
    product_count: int = Field(description="Products in the index.")
    model_id: str | None = Field(
        description="The improvement whose model is in use; null: the first model."
    )
    index_version: int = Field(description="Grows with each change of the index; 0 without one.")
    version: int = Field(description="Grows with each change; also the ETag.")
    created_s: float
    updated_s: float


@router.get("", summary="List catalogues")
def list_catalogues(
    context: Context,
    caller: Viewer,
    page: Paging,
    shop_id: ShopFilter = None,
) -> Page[Catalogue]:
    """The catalogues of the shops of the key."""
    catalogues = tables.catalogues
    query = sa.select(catalogues).where(
        catalogues.c.deleted_s.is_(None), caller.scope(catalogues.c.shop_id)
    )
    if shop_id is not None:
        query = query.where(catalogues.c.shop_id == shop_id)
    query = page.select(query, catalogues.c.created_s, catalogues.c.id)
    with context.database.read() as connection:
        found = (
            connection.execute(page.select(query, catalogues.c.created_s, catalogues.c.id))
            .mappings()
            .all()
        )
    rows, cursor = page.cut(found, "created_s", "id")
    return Page(items=[_document(dict(row)) for row in rows], next_cursor=cursor)


@router.post(
    "",
    status_code=201,
    summary="Make a catalogue",
    response_model=Catalogue,
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def make_catalogue(
    context: Context, caller: Editor, request: Request, new: NewCatalogue
) -> JSONResponse:
    """Make a catalogue without products."""
    caller.require_shop(new.shop_id)
    with context.database.write() as connection:
        row = insert_catalogue(connection, new.shop_id, new.name)
        audit.record(connection, request, caller, "catalogue.create", row["id"], new.shop_id)
        headers = {"Location": f"/v1/catalogues/{row['id']}", "ETag": etag(row["version"])}
        return answer(connection, request, _document(row), 201, headers)


@router.get("/{catalogue_id:id}", summary="Get a catalogue")
def get_catalogue(
    context: Context, caller: Viewer, response: Response, catalogue_id: CatalogueId
) -> Catalogue:
    """A catalogue, with its ETag."""
    with context.database.read() as connection:
        catalogue = _document(find_catalogue(connection, caller, catalogue_id))
    response.headers["ETag"] = etag(catalogue.version)
    return catalogue


@router.put("/{catalogue_id:id}", summary="Rename a catalogue", responses=problems.responses(412))
def rename_catalogue(
    context: Context,
    caller: Editor,
    request: Request,
    response: Response,
    catalogue_id: CatalogueId,
    new: CatalogueChange,
    if_match: IfMatch = None,
) -> Catalogue:
    """Change the name of a catalogue."""
    with context.database.write() as connection:
        row = find_catalogue(connection, caller, catalogue_id)
        require_match(if_match, row["version"])
        change_catalogue(connection, catalogue_id, name=new.name)
        audit.record(connection, request, caller, "catalogue.change", catalogue_id, row["shop_id"])
        catalogue = _document(find_catalogue(connection, caller, catalogue_id))
    response.headers["ETag"] = etag(catalogue.version)
    return catalogue


@router.delete(
    "/{catalogue_id:id}",
    status_code=204,
    summary="Delete a catalogue",
    responses=problems.responses(409, 412),
)
def delete_catalogue(
    context: Context,
    caller: Editor,
    request: Request,
    catalogue_id: CatalogueId,
    if_match: IfMatch = None,
) -> Response:
    """Delete a catalogue and its index; 409 while a session uses it."""
    with context.database.write() as connection:
        row = find_catalogue(connection, caller, catalogue_id)
        require_match(if_match, row["version"])
        if count := count_active_sessions(connection, catalogue_id):
            raise ApiError(409, f"{count} sessions use this catalogue; stop them first.")
        queue.cancel_of_catalogue(connection, catalogue_id)
        change_catalogue(connection, catalogue_id, deleted_s=time.time())
        queue.enqueue(connection, "delete-index", row["shop_id"], catalogue_id, {})
        audit.record(connection, request, caller, "catalogue.delete", catalogue_id, row["shop_id"])
    return Response(status_code=204)


def _document(row: Row) -> Catalogue:
    return Catalogue.model_validate(row)
