"""Convert the timestamps of a video stream to seconds that never decrease."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from av import VideoFrame
from av.video.stream import VideoStream

_JITTER_S = 1.0  # a smaller step back is a wrong timestamp, a larger one a restarted clock
_DEFAULT_FRAME_RATE = Fraction(25)


class FrameClock:
    """Computes the times of frames, in decoding order, which is display order.

    A frame without a timestamp follows the previous one at the frame rate of the stream. A
    restarted clock continues from the last time and is counted in `faults`. A jump ahead is
    kept, because a recording may contain a gap.

    Args:
        stream: The video stream.
        origin_pts: Time 0 in ticks of `stream`; None for the timestamp of the first frame.
        faults: Counts the faults of the stream by description.

    Attributes:
        end_s: Where the last frame ends, in seconds.
    """

    def __init__(self, stream: VideoStream, origin_pts: int | None, faults: Counter[str]) -> None:
        self._origin_pts, self._faults = origin_pts, faults
        self._time_base = stream.time_base or Fraction(1, 1000)
        rate = stream.guessed_rate or stream.average_rate or _DEFAULT_FRAME_RATE
        self._frame_duration_s = float(1 / rate)
        self._shift_s = 0.0
        self._last_s: float | None = None
        self._last_timestamp_s, self._frames_since_timestamp = 0.0, -1
        self.end_s = 0.0

    def advance(self, frame: VideoFrame) -> float:
        """Advance to the next decoded frame and return its time in seconds."""
        time_s = self._raw_time_s(frame)
        if self._last_s is not None and time_s < self._last_s:
            time_s = self._handle_step_back(time_s, self._last_s)
        self._last_s = time_s
        self.end_s = time_s + (float(frame.duration * self._time_base) or self._frame_duration_s)
        return time_s

    def pts_to_s(self, pts: int | None) -> float | None:
        """Convert a timestamp to seconds; None without a timestamp or before time 0 is known."""
        if pts is None or self._origin_pts is None:
            return None
        return self._to_seconds(pts, self._origin_pts)

    @property
    def origin_s(self) -> float | None:
        """The timestamp at time 0, in seconds; None until a frame has set it."""
        if self._origin_pts is None:
            return None
        origin = self._origin_pts * self._time_base.numerator / self._time_base.denominator
        return origin - self._shift_s

    def _raw_time_s(self, frame: VideoFrame) -> float:
        if frame.pts is None:
            self._frames_since_timestamp += 1
            return self._last_timestamp_s + self._frames_since_timestamp * self._frame_duration_s
        if self._origin_pts is None:
            self._origin_pts = frame.pts
        self._last_timestamp_s = self._to_seconds(frame.pts, self._origin_pts)
        self._frames_since_timestamp = 0
        return self._last_timestamp_s

    def _to_seconds(self, pts: int, origin_pts: int) -> float:
        # Integers until the last division, so that 30 ticks of 1/30 s are exactly 1.0 s.
        ticks = (pts - origin_pts) * self._time_base.numerator
        return ticks / self._time_base.denominator + self._shift_s

    def _handle_step_back(self, time_s: float, last_s: float) -> float:
        if last_s - time_s < _JITTER_S:
            return last_s
        self._shift_s += last_s + self._frame_duration_s - time_s
        self._faults["its clock restarts, later times continue from there"] += 1
        return last_s + self._frame_duration_s
