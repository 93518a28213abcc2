"""Nothing that a user names reaches the network of the service: every way ends in one error."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.catalogue.fetch.fetcher import fetch_images
from sgmn.catalogue.fetch.options import FetchOptions
from sgmn.errors import FetchError, MediaError, SettingsError
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.live_source import LiveSource
from sgmn.media.live_transcript import LiveTranscript
from sgmn.service.outbound.gateway import SourceGateway
from sgmn.service.outbound.policy import SOURCE_SCHEMES, OutboundPolicy
from tests.media.streaming import QUICK, send_then_stay_silent, serve_tcp, wait_until
from tests.service.outbound.network import PRIVATE, PUBLIC, Resolver, WebServer

WEB = OutboundPolicy(source_schemes=("http", *SOURCE_SCHEMES))
NOT_PUBLIC = "is not public"
# Forms of addresses of this machine and of private networks, all of which some resolver accepts.
HOSTS = [
    "127.0.0.2",
    "localhost",
    "2130706434",
    "0x7f000002",
    "0x7f.0.0.2",
    "0177.0.0.2",
    "127.2",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.2]",
    "[::ffff:7f00:2]",
    "[::127.0.0.2]",
    "[64:ff9b::127.0.0.2]",
    "[64:ff9b:1::7f00:2]",
    "[2002:7f00:2::]",
    "[2001:0:0:0:0:0:80ff:fffd]",
    "[fc00::1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[ff02::1]",
]


def open_source(gateway: SourceGateway, url: str) -> None:
    """Open a stream that must not open."""
    with (
        LiveSource(gateway.guard(url), settings=QUICK) as source,
        pytest.raises(MediaError),
    ):
        next(source)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["https", "rtmp"])
def test_every_form_of_a_private_address_is_refused(scheme: str, host: str) -> None:
    expected = r"is not public|is not a valid address|has a host without an address"
    with pytest.raises(FetchError, match=expected) as refused:
        WEB.check_source(f"{scheme}://{host}/live/stream")
    assert refused.value.remedy
    assert "has the address" not in str(refused.value)  # which would tell names of the network
    with pytest.raises(FetchError, match=expected):
        WEB.check_web_address(f"https://{host}/hook", WEB.webhook_schemes)


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize(
    "source",
    [
        "a.mp4",
        "/etc/passwd",
        "-",
        "webcam:0",
        "file:///etc/passwd",
        "udp://0.0.0.0:5000",
        "tcp-listen://0.0.0.0:5000",
        "rtmp-listen://0.0.0.0:1935/app/key",
        "rtsp://shop.example/1",
        "srt://shop.example:9",
        "http://shop.example/a.m3u8",
        "gopher://shop.example/",
        "concat:https://shop.example/a.ts",
        "crypto+https://shop.example/a.ts",
    ],
)
def test_sources_that_only_an_operator_can_allow(source: str) -> None:
    with pytest.raises(FetchError, match="which this service does not allow") as refused:
        OutboundPolicy().check_source(source)
    assert refused.value.remedy == "use an address of https://, rtmp://, rtmps://"


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://:443/a",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://[::1/a",
        "https://a b.example/",
        "https://shop.example/\r\nX: 1",
        "https://[v1.a]/",
    ],
)
def test_invalid_addresses_are_refused(url: str) -> None:
    with pytest.raises(FetchError, match=r"is not a valid address|without an address"):
        OutboundPolicy().check_source(url)


@pytest.mark.parametrize("target", ["host", "address", "file", "rtmp", "listening"])
def test_a_redirect_is_refused(web: WebServer, inside: WebServer, target: str) -> None:
    targets = {
        "host": f"http://inside.example:{inside.server_port}/a.m3u8",
        "address": f"http://{PRIVATE}:{inside.server_port}/a.m3u8",
        "file": "file:///etc/passwd",
        "rtmp": f"rtmp://{PRIVATE}:{inside.server_port}/app/key",
        "listening": "rtmp://0.0.0.0:9999/app?listen=1",
    }
    web.redirects["/a.m3u8"] = targets[target]
    with SourceGateway(WEB) as gateway:
        open_source(gateway, f"http://shop.example:{web.server_port}/a.m3u8")
        expected = NOT_PUBLIC if target in ("host", "address") else "redirects to what is not"
        assert expected in str(gateway.refusal)
    assert inside.requests == []


PLAYLISTS = {
    "variant": "#EXT-X-STREAM-INF:BANDWIDTH=9\n{url}/a.m3u8\n",
    "segment": "#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/a0.ts\n#EXT-X-ENDLIST\n",
    "key": '#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="{url}/a.key"\n'
    "#EXTINF:1,\na0.ts\n#EXT-X-ENDLIST\n",
    "map": '#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="{url}/a0.ts"\n'
    "#EXTINF:1,\na0.ts\n#EXT-X-ENDLIST\n",
    "audio": '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="x",NAME="x",DEFAULT=YES,URI="{url}/a.m3u8"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=9,AUDIO="x"\na.m3u8\n',
    "subtitles": '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="x",NAME="x",DEFAULT=YES,'
    'URI="{url}/a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=9,SUBTITLES="x"\na.m3u8\n',
}


@pytest.mark.parametrize("part", PLAYLISTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_part_of_a_playlist_may_be_private(
    web: WebServer, inside: WebServer, part: str, scheme: str
) -> None:
    private = f"{scheme}://inside.example:{inside.server_port}"
    web.files["/list.m3u8"] = f"#EXTM3U\n{PLAYLISTS[part]}".replace("{url}", private).encode()
    with SourceGateway(WEB) as gateway:
        address = gateway.guard(f"http://shop.example:{web.server_port}/list.m3u8")
        with LiveSource(address, settings=QUICK) as source, contextlib.suppress(MediaError):
            list(source)  # what else the playlist names may play
        refusal = gateway.refusal
    assert refusal is not None and NOT_PUBLIC in str(refusal)
    assert inside.requests == []


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile {url}/a0.ts\n",
        "v=0\nc=IN IP4 0.0.0.0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ntcp://{host}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n\thttps://{host}/a0.ts\n#EXT-X-ENDLIST\n",
    ],
)
def test_no_other_format_or_protocol_is_opened(
    web: WebServer, inside: WebServer, content: str
) -> None:
    host = f"{PRIVATE}:{inside.server_port}"
    web.files["/a.sdp"] = content.format(url=f"http://{host}", host=host).encode()
    with SourceGateway(WEB) as gateway:
        open_source(gateway, f"http://shop.example:{web.server_port}/a.sdp")
    assert inside.requests == []


def test_a_list_of_files_is_not_opened_beside_the_proxy(web: WebServer) -> None:
    """libav would open the files of the format concat by itself, and not through the proxy."""
    web.files["/a.ffconcat"] = b"ffconcat version 1.0\nfile a0.ts\n"
    with SourceGateway(WEB) as gateway:
        open_source(gateway, f"http://{PUBLIC}:{web.server_port}/a.ffconcat")
    assert set(web.requests) == {"/a.ffconcat"}


@pytest.mark.parametrize("scheme", ["rtmp", "https"])
def test_libav_may_open_nothing_but_http(web: WebServer, scheme: str) -> None:
    connected = threading.Event()
    with (
        serve_tcp(send_then_stay_silent(connected=connected)) as server,
        SourceGateway(WEB) as gateway,
    ):
        address = gateway.guard(f"http://shop.example:{web.server_port}/a.m3u8")
        options = {name: address.options[name] for name in address.options if name != "http_proxy"}
        url = f"{server.replace('tcp', scheme)}/app/key"
        with (
            LiveSource(replace(address, url=url, options=options), settings=QUICK) as source,
            pytest.raises(MediaError, match="Invalid argument"),
        ):
            next(source)
    assert not connected.is_set()


@pytest.mark.parametrize("scheme", ["http", "rtmp", "tcp"])
def test_a_name_that_turns_private_is_refused_when_it_is_connected(
    web: WebServer, inside: WebServer, resolver: Resolver, scheme: str
) -> None:
    """DNS rebinding: the first answer is public, for the check; the second one is private."""
    resolver.answers["turns.example"] = [PUBLIC, PRIVATE]
    policy = OutboundPolicy(source_schemes=("http", "rtmp", "tcp"))
    with SourceGateway(policy) as gateway:
        open_source(gateway, f"{scheme}://turns.example:{inside.server_port}/a.m3u8")
        assert gateway.refusal is not None and NOT_PUBLIC in str(gateway.refusal)
    assert resolver.questions[:2] == ["turns.example"] * 2
    assert inside.requests == []


def test_a_name_is_connected_at_the_address_that_was_checked(
    web: WebServer, inside: WebServer, resolver: Resolver
) -> None:
    """The name turns private right after the check of a connection, which does not ask again."""
    resolver.answers["turns.example"] = [PUBLIC, PUBLIC, PRIVATE]
    with SourceGateway(WEB) as gateway:
        open_source(gateway, f"http://turns.example:{web.server_port}/missing.m3u8")
        assert gateway.refusal is None
    assert web.requests == ["/missing.m3u8"] and inside.requests == []
    assert resolver.questions == ["turns.example"] * 2


def test_subtitles_and_images_are_refused(
    web: WebServer, inside: WebServer, tmp_path: Path
) -> None:
    private = f"http://inside.example:{inside.server_port}/a.vtt"
    segment = f"#EXTM3U\n#EXT-X-TARGETDURATION:0.2\n#EXTINF:1,\n{private}\n".encode()
    web.files["/s.m3u8"], damage = segment, list[str]()
    web.redirects["/image.png"] = private
    url = f"http://shop.example:{web.server_port}"
    with SourceGateway(WEB) as gateway:
        fetch = gateway.fetch_text
        with follow_webvtt(f"{url}/s.m3u8", LiveTranscript(), damage, fetch=fetch):
            wait_until(lambda: damage)
        with pytest.raises(FetchError, match="neither an http nor an https address"):
            gateway.fetch_text("ftp://shop.example/a")
    assert NOT_PUBLIC in damage[0]
    images = [f"{url}/image.png", private, "https://[::ffff:10.0.0.1]/a.png"]
    for fetched in fetch_images(images, FetchOptions(tmp_path, attempts=1)).values():
        assert NOT_PUBLIC in str(fetched.error)
    assert inside.requests == []


def test_an_operator_allows_networks_and_schemes(inside: WebServer, resolver: Resolver) -> None:
    policy = OutboundPolicy(("http", "file"), allow_networks=("127.0.0.2/32",))
    with SourceGateway(policy) as gateway:
        with LiveSource(
            gateway.guard(f"http://inside.example:{inside.server_port}/a.m3u8")
        ) as source:
            assert len(list(source)) == 3
        assert gateway.guard("a.mp4").kind == "file"
    with pytest.raises(FetchError, match=NOT_PUBLIC):
        policy.check_source("http://127.0.0.3/a.m3u8")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("source_schemes", ("gopher",)),
        ("webhook_schemes", ("ftp",)),
        ("allow_networks", ("10.0.0.1/8",)),
    ],
)
def test_wrong_settings_are_named(name: str, values: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=name):
        OutboundPolicy(**{name: values})  # type: ignore[arg-type]
