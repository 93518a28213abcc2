"""One connection to a running stream: opened, decoded, timed, and given up in good time."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any

import av
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sgmn.media.address import Address
from sgmn.media.audio import AudioReader, Samples
from sgmn.media.container import LIBAV_ERRORS, describe_error, open_container
from sgmn.media.sampling import TIME_TOLERANCE_S, SamplingSchedule
from sgmn.media.stream_clock import StreamClock
from sgmn.media.video_decoding import DecodedFrame

AudioCallback = Callable[[float, Samples], None]
_GLANCE_S = 0.1  # how often who waits looks whether it still should


class ConnectionWatchdog:
    """How long one connection is waited for, and why it broke; None: it came to its end.

    It is over once `stopped` is set, or when it is not open after `open_timeout_s`, or when
    no frame comes for `read_timeout_s`.
    """

    def __init__(self, stopped: Event, open_timeout_s: float, read_timeout_s: float) -> None:
        self.why: str | None = None
        self.timeouts_s = (open_timeout_s, read_timeout_s)
        self._stopped = stopped
        self._limit_s, self._from_s = open_timeout_s, monotonic()
        self._heard_s: float | None = None

    def connect(self) -> None:
        """Somebody is at the other end, so from now on silence is noticed."""
        self._heard_s = monotonic()

    def hear(self) -> None:
        """The stream is open, or a frame came."""
        self._heard_s = self._from_s = monotonic()
        self._limit_s = self.timeouts_s[1]

    def disconnect(self) -> None:
        """Nobody is there any more who could be silent."""
        self._heard_s = None

    def is_over(self) -> bool:
        """Whether to stop waiting."""
        if monotonic() - self._from_s > self._limit_s:
            self.why = f"no frame came for {self._limit_s:g} s"
            return True
        return self._stopped.is_set()

    def silent_s(self) -> float:
        """Seconds without a frame while connected."""
        heard_s = self._heard_s
        return 0.0 if heard_s is None else monotonic() - heard_s


@contextmanager
def open_connection(address: Address, watch: ConnectionWatchdog) -> Iterator[InputContainer]:
    """Open an address for the length of a `with`.

    Raises MediaError for a file, one of LIBAV_ERRORS otherwise. libav opens in two steps, to
    the first answer and to the first pictures, and each may take the time for opening.
    """
    if address.kind == "file":
        with open_container(address.url) as container:
            yield container
        return
    # Else libav waits 90 s for the sound of an FLV stream that has none.
    look_us = round(watch.timeouts_s[0] / 4 * av.time_base)
    with (
        _source(address, watch) as source,
        av.open(
            source,
            "r",
            format=address.format,
            options={"analyzeduration": str(look_us), **address.options},
            metadata_errors="replace",
            timeout=watch.timeouts_s,
        ) as container,
    ):
        yield container


def describe_failure(error: BaseException) -> str:
    """Why a connection broke, in words without its address."""
    return "no answer in time" if isinstance(error, av.ExitError) else describe_error(error)


def decode_connection(
    container: InputContainer,
    stream: VideoStream,
    time: StreamClock,
    due: SamplingSchedule,
    faults: Counter[str],
    watch: ConnectionWatchdog,
    on_sound: AudioCallback | None = None,
) -> Iterator[DecodedFrame]:
    """Yield frames in order of time; every frame that is due is among them.

    Ends with the stream, where it breaks, or when `watch` is over, which then knows why.
    What cannot be decoded is counted in `faults`. `on_sound` hears the first audio track from
    the first frame on: seconds of the stream, and samples as `sound.audio` gives them.
    """
    stream.thread_type = "SLICE"  # frame threads hold back as many frames as there are cores
    time.connect(stream, faults)
    watch.hear()
    is_begun = False
    ear = None if on_sound is None else _ear(container, faults)
    for packet in _packets(container, stream, watch):
        if ear is not None and on_sound is not None and packet.stream.index == ear.index:
            for time_s, samples in ear.hear(packet, time.origin_s):
                on_sound(time_s, samples)
        if packet.stream.index != stream.index:
            continue
        at_s = time.seconds(packet.pts)
        early = at_s is not None and at_s < due.next_s - TIME_TOLERANCE_S
        stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"
        # Whoever joins a running stream first gets what leans on frames gone by: no damage.
        counted = faults if is_begun or packet.is_keyframe else Counter[str]()
        for frame in _pictures(packet, stream, counted):
            is_begun = True
            yield DecodedFrame(time.read(frame, monotonic()), frame, stream.sample_aspect_ratio)
            watch.hear()


def _ear(container: InputContainer, faults: Counter[str]) -> AudioReader | None:
    tracks = [s for s in container.streams.audio if s.codec_context is not None]
    if not tracks:
        faults["it has no sound that can be decoded, pictures go on alone"] += 1
    return AudioReader(tracks[0], faults) if tracks else None


def _packets(
    container: InputContainer, stream: VideoStream, watch: ConnectionWatchdog
) -> Iterator[Packet[Any]]:
    # Every stream is asked for: sound that goes on must not hide that pictures do not.
    packets = container.demux()
    while True:
        try:
            packet = next(packets, None)
        except LIBAV_ERRORS as error:
            watch.why = watch.why or describe_failure(error)
            return
        if packet is None or watch.is_over():
            return
        yield packet


def _pictures(
    packet: Packet[VideoStream], stream: VideoStream, faults: Counter[str]
) -> Iterator[VideoFrame]:
    if packet.is_corrupt:
        faults["a packet is incomplete"] += 1
    try:
        frames = stream.decode(packet)
    except LIBAV_ERRORS as error:  # one bad packet does not end a stream
        faults[f"a packet cannot be decoded ({describe_error(error)})"] += 1
        return
    for frame in frames:
        if frame.is_corrupt:
            faults["a frame is corrupt"] += 1
        else:
            yield frame


class _Feed:
    """What PyAV reads from in place of libav's own reading, which nothing can stop at once.

    Over means the end of the file: an error that is raised here PyAV prints when libav asks
    a second time.
    """

    def __init__(self, descriptor: int, watch: ConnectionWatchdog) -> None:
        self._descriptor, self._watch = descriptor, watch
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int) -> bytes:
        try:
            while not self._watch.is_over():
                if self._poll.poll(1000 * _GLANCE_S):
                    return os.read(self._descriptor, size)
        except OSError as error:
            self._watch.why = describe_failure(error)
        return b""


@contextmanager
def _source(address: Address, watch: ConnectionWatchdog) -> Iterator[str | _Feed]:
    if address.kind == "libav":
        yield address.url
    elif address.kind == "pipe":
        watch.connect()
        yield _Feed(sys.stdin.fileno(), watch)
    else:
        place = (address.host, address.port)
        with _caller(place, watch) if address.listens else _called(place, watch) as line:
            watch.connect()
            yield _Feed(line.fileno(), watch)


def _called(place: tuple[str, int], watch: ConnectionWatchdog) -> socket.socket:
    line = socket.create_connection(place, timeout=watch.timeouts_s[0])
    line.setblocking(True)
    return line


def _caller(place: tuple[str, int], watch: ConnectionWatchdog) -> socket.socket:
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    with socket.create_server(place, family=family, backlog=1) as server:
        server.settimeout(_GLANCE_S)
        while not watch.is_over():
            try:
                return server.accept()[0]
            except TimeoutError:
                continue
    raise TimeoutError("nobody sent anything")
