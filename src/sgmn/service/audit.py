"""The audit log: who changed what, when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import Request

from sgmn.service.auth import Caller
from sgmn.service.database import tables
from sgmn.service.ids import new_id


def record(
    connection: sa.Connection,
    request: Request,
    caller: Caller,
    action: str,
    resource: str,
    shop_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Record a change in the transaction that makes it.

    Args:
        connection: The transaction.
        request: The request that asks for the change.
        caller: Its key.
        action: A verb and a noun, such as "catalogue.delete".
        resource: The id of what is changed.
        shop_id: The shop of the resource, if it has one.
        detail: What else is worth knowing, never a secret.
    """
    row = {
        "id": new_id("aud"),
        "wall_s": time.time(),
        "key_id": caller.key_id,
        "action": action,
        "resource": resource,
        "shop_id": shop_id,
        "request_id": getattr(request.state, "request_id", None),
        "detail": dict(detail) if detail else sa.null(),
    }
    connection.execute(sa.insert(tables.audit).values(row))
