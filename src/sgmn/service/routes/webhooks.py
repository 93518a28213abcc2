"""Webhooks of a shop, and their deliveries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sgmn.media.address import redact_address
from sgmn.service import audit, problems
from sgmn.service.auth import Editor
from sgmn.service.context import Context, ServiceContext
from sgmn.service.database import tables
from sgmn.service.etags import IfMatch, etag, require_match
from sgmn.service.fields import ShopId, path_id
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.ids import new_id
from sgmn.service.log import RowType
from sgmn.service.outbound.policy import OutboundPolicy
from sgmn.service.pagination import Page, Paging
from sgmn.service.problems import ApiError
from sgmn.service.webhooks.signature import new_secret
from sgmn.service.webhooks.store import find_webhook

router = APIRouter(
    prefix="/v1/webhooks",
    tags=["webhooks"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
WebhookId = Annotated[str, path_id("whk", "a webhook")]
MAX_WEBHOOKS = 50  # of one shop, because each log row is written to all of them
_ALL_TYPES: list[RowType] = ["sgmn.event/1", "sgmn.review/1", "sgmn.session/1"]
_EXAMPLE: dict[str, JsonValue] = {
    "url": "https://shop.example/hooks/sgmn",
    "types": ["sgmn.event/1"],
}
_WEBHOOKS, _DELIVERIES = tables.webhooks, tables.deliveries


class WebhookChange(BaseModel):
    """What can be changed of a webhook."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    url: str | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        description="Where rows are posted; left out, it stays as it is.",
    )
    types: list[RowType] = Field(
        default=_ALL_TYPES, min_length=1, max_length=3, description="Types of rows to post."
    )
    state: Literal["active", "disabled"] = Field(
        default="active", description="A disabled webhook gets nothing, and keeps what is pending."
    )


class NewWebhook(BaseModel):
    """A webhook to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"shop_id": "shop-7", **_EXAMPLE}]}
    )

    shop_id: ShopId
    url: str = Field(min_length=1, max_length=2000, description="Where rows are posted.")
    types: list[RowType] = Field(
        default=_ALL_TYPES, min_length=1, max_length=3, description="Types of rows to post."
    )


class Webhook(BaseModel):
    """An address to which the log of a shop's sessions is posted."""

    id: str
    shop_id: str
    url: str = Field(description="Without its credentials.")
    types: list[RowType]
    state: Literal["active", "disabled"]
    version: int = Field(description="Grows with each change; also the ETag.")
    created_s: float
    previous_secret_until_s: float | None = Field(
        description="Until when messages are also signed with the secret before the last rotation."
    )


