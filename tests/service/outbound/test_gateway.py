"""Sources that are allowed play as without the gateway: HTTP, HTTPS, HLS, RTMP."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.errors import FetchError, MediaError
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.live_source import LiveSource
from sgmn.media.live_transcript import LiveTranscript
from sgmn.service.outbound.gateway import SourceGateway
from sgmn.service.outbound.policy import OutboundPolicy
from tests.media.streaming import (
    QUICK,
    free_port,
    needs_ffmpeg,
    run_ffmpeg_sender,
    send_all,
    serve_tcp,
    wait_until,
)
from tests.service.outbound.network import PUBLIC, Resolver, WebServer, run_web

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
WEB = OutboundPolicy(source_schemes=("http", "https", "rtmp", "rtmps", "tcp"))


def count_frames(gateway: SourceGateway, url: str) -> int:
    """How many of a stream's frames arrive, at ten a second."""
    with LiveSource(gateway.guard(url), rate_hz=10.0, settings=QUICK) as source:
        return len(list(source))


@pytest.fixture
def secure_web(
    resolver: Resolver, certificate: Path, hls_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WebServer]:
    """An HTTPS server whose certificate is trusted, for shop.example and cdn.example."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with run_web(PUBLIC, certificate) as server:
        server.add_folder(hls_folder)
        yield server


def test_http_live_streaming(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")  # libav would connect without the proxy
    with SourceGateway(WEB) as gateway:
        assert "no_proxy" not in os.environ
        assert count_frames(gateway, f"http://shop.example:{web.server_port}/a.m3u8") == 30
        assert gateway.refusal is None
    assert [path for path in web.requests if path != "/a.m3u8"] == ["/a0.ts", "/a1.ts", "/a2.ts"]


def test_a_name_that_does_not_resolve_is_tried_again(web: WebServer, resolver: Resolver) -> None:
    url = f"http://later.invalid:{web.server_port}/a.m3u8"
    with pytest.raises(FetchError, match="without an address"):
        WEB.check_source(url)
    with SourceGateway(WEB) as gateway:
        address = gateway.guard(url)
        resolver.answers["later.invalid"] = [PUBLIC]
        with LiveSource(address, rate_hz=10.0, settings=QUICK) as source:
            assert len(list(source)) == 30


def test_user_and_query_reach_the_server_but_not_the_name(web: WebServer) -> None:
    web.protected.add("/a.m3u8")
    url = f"http://ann:s3cret@shop.example:{web.server_port}/a.m3u8?token=t0p"
    with SourceGateway(WEB) as gateway:
        address = gateway.guard(url)
        assert count_frames(gateway, url) == 30
    assert web.requests[0] == "/a.m3u8?token=t0p"
    assert "s3cret" not in f"{address!r}" and "t0p" not in f"{address!r}"


def test_a_redirect_to_another_public_server(web: WebServer) -> None:
    web.redirects["/moved.m3u8"] = f"http://cdn.example:{web.server_port}/a.m3u8"
    with SourceGateway(WEB) as gateway:
        assert count_frames(gateway, f"http://shop.example:{web.server_port}/moved.m3u8") == 30


@needs_openssl
def test_https_with_all_parts_on_another_https_server(secure_web: WebServer) -> None:
    port = secure_web.server_port
    parts = secure_web.files["/a.m3u8"].decode()
    encrypted = parts.replace("a0.ts", "//cdn.example:{port}/a0.ts").replace(
        "a1", "https://cdn.example:{port}/a1"
    )
    secure_web.files["/parts.m3u8"] = encrypted.replace("{port}", str(port)).encode()
    variant = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nhttps://cdn.example:{port}/parts.m3u8\n"
    secure_web.files["/main.m3u8"] = variant.encode()
    secure_web.redirects["/first.m3u8"] = f"https://shop.example:{port}/main.m3u8"
    with SourceGateway(OutboundPolicy()) as gateway:
        assert count_frames(gateway, f"https://shop.example:{port}/first.m3u8") == 30


@needs_openssl
def test_a_certificate_of_another_host_or_issuer_is_not_accepted(
    secure_web: WebServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.answers["other.example"] = [PUBLIC]
    port = secure_web.server_port
    playlist = secure_web.files["/a.m3u8"].decode()
    other = playlist.replace("a0.ts", f"https://other.example:{port}/a0.ts").encode()
    secure_web.files["/other.m3u8"] = other
    with SourceGateway(OutboundPolicy()) as gateway:
        with pytest.raises(MediaError, match=r"Server returned 5XX"):
            count_frames(gateway, f"https://other.example:{port}/a.m3u8")
        assert count_frames(gateway, f"https://shop.example:{port}/other.m3u8") == 20
    monkeypatch.delenv("SSL_CERT_FILE")
    with SourceGateway(OutboundPolicy()) as gateway, pytest.raises(MediaError):
        count_frames(gateway, f"https://shop.example:{port}/a.m3u8")


@needs_openssl
def test_an_https_stream_has_no_unencrypted_parts(secure_web: WebServer, web: WebServer) -> None:
    playlist = secure_web.files["/a.m3u8"].decode()
    mixed = playlist.replace("a0.ts", f"http://cdn.example:{web.server_port}/a0.ts")
    secure_web.files["/mixed.m3u8"] = mixed.encode()
    with SourceGateway(OutboundPolicy()) as gateway:
        url = f"https://shop.example:{secure_web.server_port}/mixed.m3u8"
        assert count_frames(gateway, url) == 20
        assert "'http', which this service does not allow" in str(gateway.refusal)
    assert web.requests == []


def test_subtitles_are_fetched_through_the_gateway(web: WebServer) -> None:
    web.files["/s.m3u8"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ns.vtt\n#EXT-X-ENDLIST\n"
    web.files["/s.vtt"] = b"WEBVTT\n\n00:01.000 --> 00:02.000\nThe red dress\n"
    transcript = LiveTranscript()
    url = f"http://shop.example:{web.server_port}/s.m3u8"
    with SourceGateway(WEB) as gateway, follow_webvtt(url, transcript, fetch=gateway.fetch_text):
        wait_until(lambda: len(transcript))
    assert transcript[0].text == "The red dress"


@needs_ffmpeg
@pytest.mark.usefixtures("resolver")
def test_rtmp_through_a_tunnel() -> None:
    port = free_port()
    server = run_ffmpeg_sender("-listen", "1", "-f", "flv", f"rtmp://{PUBLIC}:{port}/app/s3cret")
    with SourceGateway(OutboundPolicy()) as gateway, server:
        address = gateway.guard(f"rtmp://shop.example:{port}/app/s3cret")
        assert address.options["rtmp_tcurl"] == f"rtmp://shop.example:{port}/app"
        settings = replace(QUICK, max_attempts=None)
        with LiveSource(address, settings=settings) as source:
            assert next(source).rgb.shape == (48, 64, 3)


@needs_openssl
@pytest.mark.usefixtures("resolver")
def test_rtmps_is_rtmp_within_verified_tls(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tunnel speaks TLS with the server, by its name; libav's handshake arrives behind it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names: list[str | None] = []
    starts: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def shake_hands(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            starts.append(secure.recv(1))

    with serve_tcp(shake_hands) as server, SourceGateway(OutboundPolicy()) as gateway:
        port = server.rpartition(":")[2]
        address = gateway.guard(f"rtmps://shop.example:{port}/app/s3cret")
        with LiveSource(address, settings=QUICK) as source, pytest.raises(MediaError):
            next(source)
    assert names == ["shop.example"]
    assert starts == [b"\x03"]  # the version of RTMP


def test_mpeg_ts_over_tcp_through_a_tunnel(web: WebServer, hls_folder: Path) -> None:
    segment = (hls_folder / "a0.ts").read_bytes()
    with serve_tcp(send_all(segment)) as server, SourceGateway(WEB) as gateway:
        address = gateway.guard(server.replace(PUBLIC, "shop.example"))
        settings = replace(QUICK, max_attempts=1)
        with LiveSource(address, rate_hz=10.0, settings=settings) as source:
            assert len(list(source)) == 10
