"""Runs the service in this process until it is asked to stop."""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sgmn.errors import SgmnError, error_reason
from sgmn.service import logs
from sgmn.service.app import create_app, ensure_admin_key, open_context
from sgmn.service.context import ServiceContext
from sgmn.service.settings import ServiceSettings

_BACKLOG = 2048


class GracefulServer(uvicorn.Server):
    """A server that tells the service at once when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, context: ServiceContext) -> None:
        super().__init__(config)
        self.context = context

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully; a second Ctrl-C stops at once. The exit status is 0 then."""
        self.context.stopping.set()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def serve(settings: ServiceSettings, announce: Callable[[str], None]) -> None:
    """Run the service until it gets SIGINT or SIGTERM.

    Args:
        settings: See `settings.read_settings`.
        announce: Called with lines for the person who starts the service.

    Raises:
        SgmnError: The address cannot be used, the database cannot be opened, or the streams
            cannot be supervised.
    """
    logs.configure(settings)
    context = open_context(settings)
    listener = _listen(settings.host, settings.port)
    key = ensure_admin_key(context)
    if key is not None and not settings.admin_key:
        announce(f"Admin key, shown only now: {key}")
    host, port = listener.getsockname()[:2]
    announce(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}, see /docs")
    config = uvicorn.Config(
        _without_traceback(create_app(context), context),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=math.ceil(settings.shutdown_grace_s),
    )
    try:
        GracefulServer(config, context).run(sockets=[listener])
    except SystemExit as status:  # uvicorn exits this way if startup fails
        raise context.startup_error or status from None
    finally:
        listener.close()
        context.database.close()


def _without_traceback(app: ASGIApp, context: ServiceContext) -> ASGIApp:
    """Log a failed startup as one line instead of a traceback."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_line(message: Message) -> None:
            if context.startup_error is not None and "message" in message:
                message = {**message, "message": str(context.startup_error)}
            await send(message)

        await app(scope, receive, send_line if scope["type"] == "lifespan" else send)

    return wrapped


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        message = f"cannot be listened on ({error_reason(error)})"
        remedy = "pass another --port or --host"
        raise SgmnError(message, f"{host}:{port}", remedy) from error
