"""Events of a running stream: what starts, changes and ends on sale, and what was mistaken.

The recent past is smoothed (see `smoothing`), so an event may be corrected until the time it
speaks of is older than the lag. The segments of the stream follow from its events alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import pairwise
from math import inf, isfinite
from typing import Any, Literal, get_args

import numpy as np

from sgmn.errors import RecordError, SgmnError
from sgmn.live.decoder import rivals
from sgmn.live.evidence import Scores, TimelineSettings, check, evidence
from sgmn.live.fixed_lag import Run, Smoother, Turn, paired, turns
from sgmn.live.timeline import runner_up
from sgmn.records import Segment

Kind = Literal["started", "changed", "ended", "corrected"]
Alternative = tuple[str | None, float]
SCHEMA = "sgmn.event/1"
ALTERNATIVES = 3
FIRST = 1  # the id of the event that tells what a stream begins with


@dataclass(frozen=True, slots=True)
class Event:
    """From `time_s` on `product_id` is on sale, and no longer `before`; None means nothing.

    `id` counts from 1 in each stream. `found_s` is the stream time of the window at which it
    was found, `wall_s` the wall clock then, if it was given. `confidence` is the probability
    of `product_id` at its windows up to then, on average; `alternatives` are the states of the
    next best evidence with theirs, see `decoder.rivals`. `before_confidence` and
    `before_runner_up` are those of the segment of `before` by then, as in `Segment`.

    A "corrected" event replaces the one whose id it `corrects`. Raises RecordError for values
    that cannot be.
    """

    id: int
    kind: Kind
    time_s: float
    found_s: float
    product_id: str | None
    before: str | None
    confidence: float
    alternatives: tuple[Alternative, ...] = ()
    corrects: int | None = None
    wall_s: float | None = None
    before_confidence: float | None = None
    before_runner_up: str | None = None

    def __post_init__(self) -> None:
        for name, holds in _holds(self):
            if not holds:
                fault = f"{name} is {getattr(self, name)!r}"
                raise RecordError(fault, f"event {self.id!r}", "see docs/events.md")

    @property
    def retracts(self) -> bool:
        """Whether it takes back a turn: its product is that before, so nothing changed."""
        corrects_turn = self.corrects is not None and self.corrects != FIRST
        return corrects_turn and self.product_id == self.before


def _holds(event: Event) -> Iterable[tuple[str, bool]]:
    """Each field that can be wrong, and whether it is right."""
    corrects = event.corrects
    yield "id", _is_id(event.id)
    yield "kind", event.kind in get_args(Kind)
    yield "found_s", _is_number(event.found_s)
    yield "time_s", _is_number(event.time_s) and 0 <= event.time_s <= event.found_s
    yield "wall_s", event.wall_s is None or _is_number(event.wall_s)
    for name in ("product_id", "before", "before_runner_up"):
        yield name, isinstance(getattr(event, name), str | None)
    yield "confidence", _is_share(event.confidence)
    yield "before_confidence", event.before_confidence is None or _is_share(event.before_confidence)
    fits = [isinstance(product, str | None) and _is_share(p) for product, p in event.alternatives]
    yield "alternatives", all(fits)
    is_earlier = corrects is not None and _is_id(corrects) and corrects < event.id
    yield "corrects", is_earlier if event.kind == "corrected" else corrects is None


def _is_id(value: object) -> bool:
    return type(value) is int and value >= FIRST


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and isfinite(value)


def _is_share(value: float) -> bool:
    return _is_number(value) and 0 <= value <= 1


class EventDecoder:
    """The timeline of one shelf as it happens, as events; see `Event` and `TimelineSettings`.

    A lag of 0 s corrects nothing; one as long as the stream ends with the segments of
    `timeline.segments` over the same windows, but events tell how sure one could be by then.
    Memory, and work a window, are those of the lag's windows. Raises SettingsError for a lag
    too short for `min_segment_s`.
    """

    def __init__(
        self,
        product_ids: Sequence[str],
        settings: TimelineSettings | None = None,
        lag_s: float = 6.0,
    ) -> None:
        self._products = tuple(product_ids)
        self._names = (*self._products, None)
        self._settings = settings or TimelineSettings()
        self._smoother = Smoother(self._settings, lag_s)
        self._runs: tuple[Run, ...] = ()
        self._said: dict[int, Turn] = {}  # by the event's id, while it may be corrected
        self._count = 0
        self._now_s, self._until_s = -inf, 0.0
        self._wall_s: float | None = None
        self._has_ended = False

    @property
    def windows(self) -> int:
        """How many windows are held: those whose product may still be corrected."""
        return self._smoother.windows

    @property
    def final_s(self) -> float:
        """Seconds up to which nothing will be corrected any more."""
        return self._until_s if self._has_ended else min(self._smoother.open_s, self._until_s)

    @property
    def recent(self) -> tuple[Segment, ...]:
        """The segments believed now, from the one at `final_s` on; the last may go on."""
        ends = [*(run.start_s for run in self._runs[1:]), self._until_s]
        return tuple(
            Segment(run.start_s, end_s, self._names[run.state], *self._sureness(run))
            for run, end_s in zip(self._runs, ends, strict=False)
        )

    def push(self, time_s: float, scores: Scores, wall_s: float | None = None) -> tuple[Event, ...]:
        """Weigh one window: `scores` (S,) are logits at `time_s`, later than the one before.

        `wall_s` is the wall clock, seconds since 1970, for the events' own. Returns corrections
        first, then what is new. Raises SgmnError for a time below 0 or that does not advance,
        after the end, and for scores as in `timeline.segments`.
        """
        rows = np.asarray(scores, dtype=np.float64)[np.newaxis]
        check(np.array([time_s]), rows, self._products)
        self._require(time_s > self._now_s and time_s >= 0, time_s, "push windows in order")
        row = evidence(rows, self._settings)[0]
        self._now_s, self._until_s = float(time_s), float(time_s) + self._settings.hop_s / 2
        self._wall_s = wall_s
        return self._turned(self._smoother.push(self._now_s, row))

    def end(self, time_s: float, wall_s: float | None = None) -> tuple[Event, ...]:
        """The stream ends at `time_s`, not before its last window: the last events of all.

        The very last one is "ended", at `time_s`, also where nothing was on sale; a stream
        without windows has no events.
        """
        in_order = self._now_s <= time_s < inf
        self._require(in_order, time_s, "end a stream once, after its last window")
        self._has_ended = True
        self._now_s = self._until_s = float(time_s)
        self._wall_s = wall_s
        if not self._runs:
            return ()
        return (*self._turned(self._smoother.end(self._now_s)), self._closing())

    def _require(self, holds: bool, time_s: float, remedy: str) -> None:
        if self._has_ended or not holds:
            came = "the end" if self._has_ended else f"{max(self._now_s, 0.0)} s"
            raise SgmnError(f"{time_s} s comes after {came}", "events", remedy)

    def _turned(self, runs: tuple[Run, ...]) -> tuple[Event, ...]:
        """Events of what differs from what was said; what is final has been said rightly."""
        self._runs, open_s = runs, self._smoother.open_s
        said = {key: turn for key, turn in self._said.items() if turn.start_s >= open_s}
        now, new = paired(said, turns(runs, open_s))
        events = [
            self._corrected(key, turn, now.get(key))
            for key, turn in said.items()
            if key not in now or not now[key].equals(turn)
        ]
        for turn in new:
            events.append(self._event(self._kind(turn), turn.start_s, turn))
            now[events[-1].id] = turn
        self._said = dict(sorted(now.items(), key=lambda pair: pair[1].start_s))
        return tuple(events)

    def _corrected(self, key: int, said: Turn, now: Turn | None) -> Event:
        if now is not None:
            return self._event("corrected", now.start_s, now, key)
        goes_on = next(run for run in reversed(self._runs) if run.start_s <= said.start_s)
        return self._event("corrected", said.start_s, Turn(goes_on, goes_on), key)

    def _kind(self, turn: Turn) -> Kind:
        if turn.before is None or self._names[turn.before.state] is None:
            return "started"
        return "ended" if self._names[turn.run.state] is None else "changed"

    def _event(self, kind: Kind, time_s: float, turn: Turn, corrects: int | None = None) -> Event:
        run = turn.run
        others = rivals(run.logs, run.chances, run.state, ALTERNATIVES)
        return Event(
            **self._common(time_s, turn.before),
            kind=kind,
            product_id=self._names[run.state],
            confidence=self._sureness(run)[0],
            alternatives=tuple((self._names[state], chance) for state, chance in others),
            corrects=corrects,
        )

    def _closing(self) -> Event:
        """The stream's end, which is certain."""
        common = self._common(self._now_s, self._runs[-1])
        return Event(**common, kind="ended", product_id=None, confidence=1.0)

    def _common(self, time_s: float, before: Run | None) -> dict[str, Any]:
        self._count += 1
        sure, rival = (None, None) if before is None else self._sureness(before)
        return {
            "id": self._count,
            "time_s": time_s,
            "found_s": self._now_s,
            "wall_s": self._wall_s,
            "before": None if before is None else self._names[before.state],
            "before_confidence": sure,
            "before_runner_up": rival,
        }

    def _sureness(self, run: Run) -> tuple[float, str | None]:
        """Confidence and runner-up, as `timeline.segments` has them."""
        sure = min(1.0, float(run.chances[run.state]))
        return sure, runner_up(run.state, run.logs, self._products)


