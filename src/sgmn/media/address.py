"""What an address of a stream is, and how it is named without giving its secrets away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import av

from sgmn.errors import MediaError
from sgmn.media.container import LIBAV_ERRORS

AddressKind = Literal["file", "pipe", "tcp", "tcp-listen", "libav"]

_HIDDEN = "***"
_KNOWN = (
    'give a file, "-" for MPEG-TS on standard input, webcam:0, or an address that starts with '
    "http://, https://, rtmp://, rtmps://, rtmp-listen://, rtsp://, rtsps://, srt://, udp://, "
    "tcp:// or tcp-listen://"
)
_SECRET = re.compile(
    r"key|token|sig|auth|pass|pwd|secret|credential|jwt|session|hdn|streamid", re.IGNORECASE
)
_PAIR = re.compile(r"([^?&;#=]+)=([^&]*)")
_SERVER = re.compile(r"([^:@]*|\[[^\]@]*\])(:[0-9]*)?")  # host:port and nothing else

_MPEG_TS = "mpegts"
_FORMATS = {"udp": _MPEG_TS, "srt": _MPEG_TS}
_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "rtsp": {"rtsp_transport": "tcp"},  # what a router does not lose on the way
    "rtsps": {"rtsp_transport": "tcp"},
    "rtmp-listen": {"listen": "1"},
    "udp": {"overrun_nonfatal": "1"},
}
_PLAIN = frozenset({"http", "https", "rtmp", "rtmps", "srt", *_OPTIONS})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream comes from. `name` may be shown, `url` may hold secrets and never is.

    `host` and `port` are those of a socket that we open ourselves (kinds "tcp" and
    "tcp-listen"); `format` and `options` are libav's.
    """

    kind: AddressKind
    name: str
    url: str = field(repr=False)
    host: str = ""
    port: int = 0
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_live(self) -> bool:
        """Whether it may come back after its end; a file does not."""
        return self.kind != "file"

    @property
    def listens(self) -> bool:
        """Whether the sender comes to us."""
        return self.kind == "tcp-listen" or "listen" in self.options


def parse_address(address: str) -> Address:
    """What `address` means. Raises MediaError for what no stream can be read from."""
    if address == "-":
        return Address("pipe", "standard input", address, format=_MPEG_TS)
    if address.startswith("webcam:"):
        return _webcam(address)
    if "://" not in address:
        return Address("file", address, address)
    scheme = address.split("://", 1)[0].lower()
    if scheme in ("tcp", "tcp-listen"):
        return _socket(address, "tcp" if scheme == "tcp" else "tcp-listen")
    name = redact_address(address)
    if scheme not in _PLAIN:
        raise MediaError(f"no stream is read from {scheme}://", name, _KNOWN)
    if scheme == "srt":
        _require_srt(name)
    url = re.sub(r"\Artmp-listen:", "rtmp:", address, flags=re.IGNORECASE)
    options = _OPTIONS.get(scheme, _NO_OPTIONS)
    return Address("libav", name, url, format=_FORMATS.get(scheme), options=options)


def _require_srt(name: str) -> None:
    """libav tells what it speaks only when asked; without a port it connects to nobody."""
    try:
        av.open("srt://", timeout=1.0)
    except av.ProtocolNotFoundError:
        pass
    except LIBAV_ERRORS:
        return
    remedy = (
        "have an ffmpeg that knows SRT pass it on, as in ffmpeg -i ADDRESS -c copy "
        "-f mpegts tcp://127.0.0.1:5000, and read tcp-listen://127.0.0.1:5000"
    )
    raise MediaError("is SRT, which the FFmpeg within PyAV does not speak", name, remedy)


def redact_address(address: str) -> str:
    """The address as it may be shown: user, password, tokens and stream keys read "***".

    Hidden are user and password; values of the query whose name speaks of a key, token,
    signature, password or the like; and the last part of an RTMP path, the stream key, with
    what follows it. In doubt more is hidden. What is no URL stays as it is.

    >>> redacted("https://ann:pw@shop.example/live.m3u8?quality=hd&token=s3cret")
    'https://***@shop.example/live.m3u8?quality=hd&token=***'
    >>> redacted("rtmp://shop.example/live/s3cret")
    'rtmp://shop.example/live/***'
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    rest = _without_user(rest)
    if scheme.lower().startswith("rtmp"):
        rest = _without_stream_key(rest)
    return f"{scheme}://{_without_tokens(rest)}"


def _without_user(rest: str) -> str:
    """Hide up to the last @, as a password that was not escaped may hold any of @ / ? #.

    Only where no user shows itself, an @ of the query is one of the query.
    """
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    is_plain = _SERVER.fullmatch(server)
    end = len(re.split(r"[?#]", rest, maxsplit=1)[0]) if is_plain else len(rest)
    user, at, _ = rest[:end].rpartition("@")
    rest = f"{_HIDDEN if user else ''}{at}{rest[len(user) + len(at) :]}"
    return re.sub(r"://[^&\s]*@", f"://{_HIDDEN}@", rest)  # an address within the query


def _without_stream_key(rest: str) -> str:
    """RTMP clients send query and further words as part of the key, so they go with it."""
    path = re.split(r"[?#\s]", rest, maxsplit=1)[0].rstrip("/")
    before, slash, _ = path.rpartition("/")
    return f"{before}/{_HIDDEN}" if slash else path


def _without_tokens(text: str) -> str:
    """Hide values of secret names; within other values, look for further pairs."""

    def hidden(pair: re.Match[str]) -> str:
        name, value = pair.groups()
        is_secret = _SECRET.search(unquote(name))
        return f"{name}={_HIDDEN if is_secret else _without_tokens(value)}"

    return _PAIR.sub(hidden, text)


def _socket(address: str, kind: Literal["tcp", "tcp-listen"]) -> Address:
    name = redact_address(address)
    try:
        split: SplitResult = urlsplit(address)
        host, port = split.hostname or "", split.port
    except ValueError:
        port = None
    if not port or (kind == "tcp" and not host):
        raise MediaError("has no host and port", name, f"give {kind}://host:1234")
    return Address(kind, name, address, host=host, port=port, format=_MPEG_TS)


def _webcam(address: str) -> Address:
    number = address.removeprefix("webcam:")
    device = Path(f"/dev/video{number}")
    if not re.fullmatch(r"[0-9]{1,3}", number):
        raise MediaError("is no number of a webcam", address, "give webcam:0 for the first one")
    if not device.exists():
        there = ", ".join(f"webcam:{p.name[5:]}" for p in sorted(device.parent.glob("video[0-9]*")))
        remedy = f"there is {there}" if there else "connect one, or give another source"
        raise MediaError(f"is not there ({device})", address, remedy)
    return Address("libav", address, str(device), format="v4l2")