class Rotation(BaseModel):
    """How to replace a secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"keep_hours": 24}]})

    keep_hours: float = Field(
        default=24.0,
        ge=0,
        le=24 * 30,
        allow_inf_nan=False,
        description="How long messages are also signed with the secret before; 0: not at all.",
    )


class WebhookWithSecret(Webhook):
    """A webhook with a new secret, which cannot be read again."""

    secret: str = Field(description="Verifies the signature of each message (Standard Webhooks).")


@router.get("", summary="List webhooks")
def list_webhooks(
    context: Context,
    caller: Editor,
    page: Paging,
    shop_id: Annotated[ShopId | None, Query(description="Only those of this shop.")] = None,
) -> Page[Webhook]:
    """The webhooks of the shops of the key."""
    query = sa.select(_WEBHOOKS).where(caller.scope(_WEBHOOKS.c.shop_id))
    if shop_id is not None:
        query = query.where(_WEBHOOKS.c.shop_id == shop_id)
    query = page.select(query, _WEBHOOKS.c.created_s, _WEBHOOKS.c.id)
    with context.database.read() as connection:
        found = connection.execute(query).mappings().all()
    rows, cursor = page.cut(found, "created_s", "id")
    return Page(items=[_document(row) for row in rows], next_cursor=cursor)


@router.post(
    "",
    status_code=201,
    summary="Make a webhook",
    response_model=WebhookWithSecret,
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def make_webhook(
    context: Context, caller: Editor, request: Request, new: NewWebhook
) -> JSONResponse:
    """Post rows to an address from now on. The answer is the only one that has its secret."""
    caller.require_shop(new.shop_id)
    _check_url(context, new.url)
    secret = new_secret()
    row: dict[str, Any] = {
        "id": new_id("whk"),
        "shop_id": new.shop_id,
        "url_redacted": redact_address(new.url),
        "url_sealed": context.sealer.seal(new.url),
        "secret_sealed": context.sealer.seal(secret),
        "types": sorted(set(new.types)),
        "state": "active",
        "created_s": time.time(),
        "previous_secret_until_s": None,
        "version": 1,
    }
    count = sa.select(sa.func.count()).select_from(_WEBHOOKS)
    with context.database.write() as connection:
        of_shop = count.where(_WEBHOOKS.c.shop_id == new.shop_id)
        if connection.execute(of_shop).scalar_one() >= MAX_WEBHOOKS:
            raise ApiError(409, f"A shop has at most {MAX_WEBHOOKS} webhooks; delete one first.")
        connection.execute(sa.insert(_WEBHOOKS).values(row))
        audit.record(connection, request, caller, "webhook.create", row["id"], new.shop_id)
        document = WebhookWithSecret(**_document(row).model_dump(), secret=secret)
        headers = {"Location": f"/v1/webhooks/{row['id']}", "ETag": etag(1)}
        return answer(connection, request, document, 201, headers)


@router.get("/{webhook_id:id}", summary="Get a webhook")
def get_webhook(
    context: Context, caller: Editor, response: Response, webhook_id: WebhookId
) -> Webhook:
    """A webhook, with its ETag."""
    with context.database.read() as connection:
        webhook = _document(find_webhook(connection, caller, webhook_id))
    response.headers["ETag"] = etag(webhook.version)
    return webhook


@router.put("/{webhook_id:id}", summary="Change a webhook", responses=problems.responses(412))
def change_webhook(
    context: Context,
    caller: Editor,
    request: Request,
    response: Response,
    webhook_id: WebhookId,
    new: WebhookChange,
    if_match: IfMatch = None,
) -> Webhook:
    """Change the address, the types of rows or the state of a webhook."""
    values: dict[str, Any] = {"types": sorted(set(new.types)), "state": new.state}
    if new.url is not None:
        _check_url(context, new.url)
        values["url_redacted"] = redact_address(new.url)
        values["url_sealed"] = context.sealer.seal(new.url)
    update = sa.update(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook_id)
    with context.database.write() as connection:
        row = find_webhook(connection, caller, webhook_id)
        require_match(if_match, row["version"])
        connection.execute(update.values(**values, version=row["version"] + 1))
        audit.record(connection, request, caller, "webhook.change", webhook_id, row["shop_id"])
        webhook = _document(find_webhook(connection, caller, webhook_id))
    response.headers["ETag"] = etag(webhook.version)
    return webhook


@router.post(
    "/{webhook_id:id}:rotate-secret",
    summary="Replace the secret of a webhook",
    response_model=WebhookWithSecret,
    dependencies=[IDEMPOTENT],
)
def rotate_secret(
    context: Context, caller: Editor, request: Request, webhook_id: WebhookId, rotation: Rotation
) -> JSONResponse:
    """Sign with a new secret; for a while with the one before too, so that consumers can change."""
    secret, until_s = new_secret(), time.time() + 3600 * rotation.keep_hours
    with context.database.write() as connection:
        row = find_webhook(connection, caller, webhook_id)
        values = {
            "secret_sealed": context.sealer.seal(secret),
            "previous_secret_sealed": row["secret_sealed"] if rotation.keep_hours else None,
            "previous_secret_until_s": until_s if rotation.keep_hours else None,
            "version": row["version"] + 1,
        }
        update = sa.update(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook_id)
        connection.execute(update.values(values))
        audit.record(connection, request, caller, "webhook.rotate", webhook_id, row["shop_id"])
        webhook = _document(find_webhook(connection, caller, webhook_id))
        document = WebhookWithSecret(**webhook.model_dump(), secret=secret)
        return answer(connection, request, document, 200, {"ETag": etag(webhook.version)})


@router.delete(
    "/{webhook_id:id}",
    status_code=204,
    summary="Delete a webhook",
    responses=problems.responses(412),
)
def delete_webhook(
    context: Context,
    caller: Editor,
    request: Request,
    webhook_id: WebhookId,
    if_match: IfMatch = None,
) -> Response:
    """Delete a webhook and its deliveries."""
    with context.database.write() as connection:
        row = find_webhook(connection, caller, webhook_id)
        require_match(if_match, row["version"])
        connection.execute(sa.delete(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook_id))
        connection.execute(sa.delete(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook_id))
        audit.record(connection, request, caller, "webhook.delete", webhook_id, row["shop_id"])
    return Response(status_code=204)


def _check_url(context: ServiceContext, url: str) -> None:
    policy = OutboundPolicy.from_settings(context.settings)
    policy.check_web_address(url, policy.webhook_schemes)


def _document(row: Mapping[str, Any]) -> Webhook:
    until_s = row["previous_secret_until_s"]
    is_over = until_s is None or until_s <= time.time()
    shown = {"url": row["url_redacted"], "previous_secret_until_s": None if is_over else until_s}
    return Webhook.model_validate({**row, **shown})
