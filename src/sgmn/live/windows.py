"""Cuts a stream of timed frames and utterances into overlapping windows.

Window k represents the moment (k + 1/2)·hop_s and covers window_s around it, clipped to the
stream. So the moments are evenly spaced, and each hop of the stream has one moment. Windows at
the beginning and the end are shorter. Windows hold the numbers of their frames, so that each
frame is encoded once and used by all windows that contain it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, inf, isfinite

from sgmn.errors import MediaError, SettingsError
from sgmn.media.transcript import select_text
from sgmn.records import Utterance

FRAME_RATE_HZ = 1.0  # sampled frames per second of video


@dataclass(frozen=True, slots=True)
class Window:
    """The frames and the text between `start_s` and `end_s` of a stream.

    Attributes:
        start_s: Start, in seconds into the stream.
        end_s: End, in seconds into the stream.
        center_s: The moment that the window represents: its middle, except where the beginning
            or the end of the stream cuts it.
        frames: Numbers of its frames, counted from the first of the stream; empty at a gap.
        text: What is said; may be empty.
    """

    start_s: float
    end_s: float
    center_s: float
    frames: range
    text: str = ""


def cut_windows(
    frame_times_s: Iterable[float],
    utterances: Sequence[Utterance] = (),
    window_s: float = 10.0,
    hop_s: float = 2.0,
    start_s: float = 0.0,
    duration_s: float | None = None,
    delay_s: float = 0.0,
) -> Iterator[Window]:
    """Yield the windows of a stream in order; there are none without frames.

    Args:
        frame_times_s: Times of the frames, never decreasing; consumed as windows need them.
        utterances: What is said. It is read when a window is yielded, so speech recognition may
            add to it meanwhile.
        window_s: Length of a window, in seconds.
        hop_s: Distance between windows, in seconds. A remainder of less than half a hop has no
            window of its own, unless its frames would be in no window at all.
        start_s: Start of the stream.
        duration_s: Duration of the stream. Without it, or if `is_plausible_end` rejects it, the
            last frame lasts as long as the previous one, at most `hop_s`.
        delay_s: How long after its end a window is yielded, in stream time.

    Raises:
        SettingsError: Not 0 < hop_s <= window_s.
        MediaError: A frame time is not finite, decreases, or is before `start_s`.
    """
    _check_lengths(window_s, hop_s)
    grid = _WindowGrid(utterances, window_s, hop_s, start_s)
    times_s: list[float] = []
    index = discarded = 0
    for time_s in frame_times_s:
        _check_time(time_s, times_s[-1] if times_s else start_s, discarded + len(times_s))
        while grid.end_of(index) + delay_s <= time_s:
            yield grid.window(index, times_s, discarded, inf)
            index += 1
        times_s.append(time_s)
        unused = _count_unused(times_s, grid.center_of(index) - window_s / 2)
        del times_s[:unused]
        discarded += unused
    if times_s:
        stated_end_s = None if duration_s is None else start_s + duration_s
        end_s = _find_end(times_s, window_s, hop_s, stated_end_s)
        for last_index in range(index, grid.count(times_s[-1], end_s)):
            yield grid.window(last_index, times_s, discarded, end_s)


def _count_unused(times_s: Sequence[float], from_s: float) -> int:
    """Return how many of the first times no later window needs."""
    # The last two stay, because they say how long the last frame lasts.
    return max(0, min(bisect_left(times_s, from_s), len(times_s) - 2))


def is_plausible_end(end_s: float, last_frame_s: float, window_s: float) -> bool:
    """Whether a stream can end at `end_s`: at most one window after its last frame.

    A damaged header may state years, and all of them would be cut into windows without frames.
    """
    return end_s <= last_frame_s + window_s


@dataclass(frozen=True, slots=True)
class _WindowGrid:
    """The position of each window in a stream."""

    utterances: Sequence[Utterance]
    window_s: float
    hop_s: float
    start_s: float

    def center_of(self, index: int) -> float:
        return self.start_s + (index + 0.5) * self.hop_s

    def end_of(self, index: int) -> float:
        return self.center_of(index) + self.window_s / 2

    def count(self, last_frame_s: float, end_s: float) -> int:
        """Return the number of windows: all with a moment in the stream, and all with frames."""
        by_duration = floor((end_s - self.start_s) / self.hop_s + 0.5)
        last_frame_offset_s = last_frame_s - self.start_s - self.window_s / 2
        by_frames = floor(last_frame_offset_s / self.hop_s + 0.5) + 1
        return max(1, by_duration, by_frames)

    def window(
        self, index: int, times_s: Sequence[float], first_frame: int, stream_end_s: float
    ) -> Window:
        """Return window number `index`; `times_s` are those of the frames from `first_frame` on."""
        start_s = max(self.start_s, self.center_of(index) - self.window_s / 2)
        end_s = min(self.end_of(index), stream_end_s)
        # Half-open, but the very last frame of the stream belongs to the window that ends there.
        stop = bisect_left(times_s, end_s) if end_s < stream_end_s else len(times_s)
        center_s = min(self.center_of(index), end_s)
        frames = range(first_frame + bisect_left(times_s, start_s), first_frame + stop)
        return Window(
            start_s, end_s, center_s, frames, select_text(self.utterances, start_s, end_s)
        )


def _find_end(
    times_s: Sequence[float], window_s: float, hop_s: float, stated_s: float | None
) -> float:
    """Return the end of the stream: the stated one if plausible, never before the last frame."""
    if stated_s is not None and is_plausible_end(stated_s, times_s[-1], window_s):
        return max(times_s[-1], stated_s)
    frame_s = times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.0
    return times_s[-1] + min(frame_s, hop_s)  # a gap before the last frame is not its duration


def _check_lengths(window_s: float, hop_s: float) -> None:
    if not 0 < hop_s <= window_s < float("inf"):
        raise SettingsError(
            f"window_s {window_s} and hop_s {hop_s} leave gaps between windows",
            where="windows",
            remedy="pass 0 < hop_s <= window_s, such as 2.0 and 10.0",
        )


def _check_time(time_s: float, previous_s: float, number: int) -> None:
    if not isfinite(time_s) or time_s < previous_s:
        raise MediaError(
            f"frame {number} is at {time_s} s, after {previous_s} s",
            where="stream",
            remedy="pass finite times that never decrease",
        )
