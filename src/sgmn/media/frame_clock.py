"""Time stamps as files hold them to seconds that never fall."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from av import VideoFrame
from av.video.stream import VideoStream

_JITTER_S = 1.0  # a step back of less is a wrong time stamp, of more a restarted clock
_USUAL_RATE = Fraction(25)


class FrameClock:
    """Reads the frames' times in the order of decoding, which is the order of showing.

    `zero` is time 0 in ticks of `stream`, None for the first frame's own time stamp. A frame
    without a time stamp follows the last one at the stream's frame rate. A restarted clock
    goes on from the last time and is counted in `faults`; a jump ahead stays, because a gap
    in a recording is one. `end_s` is where the last frame read ends.
    """

    def __init__(self, stream: VideoStream, zero: int | None, faults: Counter[str]) -> None:
        self._zero, self._faults = zero, faults
        self._tick = stream.time_base or Fraction(1, 1000)
        self._step_s = float(1 / (stream.guessed_rate or stream.average_rate or _USUAL_RATE))
        self._shift_s = 0.0
        self._last_s: float | None = None
        self._stamp_s, self._unstamped = 0.0, -1
        self.end_s = 0.0

    def read(self, frame: VideoFrame) -> float:
        """Seconds from time 0 to `frame`."""
        now = self._stamped(frame)
        if self._last_s is not None and now < self._last_s:
            now = self._after_step_back(now, self._last_s)
        self._last_s = now
        self.end_s = now + (float(frame.duration * self._tick) or self._step_s)
        return now

    def seconds(self, pts: int | None) -> float | None:
        """What a time stamp says, None where there is none or no frame has set time 0 yet."""
        return None if pts is None or self._zero is None else self._seconds(pts, self._zero)

    @property
    def origin_s(self) -> float | None:
        """The time stamp (seconds) at time 0; None as long as no frame has set it."""
        if self._zero is None:
            return None
        return self._zero * self._tick.numerator / self._tick.denominator - self._shift_s

    def _stamped(self, frame: VideoFrame) -> float:
        if frame.pts is None:
            self._unstamped += 1
            return self._stamp_s + self._unstamped * self._step_s
        if self._zero is None:
            self._zero = frame.pts
        self._stamp_s, self._unstamped = self._seconds(frame.pts, self._zero), 0
        return self._stamp_s

    def _seconds(self, pts: int, zero: int) -> float:
        # Whole numbers until the last division: 30 ticks of 1/30 s are exactly 1.0 s.
        ticks = (pts - zero) * self._tick.numerator
        return ticks / self._tick.denominator + self._shift_s

    def _after_step_back(self, now: float, last: float) -> float:
        if last - now < _JITTER_S:
            return last
        self._shift_s += last + self._step_s - now
        self._faults["its clock restarts, later times go on from there"] += 1
        return last + self._step_s
