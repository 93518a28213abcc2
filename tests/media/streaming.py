"""Live streams on the loopback interface, and helpers to observe their readers."""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgmn.media.live_source import LiveSource, SourceSettings, SourceState

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
# Short pauses, and no state that depends on the load of the machine.
QUICK = SourceSettings(
    open_timeout_s=5,
    read_timeout_s=5,
    initial_backoff_s=0.02,
    max_backoff_s=0.05,
    max_attempts=1,
    stall_timeout_s=60,
    queue_frames=100,
)

# Serves one connection. The event is set when the test is over.
Script = Callable[[socket.socket, threading.Event], None]


class StateRecorder:
    """An `on_state` callback that records the states and their wall clock times."""

    def __init__(self) -> None:
        self.states: list[SourceState] = []
        self.times: list[float] = []

    def __call__(self, state: SourceState, wall_s: float) -> None:
        self.states.append(state)
        self.times.append(wall_s)

    def wait_for(self, state: SourceState, count: int) -> None:
        """Wait until a state has been reported a number of times."""
        wait_until(lambda: self.states.count(state) == count)


def wait_until(condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
    """Wait until a condition holds; fail after a timeout."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition was never met"
        time.sleep(0.01)


def wait_for_reconnects(source: LiveSource, count: int) -> None:
    """Wait until a source delivers frames of its next connection."""
    wait_until(lambda: source.state == "running" and source.reconnects == count)


def threads_of(source: LiveSource) -> list[threading.Thread]:
    """The running threads of a source."""
    return [thread for thread in threading.enumerate() if thread.name.endswith(source.name)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_port_in_use(port: int) -> bool:
    """Whether a server listens, tested without connecting: it may accept only one connection."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


@contextmanager
def serve_tcp(*scripts: Script, port: int = 0) -> Iterator[str]:
    """Serve each connection over TCP with the next script, then refuse connections."""
    server = socket.create_server(("127.0.0.1", port))
    address, over = f"tcp://127.0.0.1:{server.getsockname()[1]}", threading.Event()

    def serve() -> None:
        for script in scripts:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            with connection, suppress(OSError):  # the reader disconnected
                script(connection, over)
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield address
    finally:
        over.set()
        with suppress(OSError):  # it is closed already
            server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


def send_all(data: bytes | bytearray) -> Script:
    """Send all data and disconnect."""
    return lambda connection, over: connection.sendall(data)


def send_then_stay_silent(data: bytes = b"", connected: threading.Event | None = None) -> Script:
    """Send all data and stay connected; sets `connected` at the start."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        if connected is not None:
            connected.set()
        connection.sendall(data)
        while not over.is_set():
            if select.select([connection], [], [], 0.05)[0] and not connection.recv(4096):
                return

    return script


def send_noise(connection: socket.socket, over: threading.Event) -> None:
    """Send random bytes until the reader disconnects."""
    rng = np.random.default_rng(5)
    while not over.is_set():
        connection.sendall(rng.bytes(4096))


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the files of a folder over HTTP."""

    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


FFMPEG = ["ffmpeg", "-v", "error", "-nostdin"]
TEST_PATTERN = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"]


@contextmanager
def run_ffmpeg_sender(*arguments: str) -> Iterator[None]:
    """Send a test pattern in real time until the block ends."""
    process = subprocess.Popen([*FFMPEG, "-re", *TEST_PATTERN, *H264, *arguments])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def write_hls(folder: Path, name: str, *inputs: str) -> Path:
    """Write an HLS stream with segments of one second, using the test pattern by default."""
    segments = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", str(folder / name)]
    source = [*inputs, "-c", "copy"] if inputs else [*TEST_PATTERN, "-t", "4", *H264]
    subprocess.run([*FFMPEG, *source, *segments], check=True)
    return folder / name
