"""A stream that is still running to timed RGB frames; what breaks is connected anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from math import isfinite
from random import Random
from threading import Condition, Event, RLock, Thread, current_thread
from time import time
from types import TracebackType
from typing import Literal, Self

from av.video.reformatter import VideoReformatter

from sgmn.media.address import parse_address
from sgmn.media.audio import SAMPLE_RATE_HZ, Samples
from sgmn.media.container import LIBAV_ERRORS, describe_error
from sgmn.media.reconnecting_stream import ReconnectingStream, SourceSettings
from sgmn.media.rgb_conversion import convert_to_upright_rgb
from sgmn.media.sampling import SamplingSchedule
from sgmn.media.video_decoding import DecodedFrame
from sgmn.records import ImageArray

__all__ = ["LiveFrame", "LiveSource", "SourceSettings", "SourceState"]

SourceState = Literal["connecting", "running", "stalled", "ended"]

_FAREWELL_S = 1.0
_HEARD_S = 120.0  # of sound wait for who recognises it
_USUAL = SourceSettings()


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """One picture, uint8 RGB (H, W, 3).

    `time_s` are seconds of the stream from its first frame, `wall_s` the clock on the wall
    (seconds since 1970) when the picture came.
    """

    time_s: float
    wall_s: float
    rgb: ImageArray


class LiveSource:
    """Iterate it within a `with` for the LiveFrames that are due, `rate_hz` a second.

    `address` is a file, "-" (MPEG-TS on standard input), webcam:0, or a URL: http(s) with
    HLS, rtmp, rtsp, srt, udp and tcp (both MPEG-TS); rtmp-listen:// and tcp-listen:// wait
    for a sender to push. `max_side` (pixels) bounds the longer side of a picture.

    A live address that ends, breaks or gives no frame in time is connected anew. A file, a
    recording on a web server and standard input end for good. A file waits for a slow
    reader; of others the oldest frames are dropped, counted in `dropped_frames`. `on_state` with_audio
    every change of `state` and the time on the wall, from whichever thread makes it, so it
    must not block. Iterating raises MediaError where no frame ever came.

    With `with_audio`, iterate `sound` in another thread: of a live source, sound that nobody takes
    is dropped, counted in `dropped_audio_s`; a file waits for whoever with_audio it.
    """

    def __init__(
        self,
        address: str,
        *,
        rate_hz: float = 1.0,
        max_side: int | None = None,
        settings: SourceSettings = _USUAL,
        on_state: Callable[[SourceState, float], None] | None = None,
        rng: Random | None = None,
        with_audio: bool = False,
    ) -> None:
        if not (isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz is {rate_hz}; give frames a second above 0")
        self.state: SourceState = "connecting"
        self.dropped_frames = 0
        self._address, self._settings = parse_address(address), settings
        self.name = self._address.name
        self._stopped, self._over = Event(), Event()
        heard = self._hear if with_audio else None
        self._link = ReconnectingStream(
            self._address, settings, rng or Random(), self._stopped, self._lost, heard
        )
        self._due, self._max_side = SamplingSchedule(0.0, rate_hz), max_side
        self._reformatter = VideoReformatter()
        self._frames: deque[LiveFrame] = deque()
        self._sound: deque[tuple[float, Samples]] = deque()
        self._sound_s, self.dropped_audio_s = 0.0, 0.0
        self._failure: Exception | None = None
        self._on_state = on_state
        self._news, self._state_lock = Condition(), RLock()
        self._reader = Thread(target=self._run, name=f"reader of {self.name}", daemon=True)
        self._watcher = Thread(
            target=self._notice_silence, name=f"watcher of {self.name}", daemon=True
        )

    @property
    def reconnects(self) -> int:
        """How often it came back with frames after it was lost."""
        return self._link.reconnects

    @property
    def damage(self) -> list[str]:
        """One line for each kind of fault so far: what it is, and how often it came."""
        faults = self._link.faults.copy()  # the reader goes on counting
        lines = [f"{self.name}: {what} ({n} times)" for what, n in faults.items()]
        if self.dropped_audio_s:
            lines.append(
                f"{self.name}: nobody had time to hear {self.dropped_audio_s:.0f} s of sound"
            )
        return lines

    @property
    def origin_s(self) -> float | None:
        """The sender's time stamp, in seconds, at the stream's time 0; None before a frame."""
        return self._link.origin_s

    def audio_chunks(self) -> Iterator[tuple[float, Samples]]:
        """What is heard until the source ends: seconds, and float32 (N,), mono, 16 kHz."""
        while True:
            with self._news:
                self._news.wait_for(lambda: self._sound or self._over.is_set())
                if not self._sound or self._stopped.is_set():
                    return
                time_s, samples = self._sound.popleft()
                self._sound_s -= len(samples) / SAMPLE_RATE_HZ
                self._news.notify_all()
            yield time_s, samples

    def __enter__(self) -> Self:
        self._tell()
        self._reader.start()
        if self._address.is_live:
            self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[LiveFrame]:
        return self

    def __next__(self) -> LiveFrame:
        with self._news:
            self._news.wait_for(lambda: self._frames or self._over.is_set())
            if self._frames and not self._stopped.is_set():
                self._news.notify_all()
                return self._frames.popleft()
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def close(self) -> None:
        """End the source, and whoever iterates it, within about a second.

        Nothing interrupts libav while it waits for http, rtmp, rtsp, srt, udp or a webcam. Its
        thread is left behind then: it does nothing more and ends at its own time-out.
        """
        self._stopped.set()
        self._finish()
        for thread in (self._reader, self._watcher):
            if thread.is_alive() and thread is not current_thread():
                thread.join(_FAREWELL_S)
        self._enter("ended")

    def _finish(self) -> None:
        self._over.set()
        with self._news:
            self._news.notify_all()

    def _enter(self, state: SourceState) -> None:
        with self._state_lock:
            if self.state not in (state, "ended"):
                self.state = state
                self._tell()

    def _tell(self) -> None:
        if self._on_state is not None:
            self._on_state(self.state, time())

    def _notice_silence(self) -> None:
        limit_s = self._settings.stall_timeout_s
        while not self._over.wait(limit_s / 10):
            with self._state_lock:
                if self._link.silent_s() > limit_s:
                    self._enter("stalled")

    def _run(self) -> None:
        try:
            try:
                with closing(self._link.frames(self._due)) as frames:
                    for timed in frames:
                        self._take(timed)
            finally:
                self._enter("ended")
        except Exception as error:  # noqa: BLE001 - whoever iterates gets it
            self._failure = error
        finally:
            self._finish()

    def _lost(self) -> None:
        self._enter("connecting")

    def _take(self, timed: DecodedFrame) -> None:
        self._enter("running")
        if not self._due.is_due(timed.time_s):
            return
        try:
            rgb = convert_to_upright_rgb(
                timed.frame,
                self._reformatter,
                pixel_aspect=timed.pixel_aspect,
                max_side=self._max_side,
            )
        except LIBAV_ERRORS as error:
            self._link.faults[f"a frame cannot be converted ({describe_error(error)})"] += 1
            return
        self._due.advance(timed.time_s)
        self._put(LiveFrame(timed.time_s, time(), rgb))

    def _put(self, frame: LiveFrame) -> None:
        limit = self._settings.queue_frames
        with self._news:
            if not self._address.is_live:
                self._news.wait_for(lambda: len(self._frames) < limit or self._over.is_set())
            elif len(self._frames) >= limit:
                self._frames.popleft()
                self.dropped_frames += 1
            self._frames.append(frame)
            self._news.notify_all()

    def _hear(self, time_s: float, samples: Samples) -> None:
        with self._news:
            if not self._address.is_live:
                self._news.wait_for(lambda: self._sound_s < _HEARD_S or self._over.is_set())
            self._sound.append((time_s, samples))
            self._sound_s += len(samples) / SAMPLE_RATE_HZ
            while self._sound_s > _HEARD_S and self._address.is_live:
                lost_s = len(self._sound.popleft()[1]) / SAMPLE_RATE_HZ
                self._sound_s, self.dropped_audio_s = (
                    self._sound_s - lost_s,
                    self.dropped_audio_s + lost_s,
                )
            self._news.notify_all()
