"""Broken connections: reconnecting, stalls, noise and giving up."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.errors import MediaError
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.reconnecting_stream import backoff_delays
from tests.media.footage import numbers_and_times
from tests.media.streaming import (
    QUICK,
    StateRecorder,
    free_port,
    needs_ffmpeg,
    run_ffmpeg_sender,
    send_all,
    send_noise,
    send_then_stay_silent,
    serve_tcp,
    threads_of,
    wait_for_reconnects,
)


@pytest.mark.slow
def test_a_sender_that_restarts_three_times(short_stream: bytes) -> None:
    recorder, port = StateRecorder(), free_port()
    settings = replace(QUICK, max_attempts=40)
    frames: list[LiveFrame] = []
    with LiveSource(f"tcp://127.0.0.1:{port}", settings=settings, on_state=recorder) as source:
        for restarts in range(4):
            with serve_tcp(send_all(short_stream), port=port):
                frames += islice(source, 2)
                recorder.wait_for("connecting", restarts + 2)
            assert source.reconnects == restarts
        frames += source
    assert recorder.states == ["connecting", "running"] * 4 + ["connecting", "ended"]
    times = [f.time_s for f in frames]
    assert times == sorted(times) and times[0] == 0.0
    assert source.reconnects == 3 and len(times) >= 9


def test_time_follows_the_wall_clock_between_connections(short_stream: bytes) -> None:
    def send_late(connection: socket.socket, over: threading.Event) -> None:
        over.wait(1.5)
        connection.sendall(short_stream)

    with (
        serve_tcp(send_all(short_stream), send_late) as address,
        LiveSource(address, rate_hz=10.0, settings=replace(QUICK, max_attempts=2)) as source,
    ):
        frames = list(source)
    assert numbers_and_times(frames[:30]) == [(k, k / 10) for k in range(30)]
    first_after = frames[30]
    gap_s = first_after.wall_s - frames[29].wall_s
    assert gap_s > 1.4
    # A frame may be skipped as not due, so the gap may differ by two frames of a tenth.
    assert first_after.time_s - frames[29].time_s == pytest.approx(gap_s, abs=0.3)


@pytest.mark.parametrize("has_frames", [False, True])
def test_a_silent_sender_stalls_and_is_reconnected(short_stream: bytes, has_frames: bool) -> None:
    recorder = StateRecorder()
    settings = replace(QUICK, open_timeout_s=8, read_timeout_s=8, stall_timeout_s=2, max_attempts=2)
    first = send_then_stay_silent(short_stream if has_frames else b"")
    with (
        serve_tcp(first, send_all(short_stream)) as address,
        LiveSource(address, settings=settings, on_state=recorder) as source,
    ):
        frames = list(source)
    start = ["connecting", "running"] if has_frames else ["connecting"]
    assert recorder.states[: len(start) + 3] == [*start, "stalled", "connecting", "running"]
    assert source.reconnects == has_frames
    assert len(frames) >= (5 if has_frames else 3)


def test_noise_is_a_broken_connection(short_stream: bytes) -> None:
    settings = replace(QUICK, open_timeout_s=3, read_timeout_s=3, max_attempts=2)
    with (
        serve_tcp(send_noise, send_all(short_stream)) as address,
        LiveSource(address, settings=settings) as source,
    ):
        assert numbers_and_times(source) == [(0, 0.0), (10, 1.0), (20, 2.0)]


def test_noise_after_frames_is_a_broken_connection(short_stream: bytes) -> None:
    def send_frames_then_noise(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(short_stream)
        send_noise(connection, over)

    settings = replace(QUICK, open_timeout_s=2, read_timeout_s=1, max_attempts=2)
    with (
        serve_tcp(send_frames_then_noise, send_all(short_stream)) as address,
        LiveSource(address, settings=settings) as source,
    ):
        frames = list(source)
    assert source.reconnects == 1 and len(frames) >= 5


def test_a_stream_of_noise_is_refused() -> None:
    settings = replace(QUICK, open_timeout_s=0.5, read_timeout_s=0.5, max_attempts=2)
    message = r"no frame in 2 attempts \(last error: no frame arrived"
    with (
        serve_tcp(send_noise, send_noise) as address,
        LiveSource(address, settings=settings) as source,
        pytest.raises(MediaError, match=message),
    ):
        list(source)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://ann:s3cret@127.0.0.1:{port}",
        "rtmp://ann:s3cret@127.0.0.1:{port}/app/s3cret",
        "http://ann:s3cret@127.0.0.1:{port}/a.m3u8?token=s3cret",
        "rtsp://ann:s3cret@127.0.0.1:{port}/1",
    ],
)
def test_a_closed_port_is_given_up_without_exposing_secrets(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    thread_names: list[str] = []
    recorder = StateRecorder()

    def on_state(state: str, wall_s: float) -> None:
        recorder(state, wall_s)  # type: ignore[arg-type]
        thread_names.extend(thread.name for thread in threads_of(source))

    settings = replace(QUICK, max_attempts=3)
    source = LiveSource(address.format(port=free_port()), settings=settings, on_state=on_state)
    with source, pytest.raises(MediaError, match="no frame in 3 attempts") as raised:
        list(source)
    assert "127.0.0.1" in str(raised.value) and raised.value.remedy
    assert len(caplog.records) == 2 and "reconnecting in" in caplog.text
    assert recorder.states == ["connecting", "ended"] and thread_names
    for text in (str(raised.value), caplog.text, str(thread_names), source.name):
        assert "s3cret" not in text
    assert raised.value.__context__ is None and raised.value.__cause__ is None


@needs_ffmpeg
@pytest.mark.slow
def test_an_ffmpeg_sender_that_restarts_three_times() -> None:
    recorder, address = StateRecorder(), f"tcp://127.0.0.1:{free_port()}"
    times: list[float] = []
    settings = replace(QUICK, max_attempts=None)
    with LiveSource(address, rate_hz=5.0, settings=settings, on_state=recorder) as source:
        for restarts in range(4):
            with run_ffmpeg_sender("-f", "mpegts", f"{address}?listen=1"):
                wait_for_reconnects(source, restarts)
                times += [f.time_s for f in islice(source, 4)]
            recorder.wait_for("connecting", restarts + 2)
        assert source.reconnects == 3
    assert recorder.states == ["connecting", "running"] * 4 + ["connecting", "ended"]
    assert times == sorted(times) and times[0] == 0.0


@given(st.floats(0.01, 5), st.floats(0.01, 60), st.integers(0, 99))
def test_backoff_doubles_up_to_the_maximum_and_is_random(
    initial_s: float, max_s: float, seed: int
) -> None:
    delays = list(islice(backoff_delays(initial_s, max_s, Random(seed)), 12))
    for k, delay_s in enumerate(delays):
        full_s = min(initial_s * 2**k, max_s)
        assert full_s / 2 <= delay_s <= full_s
    assert delays == list(islice(backoff_delays(initial_s, max_s, Random(seed)), 12))
    assert delays != list(islice(backoff_delays(initial_s, max_s, Random(seed + 1)), 12))
