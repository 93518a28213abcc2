"""Opens the sources of users: libav connects to loopback only, and this module to the servers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from sgmn.catalogue.fetch.client import download
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.errors import FetchError
from sgmn.media.address import Address
from sgmn.service.outbound.client import open_outbound_client
from sgmn.service.outbound.names import to_plain
from sgmn.service.outbound.policy import (
    DEFAULT_PORTS,
    OutboundPolicy,
    source_scheme,
    split_url,
)
from sgmn.service.outbound.proxy import SourceProxy
from sgmn.service.outbound.tunnel import Tunnel

_LOOPBACK = "127.0.0.1"
_TEXT_TIMEOUT_S = 10.0
_MAX_TEXT_BYTES = 4 << 20
# A response may be a playlist of any of libav's formats. SDP, for one, would open UDP ports.
_FORMATS = "hls,mpegts,mov,mp4,m4a,3gp,3g2,mj2,flv,live_flv,matroska,webm,aac,mp3,ac3,eac3,webvtt"
_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_Result = TypeVar("_Result")


class SourceGateway:
    """Leads libav to the sources that a policy allows, and to nothing else.

    Use it with `with`, in the process that decodes; its servers run in a thread of their own.
    It removes `no_proxy` from the environment, because libav would avoid the proxy by it.

    Args:
        policy: Which schemes and addresses are allowed.

    Attributes:
        refusal: The error of the last refused request; None if none was refused. libav reports
            only that it could not open the source.

    Example:
        >>> with SourceGateway(policy) as gateway:  # doctest: +SKIP
        ...     with LiveSource(gateway.guard("https://shop.example/live.m3u8")) as source:
        ...         frames = list(source)
    """

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        self.refusal: FetchError | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="source gateway", daemon=True)
        self._proxy_port = 0

    def __enter__(self) -> Self:
        os.environ.pop("no_proxy", None)
        self._thread.start()
        self._proxy = self._call(self._create_proxy())
        self._client = open_outbound_client(
            self._policy.rules, self._policy.web_schemes, _TEXT_TIMEOUT_S
        )
        self._proxy_port = self._call(self._listen(self._proxy.serve))
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def guard(self, text: str) -> Address:
        """Check the address of a source, and return one that libav can open safely.

        Raises:
            MediaError: The address is invalid.
            FetchError: The scheme or the host is not allowed.
        """
        scheme = source_scheme(text)
        # A DNS that fails for a while must not end a stream: each connection asks it again.
        address = self._policy.check_source(text, must_resolve=False)
        if scheme in ("http", "https"):
            return self._guard_web(address)
        if scheme in ("rtmp", "rtmps"):
            return self._guard_rtmp(address, scheme)
        if scheme in ("tcp", "rtsp", "rtsps"):
            return self._guard_socket(address, scheme)
        return address

    def fetch_text(self, url: str) -> str:
        """Fetch a text such as a playlist of subtitles.

        Raises FetchError if it cannot be fetched, or if the address is not allowed; the caller
        names the address in the error.
        """
        options = FetchOptions(timeout_s=_TEXT_TIMEOUT_S)
        try:
            answer = self._call(download(self._client, url, options, _MAX_TEXT_BYTES))
            return (answer.content or b"").decode("utf-8")
        except FetchError as error:
            raise FetchError(error.message, remedy=error.remedy) from error
        except UnicodeDecodeError as error:
            raise FetchError("is not UTF-8 text", remedy="check the address") from error

    def _guard_web(self, address: Address) -> Address:
        options = {
            "http_proxy": f"http://{_LOOPBACK}:{self._proxy_port}",
            "protocol_whitelist": "http,tcp,crypto,data",
            "format_whitelist": _FORMATS,
        }
        return replace(address, url=to_plain(address.url), options={**address.options, **options})

    def _guard_rtmp(self, address: Address, scheme: str) -> Address:
        parts = split_url(address.url)
        segments = parts.path.lstrip("/").split("/")
        app = "/".join(segments[: min(2, len(segments) - 1)])  # as libav splits the path
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        options = {
            "rtmp_tcurl": f"{scheme}://{host}:{parts.port or DEFAULT_PORTS[scheme]}/{app}",
            "protocol_whitelist": "rtmp,tcp",
            "format_whitelist": "flv,live_flv",
        }
        url = self._tunnel_url(address.url, scheme, "rtmp")
        return replace(address, url=url, options={**address.options, **options})

    def _guard_socket(self, address: Address, scheme: str) -> Address:
        if scheme == "tcp":
            port = self._open_tunnel(address.host, address.port, is_tls=False)
            return replace(address, host=_LOOPBACK, port=port)
        # libav follows redirects of RTSP to other hosts, which no tunnel can prevent. Therefore
        # the policy allows RTSP only if the operator says so.
        return replace(address, url=self._tunnel_url(address.url, scheme, "rtsp"))

    def _tunnel_url(self, url: str, scheme: str, plain: str) -> str:
        parts = urlsplit(url)
        port = self._open_tunnel(
            parts.hostname or "", parts.port or DEFAULT_PORTS[scheme], is_tls=scheme != plain
        )
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(scheme=plain, netloc=f"{user}{at}{_LOOPBACK}:{port}").geturl()

    def _open_tunnel(self, host: str, port: int, is_tls: bool) -> int:
        tunnel = Tunnel(host, port, is_tls, self._policy.rules, self._refuse)
        return self._call(self._listen(tunnel.serve))

    def _refuse(self, error: FetchError) -> None:
        self.refusal = error

    async def _create_proxy(self) -> SourceProxy:
        return SourceProxy(self._policy, self._refuse)

    async def _listen(self, handler: _Handler) -> int:
        server = await asyncio.start_server(handler, _LOOPBACK, 0)
        return int(server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._proxy.aclose()
        await self._client.aclose()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
