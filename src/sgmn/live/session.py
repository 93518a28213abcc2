"""A stream that is still running: frames in, events out, each window weighed as it completes.

The source decodes in a thread of its own while this one encodes and scores. What is kept is
what the windows to come may see, the lag of the decoder, and the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import sleep, time
from typing import Protocol

from sgmn.live.events import Event, EventDecoder, segments_of
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import Recognition, Recognizer, Reel
from sgmn.live.timeline import Belief, OnlineDecoder
from sgmn.live.windows import windows
from sgmn.media.live_source import LiveFrame
from sgmn.media.live_transcript import Hearing
from sgmn.records import Segment, Utterance

LAG_S = 6.0
_GLANCE_S = 0.1  # how often who waits for a frame's time looks whether the source was closed


class Source(Protocol):
    """What frames come from, as `media.live.LiveSource`; it ends when it is closed."""

    @property
    def damage(self) -> Sequence[str]:
        """A line for each kind of fault so far."""

    @property
    def dropped(self) -> int:
        """Frames that nobody had time for."""

    @property
    def reconnects(self) -> int:
        """How often it was lost and came back."""

    def __iter__(self) -> Iterator[LiveFrame]:
        """The frames, in order of time."""

    def close(self) -> None:
        """End it, and whoever iterates it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The newest window: what is likely on sale, and the last frame seen for it.

    `wall_s` is the wall clock when that frame came, `frames` its number, from 1.
    """

    belief: Belief
    wall_s: float
    frames: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a stream; `segments` follow from `events`. See `Source` for the others."""

    events: tuple[Event, ...]
    segments: tuple[Segment, ...]
    duration_s: float
    damage: tuple[str, ...] = ()
    dropped: int = 0
    reconnects: int = 0


@dataclass(frozen=True)
class Session:
    """Watches running streams, each with a decoder of its own that corrects up to `lag_s` back.

    A window is weighed `wait_s` after its end, for words that take time to come.
    """

    recognizer: Recognizer
    lag_s: float = LAG_S
    wait_s: float = 0.0

    def run(
        self,
        source: Source,
        said: Sequence[Utterance] = (),
        on_event: Callable[[Event], None] = lambda event: None,
        on_moment: Callable[[Moment], None] = lambda moment: None,
    ) -> Outcome:
        """Watch `source` to its end, which closing it from elsewhere brings about.

        `said` may grow meanwhile; a window hears what is there when it is weighed. A Hearing is
        made to forget what no window hears any more.
        `on_event` and `on_moment` are called in this thread, and hold up the next window.
        A source that ends before its first frame gives no events. Errors of the source come
        out as they are, and then the events have no end.
        """
        recognizer, told = self.recognizer, list[Event]()
        ids, settings = recognizer.shelf.product_ids, recognizer.settings
        events, online = EventDecoder(ids, settings, self.lag_s), OnlineDecoder(ids, settings)

        def tell(some: Iterable[Event]) -> None:
            for event in some:
                told.append(event)
                on_event(event)

        frames, end_s = _Newest(source), 0.0
        reel = Reel(recognizer.embedder, frames)
        lengths = settings.window_s, settings.hop_s
        cut = windows(reel.times(), said, *lengths, wait_s=self.wait_s)
        for window, logits in recognizer.scored(cut, reel, 1):
            if isinstance(said, Hearing):
                said.forget(window.start_s)
            tell(events.push(window.center_s, logits, frames.wall_s))
            on_moment(Moment(online.push(window.center_s, logits), frames.wall_s, reel.count))
            end_s = window.end_s
        tell(events.end(end_s, frames.wall_s))
        found, damage = segments_of(told), tuple(source.damage)
        return Outcome(tuple(told), found, end_s, damage, source.dropped, source.reconnects)


def events_of(
    found: Recognition, settings: TimelineSettings | None = None, lag_s: float = LAG_S
) -> Iterator[Event]:
    """The events that a recording would have had as a running stream, without a wall clock."""
    decoder = EventDecoder(found.product_ids, settings, lag_s)
    for time_s, logits in zip(found.times, found.scores, strict=True):
        yield from decoder.push(float(time_s), logits)
    yield from decoder.end(found.duration_s)


class _Newest:
    """The frames of a source, and when the last one came."""

    def __init__(self, source: Iterable[LiveFrame]) -> None:
        self._source = source
        self.wall_s = time()

    def __iter__(self) -> Iterator[LiveFrame]:
        for frame in self._source:
            self.wall_s = frame.wall_s
            yield frame


class Paced:
    """A source that gives no frame before its time, as if it were running now."""

    def __init__(self, source: Source) -> None:
        self._source, self._is_closed = source, False

    @property
    def damage(self) -> Sequence[str]:
        """As the source has it."""
        return self._source.damage

    @property
    def dropped(self) -> int:
        """As the source has it."""
        return self._source.dropped

    @property
    def reconnects(self) -> int:
        """As the source has it."""
        return self._source.reconnects

    def __iter__(self) -> Iterator[LiveFrame]:
        """Each frame at its time, which is also its `wall_s`."""
        begun_s = time()
        for frame in self._source:
            due_s = begun_s + frame.time_s
            while (wait_s := due_s - time()) > 0 and not self._is_closed:
                sleep(min(wait_s, _GLANCE_S))
            if self._is_closed:
                return
            yield replace(frame, wall_s=due_s)

    def close(self) -> None:
        """End it, and the source."""
        self._is_closed = True
        self._source.close()
