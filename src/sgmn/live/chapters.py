"""A timeline for others to read: chapters of a video player, and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgmn.media.transcript import write_vtt
from sgmn.records import Segment, Utterance

VERSION = 1


def chapters(timeline: Sequence[Segment], titles: Mapping[str, str]) -> str:
    """The products of a timeline as WebVTT chapters; a product without title has its id.

    Time in which nothing is on sale has no chapter.
    """
    return write_vtt(
        Utterance(s.start, s.end, _title(s.product_id, titles))
        for s in timeline
        if s.product_id is not None
    )


def timeline_json(timeline: Sequence[Segment], titles: Mapping[str, str]) -> dict[str, Any]:
    """The whole timeline as plain JSON types; nothing on sale has a `product_id` of null.

    Times are seconds, `confidence` 0..1. `version` rises when a field changes its meaning.
    """
    return {"version": VERSION, "segments": [_plain(s, titles) for s in timeline]}


def _plain(segment: Segment, titles: Mapping[str, str]) -> dict[str, Any]:
    sold = segment.product_id
    return {
        "start": segment.start,
        "end": segment.end,
        "product_id": sold,
        "title": None if sold is None else _title(sold, titles),
        "confidence": segment.confidence,
        "runner_up": segment.runner_up,
    }


def _title(product_id: str, titles: Mapping[str, str]) -> str:
    """One line: a blank line inside a cue would end it."""
    return " ".join(titles.get(product_id, "").split()) or product_id
