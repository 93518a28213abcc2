"""Search in a catalogue by text or by an image."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgmn.catalogue.table import Hit
from sgmn.errors import MediaError
from sgmn.service import problems
from sgmn.service.auth import Caller, Viewer
from sgmn.service.catalogues import find_catalogue
from sgmn.service.context import Context, ServiceContext
from sgmn.service.fields import NO_CONTROL, CatalogueId
from sgmn.service.imports.upload import read_body
from sgmn.service.problems import ApiError
from sgmn.service.routes.products import ProductDocument, product_document
from sgmn.service.search import search_catalogue

router = APIRouter(
    prefix="/v1/catalogues",
    tags=["search"],
    responses=problems.responses(401, 403, 404, 422),
)
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
_MAX_TEXT = 2000
_ANY_SIZE = 1 << 30  # the settings limit images
_MAX_JSON_BYTES = 100_000


class TextQuery(BaseModel):
    """What to search for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "red mug with a handle"}]}
    )

    text: str = Field(min_length=1, max_length=_MAX_TEXT, pattern=r"\S")


class SearchHit(BaseModel):
    """A product that matches; a higher score is a better match."""

    product: ProductDocument
    score: float


class SearchResult(BaseModel):
    """The products that match, best first."""

    items: list[SearchHit]


_BODY: dict[str, Any] = {
    "required": True,
    "description": "A JSON document with a text, or an image.",
    "content": {
        "application/json": {"schema": TextQuery.model_json_schema()},
        **{name: {"schema": {"type": "string", "format": "binary"}} for name in IMAGE_TYPES},
    },
}


@router.post(
    "/{catalogue_id}/search",
    summary="Search a catalogue",
    responses=problems.responses(413, 415),
    openapi_extra={"requestBody": _BODY},
    max_body_size=_ANY_SIZE,
)
async def search_products(
    context: Context,
    caller: Viewer,
    request: Request,
    catalogue_id: CatalogueId,
    limit: Annotated[int, Query(ge=1, le=100, description="Number of products.")] = 10,
    text: Annotated[
        str,
        Query(max_length=_MAX_TEXT, pattern=NO_CONTROL, description="With an image: what is said."),
    ] = "",
) -> SearchResult:
    """Find the products that match a text, an image, or an image and what is said about it."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        query = _parse(await read_body(request, _MAX_JSON_BYTES))
        hits = await run_in_threadpool(_search, context, caller, catalogue_id, query, None, limit)
    elif media_type in IMAGE_TYPES:
        image = await read_body(request, context.settings.max_search_image_bytes)
        hits = await run_in_threadpool(_search, context, caller, catalogue_id, text, image, limit)
    else:
        supported = ", ".join(["application/json", *IMAGE_TYPES])
        raise ApiError(415, f"The body is {media_type or 'of no type'}; use one of {supported}.")
    items = [SearchHit(product=product_document(h.product), score=h.score) for h in hits]
    return SearchResult(items=items)


def _search(
    context: ServiceContext,
    caller: Caller,
    catalogue_id: str,
    text: str,
    image: bytes | None,
    limit: int,
) -> list[Hit]:
    with context.database.read() as connection:
        shop_id = find_catalogue(connection, caller, catalogue_id)["shop_id"]
    try:
        return search_catalogue(context, catalogue_id, shop_id, text, image, limit)
    except MediaError as error:
        detail = f"The image {error.message}."
        raise ApiError(422, detail, [("body", error.remedy or error.message)]) from error


def _parse(body: bytes) -> str:
    try:
        return TextQuery.model_validate_json(body).text
    except ValidationError as error:
        raise problems.invalid_body(error) from error
