"""Read timed RGB frames, and optionally audio, from a live stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from math import isfinite
from random import Random
from threading import Condition, Event, RLock, Thread, current_thread
from time import time
from typing import Literal, Self

from sgmn.media.address import Address, parse_address
from sgmn.media.audio import AudioChunk
from sgmn.media.audio_queue import AudioQueue
from sgmn.media.container import LIBAV_ERRORS, describe_error
from sgmn.media.image import encode_jpeg
from sgmn.media.overload import OverloadGuard
from sgmn.media.reconnecting_stream import ReconnectingStream
from sgmn.media.recorder import StreamRecorder
from sgmn.media.rgb_conversion import UprightConverter
from sgmn.media.sampling import SamplingSchedule
from sgmn.media.source_settings import SourceSettings
from sgmn.media.video_decoding import DecodedFrame
from sgmn.records import ImageArray

__all__ = ["LiveFrame", "LiveSource", "SourceSettings", "SourceState"]

SourceState = Literal["connecting", "running", "stalled", "ended"]

_JOIN_TIMEOUT_S = 1.0
_DEFAULT_SETTINGS = SourceSettings()


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame of a live stream.

    Attributes:
        time_s: Seconds from the first frame of the stream.
        wall_s: Wall clock when the frame arrived, in seconds since 1970.
        rgb: uint8 RGB, (H, W, 3).
        jpeg: The same frame as a JPEG file to keep; None if none was asked for.
    """

    time_s: float
    wall_s: float
    rgb: ImageArray
    jpeg: bytes | None = None


