"""Products of a catalogue: read, replace and delete them one by one."""

from __future__ import annotations

import pathlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sgmn.catalogue.product_lookup import ProductLookup
from sgmn.errors import MediaError
from sgmn.media.image import encode_jpeg, read_image
from sgmn.records import Product
from sgmn.service import audit, problems
from sgmn.service.auth import Caller, Editor, Viewer
from sgmn.service.catalogues import catalogue_folder, change_catalogue, find_catalogue
from sgmn.service.context import Context, ServiceContext
from sgmn.service.fields import NO_CONTROL, CatalogueId
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.indexes import open_table, table_values
from sgmn.service.operations import queue
from sgmn.service.pagination import Page, Paging, encode_cursor, first_text
from sgmn.service.problems import not_found
from sgmn.service.routes.operations import Operation, document

router = APIRouter(
    prefix="/v1/catalogues/{catalogue_id}",
    tags=["products"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
MAX_IMAGES = 20
MAX_IMAGE_SIDE_PX = 800
ProductId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="The id of a product in its shop.",
        examples=["sku-1"],
    ),
]
Text = Annotated[str, Field(max_length=2000, pattern=NO_CONTROL)]
ImageUrl = Annotated[str, Field(max_length=4000, pattern=r"^https?://[^\s\x00-\x1f]+$")]


class ProductChange(BaseModel):
    """A product to add or replace. It needs a title, an image or both."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"title": "Red mug", "images": ["https://shop.example/mug.jpg"], "category": "mugs"}
            ]
        },
    )

    title: Text = ""
    category: Text = ""
    images: list[ImageUrl] = Field(
        default_factory=list, max_length=MAX_IMAGES, description="Addresses, the main image first."
    )
    attributes: dict[str, JsonValue] = Field(
        default_factory=dict, max_length=200, description="Such as price, link and gtin."
    )


class ProductDocument(BaseModel):
    """A product of a catalogue."""

    product_id: str
    title: str
    category: str
    image_count: int
    attributes: dict[str, Any]


class PurgeRequest(BaseModel):
    """Whether to remove the products, or only to count them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"force": False}]})

    force: bool = False


class PurgePreview(BaseModel):
    """What a purge would do."""

    would_delete: int


@router.get("/products", summary="List products")
def list_products(
    context: Context, caller: Viewer, catalogue_id: CatalogueId, page: Paging
) -> Page[ProductDocument]:
    """The products of a catalogue, ordered by their id."""
    lookup = _open(context, caller, catalogue_id)
    products = [] if lookup is None else lookup.page(first_text(page.after), page.limit + 1)
    shown = products[: page.limit]
    cursor = encode_cursor([shown[-1].product_id]) if len(products) > page.limit else None
    return Page(items=[product_document(product) for product in shown], next_cursor=cursor)


@router.get(
    "/images/{product_id:path}.jpg",
    summary="Get an image of a product",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}},
)
def get_product_image(
    context: Context,
    caller: Viewer,
    catalogue_id: CatalogueId,
    product_id: ProductId,
    number: Annotated[
        int | None,
        Query(ge=0, lt=1000, description="Which image, from 0; left out: a small main image."),
    ] = None,
) -> Response:
    """The main image, at most 160 pixels a side, or any image, at most 800 pixels a side."""
    lookup = _open(context, caller, catalogue_id)
    if lookup is None:
        raise not_found("image")
    if number is None:
        image = lookup.thumbnail(product_id)
    else:
        folder = catalogue_folder(context.settings, catalogue_id)
        image = _read_image(lookup.get(product_id), number, folder)
    if image is None:
        raise not_found("image")
    headers = {"Cache-Control": "private, max-age=300"}
    return Response(image, media_type="image/jpeg", headers=headers)


def _read_image(product: Product | None, number: int, folder: pathlib.Path) -> bytes | None:
    """An image as JPEG; None if there is none that can be read in the catalogue's folder."""
    paths = () if product is None else product.image_paths
    if number >= len(paths) or not paths[number].resolve().is_relative_to(folder.resolve()):
        return None
    try:
        return encode_jpeg(read_image(paths[number], MAX_IMAGE_SIDE_PX))
    except MediaError:
        return None


