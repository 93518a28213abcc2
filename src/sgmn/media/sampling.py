"""Which frames to take: the only place that decides it, for training, evaluation and live."""

from __future__ import annotations

from math import floor

TIE_S = 1e-6  # what floating point and containers that count microseconds may lose of a time


def pick(count: int, wanted: int) -> list[int]:
    """Indices of at most `wanted` frames spread evenly over `count`, from the first one on.

    The test protocol of LPR4M: all of them if there are no more than wanted, otherwise
    floor(i * count / wanted).

    >>> pick(5, 10), pick(10, 4)
    ([0, 1, 2, 3, 4], [0, 2, 5, 7])
    """
    if wanted < 1:
        raise ValueError(f"wanted is {wanted}; ask for at least one frame")
    return list(range(count)) if count <= wanted else [i * count // wanted for i in range(wanted)]


class Due:
    """The times wanted of a video: frame k is the first at or after start_s + k / rate_hz.

    `next_s` is what is waited for, in seconds; it never falls.
    """

    def __init__(self, start_s: float, rate_hz: float) -> None:
        self.start_s, self.next_s, self._rate_hz = start_s, start_s, rate_hz

    def is_due(self, time_s: float) -> bool:
        """Whether a frame at `time_s` is wanted."""
        return time_s + TIE_S >= self.next_s

    def took(self, time_s: float) -> None:
        """Wait for the first k whose time lies after `time_s`, however many a gap left out."""
        passed = floor((time_s + TIE_S - self.start_s) * self._rate_hz)
        self.next_s = self.start_s + (passed + 1) / self._rate_hz
