"""A video sent as a livestream on loopback, by ffmpeg: whole, broken off, stalled or garbled.

A `Stage` is where it is sent to, a `Show` what is sent, a plan how. Frames are copied as they
are, and encoded anew only from the middle on, where a copy would begin too early, at a keyframe.
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
STALL_S = 7.0  # longer than the 5 s after which a source counts as stalled, no time-out yet
PIECE_S, PIECES = 2, 6
NOISE_BYTES = 2**20
_GLANCE_S = 0.05
_LOOPBACK = "127.0.0.1"
_PLAYLIST = "live.m3u8"
_COPY = ("-c:v", "copy")
_ENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-crf", "18")
_KEYFRAMES = ("-force_key_frames", f"expr:gte(t,n_forced*{PIECE_S})")


class Stage(NamedTuple):
    """Where a show can be watched, the arguments that send it there, and who is waited for."""

    address: str
    port: int
    output: Sequence[str]
    expected: Event  # somebody has asked for it; an ffmpeg that listens waits by itself


class Sender:
    """One ffmpeg on the air. `sent` are the frames' times in what it sends and on the wall."""

    def __init__(self, command: list[str], begin_s: float, log: Path) -> None:
        self.sent: list[tuple[float, float]] = []
        self._begin_s = begin_s
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        self._reader = Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    @property
    def position_s(self) -> float:
        """How far into the video it has come."""
        return self._begin_s + (self.sent[-1][0] if self.sent else 0.0)

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def _read(self, lines: IO[bytes]) -> None:
        """Each line of ffmpeg's "framecrc" is a frame: stream, dts, pts, and others."""
        tick = Fraction(1)
        for line in lines:
            if line.startswith(b"#tb 0:"):
                tick = Fraction(line.split(b":")[1].strip().decode())
            elif not line.startswith(b"#"):
                self.sent.append((float(int(line.split(b",")[2]) * tick), time()))