@router.get("/products/{product_id:path}", summary="Get a product")
def get_product(
    context: Context, caller: Viewer, catalogue_id: CatalogueId, product_id: ProductId
) -> ProductDocument:
    """A product as it is in the index."""
    lookup = _open(context, caller, catalogue_id)
    product = None if lookup is None else lookup.get(product_id)
    if product is None:
        raise not_found("product")
    return product_document(product)


@router.put(
    "/products/{product_id:path}",
    status_code=202,
    summary="Add or replace a product",
    response_model=Operation,
)
def put_product(
    context: Context,
    caller: Editor,
    request: Request,
    catalogue_id: CatalogueId,
    product_id: ProductId,
    change: ProductChange,
) -> JSONResponse:
    """Add or replace a product by an operation, which downloads its images."""
    if not change.title.strip() and not change.images:
        errors = [("body", "pass a title, an image or both")]
        raise problems.ApiError(422, "The request has 1 invalid value.", errors)
    job = {"product": {"product_id": product_id, **change.model_dump()}}
    return _start(context, caller, request, catalogue_id, "put-product", job)


@router.delete("/products/{product_id:path}", status_code=204, summary="Delete a product")
def delete_product(
    context: Context,
    caller: Editor,
    request: Request,
    catalogue_id: CatalogueId,
    product_id: ProductId,
) -> Response:
    """Delete a product from the index."""
    lookup = _open(context, caller, catalogue_id)
    if lookup is None or not lookup.table.remove([product_id], lookup.shop_id).count:
        raise not_found("product")
    with context.database.write() as connection:
        change_catalogue(connection, catalogue_id, **table_values(lookup.table))
        detail = {"product": product_id}
        audit.record(
            connection, request, caller, "product.delete", catalogue_id, lookup.shop_id, detail
        )
    return Response(status_code=204)


@router.post(
    ":purge",
    summary="Remove all products",
    response_model=PurgePreview,
    dependencies=[IDEMPOTENT],
    responses={**problems.responses(409), 202: {"model": Operation}},
)
def purge_catalogue(
    context: Context,
    caller: Editor,
    request: Request,
    catalogue_id: CatalogueId,
    body: PurgeRequest,
) -> Response:
    """Remove all products by an operation (202), or without `force` tell how many that would be."""
    if body.force:
        return _start(context, caller, request, catalogue_id, "purge", {})
    lookup = _open(context, caller, catalogue_id)
    preview = PurgePreview(would_delete=0 if lookup is None else lookup.table.count())
    return JSONResponse(preview.model_dump())


def _start(
    context: ServiceContext,
    caller: Caller,
    request: Request,
    catalogue_id: str,
    kind: str,
    job: dict[str, Any],
) -> JSONResponse:
    """Queue an operation on a catalogue."""
    with context.database.write() as connection:
        catalogue = find_catalogue(connection, caller, catalogue_id)
        row = queue.enqueue(connection, kind, catalogue["shop_id"], catalogue_id, job)
        detail = {"operation": row["id"]}
        action = f"catalogue.{kind}"
        audit.record(
            connection, request, caller, action, catalogue_id, catalogue["shop_id"], detail
        )
        headers = {"Location": f"/v1/operations/{row['id']}"}
        return answer(connection, request, document(row), 202, headers)


def _open(context: ServiceContext, caller: Caller, catalogue_id: str) -> ProductLookup | None:
    """The products of a catalogue that the key may see; None before the first import."""
    with context.database.read() as connection:
        catalogue = find_catalogue(connection, caller, catalogue_id)
    table = open_table(context, catalogue_id)
    return None if table is None else ProductLookup(table, catalogue["shop_id"])


def product_document(product: Product) -> ProductDocument:
    """The document of a product."""
    return ProductDocument(
        product_id=product.product_id,
        title=product.title,
        category=product.category,
        image_count=len(product.image_paths),
        attributes=dict(product.attributes),
    )
