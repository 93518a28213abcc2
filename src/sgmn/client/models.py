"""What the service answers. Fields that a newer service adds are ignored."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key; `secret` only in the answer that makes it. Times are seconds since 1970."""

    id: str
    name: str
    role: str
    shops: list[str] | None
    created_s: float
    last_used_s: float | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue; `version` is its ETag."""

    id: str
    shop_id: str
    name: str
    product_count: int
    index_version: int
    version: int
    created_s: float
    updated_s: float
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A long job: queued, running, succeeded, failed or cancelled."""

    id: str
    shop_id: str
    catalogue_id: str | None
    kind: str
    state: str
    progress: dict[str, Any]
    result: dict[str, Any] | None
    problem: dict[str, Any] | None
    created_s: float
    started_s: float | None
    ended_s: float | None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in one way or another."""
        return self.state not in ("queued", "running")


@dataclass(frozen=True, slots=True)
class OperationRow:
    """What an operation says about a row of its input."""

    number: int
    level: str
    location: str
    message: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a catalogue."""

    product_id: str
    title: str
    category: str
    image_count: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A product that matches."""

    product: Product
    score: float


@dataclass(frozen=True, slots=True)
class Session:
    """A stream that is recognized; `source` is without its secrets."""

    id: str
    shop_id: str
    catalogue_id: str
    index_version: int
    source: str
    options: dict[str, Any]
    state: str
    state_detail: str | None
    created_s: float
    started_s: float | None
    ended_s: float | None
    last_seq: int
    version: int

    @property
    def is_over(self) -> bool:
        """Whether it has ended or failed."""
        return self.state in ("ended", "failed")


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of a session's log; `seq` counts from 1 without holes."""

    seq: int
    session: str
    type: str
    wall_s: float
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Now:
    """What is on sale now; `now` is None before the first window."""

    state: str
    state_detail: str | None
    wall_s: float
    now: dict[str, Any] | None
    stream: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another state of a segment, and how likely it is; `product_id` None means nothing."""

    product_id: str | None
    title: str | None
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a stream; times are seconds of the stream, `product_id` None means nothing."""

    start: float
    end: float
    product_id: str | None
    title: str | None
    confidence: float
    runner_up: str | None
    is_open: bool
    review_id: str | None
    verdict: str | None
    alternatives: list[Alternative] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The segments of a session, up to the row `last_seq` of its log."""

    layer: str
    last_seq: int
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class Review:
    """What a person says about a part of a stream."""

    id: str
    start: float
    end: float
    product_id: str | None
    verdict: str
    version: int
    updated_s: float
    author_key_id: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook; `secret` only in the answer that makes it or rotates its secret."""

    id: str
    shop_id: str
    url: str
    types: list[str]
    state: str
    version: int
    created_s: float
    previous_secret_until_s: float | None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A log row on its way to a webhook: pending, delivered or dead."""

    id: str
    webhook_id: str
    session_id: str
    seq: int
    state: str
    attempts: int
    next_attempt_s: float | None
    last_status: int | None
    last_error: str | None
    created_s: float
    updated_s: float


def build(model: type[Model], document: Mapping[str, Any]) -> Model:
    """Build a model from a JSON document.

    >>> row = {"number": 3, "level": "error", "location": "a.csv:3", "message": "", "new": 1}
    >>> build(OperationRow, row).location
    'a.csv:3'
    """
    hints = _hints(model)  # type: ignore[arg-type]  # a class is hashable
    known = fields(model)  # type: ignore[arg-type]
    names = [one.name for one in known if one.name in document]
    return model(**{name: _convert(hints[name], document[name]) for name in names})


@cache
def _hints(model: Hashable) -> dict[str, Any]:
    return get_type_hints(model)


def _convert(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value)
    if get_origin(hint) is list and is_dataclass(get_args(hint)[0]):
        return [build(get_args(hint)[0], item) for item in value]
    return value
