"""Loopback ports that lead to one server each, for protocols that have no proxies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from sgmn.catalogue.fetch.addresses import AddressRules, resolve
from sgmn.errors import FetchError

_CONNECT_TIMEOUT_S = 10.0
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Tunnel:
    """Connects each client of a loopback port to a host, whose address is checked every time.

    Args:
        host: Name or address of the server.
        port: Its port.
        is_tls: Speak TLS with it and verify its certificate; the client does not.
        rules: Which IP addresses are allowed.
        on_refused: Called with the error of each refused connection.
    """

    def __init__(
        self,
        host: str,
        port: int,
        is_tls: bool,
        rules: AddressRules,
        on_refused: Callable[[FetchError], None],
    ) -> None:
        self._host, self._port, self._rules = host, port, rules
        self._tls = ssl.create_default_context() if is_tls else None
        self._on_refused = on_refused

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        try:
            server_reader, server_writer = await self._connect()
            try:
                await _relay((reader, writer), (server_reader, server_writer))
            finally:
                server_writer.close()
        except FetchError as error:
            self._on_refused(error)
        except (OSError, TimeoutError):
            pass  # the client sees that its connection is closed, and connects again
        finally:
            with suppress(OSError):
                writer.close()

    async def _connect(self) -> _Streams:
        failure: OSError | None = None
        for address in await resolve(self._host, self._port, self._rules):
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    return await asyncio.open_connection(
                        address,
                        self._port,
                        ssl=self._tls,
                        server_hostname=self._host if self._tls else None,
                    )
            except OSError as error:  # such as TimeoutError
                failure = error
        raise failure or ConnectionError(f"{self._host} has no address")


async def _relay(client: _Streams, server: _Streams) -> None:
    """Carry data both ways until either side closes its connection."""
    copies = [
        asyncio.create_task(_copy(client[0], server[1])),
        asyncio.create_task(_copy(server[0], client[1])),
    ]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
