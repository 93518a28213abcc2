"""Requests of httpx, as both clients build them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from sgmn.client.calls import Call, session_path
from sgmn.client.errors import UnreachableError

_CHUNK_BYTES = 1 << 18
_STREAM_READ_TIMEOUT_S = 45.0  # the service sends a sign of life every 15 s


def client_options(base_url: str, key: str, timeout_s: float) -> dict[str, Any]:
    """The arguments of httpx's clients."""
    return {
        "base_url": base_url,
        "headers": {"Authorization": f"Bearer {key}", "User-Agent": "sgmn (client)"},
        "timeout": httpx.Timeout(timeout_s),
    }


@contextmanager
def build_request(
    http: httpx.Client | httpx.AsyncClient, call: Call[Any]
) -> Iterator[httpx.Request]:
    """The request of a call, while its file is open."""
    arguments: dict[str, Any] = {"params": call.params, "headers": dict(call.headers)}
    if call.file is None:
        yield http.build_request(call.method, call.path, content=call.content, **arguments)
        return
    with call.file.open("rb") as file:
        content = _read_chunks(file) if isinstance(http, httpx.AsyncClient) else file
        yield http.build_request(call.method, call.path, content=content, **arguments)


async def _read_chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        yield chunk


def stream_request(session_id: str, seq: int) -> dict[str, Any]:
    """The arguments of the request that follows a log after a row."""
    return {
        "method": "GET",
        "url": session_path(session_id, "stream"),
        "headers": {"Last-Event-ID": str(seq), "Accept": "text/event-stream"},
        "timeout": httpx.Timeout(10.0, read=_STREAM_READ_TIMEOUT_S),
    }


def unreachable(base_url: httpx.URL, error: httpx.TransportError) -> UnreachableError:
    """The error of a service that does not answer."""
    reason = str(error) or type(error).__name__
    remedy = "check the address, and that the service runs"
    return UnreachableError(f"does not answer ({reason})", f"{base_url}", remedy)
