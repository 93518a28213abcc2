"""One connection to a live stream: open, decode, and stop waiting in time."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Any

import av
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sgmn.media.address import Address
from sgmn.media.audio import AudioReader, Samples, find_audio_stream
from sgmn.media.container import LIBAV_ERRORS, describe_error, open_container
from sgmn.media.overload import OverloadGuard
from sgmn.media.recorder import StreamRecorder
from sgmn.media.sampling import TIME_TOLERANCE_S, SamplingSchedule
from sgmn.media.stream_clock import StreamClock
from sgmn.media.video_decoding import DecodedFrame

AudioCallback = Callable[[float, Samples], None]
_POLL_INTERVAL_S = 0.1  # how often a waiting reader checks whether to stop


class ConnectionWatchdog:
    """Decides when to stop waiting for one connection.

    The connection is over once `stop_event` is set, if it does not open within
    `open_timeout_s`, or if no frame arrives for `read_timeout_s`.

    Attributes:
        timeouts_s: The two timeouts, to open and to read.
        failure: Why the connection broke; None while it is fine or if it ended regularly.
    """

    def __init__(self, stop_event: Event, open_timeout_s: float, read_timeout_s: float) -> None:
        self.failure: str | None = None
        self.timeouts_s = (open_timeout_s, read_timeout_s)
        self._stop_event = stop_event
        self._limit_s, self._wait_start_s = open_timeout_s, monotonic()
        self._last_activity_s: float | None = None

    def mark_connected(self) -> None:
        """Start measuring silence: a sender is connected."""
        self._last_activity_s = monotonic()

    def mark_activity(self) -> None:
        """Restart the read timeout: the stream is open, or a frame arrived."""
        self._last_activity_s = self._wait_start_s = monotonic()
        self._limit_s = self.timeouts_s[1]

    def mark_disconnected(self) -> None:
        """Stop measuring silence: no sender is connected."""
        self._last_activity_s = None

    def is_over(self) -> bool:
        """Whether to stop waiting; sets `failure` after a timeout."""
        if monotonic() - self._wait_start_s > self._limit_s:
            self.failure = f"no frame arrived for {self._limit_s:g} s"
            return True
        return self._stop_event.is_set()

    def silence_s(self) -> float:
        """Return the seconds without a frame while connected."""
        last_activity_s = self._last_activity_s
        return 0.0 if last_activity_s is None else monotonic() - last_activity_s


@contextmanager
def open_connection(address: Address, watchdog: ConnectionWatchdog) -> Iterator[InputContainer]:
    """Open an address as a context manager.

    libav opens a stream in two steps, to the first response and to the first pictures. Each
    step may take the timeout for opening. Raises MediaError for a file, and one of LIBAV_ERRORS
    for any other address.
    """
    if address.kind == "file":
        with open_container(address.url) as container:
            yield container
        return
    # Otherwise libav waits 90 s for the audio of an FLV stream that has none.
    analyze_us = round(watchdog.timeouts_s[0] / 4 * av.time_base)
    with (
        _open_input(address, watchdog) as source,
        av.open(
            source,
            "r",
            format=address.format,
            options={"analyzeduration": str(analyze_us), **address.options},
            metadata_errors="replace",
            timeout=watchdog.timeouts_s,
        ) as container,
    ):
        yield container


def describe_failure(error: BaseException) -> str:
    """Return why a connection broke, without its address."""
    return "no response in time" if isinstance(error, av.ExitError) else describe_error(error)


@dataclass(frozen=True)
class ConnectionDecoder:
    """Decodes the frames, and optionally the audio, of one connection.

    Attributes:
        container: The open connection.
        stream: Its video stream.
        clock: Computes the times; shared by all connections of a stream.
        schedule: The times to sample. The caller advances it.
        faults: Counts what cannot be decoded, by description.
        watchdog: Ends the connection, and knows why.
        on_audio: Receives the first audio track from the first frame on: time in seconds of the
            stream, and float32 samples (N,) at 16 kHz. It must not block.
        recorder: Records the packets.
        guard: Decides which packets are decoded; None for all.
    """

    container: InputContainer
    stream: VideoStream
    clock: StreamClock
    schedule: SamplingSchedule
    faults: Counter[str]
    watchdog: ConnectionWatchdog
    on_audio: AudioCallback | None = None
    recorder: StreamRecorder | None = None
    guard: OverloadGuard | None = None

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield frames in order of time, including every frame that is due.

        Ends when the stream ends or breaks, or when the watchdog stops it.
        """
        self.stream.thread_type = "SLICE"  # frame threads delay as many frames as there are cores
        self.clock.start_connection(self.stream, self.faults)
        self.watchdog.mark_activity()
        has_frame = False
        audio_reader = None if self.on_audio is None else self._create_audio_reader()
        for packet in self._recorded_packets():
            if audio_reader is not None and packet.stream.index == audio_reader.index:
                self._forward_audio(audio_reader, packet)
            if packet.stream.index != self.stream.index:
                continue
            if not self._is_needed(packet):
                self.clock.pass_over(packet.pts)
                self.watchdog.mark_activity()
                continue
            self._select_skipping(packet)
            # A reader that joins a running stream first receives frames whose references it
            # has missed. That is not damage.
            faults = self.faults if has_frame or packet.is_keyframe else Counter[str]()
            drain = self.guard is not None and self.guard.skips
            for frame in _decode_packet(packet, self.stream, faults, drain):
                has_frame = True
                time_s = self.clock.advance(frame, monotonic())
                yield DecodedFrame(time_s, frame, self.stream.sample_aspect_ratio)
                self.watchdog.mark_activity()

    def _create_audio_reader(self) -> AudioReader | None:
        stream = find_audio_stream(self.container)
        if stream is None:
            self.faults["it has no audio that can be decoded; only its video is used"] += 1
            return None
        return AudioReader(stream, self.faults)

    def _forward_audio(self, reader: AudioReader, packet: Packet[Any]) -> None:
        assert self.on_audio is not None
        for time_s, samples in reader.read(packet, self.clock.origin_s):
            self.on_audio(time_s, samples)

    def _is_needed(self, packet: Packet[VideoStream]) -> bool:
        if self.guard is None:
            return True
        time_s, now_s = self.clock.pts_to_s(packet.pts), monotonic()
        return self.guard.is_needed(packet.is_keyframe, time_s, now_s)

    def _select_skipping(self, packet: Packet[VideoStream]) -> None:
        """Skip frames that are not due and that no other frame references."""
        time_s = self.clock.pts_to_s(packet.pts)
        is_early = time_s is not None and time_s < self.schedule.next_s - TIME_TOLERANCE_S
        self.stream.codec_context.skip_frame = "NONREF" if is_early else "DEFAULT"

    def _recorded_packets(self) -> Iterator[Packet[Any]]:
        recorder = self.recorder
        if recorder is None:
            yield from self._packets()
            return
        recorder.begin_connection(self.container, self.stream, self.clock)
        try:
            for packet in self._packets():
                recorder.write(packet)
                yield packet
        finally:
            recorder.end_connection()

    def _packets(self) -> Iterator[Packet[Any]]:
        # All streams are demuxed, so that continuing audio does not hide missing video.
        packets = self.container.demux()
        while True:
            wait_start_s = monotonic()
            try:
                packet = next(packets, None)
            except LIBAV_ERRORS as error:
                self.watchdog.failure = self.watchdog.failure or describe_failure(error)
                return
            if self.guard is not None:
                self.guard.add_wait(monotonic() - wait_start_s)
            if packet is None or self.watchdog.is_over():
                return
            yield packet