class LiveSource:
    """A live stream. Enter it with `with`, and iterate it for `rate_hz` LiveFrames per second.

    A live address that ends, breaks or delivers no frame in time is reconnected. A file, a
    recording on a web server and standard input end for good. A file waits for a slow consumer
    of frames. For any other source, the oldest frames are dropped.

    With `with_audio`, iterate `audio_chunks` in another thread. The audio never delays the
    frames: if its consumer is too slow, the oldest audio is dropped. If the consumer fails, call
    `discard_audio`.

    Args:
        address: A file, "-" (MPEG-TS on standard input), webcam:0, or a URL: http(s) with HLS,
            rtmp, rtsp, srt, udp and tcp (both MPEG-TS). rtmp-listen:// and tcp-listen:// wait
            for a sender to connect. An Address has been parsed already.
        rate_hz: Frames per second.
        max_side: Maximum length of the longer side, in pixels.
        jpeg_side: Likewise, of the frames as JPEG files; None for no such files.
        settings: Timeouts, retries and queue sizes.
        on_state: Called with every new state and the wall clock, in the thread that changes the
            state. It must not block.
        rng: Randomizes the pauses between attempts to connect.
        with_audio: Whether to decode the audio.
        recorder: Records what arrives.
        may_skip: Whether only key frames of a live stream may be decoded while this machine is too
            slow for it, see `overload`.

    Attributes:
        name: The address without its secrets.
        state: "connecting", "running", "stalled" or "ended".
        dropped_frames: Frames dropped because their consumer was too slow.

    Raises:
        MediaError: For an invalid address; when iterating, if the stream ends without a frame.

    Example:
        >>> with LiveSource("rtmp://host/live/key", max_side=320) as source:  # doctest: +SKIP
        ...     for frame in source:
        ...         print(frame.time_s, frame.rgb.shape)
    """

    def __init__(
        self,
        address: str | Address,
        *,
        rate_hz: float = 1.0,
        max_side: int | None = None,
        jpeg_side: int | None = None,
        settings: SourceSettings = _DEFAULT_SETTINGS,
        on_state: Callable[[SourceState, float], None] | None = None,
        rng: Random | None = None,
        with_audio: bool = False,
        recorder: StreamRecorder | None = None,
        may_skip: bool = False,
    ) -> None:
        if not (isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz is {rate_hz}; pass a number of frames per second above 0")
        self.state: SourceState = "connecting"
        self.dropped_frames = 0
        self._address = parse_address(address) if isinstance(address, str) else address
        self._settings = settings
        self.name = self._address.name
        self._stop_event, self._end_event = Event(), Event()
        self._audio = AudioQueue(settings.queue_audio_s)
        self._frames: deque[LiveFrame] = deque()
        self._guard = self._create_guard(rate_hz) if may_skip else None
        self._stream = ReconnectingStream(
            self._address,
            settings,
            rng or Random(),
            self._stop_event,
            on_disconnect=lambda: self._set_state("connecting"),
            on_audio=self._audio.put if with_audio else None,
            recorder=recorder,
            guard=self._guard,
        )
        self._schedule = SamplingSchedule(0.0, rate_hz)
        # One for each size, because a change of the size creates its scaler anew.
        self._converter = UprightConverter(max_side)
        self._jpeg_converter = None if jpeg_side is None else UprightConverter(jpeg_side)
        self._failure: Exception | None = None
        self._on_state = on_state
        self._changed, self._state_lock = Condition(), RLock()
        self._reader = self._create_thread("reader", self._run)
        self._monitor = self._create_thread("monitor", self._detect_stalls)

    def _create_guard(self, rate_hz: float) -> OverloadGuard | None:
        if not self._address.is_live:
            return None
        return OverloadGuard(queue_s=lambda: len(self._frames) / rate_hz)

    def _create_thread(self, role: str, target: Callable[[], None]) -> Thread:
        return Thread(target=target, name=f"{role} of {self.name}", daemon=True)

    @property
    def reconnects(self) -> int:
        """How often the stream delivered frames again after a connection was lost."""
        return self._stream.reconnects

    @property
    def is_recording(self) -> bool:
        """Whether the address is a recording, which starts anew with each connection."""
        return bool(self._stream.is_recording)

    @property
    def dropped_audio_s(self) -> float:
        """Length of the audio that was dropped, in seconds."""
        return self._audio.dropped_s

    @property
    def damage(self) -> list[str]:
        """One line per kind of fault so far, with its count."""
        faults = self._stream.faults.copy()  # the reader thread continues to count
        lines = [f"{self.name}: {fault} ({count} times)" for fault, count in faults.items()]
        if self.dropped_audio_s:
            message = f"{self.dropped_audio_s:.0f} s of audio were dropped before they were used"
            lines.append(f"{self.name}: {message}")
        if self._guard is not None and self._guard.skipped_s:
            message = f"only key frames were decoded for {self._guard.skipped_s:.0f} s"
            lines.append(f"{self.name}: {message}, because this machine was too slow")
        return lines

    @property
    def is_reduced(self) -> bool:
        """Whether only key frames are decoded at the moment."""
        return self._guard is not None and self._guard.skips

    def set_sure(self, is_sure: bool) -> None:
        """Say whether it is clear what is on sale, so that fewer frames are enough."""
        if self._guard is not None:
            self._guard.is_sure = is_sure

    @property
    def origin_s(self) -> float | None:
        """The sender's timestamp at time 0 of the stream, in seconds; None before a frame."""
        return self._stream.origin_s

    def audio_chunks(self) -> Iterator[AudioChunk]:
        """Yield the audio until the source ends: seconds, and float32 (N,), mono, 16 kHz."""
        return self._audio.chunks()

    def discard_audio(self) -> None:
        """Drop the queued audio and all further audio, because nothing will consume it."""
        self._audio.discard()

    def __enter__(self) -> Self:
        self._notify_state()
        self._reader.start()
        if self._address.is_live:
            self._monitor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[LiveFrame]:
        return self

    def __next__(self) -> LiveFrame:
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._end_event.is_set())
            if self._frames and not self._stop_event.is_set():
                self._changed.notify_all()
                return self._frames.popleft()
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def close(self) -> None:
        """End the source and all iteration over it, within about a second.

        libav cannot be interrupted while it waits for http, rtmp, rtsp, srt, udp or a webcam. In
        that case its thread is left behind: it does nothing more and ends at its own timeout.
        """
        self._stop_event.set()
        self._end()
        for thread in (self._reader, self._monitor):
            if thread.is_alive() and thread is not current_thread():
                thread.join(_JOIN_TIMEOUT_S)
        self._set_state("ended")

    def _end(self) -> None:
        self._end_event.set()
        self._audio.close(drain=not self._stop_event.is_set())
        with self._changed:
            self._changed.notify_all()

    def _set_state(self, state: SourceState) -> None:
        with self._state_lock:
            if self.state not in (state, "ended"):
                self.state = state
                self._notify_state()

    def _notify_state(self) -> None:
        if self._on_state is not None:
            self._on_state(self.state, time())

    def _detect_stalls(self) -> None:
        timeout_s = self._settings.stall_timeout_s
        while not self._end_event.wait(timeout_s / 10):
            with self._state_lock:
                if self._stream.silence_s() > timeout_s:
                    self._set_state("stalled")

    def _run(self) -> None:
        try:
            try:
                with closing(self._stream.frames(self._schedule)) as frames:
                    for decoded in frames:
                        self._process(decoded)
            finally:
                self._set_state("ended")
        except Exception as error:  # noqa: BLE001 - raised again in the thread that iterates
            self._failure = error
        finally:
            self._end()

    def _process(self, decoded: DecodedFrame) -> None:
        self._set_state("running")
        if not self._schedule.is_due(decoded.time_s):
            return
        try:
            rgb = self._converter.convert(decoded.frame, decoded.pixel_aspect)
            jpeg = None
            if self._jpeg_converter is not None:  # at once, because a queue of files is small
                large = self._jpeg_converter.convert(decoded.frame, decoded.pixel_aspect)
                jpeg = encode_jpeg(large)
        except LIBAV_ERRORS as error:
            self._stream.faults[f"a frame cannot be converted ({describe_error(error)})"] += 1
            return
        self._schedule.advance(decoded.time_s)
        self._enqueue(LiveFrame(decoded.time_s, time(), rgb, jpeg))

    def _enqueue(self, frame: LiveFrame) -> None:
        limit = self._settings.queue_frames
        with self._changed:
            if not self._address.is_live:
                self._changed.wait_for(
                    lambda: len(self._frames) < limit or self._end_event.is_set()
                )
            elif len(self._frames) >= limit:
                self._frames.popleft()
                self.dropped_frames += 1
            self._frames.append(frame)
            self._changed.notify_all()
