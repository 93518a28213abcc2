"""`sgmn watch` of a live stream: events, signals, webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import av
import pytest

from sgmn.live.events import from_json, segments_from_events
from tests.cli.streaming import read_rows
from tests.command import RunCommand
from tests.media.streaming import send_all, send_then_stay_silent, serve_tcp


@pytest.fixture(scope="module")
def transport(stream: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The forty seconds of the stream as MPEG-TS."""
    path = tmp_path_factory.mktemp("transport") / "s.ts"
    with av.open(stream / "streams" / "s.mp4") as source, av.open(path, "w") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    return path.read_bytes()


def test_a_stream_is_watched_to_its_end(
    run: RunCommand, shared_index: Path, transport: bytes, tmp_path: Path
) -> None:
    paths = (tmp_path / name for name in ("out/e.jsonl", "t.json", "c.vtt"))
    event_file, timeline, chapters = paths
    with serve_tcp(send_all(transport)) as address:
        result = run(
            *("watch", address, "-i", shared_index, "--events", event_file, "--attempts", 1),
            *("-o", timeline, "--vtt", chapters),
        )
    assert result.status == 0, result.err
    events = [from_json(row) for row in read_rows(event_file)]
    assert events[-1].kind == "ended" and events[-1].time_s == pytest.approx(40, abs=1)
    assert all(event.wall_s is not None for event in events)
    segments = json.loads(timeline.read_text())["segments"]
    assert [(s["start"], s["end"], s["product_id"]) for s in segments] == [
        (s.start, s.end, s.product_id) for s in segments_from_events(events)
    ]
    assert chapters.read_text().startswith("WEBVTT")
    lines = [line for line in result.out.splitlines() if " started " in line or " ended " in line]
    assert len(lines) == sum(event.kind in ("started", "ended") for event in events)
    # The sender is faster than real time, so that a busy machine may drop frames.
    assert re.search(r"\b\d+ frames dropped, 0 reconnects", result.out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_live_stream_cleanly(
    number: signal.Signals, run: RunCommand, shared_index: Path, transport: bytes, tmp_path: Path
) -> None:
    """The sender stays silent after three quarters, so that only the signal ends the stream."""
    event_file, timeline = tmp_path / "e.jsonl", tmp_path / "t.json"
    handler = signal.getsignal(number)

    def interrupt() -> None:
        deadline_s = monotonic() + 60
        while monotonic() < deadline_s and not (event_file.exists() and event_file.read_text()):
            sleep(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt, daemon=True)
    with serve_tcp(send_then_stay_silent(transport[: len(transport) * 3 // 4])) as address:
        thread.start()
        result = run("watch", address, "-i", shared_index, "--events", event_file, "-o", timeline)
        thread.join(5)
    assert result.status == 0, result.err
    events = [from_json(row) for row in read_rows(event_file)]
    assert events[-1].kind == "ended" and events[-1].time_s == events[-1].found_s < 39
    assert json.loads(timeline.read_text())["segments"][-1]["end"] == events[-1].time_s
    assert signal.getsignal(number) is handler


def test_standard_output_holds_only_events(
    run: RunCommand, shared_index: Path, video: Path
) -> None:
    result = run("watch", video, "-i", shared_index, "--live", "--events", "-")
    assert result.status == 0, result.err
    events = [from_json(json.loads(line)) for line in result.out.splitlines()]
    assert events[-1].kind == "ended" and "frames dropped" in result.err


def test_a_recording_has_the_same_events_as_a_live_file(
    run: RunCommand, shared_index: Path, video: Path, transcript: Path, tmp_path: Path
) -> None:
    rows: list[list[Any]] = []
    for name, options in (("recording", ()), ("live", ("--live",))):
        events = tmp_path / name
        result = run(
            *("watch", video, "-i", shared_index, "-t", transcript, "--events", events, *options)
        )
        assert result.status == 0, result.err
        rows.append([(r["id"], r["kind"], r["time_s"], r["product_id"]) for r in read_rows(events)])
    assert rows[0] == rows[1] and len(rows[0]) >= 2


def test_the_webhook_receives_each_event_signed(
    run: RunCommand,
    shared_index: Path,
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    requests: list[tuple[bytes, str]] = []

    class Shop(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((body, self.headers["X-Sgmn-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    monkeypatch.setenv("SHOP_SECRET", "hush")
    events = tmp_path / "e.jsonl"
    with HTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = run(
            *("watch", video, "-i", shared_index, "--live", "--events", events),
            *("--webhook", f"http://127.0.0.1:{server.server_port}/"),
            *("--webhook-secret-env", "SHOP_SECRET"),
        )
        server.shutdown()
    assert result.status == 0 and f"{len(requests)} delivered" in result.err, result.err
    assert [json.loads(body) for body, _ in requests] == read_rows(events)
    for body, signature in requests:
        assert signature == "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()
