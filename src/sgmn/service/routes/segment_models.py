"""What answers about timelines hold."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from sgmn.service.streams.layers import Layer, LayeredSegment, Verdict, segment_to_json


class Alternative(BaseModel):
    """Another state of a segment, and how likely it is."""

    product_id: str | None = Field(description="null: nothing is on sale.")
    title: str | None
    probability: float


class Segment(BaseModel):
    """A part of a stream in which one product is on sale."""

    start: float
    end: float
    product_id: str | None = Field(description="null: nothing is on sale.")
    title: str | None
    confidence: float
    runner_up: str | None
    is_open: bool = Field(description="Whether it goes on.")
    review_id: str | None = Field(description="The review that says so; null for the machine.")
    verdict: Verdict | None
    alternatives: list[Alternative] = Field(
        description="What the machine saw instead when the segment began, most likely first."
    )


class Timeline(BaseModel):
    """The timeline of a session."""

    layer: Layer
    last_seq: int = Field(description="The row of the log up to which it is complete.")
    segments: list[Segment]


def describe_segment(layered: LayeredSegment, titles: Mapping[str, str]) -> Segment:
    """The document of a segment."""
    alternatives = [
        {"product_id": product_id, "title": titles.get(product_id or ""), "probability": share}
        for product_id, share in layered.alternatives
    ]
    plain = segment_to_json(layered, titles)
    return Segment.model_validate({**plain, "alternatives": alternatives})
