"""Sources of live frames: the interface, and a recording that plays in real time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import sleep, time
from typing import Protocol

from sgmn.media.live_source import LiveFrame

_POLL_INTERVAL_S = 0.1  # how quickly a waiting reader notices that the source was closed


class FrameSource(Protocol):
    """An iterable of live frames, such as `media.live_source.LiveSource`; it ends when closed."""

    @property
    def damage(self) -> Sequence[str]:
        """One line for each kind of fault so far."""

    @property
    def dropped_frames(self) -> int:
        """Number of frames that were dropped because they came too fast."""

    @property
    def reconnects(self) -> int:
        """Number of times that the connection was lost and restored."""

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yield the frames, in order of time."""

    def close(self) -> None:
        """End the source, and whatever iterates it."""


class PacedSource:
    """A source that yields each frame at its own time, as if it were live."""

    def __init__(self, source: FrameSource) -> None:
        self._source, self._is_closed = source, False

    @property
    def damage(self) -> Sequence[str]:
        """The faults of the underlying source."""
        return self._source.damage

    @property
    def dropped_frames(self) -> int:
        """The dropped frames of the underlying source."""
        return self._source.dropped_frames

    @property
    def reconnects(self) -> int:
        """The reconnects of the underlying source."""
        return self._source.reconnects

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yield each frame at its time, which also becomes its `wall_s`."""
        started_s = time()
        for frame in self._source:
            due_s = started_s + frame.time_s
            while (remaining_s := due_s - time()) > 0 and not self._is_closed:
                sleep(min(remaining_s, _POLL_INTERVAL_S))
            if self._is_closed:
                return
            yield replace(frame, wall_s=due_s)

    def close(self) -> None:
        """End this source and the underlying one."""
        self._is_closed = True
        self._source.close()
