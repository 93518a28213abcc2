"""The timeline of a session, from its journal: the same events whenever it is replayed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sgmn.errors import SgmnError
from sgmn.live.event_decoder import EventDecoder
from sgmn.live.events import Event
from sgmn.live.evidence import TimelineSettings
from sgmn.live.timeline import Belief, OnlineDecoder
from sgmn.service.streams.journal import (
    End,
    Gap,
    Header,
    JournalWriter,
    Record,
    WindowRecord,
    read_journal,
)
from sgmn.settings import parse_table

_LOG = logging.getLogger("sgmn.service.sessions")


@dataclass(frozen=True, slots=True)
class Update:
    """What one record of a journal has changed: new events, and the belief after a window."""

    events: tuple[Event, ...] = ()
    belief: Belief | None = None


class SessionTimeline:
    """Turns the records of a journal into events, one after another.

    Attributes:
        header: The header of the journal.
        last_window: The last window, if any.
        ended: Whether the stream has ended.
    """

    def __init__(self, header: Header) -> None:
        self.header = header
        self.last_window: WindowRecord | None = None
        self.ended = False
        where = f"journal of session {header.session_id}"
        self.settings = parse_table(TimelineSettings, header.timeline, where)
        self._decoder = EventDecoder(header.product_ids, self.settings, header.lag_s)
        self._online = OnlineDecoder(header.product_ids, self.settings)

    @property
    def end_s(self) -> float:
        """End of what has been recognized, in seconds of the stream."""
        return 0.0 if self.last_window is None else self.last_window.end_s

    def apply(self, record: Record) -> Update:
        """Add a record and return what follows from it."""
        if isinstance(record, WindowRecord):
            self.last_window = record
            moment, logits, saliency = record.center_s, record.logits, record.saliency
            events = self._decoder.push(moment, logits, record.wall_s, saliency)
            return Update(events, self._online.push(moment, logits, saliency))
        if isinstance(record, End):
            self.ended = True
            return Update(self._decoder.end(record.end_s, record.wall_s))
        if isinstance(record, Gap):
            return Update()
        raise SgmnError("a second header", f"journal of session {record.session_id}")


@dataclass(frozen=True)
class Replay:
    """A journal that has been read: the timeline, and all its events and gaps so far."""

    timeline: SessionTimeline
    events: tuple[Event, ...]
    gaps: tuple[Gap, ...] = ()
    belief: Belief | None = None


def replay_journal(path: Path) -> Replay | None:
    """Read a journal; None if it does not exist or holds no header yet."""
    return replay_records(read_journal(path))


def replay_records(records: Iterable[Record]) -> Replay | None:
    """Apply the records of a journal; None without records."""
    iterator = iter(records)
    header = next(iterator, None)
    if header is None:
        return None
    if not isinstance(header, Header):
        raise SgmnError("does not begin with a header", "journal")
    timeline = SessionTimeline(header)
    events: list[Event] = []
    gaps: list[Gap] = []
    belief = None
    for record in iterator:
        update = timeline.apply(record)
        events.extend(update.events)
        belief = update.belief or belief
        if isinstance(record, Gap):
            gaps.append(record)
    return Replay(timeline, tuple(events), tuple(gaps), belief)


def end_journal(path: Path, wall_s: float) -> Replay | None:
    """End the stream of a journal where it stops, unless it has ended, and replay it.

    So no event stays open after a worker is gone for good, not even if the disk is full.

    Raises SgmnError if another process still writes the journal.
    """
    replay = replay_journal(path)
    if replay is None or replay.timeline.ended:
        return replay
    end = End(replay.timeline.end_s, wall_s)
    try:
        with JournalWriter(path) as journal:
            journal.append(end)
    except OSError as error:
        _LOG.error(f"{path}: the end of the stream cannot be written ({error.strerror})")
    update = replay.timeline.apply(end)
    return Replay(replay.timeline, (*replay.events, *update.events), replay.gaps, replay.belief)
