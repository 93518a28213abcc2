"""Which frames to take: the only place that decides it, for training, evaluation and live."""

from __future__ import annotations

from math import floor

TIME_TOLERANCE_S = (
    1e-6  # what floating point and containers that count microseconds may lose of a time
)


def select_evenly(count: int, max_frames: int) -> list[int]:
    """Indices of at most `max_frames` frames spread evenly over `count`, from the first one on.

    The test protocol of LPR4M: all of them if there are no more than max_frames, otherwise
    floor(i * count / max_frames).

    >>> pick(5, 10), pick(10, 4)
    ([0, 1, 2, 3, 4], [0, 2, 5, 7])
    """
    if max_frames < 1:
        raise ValueError(f"max_frames is {max_frames}; ask for at least one frame")
    return (
        list(range(count))
        if count <= max_frames
        else [i * count // max_frames for i in range(max_frames)]
    )


class SamplingSchedule:
    """The times max_frames of a video: frame k is the first at or after start_s + k / rate_hz.

    `next_s` is what is waited for, in seconds; it never falls.
    """

    def __init__(self, start_s: float, rate_hz: float) -> None:
        self.start_s, self.next_s, self._rate_hz = start_s, start_s, rate_hz

    def is_due(self, time_s: float) -> bool:
        """Whether a frame at `time_s` is max_frames."""
        return time_s + TIME_TOLERANCE_S >= self.next_s

    def advance(self, time_s: float) -> None:
        """Wait for the first k whose time lies after `time_s`, however many a gap left out."""
        passed = floor((time_s + TIME_TOLERANCE_S - self.start_s) * self._rate_hz)
        self.next_s = self.start_s + (passed + 1) / self._rate_hz
