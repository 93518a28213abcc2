"""What the service answers about reviewing, recordings, and models trained from reviews."""

from __future__ import annotations

from dataclasses import dataclass

from sgmn.client.models import Operation, Segment


@dataclass(frozen=True, slots=True)
class QueuedSegment:
    """A segment that nobody has reviewed; `source` is without its secrets."""

    session_id: str
    catalogue_id: str
    source: str
    segment: Segment


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """Segments without a review, least certain first; `total` counts all that wait."""

    items: list[QueuedSegment]
    total: int


@dataclass(frozen=True, slots=True)
class SessionSegment:
    """A segment and the session that it is of."""

    session_id: str
    source: str
    created_s: float
    segment: Segment


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """A part of a stream whose frames are kept, in seconds of the stream."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """A part of a recording, in seconds of the stream; the next one begins after a break."""

    number: int
    start: float
    end: float
    is_complete: bool
    bytes: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """How much has been reviewed of a catalogue; `shortage` says what a training still needs."""

    sessions: int
    training: int
    held_out: int
    products: int
    min_training: int
    min_held_out: int
    shortage: str | None


@dataclass(frozen=True, slots=True)
class Improvement(Operation):
    """A training; `base_id` is the improvement that it starts from, None for the first model."""

    base_id: str | None = None
    is_adopted: bool = False


@dataclass(frozen=True, slots=True)
class Improvements:
    """The trainings of a catalogue, newest first; `model_id` is the one in use, None: the first."""

    model_id: str | None
    reviewed: Reviewed
    items: list[Improvement]
