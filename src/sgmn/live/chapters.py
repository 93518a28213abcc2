"""Export of a timeline: chapters for a video player, and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgmn.media.transcript import format_webvtt
from sgmn.records import Segment, Utterance

TIMELINE_VERSION = 1


def format_chapters(timeline: Sequence[Segment], titles: Mapping[str, str]) -> str:
    """Return the products of a timeline as WebVTT chapters.

    A product without a title appears by its id. Time with nothing on sale has no chapter.
    """
    return format_webvtt(
        Utterance(segment.start, segment.end, _title_of(segment.product_id, titles))
        for segment in timeline
        if segment.product_id is not None
    )


def timeline_to_json(timeline: Sequence[Segment], titles: Mapping[str, str]) -> dict[str, Any]:
    """Return the whole timeline as plain JSON types.

    Times are seconds and `confidence` is 0..1. A `product_id` of null means nothing on sale. The
    `version` increases if a field changes its meaning.
    """
    return {
        "version": TIMELINE_VERSION,
        "segments": [_segment_to_json(segment, titles) for segment in timeline],
    }


def _segment_to_json(segment: Segment, titles: Mapping[str, str]) -> dict[str, Any]:
    product_id = segment.product_id
    return {
        "start": segment.start,
        "end": segment.end,
        "product_id": product_id,
        "title": None if product_id is None else _title_of(product_id, titles),
        "confidence": segment.confidence,
        "runner_up": segment.runner_up,
    }


def _title_of(product_id: str, titles: Mapping[str, str]) -> str:
    """Return the title on one line; a blank line inside a WebVTT cue would end the cue."""
    return " ".join(titles.get(product_id, "").split()) or product_id
