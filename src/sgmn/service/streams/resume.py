"""Where a session continues after a crash: the time of its frames, and what it has missed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from threading import Event
from time import monotonic, time

from sgmn.live.evidence import TimelineSettings
from sgmn.media.live_source import LiveFrame
from sgmn.service.streams.journal import Gap, WindowRecord

MIN_GAP_S = 1e-3  # the clock of the machine may have been set back meanwhile


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a journal ends.

    Attributes:
        last: Its last window; None for a stream that begins.
        settings: The timeline settings.
        context_windows: How many earlier windows influence a window.
        max_gap_s: The longest gap by which the time of a live stream advances.
        reason: Why nobody has watched meanwhile.
    """

    last: WindowRecord | None
    settings: TimelineSettings
    context_windows: int = 0
    max_gap_s: float = 3600.0
    reason: str = ""

    @property
    def done_s(self) -> float:
        """The moment of the last window; later ones are new."""
        return -inf if self.last is None else self.last.center_s

    @property
    def context_from_s(self) -> float:
        """Windows after this moment are new, or influence the first new one."""
        return self.done_s - self.context_windows * self.settings.hop_s

    @property
    def frames_from_s(self) -> float:
        """Frames from this time on are in a window after `context_from_s`."""
        return self.context_from_s - self.settings.window_s / 2

    def find_gap(self, wall_s: float) -> Gap | None:
        """Return the gap before the first frame of a live stream; None if it just begins.

        The time of a stream never goes back, whatever the clock of the machine does, and never
        advances by more than `max_gap_s`.
        """
        if self.last is None:
            return None
        gap_s = min(max(wall_s - self.last.wall_s, MIN_GAP_S), self.max_gap_s)
        from_s = self.last.frame_s
        return Gap(from_s, from_s + gap_s, self.last.wall_s, wall_s, self.reason)


def play_in_real_time(
    frames: Iterable[LiveFrame], from_s: float, stop_event: Event
) -> Iterator[LiveFrame]:
    """Yield the frames of a recording, each at its time, however the clock is set meanwhile.

    Args:
        frames: The frames.
        from_s: Earlier frames are yielded at once, because they were played before.
        stop_event: Ends the frames.
    """
    started_s: float | None = None
    for frame in frames:
        if frame.time_s <= from_s:
            yield frame
            continue
        if started_s is None:
            started_s = monotonic() - frame.time_s
        due_s = started_s + frame.time_s
        if stop_event.wait(max(0.0, due_s - monotonic())):
            return
        yield replace(frame, wall_s=time() - (monotonic() - due_s))
