"""WebVTT subtitles of a live HLS stream: times, errors of the server, and closing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from sgmn.errors import MediaError
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.records import Utterance
from tests.media.streaming import wait_until

Page = str | bytes | int | threading.Event


class WebServer:
    """The response for each path: text, bytes, an HTTP status, or an event to wait for.

    A list holds one response for each request.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, Page | list[Page]] = {}
        self.missing_bytes: dict[str, int] = {}  # announced but not sent, by path
        self.requests: list[str] = []

    def count(self, path: str) -> int:
        """How often a path has been requested."""
        return self.requests.count(path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            site.requests.append(path)
            page = site.pages.get(path, 404)
            if isinstance(page, list):
                page = page.pop(0)
            if isinstance(page, threading.Event):
                page.wait(30)
                return
            if isinstance(page, int):
                self.send_error(page)
                return
            body = page if isinstance(page, bytes) else page.encode()
            self.send_response(200)
            length = len(body) + site.missing_bytes.get(path, 0)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site = WebServer(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield site
        server.shutdown()


def playlist(*segments: str, first: int = 0, ends: bool = False) -> str:
    rows = ["#EXTM3U", "#EXT-X-TARGETDURATION:0.2", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    rows += [row for segment in segments for row in ("#EXTINF:6.0,", segment)]
    return "\n".join([*rows, *["#EXT-X-ENDLIST"] * ends]) + "\n"


def webvtt(*cues: tuple[str, str], ticks: int | None = None, local: str = "00:00:00.000") -> str:
    time_map = "" if ticks is None else f"X-TIMESTAMP-MAP=LOCAL:{local},MPEGTS:{ticks}\n"
    return f"WEBVTT\n{time_map}\n" + "\n".join(f"{times}\n{text}\n" for times, text in cues)


class Following(NamedTuple):
    transcript: LiveTranscript
    damage: list[str]
    follower: TranscriptFollower


@contextmanager
def follow(
    web: WebServer,
    origin_s: float | Callable[[], float | None] = 0.0,
    path: str = "/s.m3u8",
) -> Iterator[Following]:
    """Follow a playlist, and wait for its end after the block."""
    transcript = LiveTranscript()
    damage: list[str] = []
    with follow_webvtt(web.address + path, transcript, damage, origin_s) as follower:
        yield Following(transcript, damage, follower)
        wait_until(lambda: not follower.is_running)


def texts(utterances: Iterable[Utterance]) -> list[str]:
    return [u.text for u in utterances]


ONE = ("00:01.000 --> 00:02.500", "one")


def test_segments_arrive_until_the_playlist_is_complete(web: WebServer) -> None:
    web.pages = {
        "/s.m3u8": playlist("a.vtt"),
        "/a.vtt": webvtt(ONE, ("00:05.000 --> 00:07.000", "in both segments")),
        "/b.vtt": webvtt(
            ("00:05.000 --> 00:07.000", "in both segments"), ("00:08.000 --> 00:09.000", "b")
        ),
    }
    with follow(web) as (transcript, damage, follower):
        wait_until(lambda: len(transcript) == 2 and web.count("/s.m3u8") > 2)
        assert follower.is_running
        web.pages["/s.m3u8"] = playlist("b.vtt", first=1, ends=True)
    assert [(u.start, u.end, u.text) for u in transcript] == [
        (1.0, 2.5, "one"),
        (5.0, 7.0, "in both segments"),
        (8.0, 9.0, "b"),
    ]
    assert web.count("/a.vtt") == web.count("/b.vtt") == 1
    assert damage == [] and follower.errors == 0


@pytest.mark.parametrize(
    ("ticks", "local", "origin_s", "start_s"),
    [
        (900_000, "00:00:00.000", 0.0, 11.0),  # timestamp 10 s is cue time 0
        (900_000, "00:00:00.000", 10.0, 1.0),
        (900_000, "00:00.500", 1.4, 9.1),
        (126_000, "00:00:01.000", 1.4, 0.0),
        (0, "00:00:00.000", 2**33 / 90_000 - 4.0, 5.0),  # the clock has restarted meanwhile
        (2**33 - 90_000, "00:00:00.000", 0.0, 0.0),  # from 1 s before the restart
    ],
)
def test_cues_have_the_times_of_the_video(
    web: WebServer, ticks: int, local: str, origin_s: float, start_s: float
) -> None:
    web.pages = {
        "/s.m3u8": playlist("a.vtt", ends=True),
        "/a.vtt": webvtt(ONE, ticks=ticks, local=local),
    }
    with follow(web, origin_s) as (transcript, damage, _):
        pass
    assert [(u.start, u.end) for u in transcript] == [(start_s, start_s + 1.5)] and damage == []


def test_cues_before_time_zero_are_discarded(web: WebServer) -> None:
    cues = [ONE, ("00:03.000 --> 00:05.000", "across"), ("00:06.000 --> 00:07.000", "after")]
    web.pages = {"/s.m3u8": playlist("a.vtt", ends=True), "/a.vtt": webvtt(*cues)}
    with follow(web, origin_s=4.0) as (transcript, _, _):
        pass
    rows = [(u.start, u.end, u.text) for u in transcript]
    assert rows == [(0.0, 1.0, "across"), (2.0, 3.0, "after")]


def test_no_segment_is_read_before_time_zero_is_known(web: WebServer) -> None:
    web.pages = {"/s.m3u8": playlist("a.vtt", ends=True), "/a.vtt": webvtt(ONE, ticks=900_000)}
    origins_s: list[float] = []
    with follow(web, lambda: origins_s[0] if origins_s else None) as (transcript, _, _):
        wait_until(lambda: web.count("/s.m3u8") > 1)
        assert web.count("/a.vtt") == 0
        origins_s.append(9.0)
    assert [u.start for u in transcript] == [2.0]


def test_a_segment_with_a_new_token_is_not_read_again(web: WebServer) -> None:
    web.pages = {"/s.m3u8": playlist("a.vtt?token=1"), "/a.vtt": webvtt(ONE)}
    with follow(web) as (transcript, _, _):
        wait_until(lambda: len(transcript) == 1)
        web.pages["/s.m3u8"] = playlist("a.vtt?token=2", ends=True)
    assert web.count("/a.vtt") == 1


def test_a_server_may_restart_its_numbering(web: WebServer) -> None:
    web.pages = {"/s.m3u8": playlist("a.vtt", first=70), "/a.vtt": webvtt(ONE)}
    with follow(web) as (transcript, _, _):
        wait_until(lambda: len(transcript) == 1)
        web.pages["/b.vtt"] = webvtt(("00:08.000 --> 00:09.000", "b"))
        web.pages["/s.m3u8"] = playlist("b.vtt", first=0, ends=True)
    assert texts(transcript) == ["one", "b"]


@pytest.mark.slow
def test_errors_are_counted_and_requests_repeated(web: WebServer) -> None:
    segments = ("gone.vtt", "bad.vtt", "map.vtt", "film.ts", "short.vtt", "a.vtt")
    web.pages = {"/s.m3u8": 500}
    with follow(web, path="/s.m3u8?token=s3cret") as (transcript, damage, follower):
        wait_until(lambda: follower.errors == 1)
        web.pages |= {
            "/s.m3u8": playlist(*segments),
            "/bad.vtt": "WEBVTT\n\n00:09.000 --> 00:02.000\nback\n",
            "/map.vtt": "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000\n\n00:01.000 --> 00:02.000\nx\n",
            "/film.ts": b"G\xff\xff",
            "/short.vtt": webvtt(("00:03.000 --> 00:04.000", "short")),
            "/a.vtt": webvtt(ONE),
        }
        web.missing_bytes["/short.vtt"] = 100
        wait_until(lambda: texts(transcript) == ["one"])
        wait_until(lambda: web.count("/gone.vtt") == 3)
        web.pages["/s.m3u8"] = playlist(*segments, ends=True)
    assert web.count("/gone.vtt") == 3 and web.count("/bad.vtt") == web.count("/map.vtt") == 1
    assert texts(transcript) == ["one"]
    for message in ["500", "404", "bad.vtt: line 3 ends", "time map", "film.ts", "cut short"]:
        assert any(message in row for row in damage), message
    assert not any("s3cret" in row for row in damage)
    assert follower.errors == len(damage)


def test_a_late_segment_is_read(web: WebServer) -> None:
    web.pages = {"/s.m3u8": playlist("a.vtt", ends=True), "/a.vtt": [404, webvtt(ONE)]}
    with follow(web) as (transcript, damage, _):
        pass
    assert texts(transcript) == ["one"] and len(damage) == 1


def test_a_playlist_cannot_name_local_files(web: WebServer, tmp_path: Path) -> None:
    secret = tmp_path / "a.vtt"
    secret.write_text(webvtt(ONE))
    web.pages = {"/s.m3u8": playlist(secret.as_uri(), ends=True)}
    with follow(web) as (transcript, damage, _):
        pass
    assert len(transcript) == 0 and "is not a web address" in damage[0]
    with pytest.raises(MediaError, match="not a web address"):
        follow_webvtt(secret.as_uri(), LiveTranscript())


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<html>", "is not a playlist"),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n",
            "pass the playlist of the subtitles",
        ),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\na.vtt\n", "cannot be read"),
        (b"#EXTM3U\n\xff", "cannot be read"),
    ],
)
def test_an_invalid_playlist_is_reported(web: WebServer, page: str | bytes, message: str) -> None:
    web.pages = {"/s.m3u8": page}
    damage: list[str] = []
    with follow_webvtt(f"{web.address}/s.m3u8", LiveTranscript(), damage):
        wait_until(lambda: damage)
    assert message in damage[0]


def test_closing_does_not_wait_for_a_silent_server(web: WebServer) -> None:
    silence = threading.Event()
    web.pages = {"/s.m3u8": playlist("a.vtt"), "/a.vtt": silence}
    transcript = LiveTranscript()
    follower = follow_webvtt(f"{web.address}/s.m3u8", transcript, [])
    wait_until(lambda: web.count("/a.vtt") == 1)
    follower.close()
    assert follower.stop_event.is_set()  # reached although the server has not responded
    silence.set()
    wait_until(lambda: not follower.is_running)
    assert web.count("/s.m3u8") == 1 and len(transcript) == 0
