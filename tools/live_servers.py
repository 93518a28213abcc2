"""Send a video as a live stream on the loopback interface with ffmpeg: intact, or with faults.

An `Endpoint` is the address of the stream, a `Broadcast` sends a video there, a plan decides how.
Frames are copied without re-encoding, except when sending starts in the middle of the video: a copy
would start too early, at a keyframe.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep, time
from typing import IO, NamedTuple

RESTARTS, PAUSE_S = 5, (2.0, 4.0)
STALL_S = 7.0  # longer than the 5 s after which a source counts as stalled; shorter than a time-out
SEGMENT_S, SEGMENTS = 2, 6  # of a playlist
NOISE_BYTES = 2**20
POLL_INTERVAL_S = 0.05
LOOPBACK = "127.0.0.1"
PLAYLIST = "live.m3u8"
COPY = ("-c:v", "copy")
COPY_SOUND = ("-map", "0:a:0", "-c:a", "copy")
ENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-crf", "18")
KEYFRAMES = ("-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_S})")


class Endpoint(NamedTuple):
    """Where a stream can be watched, and the ffmpeg arguments that send it there.

    `is_requested` is set once a client has connected; an ffmpeg that listens waits by itself.
    """

    address: str
    port: int
    output: Sequence[str]
    is_requested: Event


class Sender:
    """A running ffmpeg. `sent` are the times of the frames in its output and on the wall clock."""

    def __init__(self, command: list[str], start_s: float, log: Path) -> None:
        self.sent: list[tuple[float, float]] = []
        self._start_s = start_s
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        self._reader = Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    @property
    def position_s(self) -> float:
        """The position in the video."""
        return self._start_s + (self.sent[-1][0] if self.sent else 0.0)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def _read(self, lines: IO[bytes]) -> None:
        """Read ffmpeg's "framecrc" output: one line per frame with stream, dts, pts and others."""
        tick = Fraction(1)
        for line in lines:
            if line.startswith(b"#tb 0:"):
                tick = Fraction(line.split(b":")[1].strip().decode())
            elif not line.startswith(b"#"):
                self.sent.append((float(int(line.split(b",")[2]) * tick), time()))


