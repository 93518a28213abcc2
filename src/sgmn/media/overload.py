"""When a machine is too slow for a running stream, so that only its key frames are decoded.

A stream cannot wait: what is not decoded in time is late, and in the end lost. Key frames can be
decoded without the frames around them, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MAX_SPACING_S = 3.0  # seconds between key frames; with fewer, windows see too little
MIN_WAITING = 0.05  # share of time in which a reader that keeps up waits for packets
ENOUGH_WAITING = 0.5  # share of time after which all frames are tried again
SURE_PATIENCE, PATIENCE = 2, 6  # periods of overload, if the product is sure and if it is not
SURE_QUEUE_S, QUEUE_S = 6.0, 12.0  # of frames that wait to be encoded, likewise
SHORT_QUEUE_S = 2.0


@dataclass
class OverloadGuard:
    """Decides which packets of a running stream are decoded.

    All of them, unless the reader never has to wait and still is slower than the stream, or the
    frames wait too long to be encoded. Then only key frames, until the machine has time again. The
    change happens at a key frame. Streams with more than `MAX_SPACING_S` between key frames are
    always decoded whole.

    Attributes:
        queue_s: Returns how many seconds of frames wait to be encoded.
        is_sure: Whether it is clear what is on sale; if not, all frames are decoded for longer.
        period_s: The load is measured over so many seconds.
        min_stay_s: All frames are tried again after so many seconds at the earliest.
        skipped_s: Seconds of the stream of which only key frames were decoded.
    """

    queue_s: Callable[[], float]
    is_sure: bool = False
    period_s: float = 5.0
    min_stay_s: float = 30.0
    skipped_s: float = 0.0
    _load: _Load = field(init=False)
    _is_overloaded: bool = False
    _since_s: float = 0.0  # when the load was too high for the last time
    _skips: bool = False
    _key_s: float | None = None
    _resumed_s: float | None = None  # frames before this one may need frames that were left out

    def __post_init__(self) -> None:
        self._load = _Load(self.period_s)

    @property
    def skips(self) -> bool:
        """Whether only key frames are decoded at the moment."""
        return self._skips

    def add_wait(self, waited_s: float) -> None:
        """Count the seconds that the reader waited for a packet."""
        self._load.waited_s += waited_s

    def is_needed(self, is_key_frame: bool, time_s: float | None, now_s: float) -> bool:
        """Whether to decode a packet.

        Args:
            is_key_frame: Whether it can be decoded alone.
            time_s: Its time in the stream; None if it is unknown.
            now_s: The clock of this machine, in seconds.
        """
        if time_s is None:
            return True
        if self._load.end_period(time_s, now_s):
            self._judge(now_s)
        if is_key_frame:
            self._pass_key_frame(time_s)
            return True
        return not self._skips and (self._resumed_s is None or time_s >= self._resumed_s)

    def _pass_key_frame(self, time_s: float) -> None:
        spacing_s = 0.0 if self._key_s is None else time_s - self._key_s
        self._key_s = time_s
        if self._skips:
            self.skipped_s += max(0.0, spacing_s)
        skipped, self._skips = self._skips, self._is_overloaded and 0 < spacing_s <= MAX_SPACING_S
        if skipped and not self._skips:
            self._resumed_s = time_s

    def _judge(self, now_s: float) -> None:
        queue_s, load = self.queue_s(), self._load
        patience, max_queue_s = (
            (SURE_PATIENCE, SURE_QUEUE_S) if self.is_sure else (PATIENCE, QUEUE_S)
        )
        if load.busy_periods >= patience or queue_s > max_queue_s:
            self._is_overloaded, self._since_s = True, now_s
        elif load.waiting > ENOUGH_WAITING and queue_s <= SHORT_QUEUE_S:
            self._is_overloaded &= now_s - self._since_s < self.min_stay_s


@dataclass
class _Load:
    """How busy a reader is.

    Attributes:
        period_s: Seconds over which it is measured.
        waited_s: Seconds of this period in which it waited for packets.
        waiting: Share of the last period in which it waited, 0..1.
        busy_periods: Latest periods in which it hardly waited and still fell behind.
    """

    period_s: float
    waited_s: float = 0.0
    waiting: float = 1.0
    busy_periods: int = 0
    _start: tuple[float, float] | None = None  # time of the stream, clock

    def end_period(self, time_s: float, now_s: float) -> bool:
        """End the period if it is time; return whether it is."""
        if self._start is None:
            self._start, self.waited_s = (time_s, now_s), 0.0
            return False
        elapsed_s = now_s - self._start[1]
        if elapsed_s < self.period_s:
            return False
        self.waiting = self.waited_s / elapsed_s
        # A file that is sent at full speed keeps a reader busy, too, but is ahead of the clock.
        is_busy = self.waiting < MIN_WAITING and time_s - self._start[0] < elapsed_s
        self.busy_periods = self.busy_periods + 1 if is_busy else 0
        self._start, self.waited_s = (time_s, now_s), 0.0
        return True
