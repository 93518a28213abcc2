"""Events of a running stream: what starts, changes and ends on sale, and corrections of these.

The recent past is smoothed (see `fixed_lag`), so an event may be corrected until its time is
older than the lag. The segments of a stream follow from its events alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import pairwise
from math import isfinite
from typing import Any, Literal, get_args

from sgmn.errors import RecordError, SgmnError
from sgmn.records import Segment

EventKind = Literal["started", "changed", "ended", "corrected"]
Alternative = tuple[str | None, float]
SCHEMA = "sgmn.event/1"
FIRST_EVENT_ID = 1  # the event that says what is on sale when a stream begins


@dataclass(frozen=True, slots=True)
class Event:
    """From `time_s` on `product_id` is on sale instead of `before`; None means nothing.

    A "corrected" event replaces the event whose id is `corrects`.

    Attributes:
        id: Counts from 1 in each stream.
        kind: "started", "changed", "ended" or "corrected".
        time_s: Seconds into the stream at which the change happened.
        found_s: Seconds into the stream of the window at which the change was found.
        product_id: What is on sale from `time_s` on.
        before: What was on sale until `time_s`.
        confidence: Mean probability of `product_id` at its windows up to `found_s`, 0..1.
        alternatives: The other states with the most evidence, each with its mean probability;
            see `decoder.rank_alternatives`.
        corrects: The id of the event that this one replaces.
        wall_s: Wall-clock time of the window at `found_s`, in seconds since 1970, if known.
        before_confidence: Confidence of the segment of `before`, as in `Segment`.
        before_runner_up: Runner-up of the segment of `before`, as in `Segment`.

    Raises:
        RecordError: A value is impossible.

    Example:
        >>> event = Event(1, "started", time_s=12.0, found_s=14.0, product_id="p1", before=None,
        ...     confidence=0.9)
        >>> event.found_s - event.time_s
        2.0
    """

    id: int
    kind: EventKind
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
        for name, is_valid in _check_fields(self):
            if not is_valid:
                message = f"{name} is {getattr(self, name)!r}"
                raise RecordError(message, f"event {self.id!r}", "see docs/events.md")

    @property
    def is_retraction(self) -> bool:
        """Whether it retracts a change: `product_id` equals `before`, so nothing changed."""
        corrects_change = self.corrects is not None and self.corrects != FIRST_EVENT_ID
        return corrects_change and self.product_id == self.before


def _check_fields(event: Event) -> Iterable[tuple[str, bool]]:
    """Yield each field that can be invalid, and whether it is valid."""
    corrects = event.corrects
    yield "id", _is_id(event.id)
    yield "kind", event.kind in get_args(EventKind)
    yield "found_s", _is_number(event.found_s)
    yield "time_s", _is_number(event.time_s) and 0 <= event.time_s <= event.found_s
    yield "wall_s", event.wall_s is None or _is_number(event.wall_s)
    for name in ("product_id", "before", "before_runner_up"):
        yield name, isinstance(getattr(event, name), str | None)
    yield "confidence", _is_share(event.confidence)
    yield "before_confidence", event.before_confidence is None or _is_share(event.before_confidence)
    yield (
        "alternatives",
        all(
            isinstance(product_id, str | None) and _is_share(probability)
            for product_id, probability in event.alternatives
        ),
    )
    corrects_earlier = corrects is not None and _is_id(corrects) and corrects < event.id
    yield "corrects", corrects_earlier if event.kind == "corrected" else corrects is None


def _is_id(value: object) -> bool:
    return type(value) is int and value >= FIRST_EVENT_ID


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and isfinite(value)


def _is_share(value: float) -> bool:
    return _is_number(value) and 0 <= value <= 1


def segments_from_events(events: Iterable[Event]) -> tuple[Segment, ...]:
    """Return the segments of a stream, in order, each starting where the previous one ends.

    Corrections are applied in whatever order the events come, and duplicates count once. The
    state after the last change has no end yet, so it is left out while a stream is running.
    """
    latest: dict[int, Event] = {}
    for event in sorted(events, key=lambda event: event.id):
        latest[event.corrects or event.id] = event
    valid = (event for event in latest.values() if not event.is_retraction)
    changes = sorted(valid, key=lambda event: event.time_s)
    return tuple(_segment_between(event, following) for event, following in pairwise(changes))


def _segment_between(event: Event, following: Event) -> Segment:
    confidence = following.before_confidence
    return Segment(
        start=event.time_s,
        end=following.time_s,
        product_id=event.product_id,
        confidence=event.confidence if confidence is None else confidence,
        runner_up=following.before_runner_up,
    )


def to_json(event: Event) -> dict[str, Any]:
    """Return the event as plain JSON types; docs/events.md describes each field."""
    alternatives = [
        {"product_id": product_id, "probability": probability}
        for product_id, probability in event.alternatives
    ]
    return {"schema": SCHEMA, **asdict(event), "alternatives": alternatives}


def from_json(content: Mapping[str, Any]) -> Event:
    """Return an event from the output of `to_json`; unknown fields are ignored.

    Raises:
        SgmnError: The schema is another one, a field is missing, or a value is impossible.
    """
    schema = content.get("schema") if isinstance(content, Mapping) else None
    if schema != SCHEMA:
        raise SgmnError(f"the schema is {schema!r}", "event", f"pass an event of {SCHEMA!r}")
    defaults = {field.name: field.default for field in fields(Event)}
    values = {name: content[name] for name in defaults if name in content}
    for name, default in defaults.items():
        if name not in values and default is MISSING:
            raise SgmnError(f"{name!r} is missing", "event", "see docs/events.md")
    rows = values.pop("alternatives", ())
    try:
        alternatives = tuple((row["product_id"], row["probability"]) for row in rows)
    except (KeyError, TypeError) as error:
        raise SgmnError(f"'alternatives' is {rows!r}", "event", "see docs/events.md") from error
    return Event(**values, alternatives=alternatives)