def _decode_packet(
    packet: Packet[VideoStream], stream: VideoStream, faults: Counter[str], drain: bool
) -> Iterator[VideoFrame]:
    """Decode a packet; with `drain`, its frame does not wait for those of the next packets."""
    if packet.is_corrupt:
        faults["a packet is incomplete"] += 1
    try:
        frames = stream.decode(packet)
        if drain and packet.size:
            frames += stream.decode(None)
            stream.codec_context.flush_buffers()
    except LIBAV_ERRORS as error:  # one bad packet does not end a stream
        faults[f"a packet cannot be decoded ({describe_error(error)})"] += 1
        return
    for frame in frames:
        if frame.is_corrupt:
            faults["a frame is corrupt"] += 1
        else:
            yield frame


class _InterruptibleInput:
    """Input for PyAV that can be stopped at once, unlike libav's own input.

    Stopping looks like the end of the file, because PyAV prints an error that is raised here
    when libav reads a second time.
    """

    def __init__(self, descriptor: int, watchdog: ConnectionWatchdog) -> None:
        self._descriptor, self._watchdog = descriptor, watchdog
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int) -> bytes:
        try:
            while not self._watchdog.is_over():
                if self._poll.poll(1000 * _POLL_INTERVAL_S):
                    return os.read(self._descriptor, size)
        except OSError as error:
            self._watchdog.failure = describe_failure(error)
        return b""


@contextmanager
def _open_input(
    address: Address, watchdog: ConnectionWatchdog
) -> Iterator[str | _InterruptibleInput]:
    if address.kind == "libav":
        yield address.url
    elif address.kind == "pipe":
        watchdog.mark_connected()
        yield _InterruptibleInput(sys.stdin.fileno(), watchdog)
    else:
        connect = _accept_sender if address.is_listener else _connect_to_sender
        with connect((address.host, address.port), watchdog) as connection:
            watchdog.mark_connected()
            yield _InterruptibleInput(connection.fileno(), watchdog)


def _connect_to_sender(
    host_and_port: tuple[str, int], watchdog: ConnectionWatchdog
) -> socket.socket:
    connection = socket.create_connection(host_and_port, timeout=watchdog.timeouts_s[0])
    connection.setblocking(True)
    return connection


def _accept_sender(host_and_port: tuple[str, int], watchdog: ConnectionWatchdog) -> socket.socket:
    family = socket.AF_INET6 if ":" in host_and_port[0] else socket.AF_INET
    with socket.create_server(host_and_port, family=family, backlog=1) as server:
        server.settimeout(_POLL_INTERVAL_S)
        while not watchdog.is_over():
            try:
                return server.accept()[0]
            except TimeoutError:
                continue
    raise TimeoutError("no sender connected")
