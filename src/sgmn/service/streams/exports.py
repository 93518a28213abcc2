"""A session as files: a table, and segments for scripts of a video player."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sgmn.media.transcript import format_webvtt
from sgmn.records import Utterance
from sgmn.service.streams.journal import WindowRecord
from sgmn.service.streams.layers import LayeredSegment, segment_to_json

_COLUMNS = (
    "start",
    "end",
    "product_id",
    "title",
    "confidence",
    "runner_up",
    "review_id",
    "verdict",
)


def format_csv(segments: Iterable[LayeredSegment], titles: Mapping[str, str]) -> str:
    """Return segments as CSV with a header.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    output = io.StringIO()
    writer = csv.DictWriter(output, _COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for segment in segments:
        row = segment_to_json(segment, titles)
        writer.writerow({name: _defuse(value) for name, value in row.items()})
    return output.getvalue()


def _defuse(value: Any) -> Any:
    is_formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if is_formula else value


def format_vtt(segments: Iterable[LayeredSegment], titles: Mapping[str, str]) -> str:
    """Return all segments as WebVTT; a cue is JSON, for scripts of a video player."""
    return format_webvtt(
        Utterance(one.segment.start, one.segment.end, json.dumps(segment_to_json(one, titles)))
        for one in segments
    )


def read_windows(path: Path) -> list[WindowRecord]:
    """Return the windows of a journal; none if it was deleted by its age."""
    from sgmn.service.streams.journal import read_journal

    return [record for record in read_journal(path) if isinstance(record, WindowRecord)]
