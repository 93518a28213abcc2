"""The frames of a session in its worker: their times across crashes, their pixels, their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from time import time

from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.service.streams.encoder_client import FrameStore
from sgmn.service.streams.journal import Gap
from sgmn.service.streams.kept_frames import KeptFrames
from sgmn.service.streams.resume import ResumePoint, play_in_real_time
from sgmn.service.streams.worker_transcript import TimeShift


class SessionFrames:
    """The frames of a source in the time of the session.

    A live stream continues after a gap as long as nobody watched. A recording is read from its
    start again, and what was recognized before is skipped, so it has no gap.

    Args:
        source: The source.
        resume: Where the session continues.
        store: Receives the pixels.
        kept: Receives the frames that are kept; None to keep none.
        shift: Set with the first frame.
        on_gap: Called with the gap, if there is one, before the first frame.

    Attributes:
        wall_s: Wall clock of the newest frame.
        frame_s: Time of the newest frame.
        count: Number of frames.
        faults: One line for each kind of fault.
    """

    def __init__(
        self,
        source: LiveSource,
        resume: ResumePoint,
        store: FrameStore,
        kept: KeptFrames | None,
        shift: TimeShift,
        on_gap: Callable[[Gap], None],
    ) -> None:
        self._source, self._resume, self._store = source, resume, store
        self._kept, self._shift, self._on_gap = kept, shift, on_gap
        self.wall_s, self.frame_s, self.count = time(), 0.0, 0
        self.faults: list[str] = []

    def times_s(self, drain: Callable[[], None], realtime: Event | None) -> Iterator[float]:
        """Read the frames and yield their times.

        Args:
            drain: Called after the last frame: waits for the last words.
            realtime: Play a recording in real time until this is set; None for full speed.
        """
        frames: Iterable[LiveFrame] = self._source
        if realtime is not None:
            played_s = 0.0 if self._resume.last is None else self._resume.last.frame_s
            frames = play_in_real_time(frames, played_s, realtime)
        for frame in frames:
            if not self._shift.known.is_set():
                self._begin(frame)
            frame_s = frame.time_s + self._shift.shift_s
            if frame_s < self._resume.frames_from_s:
                self._store.skip()
            else:
                self._store.add(frame.rgb)
                self._keep(frame, frame_s)
            # Only now may heartbeats name it, because who hears of a frame asks for its picture.
            self.frame_s, self.wall_s, self.count = frame_s, frame.wall_s, self.count + 1
            yield frame_s
        drain()

    def set_sure(self, is_sure: bool) -> None:
        """Say whether it is clear what is on sale, see `LiveSource.set_sure`."""
        self._source.set_sure(is_sure)

    def _begin(self, frame: LiveFrame) -> None:
        gap = None
        if not self._source.is_recording:
            gap = self._resume.find_gap(frame.wall_s)
        if gap is not None:
            self._on_gap(gap)
        self._shift.set(0.0 if gap is None else gap.to_s - frame.time_s)

    def _keep(self, frame: LiveFrame, frame_s: float) -> None:
        if self._kept is None or frame.jpeg is None:
            return
        try:
            self._kept.save(frame_s, frame.jpeg)
        except OSError as error:  # the events matter more
            fault = f"frames cannot be kept ({error.strerror})"
            if fault not in self.faults:
                self.faults.append(fault)
