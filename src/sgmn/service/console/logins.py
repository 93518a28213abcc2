"""Logins of browsers: a cookie with a random secret, of which only the hash is stored."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from fastapi import Request, Response

from sgmn.service.auth import LOGIN_COOKIE, hash_secret
from sgmn.service.database import tables

DURATION_S = 14 * 86400.0


def insert_login(connection: sa.Connection, key_id: str) -> str:
    """Store a login of a key and forget those that are over; return its secret."""
    now_s, secret = time.time(), secrets.token_urlsafe(32)
    connection.execute(sa.delete(tables.logins).where(tables.logins.c.expires_s < now_s))
    row = {
        "secret_sha256": hash_secret(secret),
        "key_id": key_id,
        "created_s": now_s,
        "expires_s": now_s + DURATION_S,
    }
    connection.execute(sa.insert(tables.logins).values(row))
    return secret


def delete_login(connection: sa.Connection, secret: str) -> None:
    """Forget a login."""
    condition = tables.logins.c.secret_sha256 == hash_secret(secret)
    connection.execute(sa.delete(tables.logins).where(condition))


def set_cookie(request: Request, response: Response, secret: str) -> None:
    """Give the secret of a login to the browser, for this service and not for scripts."""
    # Behind a proxy the service sees no https, but the browser names it as the origin.
    is_secure = request.url.scheme == "https" or request.headers.get("origin", "")[:6] == "https:"
    response.set_cookie(
        LOGIN_COOKIE,
        secret,
        max_age=int(DURATION_S),
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )
