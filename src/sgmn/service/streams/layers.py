"""The timeline of a session: as the machine saw it, and as people have reviewed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from sgmn.live.events import Alternative, Event, from_json, segments_from_events
from sgmn.records import Segment
from sgmn.service.database import tables
from sgmn.service.log import EVENT

Layer = Literal["machine", "reviewed"]
Verdict = Literal["confirmed", "corrected", "nothing", "unsure"]


@dataclass(frozen=True, slots=True)
class LayeredSegment:
    """A segment of a timeline.

    Attributes:
        segment: What is on sale, and from when to when.
        is_open: Whether it goes on; its end is where the stream is now.
        review_id: The review that says so; None for the machine.
        verdict: The verdict of that review.
        alternatives: The other states with the most evidence when the segment began.
    """

    segment: Segment
    is_open: bool = False
    review_id: str | None = None
    verdict: Verdict | None = None
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewedSpan:
    """What a person says about a part of a stream."""

    review_id: str
    start_s: float
    end_s: float
    product_id: str | None
    verdict: Verdict
    updated_s: float = 0.0


def read_layer(
    connection: sa.Connection, session_id: str, layer: Layer, now_s: float | None
) -> list[LayeredSegment]:
    """Return a timeline from the log and the reviews of a session.

    Args:
        connection: A transaction.
        session_id: The session.
        layer: "machine", or "reviewed" for the machine's with all reviews on top.
        now_s: Where the stream is now, for the segment that goes on; None after its end.
    """
    machine = machine_segments(read_events(connection, session_id), now_s)
    if layer == "machine":
        return machine
    return apply_reviews(machine, read_reviews(connection, session_id))


def read_events(connection: sa.Connection, session_id: str) -> list[Event]:
    """Return the events of a session."""
    log = tables.log
    query = (
        sa.select(log.c.data)
        .where(log.c.session_id == session_id, log.c.type == EVENT)
        .order_by(log.c.seq)
    )
    return [from_json(data) for (data,) in connection.execute(query)]


def read_reviews(connection: sa.Connection, session_id: str) -> list[ReviewedSpan]:
    """Return the reviews of a session, oldest first."""
    reviews = tables.reviews
    query = (
        sa.select(reviews)
        .where(reviews.c.session_id == session_id)
        .order_by(reviews.c.updated_s, reviews.c.review_id)
    )
    names = ("review_id", "start_s", "end_s", "product_id", "verdict", "updated_s")
    return [
        ReviewedSpan(**{name: row[name] for name in names})
        for row in connection.execute(query).mappings()
    ]


def machine_segments(events: Sequence[Event], now_s: float | None) -> list[LayeredSegment]:
    """Return the segments of events, with the last one up to `now_s`."""
    changes = {event.time_s: event for event in _valid_changes(events)}
    closed = [
        LayeredSegment(segment, alternatives=changes[segment.start].alternatives)
        for segment in segments_from_events(events)
    ]
    last = max(changes.values(), key=lambda event: event.time_s, default=None)
    if last is None or now_s is None or _is_end(last):
        return closed
    end_s = max(now_s, last.time_s)
    segment = Segment(last.time_s, end_s, last.product_id, last.confidence)
    return [*closed, LayeredSegment(segment, is_open=True, alternatives=last.alternatives)]


def _valid_changes(events: Iterable[Event]) -> list[Event]:
    """The events that are neither corrected nor retracted."""
    latest: dict[int, Event] = {}
    for event in events:
        latest[event.corrects or event.id] = event
    return [event for event in latest.values() if not event.is_retraction]


def _is_end(event: Event) -> bool:
    """Whether an event ends the stream: then nothing goes on."""
    return event.kind == "ended" and event.time_s == event.found_s


def apply_reviews(
    machine: Sequence[LayeredSegment], reviews: Iterable[ReviewedSpan]
) -> list[LayeredSegment]:
    """Put reviews over the segments of the machine; of two that overlap, the later one counts.

    A review with the verdict "unsure" marks the segments, and leaves their products alone.
    """
    layered = list(machine)
    for review in reviews:
        layered = [piece for segment in layered for piece in _cut_out(segment, review)]
        if review.verdict == "unsure":
            continue
        product_id = None if review.verdict == "nothing" else review.product_id
        segment = Segment(review.start_s, review.end_s, product_id)
        reviewed = LayeredSegment(segment, False, review.review_id, review.verdict)
        layered = sorted([*layered, reviewed], key=lambda one: one.segment.start)
    return layered


def _cut_out(layered: LayeredSegment, review: ReviewedSpan) -> list[LayeredSegment]:
    """Return what is left of a segment beside a review; under "unsure" it stays, marked."""
    segment = layered.segment
    start_s, end_s = max(segment.start, review.start_s), min(segment.end, review.end_s)
    if start_s >= end_s:
        return [layered]
    pieces = []
    if segment.start < start_s:
        pieces.append(replace(layered, segment=replace(segment, end=start_s), is_open=False))
    if review.verdict == "unsure":
        inner = replace(segment, start=start_s, end=end_s)
        pieces.append(
            LayeredSegment(
                inner,
                layered.is_open and end_s == segment.end,
                review.review_id,
                review.verdict,
                layered.alternatives,
            )
        )
    if end_s < segment.end:
        pieces.append(replace(layered, segment=replace(segment, start=end_s)))
    return pieces


def segment_to_json(layered: LayeredSegment, titles: Mapping[str, str]) -> dict[str, Any]:
    """Return a segment as plain JSON types."""
    segment = layered.segment
    title = None if segment.product_id is None else titles.get(segment.product_id)
    return {
        "start": segment.start,
        "end": segment.end,
        "product_id": segment.product_id,
        "title": title,
        "confidence": segment.confidence,
        "runner_up": segment.runner_up,
        "is_open": layered.is_open,
        "review_id": layered.review_id,
        "verdict": layered.verdict,
    }
