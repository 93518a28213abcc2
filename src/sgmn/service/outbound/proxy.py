"""The HTTP proxy for libav: it checks each request, and fetches https with verified certificates.

libav resolves names, follows redirects and opens the children of a playlist by itself. Behind
this proxy each of these is a request to it, so that none can avoid the checks.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import h11
import httpcore
import httpx

from sgmn.catalogue.fetch.addresses import parse_url
from sgmn.errors import FetchError
from sgmn.media.address import redact_address
from sgmn.service.outbound.client import OutboundTransport
from sgmn.service.outbound.names import from_plain, rewrite_playlist, to_plain
from sgmn.service.outbound.policy import OutboundPolicy

_TIMEOUT_S = 30.0  # to connect, and for a piece of the response
_MAX_PLAYLIST_BYTES = 4 << 20
_PLAYLIST_START = (b"#EXTM3U", b"\xef\xbb\xbf#EXTM3U")
_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_REQUESTED = frozenset({"host", "connection", "proxy-connection", "accept-encoding", "te"})
_NOT_ANSWERED = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "location"})
_CHANGED_WITH_BODY = frozenset({"content-length", "content-range", "accept-ranges"})
_FAILURES = (OSError, ssl.SSLError, httpx.HTTPError, httpcore.NetworkError)
_UPSTREAM_ERRORS = (*_FAILURES, httpcore.ProtocolError, httpcore.TimeoutException)


class SourceProxy:
    """Answers the requests of libav to http and https servers.

    Args:
        policy: Which schemes and addresses are allowed.
        on_refused: Called with the error of each refused request.
    """

    def __init__(self, policy: OutboundPolicy, on_refused: Callable[[FetchError], None]) -> None:
        self._transport = OutboundTransport(policy.rules, policy.web_schemes)
        self._on_refused = on_refused

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        connection = h11.Connection(h11.SERVER)
        try:
            request = await _read_request(connection, reader)
            if request is not None:
                await self._answer(request, connection, writer)
        except (h11.ProtocolError, ConnectionError):
            pass  # libav has gone away, or sent what is no request; there is nobody to tell
        finally:
            with suppress(OSError):
                writer.close()

    async def aclose(self) -> None:
        """Close all connections to servers."""
        await self._transport.aclose()

    async def _answer(
        self, request: h11.Request, connection: h11.Connection, writer: asyncio.StreamWriter
    ) -> None:
        url = from_plain(request.target.decode("latin-1"))
        try:
            response = await self._request(request, url)
            try:
                await _forward(response, url, connection, writer)
            finally:
                await response.aclose()
        except FetchError as error:
            self._on_refused(error)
            await _fail(connection, writer, 403)
        except _UPSTREAM_ERRORS:
            await _fail(connection, writer, 502)

    async def _request(self, request: h11.Request, url: str) -> httpx.Response:
        method = request.method.decode("latin-1")
        if method not in ("GET", "HEAD"):
            raise FetchError(f"was requested by {method}", redact_address(url))
        headers = request.headers.raw_items()
        sent = [(n, v) for n, v in headers if n.decode().lower() not in _NOT_REQUESTED]
        # Not by a client of httpx, which would send the cookies of one stream with another.
        timeouts = {"timeout": httpx.Timeout(_TIMEOUT_S).as_dict()}
        upstream = httpx.Request(method, parse_url(url), headers=sent, extensions=timeouts)
        upstream.headers["accept-encoding"] = "identity"
        return await self._transport.handle_async_request(upstream)


async def _read_request(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> h11.Request | None:
    """Read a request; None if the connection ends before it."""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Request):
            return event
        else:
            return None


async def _forward(
    response: httpx.Response, url: str, connection: h11.Connection, writer: asyncio.StreamWriter
) -> None:
    """Send a response to libav, with addresses of https that lead here again."""
    headers = [(n, v) for n, v in response.headers.raw if n.decode().lower() not in _NOT_ANSWERED]
    status, parts = response.status_code, response.stream.__aiter__()  # type: ignore[union-attr]
    start = b"" if status in _REDIRECTS else await _read_start(parts)
    if status in _REDIRECTS:
        headers.append((b"location", to_plain(_redirect_target(response, url)).encode()))
    elif start.startswith(_PLAYLIST_START):
        start = rewrite_playlist(await _read_playlist(start, parts, url), url.startswith("https:"))
        status = 200  # also of a partial response, whose length changes
        headers = [(n, v) for n, v in headers if n.decode().lower() not in _CHANGED_WITH_BODY]
    headers.append((b"connection", b"close"))
    await _send(connection, writer, h11.Response(status_code=status, headers=headers))
    if start:
        await _send(connection, writer, h11.Data(data=start))
    if status not in _REDIRECTS:
        async for part in parts:
            await _send(connection, writer, h11.Data(data=part))
    await _send(connection, writer, h11.EndOfMessage())


def _redirect_target(response: httpx.Response, url: str) -> str:
    try:
        target = str(parse_url(url).join(response.headers.get("location", "")))
        parse_url(target)
    except (httpx.InvalidURL, ValueError, FetchError) as error:
        message = "redirects to what is not an http or https address"
        raise FetchError(message, redact_address(url), "use another address") from error
    return target


async def _read_start(parts: AsyncIterator[bytes]) -> bytes:
    """Read as much as tells whether the response is a playlist."""
    start = b""
    async for part in parts:
        start += part
        if len(start) >= max(map(len, _PLAYLIST_START)):
            break
    return start


async def _read_playlist(start: bytes, parts: AsyncIterator[bytes], url: str) -> bytes:
    playlist = bytearray(start)
    async for part in parts:
        playlist += part
        if len(playlist) > _MAX_PLAYLIST_BYTES:
            message = f"is a playlist of more than {_MAX_PLAYLIST_BYTES:,} bytes"
            raise FetchError(message, redact_address(url), "use a shorter playlist")
    return bytes(playlist)


async def _fail(connection: h11.Connection, writer: asyncio.StreamWriter, status: int) -> None:
    """Answer with an error; a response that has begun is cut off instead."""
    if connection.our_state is not h11.SEND_RESPONSE:
        return
    headers = [("content-length", "0"), ("connection", "close")]
    await _send(connection, writer, h11.Response(status_code=status, headers=headers))
    await _send(connection, writer, h11.EndOfMessage())


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, event: h11.Event) -> None:
    writer.write(connection.send(event) or b"")
    await writer.drain()
