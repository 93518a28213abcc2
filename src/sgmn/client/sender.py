"""Sends requests synchronously: retries, pages, and logs that are followed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Self, TypeVar

import httpx

from sgmn.client import retries
from sgmn.client.calls import Call, call_for_page
from sgmn.client.errors import ApiError
from sgmn.client.models import LogRow, Model
from sgmn.client.requests import build_request, client_options, stream_request, unreachable
from sgmn.client.sse import RowParser, is_end

Result = TypeVar("Result")


class Sender:
    """The base of the synchronous client."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(transport=transport, **client_options(base_url, key, timeout_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _send(self, call: Call[Result]) -> Result:
        attempt = 1
        while True:
            headers = None
            try:
                with build_request(self._http, call) as request:
                    response = self._http.send(request)
                if response.is_success:
                    return call.parse(response)
                if not retries.is_temporary(response) or not retries.may_repeat(call, attempt):
                    raise retries.to_error(response)
                headers = response.headers
            except httpx.TransportError as error:
                if not retries.may_repeat(call, attempt):
                    raise unreachable(self._http.base_url, error) from error
            time.sleep(retries.delay_s(attempt, headers))
            attempt += 1

    def _pages(self, path: str, model: type[Model], **params: Any) -> Iterator[Model]:
        cursor = None
        while True:
            page = self._send(call_for_page(path, model, cursor=cursor, **params))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def follow(
        self, session_id: str, after: int = 0, *, until_end: bool = False
    ) -> Iterator[LogRow]:
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
                for row in self._stream_rows(session_id, parser):
                    yield row
                    if until_end and is_end(row):
                        return
            except httpx.TransportError:
                pass  # the loop connects again, and continues after the last row
            except ApiError as error:
                if error.status not in retries.TEMPORARY:
                    raise
            failures = 0 if parser.seq > before else failures + 1
            time.sleep(retries.delay_s(max(1, failures)))

    def _stream_rows(self, session_id: str, parser: RowParser) -> Iterator[LogRow]:
        """Yield rows of one connection."""
        parser.reset()
        with self._http.stream(**stream_request(session_id, parser.seq)) as response:
            if not response.is_success:
                response.read()
                raise retries.to_error(response)
            for line in response.iter_lines():
                row = parser.feed(line)
                if row is not None:
                    yield row
