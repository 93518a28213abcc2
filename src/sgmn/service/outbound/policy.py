"""What users may name as a source or a webhook, as the operator of the service decides."""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

from sgmn.catalogue.fetch.addresses import AddressRules
from sgmn.errors import FetchError, SettingsError
from sgmn.media.address import Address, parse_address, redact_address
from sgmn.service.settings import ServiceSettings

SOURCE_SCHEMES = ("https", "rtmps", "rtmp")
# In this order of risk: what else an operator can allow.
OTHER_SOURCE_SCHEMES = (
    "http",
    "tcp",
    "rtsp",
    "rtsps",
    "srt",
    "udp",
    "tcp-listen",
    "rtmp-listen",
    "file",
    "webcam",
)
DEFAULT_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}
_LOCAL_SCHEMES = frozenset({"srt", "udp", "tcp-listen", "rtmp-listen", "file", "webcam"})
_MAX_LENGTH = 8192
_REMEDY = "use a public address, or ask the operator of the service to allow its network"


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Which schemes and IP addresses the service connects to for its users.

    Attributes:
        source_schemes: Schemes of stream sources; `file` and `webcam` stand for local sources.
        webhook_schemes: Schemes of webhooks: https, and http if allowed.
        allow_networks: Networks besides the public ones, such as 10.1.0.0/16.
        allow_private: Allow all addresses. Only for a service whose users are all trusted.

    Raises:
        SettingsError: For an unknown scheme or an invalid network.
    """

    source_schemes: Collection[str] = SOURCE_SCHEMES
    webhook_schemes: Collection[str] = ("https",)
    allow_networks: Collection[str] = ()
    allow_private: bool = False

    def __post_init__(self) -> None:
        known = (*SOURCE_SCHEMES, *OTHER_SOURCE_SCHEMES)
        _require_known("source_schemes", self.source_schemes, known)
        _require_known("webhook_schemes", self.webhook_schemes, ("https", "http"))
        for network in self.allow_networks:
            try:
                ip_network(network)
            except ValueError as error:
                remedy = "pass a network such as 10.1.0.0/16"
                raise SettingsError(
                    f"holds {network!r} ({error})", "allow_networks", remedy
                ) from None

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> OutboundPolicy:
        """The policy that the settings of a service describe."""
        return cls(
            settings.source_schemes,
            settings.webhook_schemes,
            settings.allow_networks,
            settings.allow_private_addresses,
        )

    @property
    def rules(self) -> AddressRules:
        """The rules for IP addresses."""
        return AddressRules(self.allow_private, tuple(self.allow_networks), for_others=True)

    @property
    def web_schemes(self) -> frozenset[str]:
        """Which of http and https a stream, its playlists and its subtitles may use."""
        return frozenset(self.source_schemes) & {"http", "https"}

    def check_source(self, text: str, *, must_resolve: bool = True) -> Address:
        """Parse and check the address of a stream; its host is looked up and checked now.

        The check is repeated whenever the stream is connected. Blocks while it asks the DNS.
        Without `must_resolve`, a host without an address is left to the connection.

        Raises:
            MediaError: The address is invalid.
            FetchError: The scheme or the host is not allowed.
        """
        _require_length(text)
        scheme = source_scheme(text)
        _require_scheme(scheme, self.source_schemes, text)
        address = parse_address(text)
        if scheme not in _LOCAL_SCHEMES:
            self._check_host(split_url(text), scheme, text, must_resolve)
        return address

    def check_web_address(self, text: str, schemes: Collection[str]) -> None:
        """Check the address of a webhook or of subtitles. Blocks while it asks the DNS.

        Raises FetchError if it is invalid or not allowed.
        """
        _require_length(text)
        _require_scheme(source_scheme(text), schemes, text)
        self._check_host(split_url(text), source_scheme(text), text)

    def _check_host(
        self, parts: SplitResult, scheme: str, text: str, must_resolve: bool = True
    ) -> None:
        host, name = parts.hostname or "", redact_address(text)
        try:
            infos = socket.getaddrinfo(host, parts.port or DEFAULT_PORTS.get(scheme))
        except (OSError, UnicodeError) as error:
            if not must_resolve:
                return
            raise FetchError(f"has a host without an address ({host})", name, _REMEDY) from error
        addresses = [str(info[4][0]) for info in infos]
        if not any(map(self.rules.allows, addresses)):
            raise self.rules.refuse(addresses[0], name)


def source_scheme(text: str) -> str:
    """The scheme of a source: `file` for a path or standard input, `webcam` for a webcam.

    >>> source_scheme("HTTPS://shop.example/a.m3u8"), source_scheme("a.mp4")
    ('https', 'file')
    """
    if text.startswith("webcam:"):
        return "webcam"
    scheme, separator, _ = text.partition("://")
    return scheme.lower() if separator else "file"


def split_url(text: str) -> SplitResult:
    """Split an address. Raises FetchError unless it has a host and a valid port."""
    name = redact_address(text)
    try:
        parts = urlsplit(text)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or "%" in (parts.hostname or "") or any(sign <= " " for sign in text):
        raise FetchError(
            "is not a valid address", name, "pass an address such as https://host/path"
        )
    return parts


def _require_length(text: str) -> None:
    if len(text) > _MAX_LENGTH:
        message = f"has {len(text)} characters; the maximum is {_MAX_LENGTH}"
        raise FetchError(message, "the address", "shorten it")


def _require_scheme(scheme: str, allowed: Collection[str], text: str) -> None:
    if scheme in allowed:
        return
    message = f"uses {scheme!r}, which this service does not allow"
    remedy = f"use an address of {', '.join(f'{name}://' for name in sorted(allowed))}"
    raise FetchError(message, redact_address(text)[:200], remedy)


def _require_known(name: str, values: Collection[str], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            raise SettingsError(f"holds {value!r}", name, f"use some of {', '.join(known)}")