class Broadcast:
    """Sends the first `seconds` of a video, at `pace` times its speed; ffmpeg logs to `folder`.

    `sound` holds the ffmpeg arguments for its sound, which is left out by default.
    """

    def __init__(
        self, video: Path, seconds: float, pace: float, folder: Path, sound: Sequence[str] = ()
    ) -> None:
        self.video, self.seconds, self.pace, self.folder = video, seconds, pace, folder
        self.sound = sound
        self.senders: list[Sender] = []
        self.stopped = Event()

    def send(self, endpoint: Endpoint, start_s: float = 0.0) -> Sender:
        """Start sending from `start_s`, after a client has connected."""
        self.wait_until(endpoint.is_requested.is_set)
        length = ("-t", f"{self.seconds - start_s:.3f}")
        command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-y"]
        command += ["-readrate", str(self.pace), "-ss", f"{start_s:.3f}", "-i", str(self.video)]
        command += ["-map", "0:v:0", *length, *((*ENCODE, *KEYFRAMES) if start_s else COPY)]
        command += self.sound
        command += ["-flush_packets", "1", *endpoint.output]
        command += ["-map", "0:v:0", *length, *COPY, "-flush_packets", "1"]
        command += ["-f", "framecrc", "pipe:1"]
        log = self.folder / f"ffmpeg-{len(self.senders) + 1}.log"
        self.senders.append(Sender(command, start_s, log))
        return self.senders[-1]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, or until the broadcast is stopped."""
        while not condition() and not self.stopped.wait(POLL_INTERVAL_S):
            pass

    def wait_for_position(self, sender: Sender, position_s: float) -> None:
        self.wait_until(lambda: sender.position_s >= position_s or sender.has_ended())

    def close(self) -> None:
        self.stopped.set()
        for sender in self.senders:
            sender.kill()


def send_whole(broadcast: Broadcast, endpoint: Endpoint) -> None:
    """Send the video once, to its end."""
    broadcast.wait_until(broadcast.send(endpoint).has_ended)


def send_with_restarts(broadcast: Broadcast, endpoint: Endpoint) -> None:
    """Kill the sender RESTARTS times and continue where it was, then send to the end."""
    rng, sender = Random(0), broadcast.send(endpoint)
    for number in range(1, RESTARTS + 1):
        broadcast.wait_for_position(sender, broadcast.seconds * number / (RESTARTS + 1))
        sender.kill()
        if broadcast.stopped.wait(rng.uniform(*PAUSE_S)):
            return
        sender = broadcast.send(endpoint, sender.position_s)
    broadcast.wait_until(sender.has_ended)


def send_with_stall(broadcast: Broadcast, endpoint: Endpoint) -> None:
    """Pause in the middle for STALL_S with an open connection, then catch up at once."""
    sender = broadcast.send(endpoint)
    broadcast.wait_for_position(sender, broadcast.seconds / 2)
    sender.process.send_signal(signal.SIGSTOP)
    broadcast.stopped.wait(STALL_S)
    sender.process.send_signal(signal.SIGCONT)
    broadcast.wait_until(sender.has_ended)


def send_after_noise(broadcast: Broadcast, endpoint: Endpoint) -> None:
    """Send random bytes twice, closing and then holding the connection; then the whole video."""
    _send_noise(broadcast, endpoint, closes=True)
    _send_noise(broadcast, endpoint, closes=False)
    if not broadcast.stopped.is_set():
        send_whole(broadcast, endpoint)


def send_noise_only(broadcast: Broadcast, endpoint: Endpoint) -> None:
    """Send random bytes and nothing else."""
    while not broadcast.stopped.is_set():
        _send_noise(broadcast, endpoint, closes=True)


def _send_noise(broadcast: Broadcast, endpoint: Endpoint, closes: bool) -> None:
    with socket.create_server((LOOPBACK, endpoint.port)) as server:
        connection = _accept(server, broadcast.stopped)
    if connection is None:
        return
    with connection, suppress(OSError):  # the reader may close the connection first
        connection.settimeout(60)
        connection.sendall(Random(0).randbytes(NOISE_BYTES))
        if not closes:
            connection.recv(1)


def _accept(server: socket.socket, stopped: Event) -> socket.socket | None:
    server.settimeout(POLL_INTERVAL_S)
    while not stopped.is_set():
        with suppress(TimeoutError):
            return server.accept()[0]
    return None


@contextmanager
def serve_tcp(folder: Path) -> Iterator[Endpoint]:
    """MPEG-TS for the first client that connects."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    address, is_requested = f"tcp://{LOOPBACK}:{port}", Event()
    is_requested.set()
    yield Endpoint(address, port, ("-f", "mpegts", f"{address}?listen=1"), is_requested)


@contextmanager
def serve_hls(folder: Path) -> Iterator[Endpoint]:
    """A sliding playlist on a web server, which writes its log to `folder`."""
    with (
        TemporaryDirectory() as segments,
        (folder / "http.log").open("w", buffering=1) as log,
        _SegmentServer((LOOPBACK, 0), partial(_Handler, directory=segments)) as server,
    ):
        server.log = log
        Thread(target=server.serve_forever, daemon=True).start()
        output = ["-f", "hls", "-hls_time", str(SEGMENT_S), "-hls_list_size", str(SEGMENTS)]
        output += ["-hls_flags", "delete_segments+append_list+temp_file"]
        output += ["-hls_segment_filename", f"{segments}/%05d.ts", f"{segments}/{PLAYLIST}"]
        address = f"http://{LOOPBACK}:{server.server_port}/{PLAYLIST}"
        yield Endpoint(address, server.server_port, output, server.is_requested)
        server.shutdown()


class _SegmentServer(ThreadingHTTPServer):
    """`is_requested` is set by the first request."""

    daemon_threads = True
    log: IO[str]

    def __init__(self, address: tuple[str, int], handler: Callable[..., _Handler]) -> None:
        super().__init__(address, handler)
        self.is_requested = Event()


class _Handler(SimpleHTTPRequestHandler):
    """Holds a request that comes before the first segment until the playlist exists."""

    server: _SegmentServer

    def do_GET(self) -> None:
        self.server.is_requested.set()
        until_s = monotonic() + SEGMENT_S * 3
        while not Path(self.directory, PLAYLIST).exists() and monotonic() < until_s:
            sleep(POLL_INTERVAL_S)
        with suppress(ConnectionError):  # the client may leave in the middle of a segment
            super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        self.server.log.write(f"{time():.2f} {format % arguments}\n")
