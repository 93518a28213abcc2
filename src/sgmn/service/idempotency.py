"""`Idempotency-Key`: a POST that is sent again gets the first answer, and does nothing twice.

An endpoint that creates something stores its answer in the transaction that creates it, see
`answer`. So whatever a crash interrupts is either done with its answer stored, or not done.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

from sgmn.service.auth import identify
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.problems import ApiError

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 200
STALE_S = 60.0  # an unfinished request of this age was interrupted by a crash
_TABLE = tables.idempotency
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_KEPT_HEADERS = ("location", "etag", "content-type")


@dataclass(frozen=True, slots=True)
class Reservation:
    """The place where the answer to a request will be stored."""

    key_id: str
    key: str

    @property
    def where(self) -> sa.ColumnElement[bool]:
        """The row of the reservation."""
        return sa.and_(_TABLE.c.key_id == self.key_id, _TABLE.c.idempotency_key == self.key)


def _declare_header(
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=MAX_KEY_LENGTH,
            description="A request that is sent again with the same key gets the first answer.",
            examples=["5f0c7a52-import-of-monday"],
        ),
    ] = None,
) -> str | None:
    return idempotency_key


IDEMPOTENT = Depends(_declare_header)  # for `dependencies=` of a route, which documents the header


class IdempotentRoute(APIRoute):
    """A route whose POST requests may carry an Idempotency-Key; their bodies fit in memory."""

    def get_route_handler(self) -> Handler:
        """The handler of the route, called once for each key."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            key = request.headers.get(HEADER, "")
            if request.method != "POST" or not 0 < len(key) <= MAX_KEY_LENGTH:
                return await handler(request)  # which answers 422 to a key that is too long
            body = await request.body()
            return await _handle_once(request, hash_request(request, body), handler)

        return handle


def hash_request(request: Request, *parts: bytes) -> str:
    """What must be the same when a request is sent again."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


async def _handle_once(
    request: Request,
    request_sha256: str,
    handler: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    context: ServiceContext = request.app.state.context
    stored = await run_in_threadpool(reserve, context, request, request_sha256)
    if stored is not None:
        return stored
    try:
        response = await handler(request)
    except BaseException:
        await run_in_threadpool(release, context, request)
        raise
    if response.status_code >= 400:
        await run_in_threadpool(release, context, request)
    return response


def reserve(context: ServiceContext, request: Request, request_sha256: str) -> Response | None:
    """Reserve the key of a request, or return the stored answer to an earlier one.

    Raises ApiError: 409 while the first request runs, or if it was another one.
    """
    header = request.headers.get("Authorization")
    secret = None if header is None else get_authorization_scheme_param(header)[1]
    caller = identify(request, context, secret)
    if caller is None:
        return None  # the handler answers 401
    reservation = Reservation(caller.key_id, request.headers[HEADER])
    row = {
        "key_id": caller.key_id,
        "idempotency_key": reservation.key,
        "request_sha256": request_sha256,
        "created_s": time.time(),
    }
    try:
        with context.database.write() as connection:
            _forget_old(connection, context)
            connection.execute(sa.insert(_TABLE).values(row))
    except IntegrityError:
        stored = _find_answer(context, reservation, request_sha256)
        if stored is not None:
            return stored
    request.state.reservation = reservation
    return None


def _forget_old(connection: sa.Connection, context: ServiceContext) -> None:
    now = time.time()
    old = _TABLE.c.created_s < now - 3600 * context.settings.idempotency_hours
    interrupted = sa.and_(_TABLE.c.status.is_(None), _TABLE.c.created_s < now - STALE_S)
    connection.execute(sa.delete(_TABLE).where(sa.or_(old, interrupted)))


def _find_answer(
    context: ServiceContext, reservation: Reservation, request_sha256: str
) -> Response | None:
    with context.database.read() as connection:
        row = connection.execute(sa.select(_TABLE).where(reservation.where)).mappings().first()
    if row is None or row["status"] is None:
        detail = "The first request with this Idempotency-Key has not ended yet."
        raise ApiError(409, detail, headers={"Retry-After": "2"})
    if row["request_sha256"] != request_sha256:
        raise ApiError(409, "This Idempotency-Key was used for another request; use a new one.")
    body = context.sealer.open(row["body_sealed"])
    return Response(body, row["status"], headers={**row["headers"], "Idempotent-Replayed": "true"})


def release(context: ServiceContext, request: Request) -> None:
    """Forget the key of a request that has done nothing, so that it may be sent again."""
    reservation: Reservation | None = getattr(request.state, "reservation", None)
    if reservation is None:
        return
    unfinished = sa.and_(reservation.where, _TABLE.c.status.is_(None))
    with context.database.write() as connection:
        connection.execute(sa.delete(_TABLE).where(unfinished))


def answer(
    connection: sa.Connection,
    request: Request,
    model: BaseModel,
    status: int = 201,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer to a POST, stored in its transaction for requests with the same key."""
    response = JSONResponse(model.model_dump(mode="json"), status, headers=dict(headers or {}))
    reservation: Reservation | None = getattr(request.state, "reservation", None)
    if reservation is not None:
        context: ServiceContext = request.app.state.context
        kept = {k: v for k, v in response.headers.items() if k in _KEPT_HEADERS}
        values = {
            "status": status,
            "headers": kept,
            "body_sealed": context.sealer.seal(bytes(response.body).decode()),
        }
        connection.execute(sa.update(_TABLE).where(reservation.where).values(values))
    return response