class Show:
    """The first `seconds` of a video, sent at `pace` times its own; ffmpeg's logs to `folder`."""

    def __init__(self, video: Path, seconds: float, pace: float, folder: Path) -> None:
        self.video, self.seconds, self.pace, self.folder = video, seconds, pace, folder
        self.senders: list[Sender] = []
        self.stopped = Event()

    def send(self, stage: Stage, begin_s: float = 0.0) -> Sender:
        """Send from `begin_s` on, to a stage that may have an audience to wait for."""
        self.until(stage.expected.is_set)
        length = ("-t", f"{self.seconds - begin_s:.3f}")
        command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-y"]
        command += ["-readrate", str(self.pace), "-ss", f"{begin_s:.3f}", "-i", str(self.video)]
        command += ["-map", "0:v:0", *length, *((*_ENCODE, *_KEYFRAMES) if begin_s else _COPY)]
        command += ["-flush_packets", "1", *stage.output]
        command += ["-map", "0:v:0", *length, *_COPY, "-flush_packets", "1"]
        command += ["-f", "framecrc", "pipe:1"]
        log = self.folder / f"ffmpeg-{len(self.senders) + 1}.log"
        self.senders.append(Sender(command, begin_s, log))
        return self.senders[-1]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, or nobody watches any more."""
        while not holds() and not self.stopped.wait(_GLANCE_S):
            pass

    def reach(self, sender: Sender, position_s: float) -> None:
        self.until(lambda: sender.position_s >= position_s or sender.is_over())

    def close(self) -> None:
        self.stopped.set()
        for sender in self.senders:
            sender.kill()


def whole(show: Show, stage: Stage) -> None:
    """Once, to its end."""
    show.until(show.send(stage).is_over)


def restarting(show: Show, stage: Stage) -> None:
    """Killed and started again where it was, RESTARTS times, and then to its end."""
    rng, sender = Random(0), show.send(stage)
    for number in range(1, RESTARTS + 1):
        show.reach(sender, show.seconds * number / (RESTARTS + 1))
        sender.kill()
        if show.stopped.wait(rng.uniform(*PAUSE_S)):
            return
        sender = show.send(stage, sender.position_s)
    show.until(sender.is_over)


def stalling(show: Show, stage: Stage) -> None:
    """Silent in the middle for STALL_S with the line open; then it makes up for it at once."""
    sender = show.send(stage)
    show.reach(sender, show.seconds / 2)
    sender.process.send_signal(signal.SIGSTOP)
    show.stopped.wait(STALL_S)
    sender.process.send_signal(signal.SIGCONT)
    show.until(sender.is_over)


def garbled(show: Show, stage: Stage) -> None:
    """Random bytes, once hanging up and once holding the line; then whole."""
    _noise(show, stage, hangs_up=True)
    _noise(show, stage, hangs_up=False)
    if not show.stopped.is_set():
        whole(show, stage)


def garbage(show: Show, stage: Stage) -> None:
    """Random bytes and nothing else."""
    while not show.stopped.is_set():
        _noise(show, stage, hangs_up=True)


def _noise(show: Show, stage: Stage, hangs_up: bool) -> None:
    with socket.create_server((_LOOPBACK, stage.port)) as server:
        line = _accepted(server, show.stopped)
    if line is None:
        return
    with line, suppress(OSError):  # who reads may have enough of it
        line.settimeout(60)
        line.sendall(Random(0).randbytes(NOISE_BYTES))
        if not hangs_up:
            line.recv(1)


def _accepted(server: socket.socket, stopped: Event) -> socket.socket | None:
    server.settimeout(_GLANCE_S)
    while not stopped.is_set():
        with suppress(TimeoutError):
            return server.accept()[0]
    return None


@contextmanager
def over_tcp(folder: Path) -> Iterator[Stage]:
    """MPEG-TS to whoever calls."""
    with socket.create_server((_LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    address, anybody = f"tcp://{_LOOPBACK}:{port}", Event()
    anybody.set()
    yield Stage(address, port, ("-f", "mpegts", f"{address}?listen=1"), anybody)


@contextmanager
def over_hls(folder: Path) -> Iterator[Stage]:
    """A sliding list of pieces on a web server, which writes its log to `folder`."""
    with (
        TemporaryDirectory() as pieces,
        (folder / "http.log").open("w", buffering=1) as log,
        _Pieces((_LOOPBACK, 0), partial(_Handler, directory=pieces)) as server,
    ):
        server.log = log
        Thread(target=server.serve_forever, daemon=True).start()
        output = ["-f", "hls", "-hls_time", str(PIECE_S), "-hls_list_size", str(PIECES)]
        output += ["-hls_flags", "delete_segments+append_list+temp_file"]
        output += ["-hls_segment_filename", f"{pieces}/%05d.ts", f"{pieces}/{_PLAYLIST}"]
        address = f"http://{_LOOPBACK}:{server.server_port}/{_PLAYLIST}"
        yield Stage(address, server.server_port, output, server.asked)
        server.shutdown()


class _Pieces(ThreadingHTTPServer):
    """`asked` is set once somebody wants to watch."""

    daemon_threads = True
    log: IO[str]

    def __init__(self, place: tuple[str, int], handler: Callable[..., _Handler]) -> None:
        super().__init__(place, handler)
        self.asked = Event()


class _Handler(SimpleHTTPRequestHandler):
    """Who asks before the first piece is there is answered when it is."""

    server: _Pieces

    def do_GET(self) -> None:
        self.server.asked.set()
        until_s = monotonic() + PIECE_S * 3
        while not Path(self.directory, _PLAYLIST).exists() and monotonic() < until_s:
            sleep(_GLANCE_S)
        with suppress(ConnectionError):  # who watches may leave in the middle of a piece
            super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        self.server.log.write(f"{time():.2f} {format % arguments}\n")
