"""Converts the videos and shop images of MovingFashion to clips and products."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from sgmn.data.importers import frame_boxes
from sgmn.data.importers.lpr4m import PixelBox
from sgmn.data.importers.movingfashion import ProductVideo, ShopImage, Tracklet
from sgmn.data.importers.parts import PartWriter
from sgmn.errors import MediaError
from sgmn.records import Box

MISSING_VIDEOS, MISSING_IMAGES = "missing videos", "missing images"
MISSING_TRUTHS = "videos without some of their shop images"
UNREADABLE_VIDEOS = "videos without boxes because their header cannot be read"
OUTSIDE_BOXES = "videos with boxes beyond frames"
BOX_RATE_HZ = 2.0


class VideoHeader(NamedTuple):
    """The duration in seconds, the number of frames, and the width and height of a video."""

    duration_s: float
    frames: int
    size: tuple[int, int]


def convert_images(images: Sequence[ShopImage], root: Path, split: str, part: PartWriter) -> None:
    """Write the gallery items of a split; an item whose image is missing is left out."""
    for item in images:
        path = root / item.path
        if not path.is_file():
            where = f"{split}.json: product {item.product_id!r}"
            part.add_issue(MISSING_IMAGES, where, f"{path} does not exist")
            continue
        row: dict[str, Any] = {"product_id": item.product_id, "image": str(path)}
        if len(item.source_ids) > 1:
            row["source_product_ids"] = list(item.source_ids)
        part.add_product(item.product_id, row)


def convert_videos(
    videos: Sequence[ProductVideo],
    available: Collection[str],
    root: Path,
    split: str,
    part: PartWriter,
) -> None:
    """Write the queries of a split.

    A video that is missing, or of which no shop image exists, is listed. It stays in the
    denominator, as a clip with missing media. `available` are the gallery items that exist.
    """
    for video in videos:
        path, where = root / video.path, f"{split}.json: video {video.clip_id!r}"
        listed = [item for item in video.product_ids if item in available]
        is_missing = not path.is_file()
        if is_missing:
            part.add_issue(MISSING_VIDEOS, where, f"{path} does not exist")
        if len(listed) < len(video.product_ids):
            message = f"{len(listed)} of {len(video.product_ids)} shop images exist"
            part.add_issue(MISSING_TRUTHS, where, message)
        row: dict[str, Any] = {"clip_id": video.clip_id, "video": str(path)}
        row |= {"product_ids": listed or list(video.product_ids), "split": split}
        row |= {"attributes": {"source": video.source}}
        if not is_missing and listed:
            part.counts["clips"] += 1
            boxes = _compute_boxes(video, path, part)
            row |= {"boxes": boxes} if any(boxes) else {}
        part.add_clip(row, missing=is_missing or not listed)


def _compute_boxes(video: ProductVideo, path: Path, part: PartWriter) -> list[list[Box]]:
    """Return the boxes of a video at equal steps from its start, from all of its tracklets."""
    if not video.tracklets:
        return []
    try:
        header = read_header(path)
    except MediaError as error:
        part.add_issue(UNREADABLE_VIDEOS, str(path), str(error))
        return []
    steps = max(1, ceil(header.duration_s * BOX_RATE_HZ))
    sets = sample_tracklets(video.tracklets, header.frames, steps)
    shares = frame_boxes.are_shares([list(t.values()) for t in video.tracklets])
    pairs = [frame_boxes.normalize(boxes, None if shares else header.size) for boxes in sets]
    outside = sum(count for _, count in pairs)
    if outside:
        part.add_issue(OUTSIDE_BOXES, str(path), f"{outside} boxes are clipped to the frame")
    return [boxes for boxes, _ in pairs]


def sample_tracklets(
    tracklets: Sequence[Tracklet], frames: int, steps: int
) -> list[list[PixelBox]]:
    """Return the boxes at `steps` equal steps of a video with a number of frames.

    Each tracklet gives its box in the nearest frame that it has, at most half a step away.

    >>> sample_tracklets([{0: (1, 1, 2, 2), 9: (3, 3, 4, 4)}], 20, 2)
    [[(1, 1, 2, 2)], [(3, 3, 4, 4)]]
    """
    sets: list[list[PixelBox]] = []
    step = frames / steps
    for number in range(steps):
        boxes = []
        for tracklet in tracklets:
            nearest = min(tracklet, key=lambda frame: abs(frame - number * step))
            if abs(nearest - number * step) <= step / 2:
                boxes.append(tracklet[nearest])
        sets.append(boxes)
    return sets


def read_header(path: Path) -> VideoHeader:
    """Read the header of a video. Raises MediaError."""
    from sgmn.media import container

    with container.open_container(path) as video:
        stream = container.find_video_stream(video, path)
        size, frames, rate = (stream.width, stream.height), stream.frames, stream.average_rate
    duration_s = container.read_duration(path)
    return VideoHeader(duration_s, frames or round(duration_s * float(rate or 0)), size)
