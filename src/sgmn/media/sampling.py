"""Frame sampling: the one definition for training, evaluation and live use."""

from __future__ import annotations

from math import floor

# Error of a time in seconds: Matroska, WebM and FLV count milliseconds, so that the frame at 1/3 s
# is at 0.333 s. Without tolerance it would be too early for a sample at 1/3 s, and dropped.
TIME_TOLERANCE_S = 1e-3


def select_evenly(count: int, max_frames: int) -> list[int]:
    """Return indices of at most `max_frames` out of `count` frames, evenly spaced from the first.

    The test protocol of LPR4M: all frames if there are at most `max_frames`, otherwise
    floor(i * count / max_frames).

    >>> select_evenly(5, 10), select_evenly(10, 4)
    ([0, 1, 2, 3, 4], [0, 2, 5, 7])
    """
    if max_frames < 1:
        raise ValueError(f"max_frames is {max_frames}; pass at least one")
    if count <= max_frames:
        return list(range(count))
    return [i * count // max_frames for i in range(max_frames)]


class SamplingSchedule:
    """The times at which a video is sampled.

    Sample k is the first frame at or after start_s + k / rate_hz, to the millisecond.

    Attributes:
        start_s: Time of the first sample, in seconds.
        next_s: Time of the next sample, in seconds. It never decreases.
    """

    def __init__(self, start_s: float, rate_hz: float) -> None:
        self.start_s, self.next_s, self._rate_hz = start_s, start_s, rate_hz

    def is_due(self, time_s: float) -> bool:
        """Whether a frame at `time_s` is the next sample."""
        return time_s + TIME_TOLERANCE_S >= self.next_s

    def advance(self, time_s: float) -> None:
        """Move on to the first sample after `time_s`, skipping those that a gap leaves out."""
        passed = floor((time_s + TIME_TOLERANCE_S - self.start_s) * self._rate_hz)
        self.next_s = self.start_s + (passed + 1) / self._rate_hz
