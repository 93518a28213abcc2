"""Structured logs: one JSON object a line, with the id of the request."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Any

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sgmn.service.ids import new_id
from sgmn.service.metrics import ErrorCounter
from sgmn.service.settings import ServiceSettings

REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
_LOG = structlog.get_logger("sgmn.service")


def configure(settings: ServiceSettings) -> None:
    """Send the logs of this process, those of libraries included, to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    is_json = settings.log_format == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if is_json
        # Not the default traceback, which shows the values of variables, and with them secrets.
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    tail: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if is_json:
        tail.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*tail, renderer])
    )
    root = logging.getLogger()
    root.handlers = [handler, ErrorCounter()]
    root.setLevel(settings.log_level.upper())
    for name in ("httpx", "httpcore", "urllib3", "filelock", "alembic", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class RequestLog:
    """ASGI middleware: gives each request an id, and logs its answer and duration."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = time.monotonic()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except ExceptionGroup as error:
                # A client that goes away while events wait for it is no fault of the service.
                if error.split(anyio.BrokenResourceError)[1] is not None:
                    raise
            finally:
                _log_request(scope, status, time.monotonic() - started)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


def _log_request(scope: Scope, status: int, duration_s: float) -> None:
    if scope["path"] in _QUIET_PATHS and status < 400:
        return
    caller = scope["state"].get("caller")
    _LOG.info(
        "request",
        method=scope["method"],
        path=scope["path"],  # without the query, which may hold what a caller searches for
        status=status,
        duration_ms=round(1000 * duration_s, 1),
        key_id=caller.key_id if caller else None,
    )
