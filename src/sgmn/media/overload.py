"""Reduce a live stream to its key frames while this machine is too slow for it.

A stream does not wait: frames that are not decoded in time are late, and are finally dropped. Key
frames can be decoded without the frames around them, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MAX_SPACING_S = 3.0  # seconds between key frames; with fewer, windows see too little
BUSY_WAITING = 0.05  # share of time spent waiting below which a reader may be too slow
IDLE_WAITING = 0.5  # share of time spent waiting above which all frames are decoded again
AHEAD = 1.5  # times real time: what is read faster is no live stream, or catches up
SURE_BUSY_PERIODS, BUSY_PERIODS = 2, 6  # of overload, if the product is sure and if it is not
SURE_QUEUE_S, QUEUE_S = 6.0, 12.0  # of frames that wait to be encoded, likewise
SHORT_QUEUE_S = 2.0


@dataclass
class OverloadGuard:
    """Decides which packets of a live stream are decoded.

    All packets are decoded unless the reader never waits and still falls behind, or frames wait
    too long to be encoded. Then only key frames are decoded until the machine has spare time. The
    change happens at a key frame, and only if the one before it was at most `MAX_SPACING_S` ago.

    Attributes:
        queue_s: Returns how many seconds of frames wait to be encoded.
        is_sure: Whether it is clear what is on sale; if not, all frames are decoded for longer.
        period_s: Length of a measurement period, in seconds.
        min_skip_s: Minimum time with key frames only after an overload, in seconds.
        skipped_s: Seconds of the stream of which only key frames were decoded.
    """

    queue_s: Callable[[], float]
    is_sure: bool = False
    period_s: float = 5.0
    min_skip_s: float = 30.0
    skipped_s: float = 0.0
    _load: _Load = field(init=False)
    _is_overloaded: bool = False
    _last_overload_s: float = 0.0
    _skips: bool = False
    _has_others: bool = False  # whether the stream had other frames since the last key frame
    _last_key_frame_s: float | None = None
    _resumed_s: float | None = None  # frames before this one may need frames that were left out

    def __post_init__(self) -> None:
        self._load = _Load(self.period_s)

    @property
    def skips(self) -> bool:
        """Whether only key frames are decoded at the moment."""
        return self._skips

    def begin_connection(self) -> None:
        """Decode everything until the distance of the key frames is known."""
        self._load = _Load(self.period_s)
        self._skips, self._last_key_frame_s, self._resumed_s = False, None, None

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
            return is_key_frame or not self._skips
        if self._load.end_period(time_s, now_s):
            self._judge(now_s)
        if is_key_frame:
            self._pass_key_frame(time_s)
            return True
        self._has_others = True
        return not self._skips and (self._resumed_s is None or time_s >= self._resumed_s)

    def _pass_key_frame(self, time_s: float) -> None:
        last_s, self._last_key_frame_s = self._last_key_frame_s, time_s
        spacing_s = 0.0 if last_s is None else time_s - last_s
        skipped = self._skips
        if skipped:
            self.skipped_s += max(0.0, spacing_s)
        is_dense = self._has_others and 0 < spacing_s <= MAX_SPACING_S
        self._skips, self._has_others = self._is_overloaded and is_dense, False
        self._resumed_s = time_s if skipped and not self._skips else None

    def _judge(self, now_s: float) -> None:
        load = self._load
        queue_s = 0.0 if load.speed > AHEAD else self.queue_s()
        periods, max_queue_s = (
            (SURE_BUSY_PERIODS, SURE_QUEUE_S) if self.is_sure else (BUSY_PERIODS, QUEUE_S)
        )
        if load.busy_periods >= periods or queue_s > max_queue_s:
            self._is_overloaded, self._last_overload_s = True, now_s
        elif load.waiting > IDLE_WAITING and queue_s <= SHORT_QUEUE_S:
            self._is_overloaded &= now_s - self._last_overload_s < self.min_skip_s


@dataclass
class _Load:
    """How busy a reader is.

    Attributes:
        period_s: Seconds over which it is measured.
        waited_s: Seconds of this period in which it waited for packets.
        waiting: Share of the last period in which it waited, 0..1.
        speed: Seconds of the stream per second in the last period.
        busy_periods: Latest periods in which it hardly waited and still fell behind.
    """

    period_s: float
    waited_s: float = 0.0
    waiting: float = 1.0
    speed: float = 1.0
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
        self.speed = (time_s - self._start[0]) / elapsed_s
        is_busy = self.waiting < BUSY_WAITING and self.speed < 1
        self.busy_periods = self.busy_periods + 1 if is_busy else 0
        self._start, self.waited_s = (time_s, now_s), 0.0
        return True