def segments_of(events: Iterable[Event]) -> tuple[Segment, ...]:
    """The segments that a stream's events tell, in order, each starting where the last ends.

    Corrections count, whatever the order of the events; one that is there twice counts once.
    The state after the last turn has no end yet, so of a running stream it is left out.
    """
    in_force: dict[int, Event] = {}
    for event in sorted(events, key=lambda event: event.id):
        in_force[event.corrects or event.id] = event
    held = (event for event in in_force.values() if not event.retracts)
    kept = sorted(held, key=lambda event: event.time_s)
    return tuple(
        Segment(
            start=event.time_s,
            end=after.time_s,
            product_id=event.product_id,
            confidence=event.confidence if (sure := after.before_confidence) is None else sure,
            runner_up=after.before_runner_up,
        )
        for event, after in pairwise(kept)
    )


def to_json(event: Event) -> dict[str, Any]:
    """The event as plain JSON types; docs/events.md tells each field."""
    rivals = [{"product_id": name, "probability": share} for name, share in event.alternatives]
    return {"schema": SCHEMA, **asdict(event), "alternatives": rivals}


def from_json(content: Mapping[str, Any]) -> Event:
    """An event from `to_json`; fields that are not known are left out.

    Raises SgmnError for another schema, a missing field and a value that cannot be.
    """
    schema = content.get("schema") if isinstance(content, Mapping) else None
    if schema != SCHEMA:
        raise SgmnError(f"its schema is {schema!r}", "event", f"give {SCHEMA!r}")
    known = {field.name: field.default for field in fields(Event)}
    given = {name: content[name] for name in known if name in content}
    for name, default in known.items():
        if name not in given and default is MISSING:
            raise SgmnError(f"{name!r} is missing", "event", "see docs/events.md")
    try:
        rivals = given.pop("alternatives", ())
        pairs = tuple((rival["product_id"], rival["probability"]) for rival in rivals)
    except (KeyError, TypeError) as error:
        raise SgmnError(f"'alternatives' is {rivals!r}", "event", "see docs/events.md") from error
    return Event(**given, alternatives=pairs)
