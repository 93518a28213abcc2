"""Names by which libav reaches https servers through the proxy without TLS of its own.

libav verifies no certificates of the segments of a playlist, and cannot be told to. Therefore it
asks the proxy for `http://shop.example.https.invalid:443/a.ts`, and the proxy fetches
`https://shop.example/a.ts` with a verified certificate. No host can have a name in `.invalid`
(RFC 6761).

>>> to_plain("https://ann@shop.example/a.m3u8?t=1")
'http://ann@shop.example.https.invalid:443/a.m3u8?t=1'
>>> from_plain("http://shop.example.https.invalid:443/a.m3u8?t=1")
'https://shop.example:443/a.m3u8?t=1'
"""

from __future__ import annotations

import re

_SUFFIX = ".https.invalid"
_AUTHORITY = re.compile(r"(https?)://([^/?#\s\"]*@)?(\[[^\]\s]*\]|[^/?#:@\s\"]*)(:[0-9]+)?", re.I)
_URI_LINE = re.compile(rb"^(?:https:)?//[^\s]+", re.MULTILINE | re.IGNORECASE)
_URI_ATTRIBUTE = re.compile(rb"(URI=\")((?:https:)?//[^\"]+)", re.IGNORECASE)
_IPV6 = ".ipv6"


def to_plain(url: str) -> str:
    """The address that libav is given for an http or https address."""
    match = _AUTHORITY.match(url)
    if match is None or match[1].lower() == "http":
        return url
    _, user, host, port = match.groups()
    if host.startswith("["):
        host = host[1:-1].replace(":", "-") + _IPV6
    return f"http://{user or ''}{host}{_SUFFIX}{port or ':443'}{url[match.end() :]}"


def from_plain(url: str) -> str:
    """The address that a request of libav means; the reverse of `to_plain`."""
    match = _AUTHORITY.match(url)
    if match is None or not match[3].lower().endswith(_SUFFIX):
        return url
    host = match[3][: -len(_SUFFIX)]
    if host.endswith(_IPV6):
        host = f"[{host[: -len(_IPV6)].replace('-', ':')}]"
    return f"https://{match[2] or ''}{host}{match[4] or ''}{url[match.end() :]}"


def rewrite_playlist(playlist: bytes, is_https: bool) -> bytes:
    """Replace the https addresses in a playlist; `is_https` tells how it was fetched.

    >>> rewrite_playlist(b'#EXT-X-KEY:URI="https://a.example/k"\\nhttps://b.example/1.ts', True)
    b'#EXT-X-KEY:URI="http://a.example.https.invalid:443/k"\\nhttp://b.example.https.invalid:443/1.ts'
    """

    def plain(address: bytes) -> bytes:
        text = address.decode("utf-8", "surrogateescape")
        if text.startswith("//"):
            text = ("https:" if is_https else "http:") + text
        return to_plain(text).encode("utf-8", "surrogateescape")

    playlist = _URI_LINE.sub(lambda match: plain(match[0]), playlist)
    return _URI_ATTRIBUTE.sub(lambda match: match[1] + plain(match[2]), playlist)
