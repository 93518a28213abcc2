"""Webhooks in the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from sgmn.service.auth import Caller
from sgmn.service.database import tables
from sgmn.service.problems import not_found


def find_webhook(connection: sa.Connection, caller: Caller, webhook_id: str) -> Mapping[str, Any]:
    """The row of a webhook; 404 if there is none in the shops of the caller."""
    webhooks = tables.webhooks
    query = sa.select(webhooks).where(webhooks.c.id == webhook_id, caller.scope(webhooks.c.shop_id))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found("webhook")
    return dict(row)
