"""Converts the training rows of LPR4M to clips and products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sgmn.data.importers import frame_boxes, lpr4m
from sgmn.data.importers.lpr4m import PixelBox, TrainingRow
from sgmn.data.importers.media_finder import MediaFinder
from sgmn.data.importers.media_index import IndexedImage
from sgmn.data.importers.parts import PartWriter
from sgmn.data.importers.subset import Subset
from sgmn.records import Box

MISSING_CLIPS, MISSING_FRAMES = "clips without media", "clips with missing frames"
MISSING_IMAGES, MISSING_PRODUCTS = "missing images", "clips whose product has no media"
UNKNOWN_SIZES, OUTSIDE_BOXES = "clips with boxes of unknown scale", "clips with boxes beyond frames"
NO_TEXT = ("", "null", "None")


class ByteRange(NamedTuple):
    """Lines of a file: those that start at `start` or later, and before `end`."""

    path: Path
    start: int
    end: int


def split_file(path: Path, size: int) -> list[ByteRange]:
    """Split a file into ranges of `size` bytes; a line belongs to the range in which it starts."""
    total = path.stat().st_size
    return [ByteRange(path, start, min(start + size, total)) for start in range(0, total, size)]


def read_range(lines: ByteRange) -> Iterator[tuple[str, str]]:
    """Yield the non-blank lines of a range with their locations, `file@byte`."""
    with lines.path.open("rb") as file:
        file.seek(max(0, lines.start - 1))
        if lines.start:
            file.readline()  # ends the line that belongs to the range before
        while (at := file.tell()) < lines.end and (line := file.readline()):
            if line.strip():
                yield f"{lines.path}@{at}", line.decode("utf-8", errors="replace")


def convert_training(
    lines: ByteRange, finder: MediaFinder, subset: Subset, max_frames: int, part: PartWriter
) -> None:
    """Convert a range of a training file, clip by clip.

    Args:
        lines: The rows.
        finder: Finds their media.
        subset: Rows outside it are counted as "rows outside the subset".
        max_frames: Frames of a clip, evenly spaced with both ends; 0 for all.
        part: Receives clips, products and issues.
    """
    for where, line in read_range(lines):
        row = lpr4m.parse_training_row(line, where)
        live_id, duration_s = lpr4m.live_and_span_of(row.video_id, where)
        part.counts["rows"] += 1
        part.counts["rows with invalid UTF-8"] += "\ufffd" in line
        if not (subset.has_live(live_id) and subset.has_category(row.category)):
            part.counts["rows outside the subset"] += 1
        elif subset.leaves_room(part.counts["clips"]):
            _convert_row(row, (live_id, duration_s), finder, max_frames, part, where)


def _convert_row(
    row: TrainingRow,
    live: tuple[str, float],
    finder: MediaFinder,
    max_frames: int,
    part: PartWriter,
    where: str,
) -> None:
    frames = _find_frames(row, finder, max_frames, part, where)
    if not frames:
        part.add_issue(MISSING_CLIPS, where, f"clip {row.video_id!r} has no frame on disk")
    elif not _add_product(row, finder, part, where):
        message = f"product {row.image_id!r} of clip {row.video_id!r} has no image and no title"
        part.add_issue(MISSING_PRODUCTS, where, message)
    else:
        part.counts["clips"] += 1
        images = [image for image, _ in frames]
        boxes = normalize_boxes([b for _, b in frames], images, finder, part, where)
        part.add_clip(_clip_row(row, live, images, boxes))


def _find_frames(
    row: TrainingRow, finder: MediaFinder, max_frames: int, part: PartWriter, where: str
) -> list[tuple[IndexedImage, Sequence[PixelBox]]]:
    """Return the frames that exist, sorted by name, and the boxes of each.

    Only selected frames are looked up; if one is missing, the selection is repeated among those
    that exist.
    """
    named = sorted(zip(row.frames, row.boxes, strict=True), key=lambda item: item[0])
    chosen = [named[i] for i in select_with_ends(len(named), max_frames)]
    found = finder.find_frames(row.video_id, [name for name, _ in chosen])
    if len(found) < len({name for name, _ in chosen}):
        found = finder.find_frames(row.video_id, [name for name, _ in named])
        if found:
            message = f"{len(found)} of {len(named)} frames of clip {row.video_id!r} are on disk"
            part.add_issue(MISSING_FRAMES, where, message)
        existing = [item for item in named if item[0] in found]
        chosen = [existing[i] for i in select_with_ends(len(existing), max_frames)]
    return [(found[name], boxes) for name, boxes in chosen]


def select_with_ends(count: int, max_frames: int) -> list[int]:
    """Return indices of at most `max_frames` of `count` frames, evenly spaced with both ends.

    As LPR4M samples frames in training; 0 selects all.

    >>> select_with_ends(20, 4), select_with_ends(3, 4), select_with_ends(20, 1)
    ([0, 6, 12, 19], [0, 1, 2], [0])
    """
    if max_frames == 0 or count <= max_frames:
        return list(range(count))
    return [int(i) for i in np.linspace(0, count - 1, max_frames, dtype=int)]


def _add_product(row: TrainingRow, finder: MediaFinder, part: PartWriter, where: str) -> bool:
    """Write the product of a clip; False if it has neither an image nor a title."""
    if part.has_product(row.image_id):
        return True
    image = finder.find_image(row.image_id, row.image_path)
    if image is None:
        message = f"image {row.image_id!r} is not on disk"
        part.add_issue(MISSING_IMAGES, where, message, key=row.image_id)
    if image is None and not row.title:
        return False
    product: dict[str, Any] = {"product_id": row.image_id, "title": row.title}
    product |= {"image": str(image.path)} if image else {}
    product |= {"category": row.category} if row.category else {}
    part.add_product(row.image_id, product | ({"spu": row.spu} if row.spu else {}))
    return True


def normalize_boxes(
    boxes: Sequence[Sequence[PixelBox]],
    images: Sequence[IndexedImage],
    finder: MediaFinder,
    part: PartWriter,
    where: str,
) -> list[list[Box]]:
    """Return the boxes of frames as shares; [] if their scale is unknown or no frame has a box."""
    if not any(boxes):
        return []
    shares = frame_boxes.are_shares(boxes)
    # Frames without a sidecar in the index have the size of the first one: they are of one video.
    known = None if shares else finder.original_size(images[0])
    sizes = [None if shares else image.size or known for image in images]
    if not shares and None in sizes:
        part.add_issue(UNKNOWN_SIZES, where, "the original size of the frames is not known")
        return []
    pairs = [frame_boxes.normalize(b, s) for b, s in zip(boxes, sizes, strict=True)]
    outside = sum(count for _, count in pairs)
    if outside:
        part.add_issue(OUTSIDE_BOXES, where, f"{outside} boxes leave their frames and are clipped")
    return [normalized for normalized, _ in pairs]


def _clip_row(
    row: TrainingRow,
    live: tuple[str, float],
    images: Sequence[IndexedImage],
    boxes: Sequence[Sequence[Box]],
) -> dict[str, Any]:
    live_id, duration_s = live
    attributes = row.buckets | ({"category": row.category} if row.category else {})
    clip: dict[str, Any] = {
        "clip_id": row.video_id,
        "frames": [str(image.path) for image in images],
        "transcript": transcript_rows(row.transcript, duration_s),
        "product_ids": [row.image_id],
        "boxes": boxes,
        "split": "train",
        "attributes": attributes,
        "live_id": live_id,
    }
    return {key: value for key, value in clip.items() if value not in ([], {}, "")}


def transcript_rows(text: str, duration_s: float) -> list[dict[str, Any]]:
    """Return the transcript of a clip, whose words have no times; none for "null"."""
    return [] if text in NO_TEXT else [{"start": 0.0, "end": duration_s, "text": text}]
