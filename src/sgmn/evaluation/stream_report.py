"""The report of recognized streams: their timelines against the true ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from rich.table import Table

from sgmn.errors import SgmnError
from sgmn.evaluation.report import OVERALL
from sgmn.evaluation.tables import markdown_table, terminal_table
from sgmn.evaluation.timeline_metrics import (
    DetectionDelay,
    SegmentScore,
    TimelineAgreement,
    compute_agreement,
    compute_delay,
    segment_f1,
)
from sgmn.records import Segment

VERSION = 1
HEADER = ["stream", "minutes", "time correct", "precision", "recall", "F1", "delay s", "missed"]


@dataclass(frozen=True, slots=True)
class StreamResult:
    """A stream with its true and its predicted timeline.

    With `duration_s` None, only the time that the true timeline covers is evaluated.
    """

    stream_id: str
    truth: tuple[Segment, ...]
    prediction: tuple[Segment, ...]
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamRow:
    """The figures of one stream, or of all streams together."""

    stream_id: str
    time: TimelineAgreement
    segments: SegmentScore
    delay: DetectionDelay

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
    """The streams of a run. Overall figures weight seconds, segments and delays, not streams."""

    results: tuple[StreamResult, ...]
    iou: float = 0.5
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.results:
            raise SgmnError("has no streams", "stream report", "pass at least one")

    @cached_property
    def rows(self) -> tuple[StreamRow, ...]:
        """One row per stream, in order."""
        return tuple(_build_row(result, self.iou) for result in self.results)

    @cached_property
    def overall(self) -> StreamRow:
        """All streams in one row: seconds, segments and delays are summed before dividing."""
        return _sum_rows(self.rows)

    def table(self) -> Table:
        """The report as a table for the terminal."""
        return terminal_table("Streams", HEADER, self._cells(), self._caption())

    def markdown(self) -> str:
        """The report as a Markdown table."""
        return markdown_table(HEADER, self._cells(), self._caption())

    def to_json(self) -> str:
        """The figures and timelines as JSON."""
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


def _build_row(result: StreamResult, iou: float) -> StreamRow:
    return StreamRow(
        stream_id=result.stream_id,
        time=compute_agreement(result.truth, result.prediction, result.duration_s),
        segments=segment_f1(result.truth, result.prediction, iou),
        delay=compute_delay(result.truth, result.prediction),
    )


def _sum_rows(rows: Sequence[StreamRow]) -> StreamRow:
    return StreamRow(
        stream_id=OVERALL,
        time=TimelineAgreement(
            sum(r.time.agreed_s for r in rows), sum(r.time.total_s for r in rows)
        ),
        segments=SegmentScore(
            matched=sum(r.segments.matched for r in rows),
            true_count=sum(r.segments.true_count for r in rows),
            predicted_count=sum(r.segments.predicted_count for r in rows),
        ),
        delay=DetectionDelay(
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
