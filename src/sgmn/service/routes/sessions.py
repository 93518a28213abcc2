"""Sessions: streams that are recognized, each with the products that it began with."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from sgmn.errors import SgmnError
from sgmn.media.address import redact_address
from sgmn.service import audit, problems
from sgmn.service.auth import Caller, Editor, Viewer
from sgmn.service.catalogues import find_catalogue
from sgmn.service.context import Context, ServiceContext
from sgmn.service.database import tables
from sgmn.service.etags import etag
from sgmn.service.fields import SessionId, ShopId
from sgmn.service.idempotency import IDEMPOTENT, IdempotentRoute, answer
from sgmn.service.ids import new_id
from sgmn.service.indexes import open_table
from sgmn.service.log import log_transaction
from sgmn.service.outbound.policy import OutboundPolicy
from sgmn.service.pagination import Page, Paging
from sgmn.service.problems import ApiError, from_sgmn_error
from sgmn.service.routes.session_models import (
    Accepted,
    NewSession,
    NewUtterances,
    Now,
    Session,
    SessionRow,
    find_session,
)
from sgmn.service.streams.pinned_shelf import pin_shelf
from sgmn.service.streams.service import seal_source, streams_of
from sgmn.service.streams.sources import check_source
from sgmn.service.streams.states import TERMINAL, State
from sgmn.service.streams.store import Row, change_state, insert_session
from sgmn.service.streams.worker_transcript import UTTERANCES_FILE

router = APIRouter(
    prefix="/v1/sessions",
    tags=["sessions"],
    route_class=IdempotentRoute,
    responses=problems.responses(401, 403, 404, 422),
)
_SESSIONS = tables.sessions


@router.get("", summary="List sessions")
def list_sessions(
    context: Context,
    caller: Viewer,
    page: Paging,
    state: Annotated[
        list[State] | None, Query(max_length=20, description="Only those in these states.")
    ] = None,
    shop_id: Annotated[ShopId | None, Query(description="Only those of this shop.")] = None,
) -> Page[Session]:
    """The sessions of the shops of the key, newest first."""
    query = sa.select(_SESSIONS).where(caller.scope(_SESSIONS.c.shop_id))
    if state is not None:
        query = query.where(_SESSIONS.c.state.in_(state))
    if shop_id is not None:
        query = query.where(_SESSIONS.c.shop_id == shop_id)
    with context.database.read() as connection:
        selected = page.select(query, _SESSIONS.c.created_s, _SESSIONS.c.id, newest_first=True)
        found = connection.execute(selected).mappings().all()
    rows, cursor = page.cut(found, "created_s", "id")
    return Page(items=[Session.from_row(dict(row)) for row in rows], next_cursor=cursor)


@router.post(
    "",
    status_code=201,
    summary="Start a session",
    response_model=Session,
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def start_session(
    context: Context, caller: Editor, request: Request, new: NewSession
) -> JSONResponse:
    """Queue a stream with the products that its catalogue has now; see `state` for the rest."""
    source, subtitles = _check_addresses(context, new)
    catalogue = _find_catalogue(context, caller, new.catalogue_id)
    streams = streams_of(context)
    table = open_table(context, new.catalogue_id)
    if table is None or not catalogue["product_count"]:
        raise ApiError(409, "The catalogue has no products; import some first.")
    try:
        version = pin_shelf(table, catalogue["shop_id"], streams.shelves, new.catalogue_id)
    except SgmnError as error:
        raise from_sgmn_error(error, 409) from error
    options = new.model_dump(exclude={"catalogue_id", "source"})
    options["transcript"]["url"] = redact_address(subtitles)
    values = {
        "id": new_id("ses"),
        "shop_id": catalogue["shop_id"],
        "catalogue_id": catalogue["id"],
        "index_version": version,
        "source_redacted": redact_address(new.source),
        "source_sealed": seal_source(context, source, subtitles),
        "options": options,
    }
    with log_transaction(context.database, streams.hub) as transaction:
        connection = transaction.connection
        find_catalogue(connection, caller, new.catalogue_id)  # it may be deleted by now
        row = insert_session(transaction, values)
        audit.record(connection, request, caller, "session.create", row["id"], row["shop_id"])
        headers = {"Location": f"/v1/sessions/{row['id']}", "ETag": etag(row["version"])}
        response = answer(connection, request, Session.from_row(row), 201, headers)
    streams.wake()
    return response


@router.get("/{session_id:id}", summary="Get a session")
def get_session(row: SessionRow, response: Response) -> Session:
    """A session, with its ETag."""
    response.headers["ETag"] = etag(row["version"])
    return Session.from_row(row)


@router.post(
    "/{session_id}:stop",
    summary="Stop a session",
    response_model=Session,
    dependencies=[IDEMPOTENT],
    responses=problems.responses(409),
)
def stop_session(
    context: Context, caller: Editor, request: Request, session_id: SessionId
) -> JSONResponse:
    """Let a session end soon, with its last events; one that has ended stays as it is."""
    streams = streams_of(context)
    with log_transaction(context.database, streams.hub) as transaction:
        connection = transaction.connection
        before = find_session(connection, caller, session_id, lock=True)
        row = change_state(transaction, session_id, "stop", f"stopped by key {caller.name}")
        if row["state"] != before["state"]:
            audit.record(connection, request, caller, "session.stop", session_id, row["shop_id"])
        session = Session.from_row(find_session(connection, caller, session_id))
        response = answer(connection, request, session, 200)
    streams.wake()
    return response


@router.delete("/{session_id:id}", status_code=204, summary="Delete a session")
def delete_session(
    context: Context, caller: Editor, request: Request, session_id: SessionId
) -> Response:
    """Delete a session with its log, reviews and frames. If it still runs, it ends at once."""
    with context.database.write() as connection:
        row = find_session(connection, caller, session_id, lock=True)
        for table in (tables.log, tables.reviews):
            connection.execute(sa.delete(table).where(table.c.session_id == session_id))
        connection.execute(sa.delete(_SESSIONS).where(_SESSIONS.c.id == session_id))
        audit.record(connection, request, caller, "session.delete", session_id, row["shop_id"])
    streams_of(context).drop(session_id)
    return Response(status_code=204)


@router.get("/{session_id}/now", summary="What is on sale now")
def get_now(context: Context, row: SessionRow) -> Now:
    """What the newest window of a running session shows."""
    status = streams_of(context).status(row["id"])
    return Now(
        state=row["state"],
        state_detail=row["state_detail"],
        wall_s=time.time(),
        now=None if status is None else status.now,
        stream=None if status is None else status.heartbeat,
    )


@router.post(
    "/{session_id}/utterances",
    status_code=202,
    summary="Add what was said",
    response_model=Accepted,
    responses=problems.responses(409),
    dependencies=[IDEMPOTENT],
)
def add_utterances(
    context: Context, caller: Editor, request: Request, session_id: SessionId, new: NewUtterances
) -> JSONResponse:
    """Add utterances to a session of the transcript kind `utterances`; repeated ones count once."""
    with context.database.read() as connection:
        row = find_session(connection, caller, session_id)
    if row["options"]["transcript"]["kind"] != "utterances":
        raise ApiError(409, "The session does not take utterances; see transcript.kind.")
    if row["state"] in TERMINAL:
        raise ApiError(409, "The session has ended.")
    lines = [json.dumps(utterance.model_dump()) for utterance in new.utterances]
    _append_lines(streams_of(context).folder(session_id) / UTTERANCES_FILE, lines)
    with context.database.write() as connection:
        return answer(connection, request, Accepted(accepted=len(lines)), 202)


def _check_addresses(context: ServiceContext, new: NewSession) -> tuple[str, str]:
    """The addresses of a stream and of its subtitles; 422 if one is not allowed."""
    settings, transcript = context.settings, new.transcript
    if transcript.kind == "asr" and transcript.model not in settings.speech_models:
        known = ", ".join(settings.speech_models) or "none"
        message = f"is not one of the models that the service allows: {known}"
        raise _invalid("body.transcript.model", message)
    if (transcript.kind == "subtitles") != (transcript.url is not None):
        raise _invalid("body.transcript.url", "is for the kind subtitles, which needs it")
    try:
        source = check_source(new.source, settings)
    except SgmnError as error:
        raise _invalid("body.source", str(error)) from error
    try:
        if transcript.url is not None:
            policy = OutboundPolicy.from_settings(settings)
            policy.check_web_address(transcript.url, policy.web_schemes)
    except SgmnError as error:
        raise _invalid("body.transcript.url", str(error)) from error
    return source, transcript.url or ""


def _invalid(where: str, message: str) -> ApiError:
    return ApiError(422, "The request has 1 invalid value.", [(where, message)])


def _find_catalogue(context: ServiceContext, caller: Caller, catalogue_id: str) -> Row:
    with context.database.read() as connection:
        return find_catalogue(connection, caller, catalogue_id)


def _append_lines(path: Path, lines: list[str]) -> None:
    """Append whole lines to a file; they are on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        # A crash may have cut the last line short; it must not swallow the first new one.
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        data = ("\n" if is_torn else "") + "".join(f"{line}\n" for line in lines)
        os.write(descriptor, data.encode())
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
