"""Parse the address of a stream, and redact its secrets."""

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

_REDACTED = "***"
_SUPPORTED = (
    'pass a file, "-" for MPEG-TS on standard input, webcam:0, or an address that starts with '
    "http://, https://, rtmp://, rtmps://, rtmp-listen://, rtsp://, rtsps://, srt://, udp://, "
    "tcp:// or tcp-listen://"
)
_SECRET_NAME = re.compile(
    r"key|token|sig|auth|pass|pwd|secret|credential|jwt|session|hdn|streamid", re.IGNORECASE
)
_QUERY_PAIR = re.compile(r"([^?&;#=]+)=([^&]*)")
_HOST_AND_PORT = re.compile(r"([^:@]*|\[[^\]@]*\])(:[0-9]*)?")

_MPEG_TS = "mpegts"
_FORMATS = {"udp": _MPEG_TS, "srt": _MPEG_TS}
_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "rtsp": {"rtsp_transport": "tcp"},  # because routers lose UDP packets
    "rtsps": {"rtsp_transport": "tcp"},
    "rtmp-listen": {"listen": "1"},
    "udp": {"overrun_nonfatal": "1"},
}
_LIBAV_SCHEMES = frozenset({"http", "https", "rtmp", "rtmps", "srt", *_OPTIONS})


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a stream.

    Attributes:
        kind: How the address is opened.
        name: The address without its secrets, for display.
        url: The address with its secrets. Never display it.
        host: Host of a socket of kind "tcp" or "tcp-listen".
        port: Port of a socket of kind "tcp" or "tcp-listen".
        format: The container format for libav; None to detect it.
        options: Options for libav.
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
        """Whether the stream may continue after its end; a file does not."""
        return self.kind != "file"

    @property
    def is_listener(self) -> bool:
        """Whether this side listens, and the sender connects."""
        return self.kind == "tcp-listen" or "listen" in self.options


def parse_address(address: str) -> Address:
    """Parse the address of a stream. Raises MediaError for an unsupported or invalid one."""
    if address == "-":
        return Address("pipe", "standard input", address, format=_MPEG_TS)
    if address.startswith("webcam:"):
        return _parse_webcam(address)
    if "://" not in address:
        return Address("file", address, address)
    scheme = address.split("://", 1)[0].lower()
    if scheme in ("tcp", "tcp-listen"):
        return _parse_socket(address, "tcp" if scheme == "tcp" else "tcp-listen")
    name = redact_address(address)
    if scheme not in _LIBAV_SCHEMES:
        raise MediaError(f"{scheme}:// is not supported", name, _SUPPORTED)
    if scheme == "srt":
        require_srt_support(name)
    url = re.sub(r"\Artmp-listen:", "rtmp:", address, flags=re.IGNORECASE)
    options = _OPTIONS.get(scheme, _NO_OPTIONS)
    return Address("libav", name, url, format=_FORMATS.get(scheme), options=options)


def require_srt_support(name: str) -> None:
    """Raise MediaError if PyAV's FFmpeg does not support SRT; `name` is the address displayed."""
    try:
        # libav has no list of protocols. Without a port, this address connects to nobody.
        av.open("srt://", timeout=1.0)
    except av.ProtocolNotFoundError:
        pass
    except LIBAV_ERRORS:
        return
    remedy = (
        "relay it with an ffmpeg that supports SRT, as in ffmpeg -i ADDRESS -c copy "
        "-f mpegts tcp://127.0.0.1:5000, and read tcp-listen://127.0.0.1:5000"
    )
    raise MediaError("uses SRT, which PyAV's FFmpeg does not support", name, remedy)


def redact_address(address: str) -> str:
    """Replace user, password, tokens and stream keys in an address by "***", for display.

    Redacted are the user and password, query values whose names suggest a key, token, signature
    or password, and the last part of an RTMP path, which is the stream key, with everything
    after it. If in doubt, more is redacted. Text that is not a URL is unchanged.

    >>> redact_address("https://ann:pw@shop.example/live.m3u8?quality=hd&token=s3cret")
    'https://***@shop.example/live.m3u8?quality=hd&token=***'
    >>> redact_address("rtmp://shop.example/live/s3cret")
    'rtmp://shop.example/live/***'
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    rest = _redact_user(rest)
    if scheme.lower().startswith("rtmp"):
        rest = _redact_stream_key(rest)
    return f"{scheme}://{_redact_tokens(rest)}"


def _redact_user(rest: str) -> str:
    """Redact up to the last @, because an unescaped password may contain @, /, ? or #.

    If there is evidently no user, an @ in the query belongs to the query.
    """
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    has_no_user = _HOST_AND_PORT.fullmatch(server)
    end = len(re.split(r"[?#]", rest, maxsplit=1)[0]) if has_no_user else len(rest)
    user, at, _ = rest[:end].rpartition("@")
    rest = f"{_REDACTED if user else ''}{at}{rest[len(user) + len(at) :]}"
    return re.sub(r"://[^&\s]*@", f"://{_REDACTED}@", rest)  # an address within the query


def _redact_stream_key(rest: str) -> str:
    """Redact the stream key with its query, because RTMP clients send both as the key."""
    path = re.split(r"[?#\s]", rest, maxsplit=1)[0].rstrip("/")
    before, slash, _ = path.rpartition("/")
    return f"{before}/{_REDACTED}" if slash else path


def _redact_tokens(text: str) -> str:
    """Redact values with secret names, also in queries within other values."""

    def redact_pair(pair: re.Match[str]) -> str:
        name, value = pair.groups()
        is_secret = _SECRET_NAME.search(unquote(name))
        return f"{name}={_REDACTED if is_secret else _redact_tokens(value)}"

    return _QUERY_PAIR.sub(redact_pair, text)


def _parse_socket(address: str, kind: Literal["tcp", "tcp-listen"]) -> Address:
    name = redact_address(address)
    try:
        parts: SplitResult = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        port = None
    if not port or (kind == "tcp" and not host):
        raise MediaError("has no host and port", name, f"pass {kind}://host:1234")
    return Address(kind, name, address, host=host, port=port, format=_MPEG_TS)


def _parse_webcam(address: str) -> Address:
    number = address.removeprefix("webcam:")
    device = Path(f"/dev/video{number}")
    if not re.fullmatch(r"[0-9]{1,3}", number):
        raise MediaError("is not a webcam number", address, "pass webcam:0 for the first webcam")
    if not device.exists():
        devices = sorted(device.parent.glob("video[0-9]*"))
        names = ", ".join(f"webcam:{path.name[5:]}" for path in devices)
        remedy = f"available: {names}" if names else "connect one, or pass another source"
        raise MediaError(f"does not exist ({device})", address, remedy)
    return Address("libav", address, str(device), format="v4l2")
