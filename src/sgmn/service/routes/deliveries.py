"""Deliveries of a webhook: what was sent, what failed, and sending it again."""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from sgmn.service import audit, problems
from sgmn.service.auth import Editor
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.fields import path_id
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.pagination import Page, Paging
from sgmn.service.problems import ApiError, not_found
from sgmn.service.routes.webhooks import WebhookId
from sgmn.service.webhooks import outbox
from sgmn.service.webhooks.store import find_webhook

router = APIRouter(
    prefix="/v1/webhooks",
    tags=["webhooks"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
DeliveryId = Annotated[str, path_id("dlv", "a delivery")]
DeliveryState = Literal["pending", "delivered", "dead"]
_DELIVERIES = tables.deliveries


class Delivery(BaseModel):
    """A log row on its way to a webhook."""

    id: str = Field(description="The header webhook-id of every attempt.")
    webhook_id: str
    session_id: str
    seq: int = Field(description="The number of the row in the log of its session.")
    state: DeliveryState
    attempts: int
    next_attempt_s: float | None
    last_status: int | None
    last_error: str | None
    created_s: float
    updated_s: float


@router.get("/{webhook_id:id}/deliveries", summary="List deliveries")
def list_deliveries(
    context: Context,
    caller: Editor,
    page: Paging,
    webhook_id: WebhookId,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state.")] = None,
) -> Page[Delivery]:
    """The deliveries of a webhook, newest first. Settled ones are kept for 30 days."""
    query = sa.select(_DELIVERIES).where(_DELIVERIES.c.webhook_id == webhook_id)
    if state is not None:
        query = query.where(_DELIVERIES.c.state == state)
    columns = (_DELIVERIES.c.created_s, _DELIVERIES.c.id)
    with context.database.read() as connection:
        find_webhook(connection, caller, webhook_id)
        selected = page.select(query, *columns, newest_first=True)
        found = connection.execute(selected).mappings().all()
    rows, cursor = page.cut(found, "created_s", "id")
    return Page(items=[Delivery.model_validate(dict(row)) for row in rows], next_cursor=cursor)


@router.post(
    "/{webhook_id:id}/deliveries/{delivery_id}:retry",
    summary="Deliver again",
    response_model=Delivery,
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def retry_delivery(
    context: Context,
    caller: Editor,
    request: Request,
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
) -> JSONResponse:
    """Send a row again now, whether it has been delivered or given up, as the same message."""
    query = sa.select(_DELIVERIES).where(
        _DELIVERIES.c.id == delivery_id, _DELIVERIES.c.webhook_id == webhook_id
    )
    with context.database.write() as connection:
        webhook = find_webhook(connection, caller, webhook_id)
        if connection.execute(query).first() is None:
            raise not_found("delivery")
        if webhook["state"] != "active":
            raise ApiError(409, "The webhook is disabled; set its state to 'active' first.")
        outbox.retry(connection, delivery_id)
        shop_id = webhook["shop_id"]
        audit.record(connection, request, caller, "delivery.retry", delivery_id, shop_id)
        row = connection.execute(query).mappings().one()
        return answer(connection, request, Delivery.model_validate(dict(row)), 200)
