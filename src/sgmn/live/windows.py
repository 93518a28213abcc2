"""A stream of timed frames and words, cut into overlapping windows.

Window k speaks for the moment (k + 1/2)·hop_s and sees window_s around it, clipped to the
stream. So the moments are evenly spaced and each hop of the stream is spoken for once; the
beginning and the end have windows of their own, which are shorter. Windows hold the numbers
of their frames, so that each frame is encoded once and used by all windows that hold it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, inf, isfinite

from sgmn.errors import MediaError, SettingsError
from sgmn.media.transcript import between
from sgmn.records import Utterance


@dataclass(frozen=True, slots=True)
class Window:
    """What is shown and said from `start_s` to `end_s` of a stream.

    `center_s` is the moment that it speaks for: its middle, except where the stream's
    beginning or end cuts it. `frames` are the numbers of its frames, counted from the
    stream's first; empty where the stream has a hole. `words` may be empty.
    """

    start_s: float
    end_s: float
    center_s: float
    frames: range
    words: str = ""


def windows(
    frame_times: Iterable[float],
    utterances: Sequence[Utterance] = (),
    window_s: float = 10.0,
    hop_s: float = 2.0,
    start_s: float = 0.0,
    duration_s: float | None = None,
    wait_s: float = 0.0,
) -> Iterator[Window]:
    """Yield the windows of a stream in order, each `wait_s` after its end has passed.

    `frame_times` are the frames' seconds, never decreasing, consumed as windows need them.
    `utterances` is read when a window is yielded, so a list that speech recognition fills
    meanwhile is seen as far as it has got. Only times that windows may still see are kept.
    The stream goes from `start_s` to `start_s + duration_s`; without a duration, or with one
    that `is_believed` refuses, the last frame lasts as long as the one before, at most
    `hop_s`. A remainder of less than half a hop has no window of its own, unless its frames
    would be in no window at all.

    Without frames there are no windows. Raises SettingsError unless 0 < hop_s <= window_s,
    MediaError for a time that is not finite, before the one ahead of it or before the start.
    """
    _check(window_s, hop_s)
    cut = _Cut(utterances, window_s, hop_s, start_s)
    times: list[float] = []
    count = gone = 0
    for time in frame_times:
        _check_time(time, times[-1] if times else start_s, gone + len(times))
        while cut.end_of(count) + wait_s <= time:
            yield cut.window(count, times, gone, inf)
            count += 1
        times.append(time)
        unseen = _unseen(times, cut.center_of(count) - window_s / 2)
        del times[:unseen]
        gone += unseen
    if times:
        end = _end(times, window_s, hop_s, None if duration_s is None else start_s + duration_s)
        for place in range(count, cut.count(times[-1], end)):
            yield cut.window(place, times, gone, end)


def _unseen(times: Sequence[float], from_s: float) -> int:
    """How many times no window sees any more; the last two tell how long the last frame lasts."""
    return max(0, min(bisect_left(times, from_s), len(times) - 2))


def is_believed(end_s: float, last_frame_s: float, window_s: float) -> bool:
    """Whether a stream can end where its header says: at most a window after its last frame.

    A damaged header may claim years, and each would be cut into windows that show nothing.
    """
    return end_s <= last_frame_s + window_s


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where window number `place` of a stream lies."""

    utterances: Sequence[Utterance]
    window_s: float
    hop_s: float
    start_s: float

    def center_of(self, place: int) -> float:
        return self.start_s + (place + 0.5) * self.hop_s

    def end_of(self, place: int) -> float:
        return self.center_of(place) + self.window_s / 2

    def count(self, last_frame_s: float, end_s: float) -> int:
        """Windows of a stream: as many as have their moment in it, and all frames seen."""
        spoken = floor((end_s - self.start_s) / self.hop_s + 0.5)
        seen = floor((last_frame_s - self.start_s - self.window_s / 2) / self.hop_s + 0.5) + 1
        return max(1, spoken, seen)

    def window(self, place: int, times: Sequence[float], gone: int, stream_end_s: float) -> Window:
        """Window number `place`; `times` are those of the frames from number `gone` on."""
        start = max(self.start_s, self.center_of(place) - self.window_s / 2)
        end = min(self.end_of(place), stream_end_s)
        # Half-open, but the stream's very last frame belongs to the window that ends there.
        after = bisect_left(times, end) if end < stream_end_s else len(times)
        center = min(self.center_of(place), end)
        frames = range(gone + bisect_left(times, start), gone + after)
        return Window(start, end, center, frames, between(self.utterances, start, end))


def _end(times: Sequence[float], window_s: float, hop_s: float, given_s: float | None) -> float:
    """Where the stream ends: as given, if that is believed, but not before its last frame."""
    if given_s is not None and is_believed(given_s, times[-1], window_s):
        return max(times[-1], given_s)
    lasts = times[-1] - times[-2] if len(times) > 1 else 0.0
    return times[-1] + min(lasts, hop_s)  # a hole before the last frame is not its length


def _check(window_s: float, hop_s: float) -> None:
    if not 0 < hop_s <= window_s < float("inf"):
        raise SettingsError(
            f"window_s {window_s} and hop_s {hop_s} leave holes",
            where="windows",
            remedy="give 0 < hop_s <= window_s, such as 2.0 and 10.0",
        )


def _check_time(time: float, before: float, number: int) -> None:
    if not isfinite(time) or time < before:
        raise MediaError(
            f"frame {number} is at {time} s, after {before} s",
            where="stream",
            remedy="give finite times that never decrease",
        )
