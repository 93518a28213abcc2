"""The time of a stream over all its connections: it starts at 0, never falls, never jumps."""

from __future__ import annotations

from collections import Counter

from av import VideoFrame
from av.video.stream import VideoStream

from sgmn.media.frame_clock import FrameClock


class StreamClock:
    """Frames of one connection after another to seconds that start at 0 and never fall.

    Between connections the time goes on by the clock on the wall. A time stamp that steps
    back, or ahead by more than `jump_s`, goes on by one frame, and is counted in `faults`.
    """

    def __init__(self, jump_s: float) -> None:
        self._jump_s = jump_s
        self._last_s, self._seen_s = 0.0, 0.0
        self._shift_s, self._raw_s, self._raw_end_s = 0.0, 0.0, 0.0
        self._is_first = True
        self._is_begun = False  # this connection
        self._clock: FrameClock | None = None
        self._faults: Counter[str] = Counter()

    def connect(self, stream: VideoStream, faults: Counter[str]) -> None:
        """Read the frames of `stream` from now on."""
        self._clock, self._faults = FrameClock(stream, None, faults), faults
        self._is_begun = False

    def read(self, frame: VideoFrame, seen_s: float) -> float:
        """Seconds from the very first frame to `frame`, seen at `seen_s` of any steady clock."""
        assert self._clock is not None
        raw_s = self._clock.read(frame)
        if not self._is_begun:
            gap_s = 0.0 if self._is_first else seen_s - self._seen_s
            self._shift_s = self._last_s + gap_s - raw_s
        elif raw_s - self._raw_s > self._jump_s:
            self._shift_s -= raw_s - self._raw_end_s
            self._faults["its clock jumps ahead, later times go on without a gap"] += 1
        self._is_first, self._is_begun = False, True
        self._raw_s, self._raw_end_s = raw_s, min(self._clock.end_s, raw_s + self._jump_s)
        self._last_s, self._seen_s = max(self._last_s, raw_s + self._shift_s), seen_s
        return self._last_s

    def seconds(self, pts: int | None) -> float | None:
        """What a time stamp of this connection says, None before its first frame."""
        raw_s = None if self._clock is None else self._clock.seconds(pts)
        return None if raw_s is None or not self._is_begun else raw_s + self._shift_s

    @property
    def origin_s(self) -> float | None:
        """The time stamp, in seconds of this connection, at the stream's time 0.

        None before its first frame. Sound and subtitles are placed by it.
        """
        origin_s = None if self._clock is None else self._clock.origin_s
        return None if origin_s is None or not self._is_begun else origin_s - self._shift_s
