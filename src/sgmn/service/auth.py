"""API keys, in a header or by the login of a browser: who calls, in which role, for which shops."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sgmn.service.context import Context, ServiceContext
from sgmn.service.database import tables
from sgmn.service.ids import new_id
from sgmn.service.problems import ApiError, not_found
from sgmn.service.rate_limits import rate_limits_of

Role = Literal["viewer", "editor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
SECRET_PREFIX = "sgmn_"
LOGIN_COOKIE = "sgmn_login"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_USE_INTERVAL_S = 60.0  # how exactly the time of a key's last use is known
_BEARER = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer sgmn_…`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """The key of a request: its role, and its shops; None means all shops."""

    key_id: str
    name: str
    role: Role
    shops: frozenset[str] | None

    def may(self, role: Role) -> bool:
        """Whether the key has at least this role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, shop_id: str) -> bool:
        """Whether the key is for this shop."""
        return self.shops is None or shop_id in self.shops

    def scope(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """The condition that a column holds a shop of the key; part of every query."""
        return sa.true() if self.shops is None else column.in_(sorted(self.shops))

    def require_shop(self, shop_id: str) -> None:
        """Raise the 404 of an unknown shop unless the key is for this shop."""
        if not self.sees(shop_id):
            raise not_found("shop")


def hash_secret(secret: str) -> str:
    """What is stored of a secret. It has 256 random bits, so a slow hash adds nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def insert_key(
    connection: sa.Connection,
    name: str,
    role: Role,
    shops: Sequence[str] | None,
    secret: str | None = None,
) -> tuple[str, str]:
    """Store a new key; return its id and its secret, which is not stored."""
    secret = secret or SECRET_PREFIX + secrets.token_urlsafe(32)
    key_id = new_id("key")
    row = {
        "id": key_id,
        "name": name,
        "role": role,
        "shops": sa.null() if shops is None else sorted(set(shops)),
        "secret_sha256": hash_secret(secret),
        "created_s": time.time(),
    }
    connection.execute(sa.insert(tables.keys).values(row))
    return key_id, secret


def find_caller(context: ServiceContext, secret: str) -> Caller | None:
    """The key with this secret, unless it is unknown or revoked."""
    return _find_key(context, tables.keys.c.secret_sha256 == hash_secret(secret))


def find_login(context: ServiceContext, secret: str) -> Caller | None:
    """The key of a browser's login, unless that is unknown or over, or the key is revoked."""
    logins = tables.logins
    key_id = sa.select(logins.c.key_id).where(
        logins.c.secret_sha256 == hash_secret(secret), logins.c.expires_s > time.time()
    )
    return _find_key(context, tables.keys.c.id == key_id.scalar_subquery())


def _find_key(context: ServiceContext, condition: sa.ColumnElement[bool]) -> Caller | None:
    query = sa.select(tables.keys).where(condition, tables.keys.c.revoked_s.is_(None))
    with context.database.read() as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    _note_use(context, row["id"], row["last_used_s"])
    shops = None if row["shops"] is None else frozenset(row["shops"])
    return Caller(row["id"], row["name"], row["role"], shops)


def _note_use(context: ServiceContext, key_id: str, last_used_s: float | None) -> None:
    now = time.time()
    if last_used_s is not None and now - last_used_s < _USE_INTERVAL_S:
        return
    update = sa.update(tables.keys).where(tables.keys.c.id == key_id).values(last_used_s=now)
    with context.database.write() as connection:
        connection.execute(update)


def authenticate(
    request: Request,
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Caller:
    """The key of a request, from its header or its login; 401 without a valid one."""
    secret = None if credentials is None else credentials.credentials
    caller = identify(request, context, secret)
    if caller is None:
        rate_limits_of(context).count_invalid_key(request)
        detail = "Pass a valid API key as 'Authorization: Bearer …'."
        raise ApiError(401, detail, headers={"WWW-Authenticate": "Bearer"})
    rate_limits_of(context).count_request(caller.key_id)
    request.state.caller = caller
    return caller


def identify(request: Request, context: ServiceContext, secret: str | None) -> Caller | None:
    """The key of a request: that of the secret in its header, or without one of its login."""
    if secret is None:
        return _authenticate_browser(request, context)
    return find_caller(context, secret)


def _authenticate_browser(request: Request, context: ServiceContext) -> Caller | None:
    secret = request.cookies.get(LOGIN_COOKIE)
    if secret is None or "authorization" in request.headers:
        return None
    if request.method not in _SAFE_METHODS:
        require_same_origin(request)
    return find_login(context, secret)


def require_same_origin(request: Request) -> None:
    """Answer 403 to a request that a page of another site may have made.

    Browsers send Sec-Fetch-Site to https and to this machine; elsewhere Origin has to do.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        host = urlsplit(request.headers.get("origin", "")).netloc
        is_same = bool(host) and host == request.headers.get("host")
    else:
        is_same = site == "same-origin"
    if not is_same:
        raise ApiError(403, "The request does not come from a page of this service.")


def require_role(role: Role) -> Callable[[Caller], Caller]:
    """A dependency: the key of a request, which must have at least this role (403)."""

    def check(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if not caller.may(role):
            raise ApiError(403, f"The key has the role {caller.role}; this needs {role}.")
        return caller

    return check


Viewer = Annotated[Caller, Depends(require_role("viewer"))]
Editor = Annotated[Caller, Depends(require_role("editor"))]
Admin = Annotated[Caller, Depends(require_role("admin"))]
