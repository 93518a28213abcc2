"""One download: redirects, time and size limits, and classified errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass

import httpcore
import httpx

from sgmn.catalogue.decompression import gunzip
from sgmn.catalogue.fetch.addresses import AddressRules, CheckedNetwork, parse_url
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.errors import FetchError

MAX_REDIRECTS = 5
_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
# Compressed images would only open a door to bodies that expand without end.
_HEADERS = {"user-agent": "sgmn (product index)", "accept-encoding": "identity"}


class TemporaryFetchError(FetchError):
    """A failure that another attempt may mend; `retry_after_s` is what the server asks for."""

    def __init__(
        self, message: str, where: object, remedy: str, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message, where, remedy)
        self.retry_after_s = retry_after_s


class HostError(TemporaryFetchError):
    """A host that cannot be reached, or that does not answer in time."""


@dataclass(frozen=True, slots=True)
class Download:
    """An answer: `content` is None if the server has no newer version (304)."""

    url: str
    headers: Mapping[str, str]
    content: bytes | None


class CheckedTransport(httpx.AsyncBaseTransport):
    """Sends requests through connections of a CheckedNetwork."""

    def __init__(self, rules: AddressRules, max_connections: int) -> None:
        self.pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=max_connections,
            http2=True,
            network_backend=CheckedNetwork(rules),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        assert isinstance(request.stream, AsyncIterable)
        response = await self.pool.handle_async_request(
            httpcore.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(response.stream, AsyncIterable)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response.stream)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self.pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self.stream:
            yield part

    async def aclose(self) -> None:
        if hasattr(self.stream, "aclose"):
            await self.stream.aclose()


def open_client(options: FetchOptions) -> httpx.AsyncClient:
    """A client without proxies, cookies or automatic redirects."""
    rules = AddressRules(options.allow_private, options.allow_networks, options.for_others)
    transport = CheckedTransport(rules, 2 * options.max_requests)
    timeout = httpx.Timeout(options.timeout_s)
    return httpx.AsyncClient(transport=transport, headers=_HEADERS, timeout=timeout)


async def download(
    client: httpx.AsyncClient,
    url: str,
    options: FetchOptions,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
) -> Download:
    """Download `url` in one attempt; each redirect is checked like the first address.

    Raises:
        TemporaryFetchError: Another attempt may succeed.
        FetchError: The address is refused, or its content is not there or too large.
    """
    try:
        async with asyncio.timeout(options.timeout_s):
            return await _follow(client, url, max_bytes, headers or {})
    except (TimeoutError, httpcore.TimeoutException) as error:
        remedy = "run the command again later"
        message = f"did not answer completely within {options.timeout_s:g} s"
        raise HostError(message, url, remedy) from error
    except (httpcore.ConnectError, httpcore.UnsupportedProtocol) as error:
        raise HostError(f"cannot be reached ({error})", url, "check the address") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        reason = str(error) or type(error).__name__
        remedy = "run the command again later"
        raise TemporaryFetchError(f"was interrupted ({reason})", url, remedy) from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise FetchError(f"cannot be requested ({error})", url, "check the address") from error


async def _follow(
    client: httpx.AsyncClient, url: str, max_bytes: int, headers: Mapping[str, str]
) -> Download:
    target = parse_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        async with client.stream("GET", target, headers=dict(headers)) as response:
            if response.status_code in (301, 302, 303, 307, 308):
                target = _redirect_target(target, response, url)
                continue
            content = None
            if response.status_code != 304:
                _require_success(response, url)
                content = await _read_body(response, url, max_bytes)
            return Download(str(target), response.headers, content)
    raise FetchError(
        f"redirects more than {MAX_REDIRECTS} times", url, "use the address to which it leads"
    )


def _redirect_target(target: httpx.URL, response: httpx.Response, url: str) -> httpx.URL:
    location = response.headers.get("location", "")
    if not location:
        raise FetchError("redirects without a target address", url, "use the final address")
    try:
        return parse_url(str(target.join(location)))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError(f"redirects to an invalid address ({error})", url, "correct it") from error
    except FetchError as error:
        message = f"redirects to {location[:80]!r}, which {error.message}"
        raise FetchError(message, url, error.remedy) from error


def _require_success(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status == 200:
        return
    message = f"answers with status {status} {response.reason_phrase}".rstrip()
    if status in _TEMPORARY_STATUSES:
        retry_after = response.headers.get("retry-after", "")
        delay_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        raise TemporaryFetchError(message, url, "run the command again later", delay_s)
    raise FetchError(message, url, "check the address")


async def _read_body(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(url, max_bytes)
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > max_bytes:
            raise _too_large(url, max_bytes)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        try:
            return gunzip(bytes(body), max_bytes)
        except ValueError as error:
            raise FetchError(f"is {error}", url, "check the server") from error
    if encoding not in ("", "identity"):
        message = f"is sent with the content encoding {encoding!r}, which was not requested"
        raise FetchError(message, url, "check the server")
    return bytes(body)


def _too_large(url: str, max_bytes: int) -> FetchError:
    return FetchError(f"is larger than {max_bytes:,} bytes", url, "use a smaller file")
