"""Checks of addresses, so that a feed cannot make this machine read from its own network.

The name of a host is resolved once, its addresses are checked, and the connection is made to an
address that was checked. A host that resolves differently the next time gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore
import httpx

from sgmn.errors import FetchError, error_reason

_MAX_URL_LENGTH = 8192
_NAT64 = IPv6Network("64:ff9b::/96")  # its last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet.

    >>> is_public("93.184.216.34"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    ip = _embedded_ipv4(ip_address(address.partition("%")[0]))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_in_networks(address: str, networks: Iterable[str]) -> bool:
    """Whether an IP address is in one of the networks.

    >>> [is_in_networks(ip, ["10.1.0.0/16"]) for ip in ("10.1.2.3", "::ffff:10.2.0.1")]
    [True, False]
    """
    ip = _embedded_ipv4(ip_address(address.partition("%")[0]))
    return any(ip in ip_network(network) for network in networks)


def _embedded_ipv4(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address to which a gateway or the operating system translates an IPv6 address."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1]) or ip


def parse_url(url: str) -> httpx.URL:
    """Parse an address. Raises FetchError unless it is a complete http or https address."""
    remedy = "pass an address that starts with http:// or https://"
    if len(url) > _MAX_URL_LENGTH:
        message = f"has {len(url)} characters; the maximum is {_MAX_URL_LENGTH}"
        raise FetchError(message, url[:60] + "…", "shorten the address")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise FetchError(f"is not a valid address ({error})", url, remedy) from error
    if parsed.scheme not in ("http", "https"):
        raise FetchError("is neither an http nor an https address", url, remedy)
    if not parsed.host:
        raise FetchError("has no host", url, remedy)
    return parsed


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which IP addresses may be connected to: by default all that are public.

    Attributes:
        allow_private: Also private, loopback and link-local addresses.
        allow_networks: Also these networks, such as 10.1.0.0/16.
        for_others: The addresses come from users of a service. Its errors do not tell them what
            the names of a private network resolve to.
    """

    allow_private: bool = False
    allow_networks: Collection[str] = ()
    for_others: bool = False

    def allows(self, address: str) -> bool:
        """Whether an IP address may be connected to."""
        allowed = self.allow_private or is_in_networks(address, self.allow_networks)
        return allowed or is_public(address)

    def refuse(self, address: str, where: str) -> FetchError:
        """The error of a host with an address that is not allowed."""
        if self.for_others:
            remedy = "use a public address, or ask the operator of the service to allow its network"
            return FetchError("leads to an address that is not public", where, remedy)
        remedy = "use --allow-private (allow_private=True) if you trust the feed"
        return FetchError(f"has the address {address}, which is not public", where, remedy)


async def resolve(host: str, port: int, rules: AddressRules) -> list[str]:
    """The IP addresses of a host to which the rules allow to connect.

    Raises:
        OSError: The host has no address.
        FetchError: None of its addresses is allowed.
    """
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
    allowed = [address for address in addresses if rules.allows(address)]
    if addresses and not allowed:
        raise rules.refuse(addresses[0], f"host {host}")
    return allowed


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens TCP connections, by default only to public addresses."""

    def __init__(self, rules: AddressRules) -> None:
        self.rules = rules
        self.backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first reachable address of a host.

        Raises FetchError for a host without an allowed address.
        """
        try:
            addresses = await resolve(host, port, self.rules)
        except OSError as error:
            message = f"{host} cannot be resolved ({error_reason(error)})"
            raise httpcore.ConnectError(message) from error
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            try:
                return await self.backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
