"""The time of a live stream across all its connections."""

from __future__ import annotations

from collections import Counter

from av import VideoFrame
from av.video.stream import VideoStream

from sgmn.media.frame_clock import FrameClock


class StreamClock:
    """Computes frame times that start at 0 and never decrease, one connection after another.

    Between connections, time advances by the wall clock. A timestamp that steps back, or jumps
    ahead by more than `max_jump_s`, continues one frame later and is counted as a fault.
    """

    def __init__(self, max_jump_s: float) -> None:
        self._max_jump_s = max_jump_s
        self._last_s, self._last_arrival_s = 0.0, 0.0
        self._shift_s, self._raw_s, self._raw_end_s = 0.0, 0.0, 0.0
        self._is_first_frame = True
        self._has_frame = False  # of the current connection
        self._clock: FrameClock | None = None
        self._faults: Counter[str] = Counter()

    def start_connection(self, stream: VideoStream, faults: Counter[str]) -> None:
        """Read the frames of `stream` from now on; count its faults in `faults`."""
        self._clock, self._faults = FrameClock(stream, None, faults), faults
        self._has_frame = False

    def advance(self, frame: VideoFrame, arrival_s: float) -> float:
        """Advance to the next frame and return its time, in seconds from the very first frame.

        `arrival_s` is when the frame arrived, by any monotonic clock.
        """
        assert self._clock is not None
        raw_s = self._clock.advance(frame)
        if not self._has_frame:
            gap_s = 0.0 if self._is_first_frame else arrival_s - self._last_arrival_s
            self._shift_s = self._last_s + gap_s - raw_s
        elif raw_s - self._raw_s > self._max_jump_s:
            self._shift_s -= raw_s - self._raw_end_s
            self._faults["its clock jumps ahead, later times continue without a gap"] += 1
        self._is_first_frame, self._has_frame = False, True
        self._raw_s, self._raw_end_s = raw_s, min(self._clock.end_s, raw_s + self._max_jump_s)
        self._last_s = max(self._last_s, raw_s + self._shift_s)
        self._last_arrival_s = arrival_s
        return self._last_s

    def pass_over(self, pts: int | None) -> None:
        """Note a frame that is not decoded, so that its time is no gap between those that are."""
        raw_s = None if self._clock is None else self._clock.pts_to_s(pts)
        if self._has_frame and raw_s is not None and 0 < raw_s - self._raw_s <= self._max_jump_s:
            self._raw_s = self._raw_end_s = raw_s

    def pts_to_s(self, pts: int | None) -> float | None:
        """Convert a timestamp of this connection to seconds; None before its first frame."""
        raw_s = None if self._clock is None else self._clock.pts_to_s(pts)
        return None if raw_s is None or not self._has_frame else raw_s + self._shift_s

    @property
    def origin_s(self) -> float | None:
        """The timestamp at time 0, in seconds of this connection; None before its first frame.

        Audio and subtitles are placed by it.
        """
        origin_s = None if self._clock is None else self._clock.origin_s
        return None if origin_s is None or not self._has_frame else origin_s - self._shift_s
