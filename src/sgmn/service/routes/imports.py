"""Imports: a catalogue as a file or an address, read and indexed by an operation."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgmn.media.address import redact_address
from sgmn.service import audit, idempotency, problems
from sgmn.service.auth import Caller, Editor
from sgmn.service.catalogues import Row, find_catalogue
from sgmn.service.context import Context, ServiceContext
from sgmn.service.fields import CatalogueId
from sgmn.service.idempotency import IDEMPOTENT
from sgmn.service.ids import new_id
from sgmn.service.imports.importer import uploads_folder
from sgmn.service.imports.media_types import SUFFIXES, upload_name
from sgmn.service.imports.upload import read_body, receive
from sgmn.service.operations import queue
from sgmn.service.problems import ApiError
from sgmn.service.routes.operations import Operation, document

router = APIRouter(
    prefix="/v1/catalogues",
    tags=["imports"],
    responses=problems.responses(401, 403, 404, 422),
)
_ANY_SIZE = 1 << 40  # `receive` has limits of its own
_MAX_JSON_BYTES = 100_000


class ImportFromUrl(BaseModel):
    """The address of a catalogue."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "https://shop.example/feed.xml"}]}
    )

    url: str = Field(pattern=r"^https?://[^\s\x00-\x1f]+$", max_length=4000)


_BODY: dict[str, Any] = {
    "required": True,
    "description": "The catalogue, or a JSON document with its address.",
    "content": {
        "application/json": {"schema": ImportFromUrl.model_json_schema()},
        **{name: {"schema": {"type": "string", "format": "binary"}} for name in SUFFIXES},
    },
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a catalogue is imported."""

    sync: Annotated[
        bool, Query(description="Remove products that the catalogue no longer lists.")
    ] = False
    strict: Annotated[
        bool, Query(description="Reject products with a missing or unreadable image.")
    ] = False
    filename: Annotated[
        str | None,
        Query(
            max_length=200,
            description="The name of the file, for the report. Its suffix tells the format of "
            "application/octet-stream.",
            examples=["products.csv"],
        ),
    ] = None


Options = Annotated[ImportOptions, Depends()]


@router.post(
    "/{catalogue_id}/imports",
    status_code=202,
    summary="Import a catalogue",
    response_model=Operation,
    dependencies=[IDEMPOTENT],
    responses={
        **problems.responses(400, 408, 409, 413, 415),
        202: {"headers": {"Location": {"schema": {"type": "string"}}}},
    },
    openapi_extra={"requestBody": _BODY},
    max_body_size=_ANY_SIZE,
)
async def import_catalogue(
    context: Context, caller: Editor, request: Request, catalogue_id: CatalogueId, options: Options
) -> Response:
    """Add or replace products: CSV, TSV, JSON Lines, Merchant Center XML, Shopify, WooCommerce or
    schema.org, a zip archive of one of them with images, or the address of one.

    The answer is an operation, which goes on after a crash. Its report lists rejected rows.
    """
    catalogue = await run_in_threadpool(_find, context, caller, catalogue_id)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        body = await _read_json(request)
        source: dict[str, Any] = {
            "url_sealed": context.sealer.seal(body.url),
            "name": redact_address(body.url),
        }
        operation_id, digest = new_id("op"), body.url.encode()
    elif media_type in SUFFIXES:
        operation_id = new_id("op")
        name = upload_name(media_type, options.filename)
        path = uploads_folder(context.settings) / operation_id / name
        limits = context.settings.max_upload_bytes, context.settings.upload_timeout_s
        upload = await receive(request, path, *limits)
        source, digest = {"name": name, "bytes": upload.size}, upload.sha256.encode()
    else:
        supported = ", ".join(["application/json", *SUFFIXES])
        raise ApiError(415, f"The body is {media_type or 'of no type'}; use one of {supported}.")
    job = {**source, "sync": options.sync, "strict": options.strict}
    start = Start(context, caller, request, catalogue, operation_id, job)
    return await run_in_threadpool(start.run, digest)


@dataclass(frozen=True, slots=True)
class Start:
    """The start of an import, once for each Idempotency-Key."""

    context: ServiceContext
    caller: Caller
    request: Request
    catalogue: Row
    operation_id: str
    job: dict[str, Any]

    def run(self, digest: bytes) -> Response:
        """Queue the operation, or return the answer to an earlier request."""
        stored = None
        try:
            if self.request.headers.get(idempotency.HEADER):
                request_sha256 = idempotency.hash_request(self.request, digest)
                stored = idempotency.reserve(self.context, self.request, request_sha256)
            return self._enqueue() if stored is None else stored
        except BaseException:
            idempotency.release(self.context, self.request)
            self._delete_upload()
            raise
        finally:
            if stored is not None:
                self._delete_upload()

    def _delete_upload(self) -> None:
        folder = uploads_folder(self.context.settings) / self.operation_id
        shutil.rmtree(folder, ignore_errors=True)

    def _enqueue(self) -> Response:
        catalogue_id, shop_id = self.catalogue["id"], self.catalogue["shop_id"]
        detail = {"operation": self.operation_id, "name": self.job["name"]}
        headers = {"Location": f"/v1/operations/{self.operation_id}"}
        with self.context.database.write() as connection:
            find_catalogue(connection, self.caller, catalogue_id)  # deleted during the upload?
            row = queue.enqueue(
                connection, "import", shop_id, catalogue_id, self.job, self.operation_id
            )
            record = partial(audit.record, connection, self.request, self.caller)
            record("catalogue.import", catalogue_id, shop_id, detail)
            return idempotency.answer(connection, self.request, document(row), 202, headers)


def _find(context: ServiceContext, caller: Caller, catalogue_id: str) -> Row:
    with context.database.read() as connection:
        return find_catalogue(connection, caller, catalogue_id)


async def _read_json(request: Request) -> ImportFromUrl:
    body = await read_body(request, _MAX_JSON_BYTES)
    try:
        return ImportFromUrl.model_validate_json(body)
    except ValidationError as error:
        raise problems.invalid_body(error) from error
