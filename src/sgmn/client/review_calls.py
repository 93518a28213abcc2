"""The requests about reviewing, recordings, and models trained from reviews."""

from __future__ import annotations

from sgmn.client.calls import (
    Call,
    call,
    call_for_bytes,
    call_for_items,
    catalogue_path,
    session_path,
)
from sgmn.client.models import Operation
from sgmn.client.review_models import (
    FrameSpan,
    Improvement,
    Improvements,
    RecordedPart,
    ReviewQueue,
    SessionSegment,
)


def get_review_queue(limit: int, session_id: str | None, shop_id: str | None) -> Call[ReviewQueue]:
    """Segments to review."""
    path = "/v1/review-queue"
    return call("GET", path, ReviewQueue, limit=limit, session_id=session_id, shop_id=shop_id)


def list_segments(catalogue_id: str, product_id: str) -> Call[list[SessionSegment]]:
    """When a product was on sale."""
    path = catalogue_path(catalogue_id, "segments")
    return call_for_items(path, SessionSegment, product_id=product_id)


def list_frames(session_id: str) -> Call[list[FrameSpan]]:
    """Which frames are kept."""
    return call_for_items(session_path(session_id, "frames"), FrameSpan)


def get_heatmap(session_id: str, time_s: float, text: str | None) -> Call[bytes]:
    """A frame with its heatmap."""
    return call_for_bytes(session_path(session_id, "heatmaps", f"{time_s}.png"), text=text)


def list_recordings(session_id: str) -> Call[list[RecordedPart]]:
    """The parts of a recording."""
    return call_for_items(session_path(session_id, "recordings"), RecordedPart)


def get_recording(session_id: str, part: int | None) -> Call[bytes]:
    """A part of a recording."""
    return call_for_bytes(session_path(session_id, "recording"), part=part)


def list_improvements(catalogue_id: str) -> Call[Improvements]:
    """The trainings of a catalogue."""
    return call("GET", catalogue_path(catalogue_id, "improvements"), Improvements)


def start_improvement(catalogue_id: str, steps: int | None) -> Call[Improvement]:
    """Train a model."""
    path = catalogue_path(catalogue_id, "improvements")
    return call("POST", path, Improvement, {"steps": steps})


def adopt_improvement(catalogue_id: str, improvement_id: str) -> Call[Operation]:
    """Use a trained model."""
    path = catalogue_path(catalogue_id, "improvements", f"{improvement_id}:adopt")
    return call("POST", path, Operation)


def revert_improvement(catalogue_id: str, improvement_id: str) -> Call[Operation]:
    """Stop using a trained model."""
    path = catalogue_path(catalogue_id, "improvements", f"{improvement_id}:revert")
    return call("POST", path, Operation)
