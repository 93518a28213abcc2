"""Live sources over each protocol: pipes, TCP, UDP, HTTP, HLS, RTMP and RTSP."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from sgmn.media.live_source import LiveSource
from tests.media.footage import frame_times, numbers_and_times, write_video
from tests.media.streaming import (
    QUICK,
    Script,
    StateRecorder,
    free_port,
    is_port_in_use,
    needs_ffmpeg,
    run_ffmpeg_sender,
    send_then_stay_silent,
    serve_folder,
    serve_tcp,
    wait_for_reconnects,
    wait_until,
    write_hls,
)

PATIENT = replace(QUICK, max_attempts=None)


@pytest.fixture
def web_address(tmp_path: Path) -> Iterator[str]:
    """The address of a web server for `tmp_path`."""
    with serve_folder(tmp_path) as address:
        yield address


def test_standard_input_ends_with_its_writer(
    short_stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_end, write_end = os.pipe()

    def write() -> None:
        os.write(write_end, short_stream)
        os.close(write_end)

    writer = threading.Thread(target=write)
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        writer.start()
        with LiveSource("-", settings=PATIENT) as source:
            assert numbers_and_times(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]
        writer.join()
        assert (source.state, source.reconnects) == ("ended", 0)


def test_standard_input_may_pause(short_stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = StateRecorder()
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as stdin, os.fdopen(write_end, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", stdin)
        writer.write(short_stream)
        settings = replace(PATIENT, read_timeout_s=2, open_timeout_s=8)
        with LiveSource("-", settings=settings, on_state=recorder) as source:
            assert len(list(islice(source, 3))) == 3
            wait_until(lambda: recorder.states.count("connecting") == 2)
            writer.write(short_stream)
            assert next(source).time_s > 2.0
            assert source.reconnects == 1


def test_a_sender_that_connects_over_tcp(short_stream: bytes) -> None:
    port = free_port()

    def push() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(short_stream)
        except OSError:
            return False
        return True

    settings = replace(PATIENT, open_timeout_s=20)
    with LiveSource(f"tcp-listen://127.0.0.1:{port}", settings=settings) as source:
        wait_until(push)
        assert numbers_and_times(islice(source, 3)) == [(0, 0.0), (10, 1.0), (20, 2.0)]


def test_mpeg_ts_over_udp(short_stream: bytes) -> None:
    port, done = free_port(), threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            while not done.is_set():  # the sender cannot know when the reader starts to listen
                for at in range(0, len(short_stream), 1316):
                    udp.sendto(short_stream[at : at + 1316], ("127.0.0.1", port))
                done.wait(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    with LiveSource(f"udp://127.0.0.1:{port}", settings=QUICK) as source:
        frames = list(islice(source, 5))
        done.set()
    thread.join()
    times = [f.time_s for f in frames]
    assert len(times) == 5 and times[0] == 0.0 and times == sorted(times)


def test_a_recording_on_a_web_server_ends_for_good(tmp_path: Path, web_address: str) -> None:
    write_video(tmp_path / "a.mp4", frame_times(3), container_options={"movflags": "faststart"})
    with LiveSource(f"{web_address}/a.mp4", settings=PATIENT) as source:
        assert numbers_and_times(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]
        assert source.state == "ended"


@needs_ffmpeg
def test_a_running_hls_stream_is_reconnected(tmp_path: Path, web_address: str) -> None:
    playlist = write_hls(tmp_path, "a.m3u8")
    with LiveSource(f"{web_address}/a.m3u8", settings=PATIENT) as source:
        assert [round(f.time_s, 3) for f in source] == [0.0, 1.0, 2.0, 3.0]
        assert source.state == "ended"
    running = playlist.read_text().replace("#EXT-X-ENDLIST\n", "")
    (tmp_path / "live.m3u8").write_text(running)
    settings = replace(PATIENT, read_timeout_s=2)
    with LiveSource(f"{web_address}/live.m3u8", settings=settings) as source:
        times = [f.time_s for f in islice(source, 5)]  # it starts three segments before its end
        assert times[:3] == pytest.approx([0.0, 1.0, 2.0]) and times == sorted(times)
        assert source.reconnects == 1


@needs_ffmpeg
def test_an_hls_stream_that_ends_is_not_read_again(tmp_path: Path, web_address: str) -> None:
    """After the end, a new connection would deliver everything that the playlist still lists."""
    complete = write_hls(tmp_path, "b.m3u8").read_text()
    running = tmp_path / "on.m3u8"
    running.write_text(complete.replace("#EXT-X-ENDLIST\n", ""))
    settings = replace(PATIENT, read_timeout_s=20, open_timeout_s=20)
    with LiveSource(f"{web_address}/on.m3u8", settings=settings) as source:
        times = [f.time_s for f in islice(source, 3)]
        running.write_text(complete)
        assert [*times, *(f.time_s for f in source)] == pytest.approx([0.0, 1.0, 2.0])
        assert source.state == "ended" and source.reconnects == 0


@needs_ffmpeg
@pytest.mark.slow
def test_rtmp_from_a_sender_that_connects_twice() -> None:
    port = free_port()
    stream = f"127.0.0.1:{port}/app/s3cret"
    settings = replace(PATIENT, open_timeout_s=25)
    with LiveSource(f"rtmp-listen://{stream}", rate_hz=5.0, settings=settings) as source:
        times: list[float] = []
        for reconnects in range(2):
            wait_until(lambda: is_port_in_use(port))
            with run_ffmpeg_sender("-f", "flv", f"rtmp://{stream}"):
                wait_for_reconnects(source, reconnects)
                times += [f.time_s for f in islice(source, 4)]
        assert source.reconnects == 1 and times == sorted(times)


@needs_ffmpeg
def test_rtmp_from_a_server() -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/app/s3cret"
    with (
        run_ffmpeg_sender("-listen", "1", "-f", "flv", url),
        LiveSource(url, settings=PATIENT) as source,
    ):
        assert [round(f.time_s, 1) for f in islice(source, 3)] == [0.0, 1.0, 2.0]


def rtsp_camera(data: bytes, requests: list[str]) -> Script:
    """Just enough RTSP to send MPEG-TS within the TCP connection of the client."""
    tracks = "v=0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
    headers = {
        "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(tracks)}\r\n",
        "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
    }

    def script(connection: socket.socket, over: threading.Event) -> None:
        lines = connection.makefile("r", newline="\r\n")
        method = ""
        while method != "PLAY":
            request = "".join(iter(lines.readline, "\r\n"))
            requests.append(request)
            method = request.split()[0]
            number = request.split("CSeq:")[1].split()[0]
            body = tracks if method == "DESCRIBE" else ""
            header = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{headers.get(method, '')}\r\n"
            connection.sendall(f"{header}{body}".encode())
        for i, at in enumerate(range(0, len(data), 1316)):
            packet = struct.pack(">BBHII", 0x80, 33, i, 3000 * i, 7) + data[at : at + 1316]
            connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
        send_then_stay_silent()(connection, over)

    return script


def test_rtsp_is_read_over_tcp(short_stream: bytes) -> None:
    requests: list[str] = []
    with serve_tcp(rtsp_camera(short_stream, requests)) as address:
        camera = address.replace("tcp://", "rtsp://") + "/1"
        with LiveSource(camera, settings=QUICK) as source:
            frames = numbers_and_times(islice(source, 3))
            assert frames == [(0, 0.0), (10, 1.0), (20, 2.0)]
    assert any(request.startswith("SETUP") and "RTP/AVP/TCP" in request for request in requests)
