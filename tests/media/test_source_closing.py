"""Closing a live source ends its threads, its connections and its consumers."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.media.live_source import LiveFrame, LiveSource, SourceState
from tests.media.streaming import (
    QUICK,
    StateRecorder,
    free_port,
    is_port_in_use,
    send_then_stay_silent,
    serve_tcp,
    threads_of,
    wait_until,
)


def test_closing_ends_a_reader_that_waits_for_the_other_side() -> None:
    # The test for the port may take it just when the source wants it, which then tries again.
    settings = replace(QUICK, open_timeout_s=60, read_timeout_s=60, max_attempts=None)
    connected, port = threading.Event(), free_port()
    with serve_tcp(send_then_stay_silent(connected=connected)) as address:
        for waiting, is_waiting in (
            (address, connected.is_set),
            (f"tcp-listen://127.0.0.1:{port}", lambda: is_port_in_use(port)),
        ):
            with LiveSource(waiting, settings=settings) as source:
                wait_until(is_waiting)
            assert source.state == "ended"
            wait_until(lambda: not threads_of(source))
            assert list(source) == []


def test_a_reader_blocked_in_libav_ends_at_its_timeout() -> None:
    recorder, connected = StateRecorder(), threading.Event()
    settings = replace(QUICK, open_timeout_s=2, max_attempts=None)
    with serve_tcp(send_then_stay_silent(connected=connected)) as address:
        url = address.replace("tcp://", "http://")
        with LiveSource(url, settings=settings, on_state=recorder) as source:
            wait_until(connected.is_set)
        assert source.state == "ended" and list(source) == []
        wait_until(lambda: not threads_of(source))
    assert recorder.states == ["connecting", "ended"]


@pytest.mark.slow
def test_closing_leaves_no_thread_and_no_file_open(short_stream: bytes) -> None:
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir():
        pytest.skip("this system does not list open files")

    def read_one_frame(address: str) -> None:
        with LiveSource(address, settings=QUICK) as source:
            next(source)

    with serve_tcp(*[send_then_stay_silent(short_stream)] * 21) as address:
        read_one_frame(address)
        thread_count, file_count = threading.active_count(), len([*open_files.iterdir()])
        for _ in range(20):
            read_one_frame(address)
        wait_until(lambda: threading.active_count() <= thread_count)
        wait_until(lambda: len([*open_files.iterdir()]) <= file_count)


def test_a_consumer_in_another_thread_is_released_while_libav_is_blocked() -> None:
    settings, connected = replace(QUICK, open_timeout_s=60), threading.Event()
    with serve_tcp(send_then_stay_silent(connected=connected)) as address:
        with LiveSource(address.replace("tcp", "http"), settings=settings) as source:
            results: list[list[LiveFrame]] = []
            consumer = threading.Thread(target=lambda: results.append(list(source)))
            consumer.start()
            wait_until(connected.is_set)
            source.close()
            consumer.join(10)
        assert results == [[]] and threads_of(source)
    wait_until(lambda: not threads_of(source), timeout_s=10)


def test_the_state_callback_may_close_the_source(short_stream: bytes) -> None:
    recorder = StateRecorder()

    def close_when_running(state: SourceState, wall_s: float) -> None:
        recorder(state, wall_s)
        if state == "running":
            source.close()

    with serve_tcp(send_then_stay_silent(short_stream)) as address:
        source = LiveSource(address, settings=QUICK, on_state=close_when_running)
        with source:
            assert list(source) == []
    assert recorder.states == ["connecting", "running", "ended"]


def test_an_error_in_the_state_callback_is_raised_and_closes_the_connection(
    short_stream: bytes,
) -> None:
    disconnected = threading.Event()

    def script(connection: socket.socket, over: threading.Event) -> None:
        send_then_stay_silent(short_stream)(connection, over)
        if not over.is_set():
            disconnected.set()

    def fail(state: SourceState, wall_s: float) -> None:
        if state == "running":
            raise ArithmeticError("from the callback")

    with (
        serve_tcp(script) as address,
        LiveSource(address, settings=QUICK, on_state=fail) as source,
    ):
        with pytest.raises(ArithmeticError, match="from the callback"):
            list(source)
        wait_until(disconnected.is_set)
