"""`sgmn watch` of a stream that is still running, as a user types it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import av
import pytest

from sgmn import cli
from sgmn.live.events import from_json, segments_of
from sgmn.media.live_source import LiveSource
from sgmn.model import checkpoint
from tests.command import Run


@pytest.fixture(scope="module")
def indexed(tiny: Callable[[], Any], world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the six products, by a tiny model."""
    folder = tmp_path_factory.mktemp("live")
    checkpoint.save(tiny(), folder / "model")
    arguments = ["sgmn", "index", world, "-o", folder / "index", "-m", folder / "model"]
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.setattr(sys, "argv", [str(argument) for argument in arguments])
        cli.main()
    assert not ended.value.code
    return folder / "index"


@pytest.fixture(scope="module")
def transport(stream: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The forty seconds of the stream as MPEG-TS."""
    path = tmp_path_factory.mktemp("transport") / "s.ts"
    with av.open(stream / "streams" / "s.mp4") as given, av.open(path, "w") as made:
        track = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                made.mux(packet)
    return path.read_bytes()


@contextmanager
def sender(data: bytes, hangs_up: bool = True) -> Iterator[str]:
    """Serve `data` once over TCP; then hang up, or fall silent until the reader leaves."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            line = server.accept()[0]
            server.close()
            with line:
                line.sendall(data)
                if not hangs_up:
                    select.select([line], [], [], 60)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        thread.join(5)


def dead() -> str:
    """An address at which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://ann:s3cret@127.0.0.1:{server.getsockname()[1]}"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_stream_is_watched_to_its_end(
    run: Run, indexed: Path, transport: bytes, tmp_path: Path
) -> None:
    events, timeline, chapters = (tmp_path / name for name in ("out/e.jsonl", "t.json", "c.vtt"))
    with sender(transport) as address:
        ended = run(
            *("watch", address, "-i", indexed, "--events", events, "--attempts", 1),
            *("-o", timeline, "--vtt", chapters),
        )
    assert ended.status == 0, ended.err
    told = [from_json(row) for row in rows(events)]
    assert told[-1].kind == "ended" and told[-1].time_s == pytest.approx(40, abs=1)
    assert all(event.wall_s is not None for event in told)
    segments = json.loads(timeline.read_text())["segments"]
    assert [(s["start"], s["end"], s["product_id"]) for s in segments] == [
        (s.start, s.end, s.product_id) for s in segments_of(told)
    ]
    assert chapters.read_text().startswith("WEBVTT")
    lines = [line for line in ended.out.splitlines() if " started " in line or " ended " in line]
    assert len(lines) == sum(event.kind in ("started", "ended") for event in told)
    # The sender is faster than any stream: a busy machine may drop frames, and says how many.
    assert re.search(r"\b\d+ frames dropped, 0 reconnects", ended.out)


def test_ctrl_c_ends_a_running_stream_cleanly(
    run: Run, indexed: Path, transport: bytes, tmp_path: Path
) -> None:
    _interrupted(signal.SIGINT, run, indexed, transport, tmp_path)


def test_a_request_to_end_does_as_ctrl_c_does(
    run: Run, indexed: Path, transport: bytes, tmp_path: Path
) -> None:
    _interrupted(signal.SIGTERM, run, indexed, transport, tmp_path)


def _interrupted(
    number: signal.Signals, run: Run, indexed: Path, transport: bytes, tmp_path: Path
) -> None:
    """The sender falls silent in the middle, so that nothing but the signal ends it."""
    events, timeline = tmp_path / "e.jsonl", tmp_path / "t.json"
    before = signal.getsignal(number)

    def interrupt() -> None:
        until_s = monotonic() + 60
        while monotonic() < until_s and not (events.exists() and events.read_text()):
            sleep(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt, daemon=True)
    with sender(transport[: len(transport) * 3 // 4], hangs_up=False) as address:
        thread.start()
        ended = run("watch", address, "-i", indexed, "--events", events, "-o", timeline)
        thread.join(5)
    assert ended.status == 0, ended.err
    told = [from_json(row) for row in rows(events)]
    assert told[-1].kind == "ended" and told[-1].time_s == told[-1].found_s < 39
    assert json.loads(timeline.read_text())["segments"][-1]["end"] == told[-1].time_s
    assert signal.getsignal(number) is before


def test_events_on_standard_output_are_alone_there(
    run: Run, indexed: Path, stream: Path, tmp_path: Path
) -> None:
    film = stream / "streams" / "s.mp4"
    ended = run("watch", film, "-i", indexed, "--live", "--events", "-")
    assert ended.status == 0, ended.err
    told = [from_json(json.loads(line)) for line in ended.out.splitlines()]
    assert told[-1].kind == "ended" and "frames dropped" in ended.err


def test_a_recording_has_the_same_events_as_a_live_file(
    run: Run, indexed: Path, stream: Path, tmp_path: Path
) -> None:
    film, said = stream / "streams" / "s.mp4", stream / "said.json"
    told: list[list[Any]] = []
    for name, how in (("a", ()), ("b", ("--live",))):
        events = tmp_path / name
        ended = run("watch", film, "-i", indexed, "-t", said, "--events", events, *how)
        assert ended.status == 0, ended.err
        told.append([(r["id"], r["kind"], r["time_s"], r["product_id"]) for r in rows(events)])
    assert told[0] == told[1] and len(told[0]) >= 2


def test_a_webhook_gets_each_event_signed(
    run: Run, indexed: Path, stream: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    got: list[tuple[bytes, str]] = []

    class Shop(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, self.headers["X-Sgmn-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    monkeypatch.setenv("SHOP_SECRET", "hush")
    events = tmp_path / "e.jsonl"
    with HTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended = run(
            *("watch", stream / "streams" / "s.mp4", "-i", indexed, "--live", "--events", events),
            *("--webhook", f"http://127.0.0.1:{server.server_port}/"),
            *("--webhook-secret-env", "SHOP_SECRET"),
        )
        server.shutdown()
    assert ended.status == 0 and f"{len(got)} delivered" in ended.err, ended.err
    assert [json.loads(body) for body, _ in got] == rows(events)
    for body, signature in got:
        assert signature == "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a dead port": (("DEAD", "--attempts", "1"), "refused"),
    "an unknown kind of address": (("gopher://ann:s3cret@shop/",), "no stream is read"),
    "a file that is not there": (("none.mp4", "--live"), "none.mp4"),
    "a report of a running stream": (("DEAD", "--html", "r.html"), "--html"),
    "a folder for events": (("DEAD", "--events", "."), "is a folder"),
    "events below a file": (("DEAD", "--events", "file/e.jsonl"), "cannot be written"),
    "a webhook that is none": (("DEAD", "--webhook", "ftp://s3cret@shop"), "webhook URL"),
    "a secret that is not there": (
        ("DEAD", "--webhook", "http://localhost/", "--webhook-secret-env", "NOWHERE"),
        "environment variable NOWHERE",
    ),
    "a secret for nobody": (("DEAD", "--webhook-secret-env", "HOME"), "--webhook"),
    "a pace for an address": (("DEAD", "--pace"), "--pace"),
    "a pace for a recording": (("file", "--pace"), "--pace"),
    "no lag": (("DEAD", "--lag", "-1"), "--lag"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_is_one_line_and_status_2(
    name: str, run: Run, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    (source, *others), reason = REFUSED[name]
    ended = run("watch", dead() if source == "DEAD" else source, "-i", indexed, *others)
    assert ended.status == 2
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sgmn: "), ended.err
    assert reason in lines[0] and "; " in lines[0], "says no remedy"
    assert "s3cret" not in ended.err + ended.out


def test_a_live_screen_shows_what_goes_on(indexed: Path) -> None:
    from rich.console import Console

    from sgmn.cli import console
    from sgmn.live.events import Event
    from sgmn.live.session import Moment
    from sgmn.live.timeline import Belief

    shown = console.LiveScreen({"p0": "red [b]milk"}, LiveSource("rtmp://shop.example/live/s3cret"))
    pages = [_page(Console(width=100, record=True), shown)]
    shown(Moment(Belief(9.0, "p0", 0.75, None, None), 0.0, 12))  # type: ignore[arg-type]
    for number in range(1, 8):
        shown.tell(Event(number, "started", 60.0 + number, 70.0, "p0", None, 0.5))
    pages.append(_page(Console(width=100, record=True), shown))
    assert "connecting" in pages[0] and "no window yet" in pages[0] and "s3cret" not in pages[0]
    assert "0:09  red [b]milk  75%" in pages[1] and "s behind" in pages[1]
    assert "1:03" in pages[1] and "1:07" in pages[1] and "1:02" not in pages[1]  # the last five


def _page(console: Any, shown: object) -> str:
    console.print(shown)
    return str(console.export_text())
