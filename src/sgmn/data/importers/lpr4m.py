"""Parses the annotations of LPR4M and LPR750K (Yang et al., ICCV 2023).

A training file has one pair of a clip and a shop image per line, tab-separated without a header.
The number of columns tells the layout:

    11  the public release: video_id, frame ids, boxes, image_id, title, category id, category,
        transcript, scale, visible duration, number of products
    12  the authors' working copy: the same with an SPU id before the transcript
    13  LPR750K: as 12, with paths instead of frame ids, and the path of the image after image_id

A video_id is live_id-start-end in milliseconds, and a live_id is a UUID.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sgmn.errors import RecordError
from sgmn.jsonl import is_finite_number

PixelBox = tuple[float, float, float, float]  # left, top, right, bottom, in pixels or shares

LAYOUTS = {
    11: ("video_id frames boxes image_id title category_id category transcript"),
    12: ("video_id frames boxes image_id title category_id category spu transcript"),
    13: ("video_id frames boxes image_id image_path title category_id category spu transcript"),
}
BUCKETS = ("scale", "visible", "products")  # the last three columns of every layout
UUID_PARTS = 5
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One line of a training file: a clip and its shop image.

    Attributes:
        frames: Frame ids, or paths of the frames relative to the source.
        boxes: One box per frame, as the file has it; () for a frame without a box.
        image_path: Path of the shop image relative to the source, or "".
        buckets: The scale, visible duration and number of products.
    """

    video_id: str
    frames: tuple[str, ...]
    boxes: tuple[tuple[PixelBox, ...], ...]
    image_id: str
    image_path: str
    title: str
    category: str
    spu: str
    transcript: str
    buckets: dict[str, str]


def parse_training_row(line: str, where: str) -> TrainingRow:
    """Parse one line of a training file. Raises RecordError with the line."""
    cells = line.rstrip("\r\n").split("\t")
    if len(cells) not in LAYOUTS:
        raise _invalid_row(f"has {len(cells)} columns", line, where)
    names = LAYOUTS[len(cells)].split()
    row = dict(zip([*names, *BUCKETS], (cell.strip() for cell in cells), strict=True))
    live_and_span_of(row["video_id"], where)
    frames = parse_literal(row["frames"], where)
    if not isinstance(frames, list) or not all(isinstance(f, str) and f for f in frames):
        raise _invalid_row("has no list of frames in column 2", line, where)
    if not row["image_id"]:
        raise _invalid_row("has no image id in column 4", line, where)
    return TrainingRow(
        video_id=row["video_id"],
        frames=tuple(frames),
        boxes=_parse_frame_boxes(row["boxes"], len(frames), line, where),
        image_id=row["image_id"],
        image_path=row.get("image_path", ""),
        title=row["title"],
        category=row["category"],
        spu=row.get("spu", ""),
        transcript=row["transcript"],
        buckets={name: row[name] for name in BUCKETS if row[name]},
    )


def _parse_frame_boxes(
    text: str, frames: int, line: str, where: str
) -> tuple[tuple[PixelBox, ...], ...]:
    value = parse_literal(text, where) if text else []
    if not isinstance(value, list) or len(value) not in (0, frames):
        raise _invalid_row(f"does not have one box for each of its {frames} frames", line, where)
    return tuple(
        () if _is_zero(box) else (to_box(box, where),) for box in (value or [[0, 0, 0, 0]] * frames)
    )


def _is_zero(box: Any) -> bool:
    return isinstance(box, list) and not any(box)


def to_box(value: Any, where: str) -> PixelBox:
    """Return a box of four finite numbers. Raises RecordError for anything else."""
    is_box = isinstance(value, list | tuple) and len(value) == 4
    if not is_box or not all(is_finite_number(side) for side in value):
        remedy = "write [left, top, right, bottom]"
        raise RecordError(f"has the box {value!r:.60}", where=where, remedy=remedy)
    left, top, right, bottom = map(float, value)
    return left, top, right, bottom


def parse_literal(text: str, where: str) -> Any:
    """Parse a JSON value or a Python literal; nothing is evaluated. Raises RecordError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # many lists are Python literals, with single quotes or tuples
    try:
        return _with_lists(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        message = f"is not a literal: {text[:60]!r}"
        raise RecordError(message, where=where, remedy="write a list in JSON") from error


def _with_lists(value: Any) -> Any:
    return [_with_lists(item) for item in value] if isinstance(value, list | tuple) else value


def live_and_span_of(video_id: str, where: str) -> tuple[str, float]:
    """Return the live id and the duration in seconds of a clip, from its video_id.

    >>> live_and_span_of("7b601b02-2c63-11ee-bb6d-b8cef60c2fd0-1000-3500", "doctest")
    ('7b601b02-2c63-11ee-bb6d-b8cef60c2fd0', 2.5)
    """
    parts = video_id.split("-")
    if len(parts) != UUID_PARTS + 2 or not all(p.isdecimal() for p in parts[UUID_PARTS:]):
        remedy = "restore the id, live_id-start-end in milliseconds"
        raise RecordError(f"has the video id {video_id!r:.80}", where=where, remedy=remedy)
    start_ms, end_ms = map(int, parts[UUID_PARTS:])
    return "-".join(parts[:UUID_PARTS]), max(0, end_ms - start_ms) / 1000


def split_image_id(name: str) -> tuple[str, int]:
    """Return the image id and the number of the view in a name such as `UUID-2`; 0 without one.

    >>> split_image_id("fff8b484-2eeb-11ee-b7bb-77cb20e634dc-2")
    ('fff8b484-2eeb-11ee-b7bb-77cb20e634dc', 2)
    """
    parts = name.split("-")
    if len(parts) == UUID_PARTS + 1 and parts[-1].isdecimal():
        return "-".join(parts[:UUID_PARTS]), int(parts[-1])
    return name, 0


def split_cells(line: str, count: int, where: str) -> Sequence[str]:
    """Split a line of the test annotations. Raises RecordError for another number of columns."""
    cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
    if len(cells) != count:
        shown = _shorten(line)
        remedy = f"write {count} columns separated by tabs"
        raise RecordError(f"has {len(cells)} columns: {shown}", where=where, remedy=remedy)
    return cells


def _invalid_row(problem: str, line: str, where: str) -> RecordError:
    known = ", ".join(map(str, LAYOUTS))
    remedy = f"repair the row; the known layouts have {known} columns (docs/how-to/benchmarks.md)"
    return RecordError(f"{problem}: {_shorten(line)}", where=where, remedy=remedy)


def _shorten(line: str) -> str:
    text = repr(line.rstrip("\r\n"))
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
