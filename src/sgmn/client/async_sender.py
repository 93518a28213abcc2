"""Sends requests asynchronously: retries, pages, and logs that are followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self, TypeVar

import httpx

from sgmn.client import retries
from sgmn.client.calls import Call, call_for_page
from sgmn.client.errors import ApiError
from sgmn.client.models import LogRow, Model
from sgmn.client.requests import build_request, client_options, stream_request, unreachable
from sgmn.client.sse import RowParser, is_end

Result = TypeVar("Result")


class AsyncSender:
    """The base of the asynchronous client."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            transport=transport, **client_options(base_url, key, timeout_s)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _send(self, call: Call[Result]) -> Result:
        attempt = 1
        while True:
            headers = None
            try:
                with build_request(self._http, call) as request:
                    response = await self._http.send(request)
                if response.is_success:
                    return call.parse(response)
                if not retries.is_temporary(response) or not retries.may_repeat(call, attempt):
                    raise retries.to_error(response)
                headers = response.headers
            except httpx.TransportError as error:
                if not retries.may_repeat(call, attempt):
                    raise unreachable(self._http.base_url, error) from error
            await asyncio.sleep(retries.delay_s(attempt, headers))
            attempt += 1

    async def _pages(self, path: str, model: type[Model], **params: Any) -> AsyncIterator[Model]:
        cursor = None
        while True:
            page = await self._send(call_for_page(path, model, cursor=cursor, **params))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def follow(
        self, session_id: str, after: int = 0, *, until_end: bool = False
    ) -> AsyncIterator[LogRow]:
        """Yield each row of a log after a number once, as it comes, and reconnect if necessary.

        Args:
            session_id: The session.
            after: The number of the last row that is known; store it to continue later.
            until_end: Stop when the session has ended; otherwise reviews may follow for ever.
        """
        parser, failures = RowParser(after), 0
        while True:
            before = parser.seq
            try:
                async for row in self._stream_rows(session_id, parser):
                    yield row
                    if until_end and is_end(row):
                        return
            except httpx.TransportError:
                pass  # the loop connects again, and continues after the last row
            except ApiError as error:
                if error.status not in retries.TEMPORARY:
                    raise
            failures = 0 if parser.seq > before else failures + 1
            await asyncio.sleep(retries.delay_s(max(1, failures)))

    async def _stream_rows(self, session_id: str, parser: RowParser) -> AsyncIterator[LogRow]:
        """Yield rows of one connection."""
        parser.reset()
        async with self._http.stream(**stream_request(session_id, parser.seq)) as response:
            if not response.is_success:
                await response.aread()
                raise retries.to_error(response)
            async for line in response.aiter_lines():
                row = parser.feed(line)
                if row is not None:
                    yield row
