"""Words that come while a stream is running: a transcript that grows."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event, Lock, Thread, current_thread
from types import TracebackType
from typing import Self, overload

from sgmn.records import Utterance

_LOG = logging.getLogger("sgmn.media")

_FAREWELL_S = 1.0
_NAMED = 100  # further errors are only counted: a stream runs for hours


class LiveTranscript(Sequence[Utterance]):
    """What has been said so far, in order of start; any thread may add while others read.

    Iterating goes through what there was when it began. Times are seconds of the stream.
    """

    def __init__(self, utterances: Iterable[Utterance] = ()) -> None:
        self._lock = Lock()
        self._said: list[Utterance] = []
        for utterance in utterances:
            self.add(utterance)

    def add(self, utterance: Utterance) -> None:
        """Put it in its place by start, after what starts together with it.

        What has no words is left out, and so is what is there already: subtitles repeat a
        cue in every segment that shows it, and a program that starts anew repeats itself.
        """
        if not utterance.text.strip():
            return
        with self._lock:
            first = bisect_left(self._said, utterance.start, key=_start)
            after = bisect_right(self._said, utterance.start, lo=first, key=_start)
            if utterance not in self._said[first:after]:
                self._said.insert(after, utterance)

    def discard_before(self, before_s: float) -> None:
        """Drop what ended before `before_s`; whoever reads from there on misses nothing."""
        with self._lock:
            self._said = [u for u in self._said if u.end >= before_s]

    @overload
    def __getitem__(self, place: int) -> Utterance: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Utterance, ...]: ...
    def __getitem__(self, place: int | slice) -> Utterance | tuple[Utterance, ...]:
        with self._lock:
            return tuple(self._said[place]) if isinstance(place, slice) else self._said[place]

    def __len__(self) -> int:
        with self._lock:
            return len(self._said)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self[:])

    def __reversed__(self) -> Iterator[Utterance]:
        return reversed(self[:])


class TranscriptFollower:
    """A thread that fills a Hearing until its source ends or it is closed.

    `errors` counts what could not be used. The first of them have a line each in `damage`,
    or in the log where there is none.
    """

    def __init__(
        self, name: str, work: Callable[[TranscriptFollower], None], damage: list[str] | None
    ) -> None:
        self.errors = 0
        self.stop_event = Event()
        self._damage = damage
        self._thread = Thread(target=work, args=(self,), name=f"follower of {name}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def report_error(self, line: str) -> None:
        """Count an error, and tell it unless there were many."""
        self.errors += 1
        if self.errors > _NAMED:
            return
        if self._damage is None:
            _LOG.warning(line)
        else:
            self._damage.append(line)

    def wait_until_finished(self, limit_s: float) -> None:
        """Wait until its source has ended and all of it is heard, `limit_s` seconds at most."""
        self._thread.join(limit_s)
        if self.is_running:
            self.report_error(f"{self._thread.name}: the last words took more than {limit_s:g} s")

    def close(self) -> None:
        """End it, within about a second; a web server that stays silent ends at its time-out."""
        self.stop_event.set()
        if self._thread is not current_thread():
            self._thread.join(_FAREWELL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _start(utterance: Utterance) -> float:
    return utterance.start
