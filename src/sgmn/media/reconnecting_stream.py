"""Decode a live stream, reconnecting when a connection breaks."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from random import Random
from threading import Event
from typing import NamedTuple

from av.container import InputContainer
from av.video.stream import VideoStream

from sgmn.errors import MediaError
from sgmn.media.address import Address
from sgmn.media.connection import (
    AudioCallback,
    ConnectionDecoder,
    ConnectionWatchdog,
    describe_failure,
    open_connection,
)
from sgmn.media.container import LIBAV_ERRORS, REEXPORT_REMEDY, find_video_stream
from sgmn.media.overload import OverloadGuard
from sgmn.media.recorder import StreamRecorder
from sgmn.media.sampling import SamplingSchedule
from sgmn.media.source_settings import SourceSettings
from sgmn.media.stream_clock import StreamClock
from sgmn.media.video_decoding import DecodedFrame

_LOG = logging.getLogger("sgmn.media")


def backoff_delays(initial_s: float, max_s: float, rng: Random) -> Iterator[float]:
    """Yield the seconds to wait before each new attempt: doubling up to `max_s`, half random.

    Randomness prevents many readers of one server from reconnecting at the same moment.
    """
    delay_s = min(initial_s, max_s)
    while True:
        yield delay_s * rng.uniform(0.5, 1.0)
        delay_s = min(2 * delay_s, max_s)


class _ConnectionEnd(NamedTuple):
    """How a connection ended: whether the stream ends with it, and what broke, if anything."""

    is_final: bool
    failure: str | None


class ReconnectingStream:
    """Decodes an address over as many connections as necessary.

    A file, a recording on a web server and standard input end with their first connection. Any
    other stream reconnects until `max_attempts` connections in a row have delivered no frame.

    Args:
        address: The address of the stream.
        settings: Timeouts and retries.
        rng: Randomizes the pauses between attempts.
        stop_event: Ends the stream when set.
        on_disconnect: Called before each pause.
        on_audio: Receives the audio, see `ConnectionDecoder`.
        recorder: Records the packets.
        guard: Decides which packets are decoded; None for all.

    Attributes:
        faults: Counts what cannot be decoded, by description.
        is_recording: Whether the address is a recording, which starts anew with each connection;
            None before the first connection.
    """

    def __init__(
        self,
        address: Address,
        settings: SourceSettings,
        rng: Random,
        stop_event: Event,
        on_disconnect: Callable[[], None],
        on_audio: AudioCallback | None = None,
        recorder: StreamRecorder | None = None,
        guard: OverloadGuard | None = None,
    ) -> None:
        self.faults: Counter[str] = Counter()
        self.is_recording: bool | None = None
        self._address, self._settings, self._rng = address, settings, rng
        self._stop_event, self._on_disconnect = stop_event, on_disconnect
        self._on_audio, self._recorder, self._guard = on_audio, recorder, guard
        self._clock = StreamClock(settings.max_jump_s)
        self._watchdog = self._new_watchdog()
        self._connections = 0  # that delivered frames

    @property
    def reconnects(self) -> int:
        """How often the stream delivered frames again after a connection was lost."""
        return max(0, self._connections - 1)

    @property
    def origin_s(self) -> float | None:
        """See `StreamClock.origin_s`."""
        return self._clock.origin_s

    def silence_s(self) -> float:
        """Return the seconds without a frame while connected."""
        return self._watchdog.silence_s()

    def frames(self, schedule: SamplingSchedule) -> Generator[DecodedFrame, None, None]:
        """Yield frames in order of time, including every frame that is due.

        Raises MediaError if the stream ends without a frame.
        """
        failures, delays = 0, self._backoff_delays()
        while not self._stop_event.is_set():
            connections_before = self._connections
            end = yield from self._read_connection(schedule)
            # libav's objects are in reference cycles, and too small for Python to collect soon.
            gc.collect()
            if self._stop_event.is_set():
                return
            if end.is_final:
                return self._finish(end.failure)
            failures += 1
            if self._connections > connections_before:
                failures, delays = 0, self._backoff_delays()
            if failures == self._settings.max_attempts:
                attempts = f"{failures} attempt{'s' if failures != 1 else ''}"
                message = f"delivered no frame in {attempts} (last error: {end.failure})"
                return self._give_up(message)
            self._pause(next(delays), end.failure or "the stream ended")

    def _read_connection(
        self, schedule: SamplingSchedule
    ) -> Generator[DecodedFrame, None, _ConnectionEnd]:
        watchdog = self._watchdog = self._new_watchdog()
        with ExitStack() as stack:
            stack.callback(watchdog.mark_disconnected)
            try:
                container = stack.enter_context(open_connection(self._address, watchdog))
                stream = find_video_stream(container, self._address.name)
            except MediaError as error:
                if not self._address.is_live:
                    raise
                return _ConnectionEnd(False, watchdog.failure or error.message)
            except LIBAV_ERRORS as error:
                return _ConnectionEnd(False, watchdog.failure or describe_failure(error))
            if self._connections and _is_recording(self._address, container):
                # The playlist of a live stream that has ended; all of it is in the past.
                return _ConnectionEnd(True, None)
            self.is_recording = not self._address.is_live or _is_recording(self._address, container)
            yield from self._decode(container, stream, schedule)
            is_recorded = not self._address.is_live or _is_recording(self._address, container)
            is_closed_pipe = self._address.kind == "pipe" and watchdog.failure is None
            return _ConnectionEnd(is_recorded or is_closed_pipe, watchdog.failure)

    def _decode(
        self, container: InputContainer, stream: VideoStream, schedule: SamplingSchedule
    ) -> Iterator[DecodedFrame]:
        guard = None if self.is_recording else self._guard  # a recording can wait
        if guard is not None:
            guard.begin_connection()
        decoder = ConnectionDecoder(
            container,
            stream,
            self._clock,
            schedule,
            self.faults,
            self._watchdog,
            self._on_audio,
            self._recorder,
            guard,
        )
        for index, frame in enumerate(decoder.frames()):
            self._connections += index == 0
            yield frame

    def _finish(self, failure: str | None) -> None:
        if not self._connections:
            raise self._no_frames_error(failure or "has no readable frame")
        if failure is not None:
            self.faults[f"reading stops early ({failure})"] += 1

    def _give_up(self, message: str) -> None:
        if not self._connections:
            raise self._no_frames_error(message)
        _LOG.warning(f"{self._address.name}: {message}; the stream is considered ended")

    def _no_frames_error(self, message: str) -> MediaError:
        if not self._address.is_live:
            return MediaError(message, self._address.name, REEXPORT_REMEDY)
        remedy = "check the address and the sender"
        if self._address.is_listener:
            remedy = "start the sender"
        return MediaError(message, self._address.name, remedy)

    def _pause(self, delay_s: float, failure: str) -> None:
        _LOG.warning(f"{self._address.name}: {failure}; reconnecting in {delay_s:.1f} s")
        self._on_disconnect()
        self._stop_event.wait(delay_s)

    def _backoff_delays(self) -> Iterator[float]:
        initial_s, max_s = self._settings.initial_backoff_s, self._settings.max_backoff_s
        # A sender that connects to this side succeeds only while this side listens.
        max_s = initial_s if self._address.is_listener else max_s
        return backoff_delays(initial_s, max_s, self._rng)

    def _new_watchdog(self) -> ConnectionWatchdog:
        settings = self._settings
        return ConnectionWatchdog(
            self._stop_event, settings.open_timeout_s, settings.read_timeout_s
        )


def _is_recording(address: Address, container: InputContainer) -> bool:
    """Whether a web server provides something of known length.

    FLV and RTMP state the length of what their sender plays, although they are live.
    """
    is_web = address.url.lower().startswith("http") and container.format.name != "flv"
    return is_web and bool(container.duration)
