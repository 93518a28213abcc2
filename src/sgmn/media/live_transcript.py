"""A transcript that grows while a stream is running."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event, Lock, Thread, current_thread
from typing import Self, overload

from sgmn.media.damage import report_damage
from sgmn.records import Utterance

_JOIN_TIMEOUT_S = 1.0
_MAX_REPORTED_ERRORS = 100  # further errors are only counted, because a stream runs for hours


class LiveTranscript(Sequence[Utterance]):
    """The utterances so far, ordered by start; any thread may add while others read.

    Iteration covers the utterances present when it began. Times are seconds of the stream.

    Args:
        utterances: The first utterances.
        on_add: Called with each new utterance, in the thread that adds it.
    """

    def __init__(
        self,
        utterances: Iterable[Utterance] = (),
        on_add: Callable[[Utterance], None] = lambda utterance: None,
    ) -> None:
        self._lock, self._on_add = Lock(), on_add
        self._utterances: list[Utterance] = []
        for utterance in utterances:
            self.add(utterance)

    def add(self, utterance: Utterance) -> None:
        """Insert by start, after utterances with the same start.

        Empty and duplicate utterances are ignored: subtitles repeat a cue in every segment that
        displays it, and a program that restarts repeats itself.
        """
        if not utterance.text.strip():
            return
        with self._lock:
            first = bisect_left(self._utterances, utterance.start, key=_start)
            after = bisect_right(self._utterances, utterance.start, lo=first, key=_start)
            if utterance in self._utterances[first:after]:
                return
            self._utterances.insert(after, utterance)
        self._on_add(utterance)

    def discard_before(self, time_s: float) -> None:
        """Discard the utterances that ended before `time_s`."""
        with self._lock:
            self._utterances = [u for u in self._utterances if u.end >= time_s]

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Utterance, ...]: ...
    def __getitem__(self, index: int | slice) -> Utterance | tuple[Utterance, ...]:
        with self._lock:
            if isinstance(index, slice):
                return tuple(self._utterances[index])
            return self._utterances[index]

    def __len__(self) -> int:
        with self._lock:
            return len(self._utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self[:])

    def __reversed__(self) -> Iterator[Utterance]:
        return reversed(self[:])


class TranscriptFollower:
    """A thread that fills a LiveTranscript until its source ends or the follower is closed.

    Args:
        name: The source, for error messages.
        work: Runs in the thread and returns when `stop_event` is set.
        damage: Receives a line for each of the first 100 errors; without it, they are logged.

    Attributes:
        errors: Number of errors so far.
        stop_event: Set when the follower is closed.
    """

    def __init__(
        self, name: str, work: Callable[[TranscriptFollower], None], damage: list[str] | None
    ) -> None:
        self.errors = 0
        self.stop_event = Event()
        self._name, self._damage = name, damage
        self._thread = Thread(target=work, args=(self,), name=f"follower of {name}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether more utterances may arrive."""
        return self._thread.is_alive()

    def report_error(self, line: str) -> None:
        """Count an error, and report it unless there were many."""
        self.errors += 1
        if self.errors <= _MAX_REPORTED_ERRORS:
            report_damage(line, self._damage)

    def wait_until_finished(self, timeout_s: float) -> None:
        """Wait until the source has ended and is fully transcribed; report a timeout."""
        self._thread.join(timeout_s)
        if self.is_running:
            self.report_error(f"{self._name}: the last utterances took more than {timeout_s:g} s")

    def close(self) -> None:
        """Stop within about a second; a silent web server is abandoned until its timeout."""
        self.stop_event.set()
        if self._thread is not current_thread():
            self._thread.join(_JOIN_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(utterance: Utterance) -> float:
    return utterance.start
