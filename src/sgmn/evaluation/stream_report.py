"""The report of recognised streams: their timelines against the true ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from rich.table import Table

from sgmn.errors import SgmnError
from sgmn.evaluation.report import OVERALL
from sgmn.evaluation.streams import (
    Agreement,
    Delay,
    SegmentScore,
    agreement,
    mean_delay,
    segment_f1,
)
from sgmn.evaluation.tables import markdown_table, terminal_table
from sgmn.records import Segment

VERSION = 1
HEADER = ["stream", "minutes", "time right", "precision", "recall", "F1", "delay s", "missed"]


@dataclass(frozen=True, slots=True)
class StreamResult:
    """One stream: its true and found timelines; `duration_s` None judges the true one's time."""

    stream_id: str
    truth: tuple[Segment, ...]
    found: tuple[Segment, ...]
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What one stream, or all together, scored."""

    stream_id: str
    time: Agreement
    segments: SegmentScore
    delay: Delay

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain JSON types; shares are 0..1."""
        return {
            "stream_id": self.stream_id,
            "total_s": self.time.total_s,
            "accuracy": self.time.accuracy,
            "precision": self.segments.precision,
            "recall": self.segments.recall,
            "f1": self.segments.f1,
            "mean_delay_s": self.delay.mean_s,
            "missed": self.delay.missed,
        }


@dataclass(frozen=True)
class StreamReport:
    """Streams of a run. Pooled figures weigh seconds, segments and delays, not streams."""

    results: tuple[StreamResult, ...]
    iou: float = 0.5
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.results:
            raise SgmnError("has no streams", "stream report", "give at least one")

    @cached_property
    def rows(self) -> tuple[StreamRow, ...]:
        """One row a stream, in the order given."""
        return tuple(_row(result, self.iou) for result in self.results)

    @cached_property
    def overall(self) -> StreamRow:
        """All streams in one row: seconds, segments and delays summed before dividing."""
        return _pooled(self.rows)

    def table(self) -> Table:
        """For the terminal."""
        return terminal_table("Streams", HEADER, self._cells(), self._caption())

    def markdown(self) -> str:
        """The same for a document."""
        return markdown_table(HEADER, self._cells(), self._caption())

    def to_json(self) -> str:
        """Figures and timelines as JSON."""
        content = {
            "version": VERSION,
            "iou": self.iou,
            "meta": dict(self.meta),
            "overall": self.overall.as_dict(),
            "streams": [row.as_dict() for row in self.rows],
            "results": [asdict(result) for result in self.results],
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)

    def _cells(self) -> list[list[str]]:
        return [_cells(row) for row in (self.overall, *self.rows)]

    def _caption(self) -> str:
        return (
            f"Shares in %. Segments match at IoU {self.iou:g} or more; "
            "the delay is over detected segments."
        )


def _row(result: StreamResult, iou: float) -> StreamRow:
    return StreamRow(
        stream_id=result.stream_id,
        time=agreement(result.truth, result.found, result.duration_s),
        segments=segment_f1(result.truth, result.found, iou),
        delay=mean_delay(result.truth, result.found),
    )


def _pooled(rows: Sequence[StreamRow]) -> StreamRow:
    return StreamRow(
        stream_id=OVERALL,
        time=Agreement(sum(r.time.agreed_s for r in rows), sum(r.time.total_s for r in rows)),
        segments=SegmentScore(
            matched=sum(r.segments.matched for r in rows),
            truths=sum(r.segments.truths for r in rows),
            found=sum(r.segments.found for r in rows),
        ),
        delay=Delay(
            delays_s=tuple(d for r in rows for d in r.delay.delays_s),
            missed=sum(r.delay.missed for r in rows),
        ),
    )


def _cells(row: StreamRow) -> list[str]:
    shares = (row.time.accuracy, row.segments.precision, row.segments.recall, row.segments.f1)
    delay = row.delay.mean_s
    return [
        row.stream_id,
        f"{row.time.total_s / 60:.1f}",
        *(f"{100 * share:.1f}" for share in shares),
        "-" if delay is None else f"{delay:.1f}",
        str(row.delay.missed),
    ]
