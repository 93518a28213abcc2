"""API keys: an admin makes and revokes them. The secret of a key is shown once."""

from __future__ import annotations

import time

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sgmn.service import audit, auth, problems
from sgmn.service.auth import Admin, Role
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.fields import KeyId, Name, ShopId
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.pagination import Page, Paging
from sgmn.service.problems import ApiError, not_found

router = APIRouter(
    prefix="/v1/keys",
    tags=["keys"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 422),
)


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "overlay of shop 7", "role": "viewer", "shops": ["shop-7"]}]
        },
    )

    name: Name
    role: Role = Field(description="A viewer reads, an editor also writes, an admin does all.")
    shops: list[ShopId] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="The shops of the key; null for all shops. An admin's key is for all shops.",
    )

    @model_validator(mode="after")
    def _check_admin(self) -> NewKey:
        if self.role == "admin" and self.shops is not None:
            raise ValueError("an admin's key is for all shops; leave out 'shops'")
        return self


class Key(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    role: Role
    shops: list[str] | None
    created_s: float
    last_used_s: float | None


class KeyWithSecret(Key):
    """A new key. Its secret cannot be read again."""

    secret: str


@router.get("", summary="List keys")
def list_keys(context: Context, _caller: Admin, page: Paging) -> Page[Key]:
    """The keys that are not revoked."""
    keys = tables.keys
    query = sa.select(keys).where(keys.c.revoked_s.is_(None))
    with context.database.read() as connection:
        found = connection.execute(page.select(query, keys.c.created_s, keys.c.id)).mappings().all()
    rows, cursor = page.cut(found, "created_s", "id")
    return Page(items=[Key.model_validate(dict(row)) for row in rows], next_cursor=cursor)


@router.post(
    "",
    status_code=201,
    summary="Make a key",
    response_model=KeyWithSecret,
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def make_key(context: Context, caller: Admin, request: Request, new: NewKey) -> JSONResponse:
    """Make a key. The answer is the only one that has its secret."""
    with context.database.write() as connection:
        key_id, secret = auth.insert_key(connection, new.name, new.role, new.shops)
        key = _find(connection, key_id)
        detail = {"role": new.role, "shops": new.shops}
        audit.record(connection, request, caller, "key.create", key_id, detail=detail)
        document = KeyWithSecret(**key.model_dump(), secret=secret)
        return answer(connection, request, document, 201, {"Location": f"/v1/keys/{key_id}"})


@router.get("/{key_id}", summary="Get a key", responses=problems.responses(404))
def get_key(context: Context, _caller: Admin, key_id: KeyId) -> Key:
    """A key that is not revoked."""
    with context.database.read() as connection:
        return _find(connection, key_id)


@router.delete(
    "/{key_id}",
    status_code=204,
    summary="Revoke a key",
    responses=problems.responses(404, 409),
)
def revoke_key(context: Context, caller: Admin, request: Request, key_id: KeyId) -> Response:
    """Revoke a key at once. A key cannot revoke itself, so that an admin's key is left."""
    keys = tables.keys
    with context.database.write() as connection:
        key = _find(connection, key_id)
        if key_id == caller.key_id or (key.role == "admin" and _count_admins(connection) == 1):
            raise ApiError(409, "A key cannot revoke itself; use the key of another admin.")
        update = sa.update(keys).where(keys.c.id == key_id).values(revoked_s=time.time())
        connection.execute(update)
        audit.record(connection, request, caller, "key.revoke", key_id)
    return Response(status_code=204)


def _find(connection: sa.Connection, key_id: str) -> Key:
    keys = tables.keys
    query = sa.select(keys).where(keys.c.id == key_id, keys.c.revoked_s.is_(None))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found("key")
    return Key.model_validate(dict(row))


def _count_admins(connection: sa.Connection) -> int:
    keys = tables.keys
    query = sa.select(sa.func.count()).where(keys.c.role == "admin", keys.c.revoked_s.is_(None))
    return int(connection.execute(query.select_from(keys)).scalar_one())
