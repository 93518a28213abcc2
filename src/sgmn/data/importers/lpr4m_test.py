"""Converts the test set of LPR4M to clips, and to products with all their views.

The gallery of a live lists images. An image id with a number, `UUID-2`, is a view of the product
`UUID`, and view 0 is its main view; without numbers, the images with a title are main views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sgmn.data.importers import frame_boxes, lpr4m, lpr4m_files
from sgmn.data.importers.lpr4m import PixelBox, split_image_id
from sgmn.data.importers.lpr4m_files import Lpr4mFiles
from sgmn.data.importers.lpr4m_training import (
    MISSING_CLIPS,
    MISSING_IMAGES,
    OUTSIDE_BOXES,
    UNKNOWN_SIZES,
    transcript_rows,
)
from sgmn.data.importers.media_finder import MediaFinder
from sgmn.data.importers.media_index import IndexedImage
from sgmn.data.importers.parts import PartWriter
from sgmn.data.importers.subset import Subset
from sgmn.errors import RecordError
from sgmn.records import Box

MISSING_MAIN_VIEWS = "gallery products without any image"
UNLISTED_TRUTHS = "clips with true images outside the gallery"
UNLABELED_CLIPS = "clips without a true image, which are left out"
PRODUCTS, IMAGES, MAIN_IMAGES = "gallery products", "gallery images", "gallery main images"


@dataclass(frozen=True)
class Lpr4mTest:
    """The annotations of the test set.

    Attributes:
        truths: The true images of each video.
        galleries: The images of each live.
        boxes: The boxes of each frame of a video, by frame id.
        transcripts, titles: By video id and image id.
        shares: Whether all boxes are shares rather than pixels.
    """

    truths: Mapping[str, Sequence[str]]
    galleries: Mapping[str, Sequence[str]]
    boxes: Mapping[str, Mapping[str, Sequence[PixelBox]]]
    transcripts: Mapping[str, str]
    titles: Mapping[str, str]
    shares: bool

    @classmethod
    def read(cls, files: Lpr4mFiles) -> Lpr4mTest:
        """Read the annotation files. Raises RecordError for one that cannot be parsed."""
        assert files.truths is not None and files.galleries is not None
        boxes: dict[str, dict[str, list[PixelBox]]] = {}
        stored = {} if files.boxes is None else lpr4m_files.read_mapping(files.boxes)
        for frame_id, value in stored.items():
            parsed = _parse_boxes(value, f"{files.boxes}: {frame_id}")
            boxes.setdefault(frame_id.rpartition("-")[0], {})[frame_id] = parsed
        return cls(
            lpr4m_files.read_id_lists(files.truths),
            lpr4m_files.read_id_lists(files.galleries),
            boxes,
            lpr4m_files.read_texts(files.transcripts),
            lpr4m_files.read_texts(files.titles),
            frame_boxes.are_shares([b for own in boxes.values() for b in own.values()]),
        )

    @cached_property
    def has_numbered_views(self) -> bool:
        """Whether the galleries name views by numbers."""
        return any(split_image_id(i)[0] != i for ids in self.galleries.values() for i in ids)


def _parse_boxes(value: Any, where: str) -> list[PixelBox]:
    """Boxes are a list of boxes, or one box; a box of zeros is none."""
    is_single = isinstance(value, list) and bool(value) and not isinstance(value[0], list)
    rows = [value] if is_single else value
    if not isinstance(rows, list):
        remedy = "write a list of [left, top, right, bottom]"
        raise RecordError(f"has the boxes {value!r:.60}", where=where, remedy=remedy)
    boxes = (lpr4m.to_box(box, where) for box in rows)
    return [box for box in boxes if any(box)]


def convert_test(files: Lpr4mFiles, finder: MediaFinder, subset: Subset, part: PartWriter) -> None:
    """Convert the test set: the galleries of all chosen lives, and their clips."""
    test = Lpr4mTest.read(files)
    for live_id, image_ids in test.galleries.items():
        if subset.has_live(live_id):
            _convert_gallery(test, live_id, image_ids, finder, part)
    for video_id, image_ids in test.truths.items():
        where = f"{files.truths}: {video_id}"
        live_id, duration_s = lpr4m.live_and_span_of(video_id, where)
        if not subset.has_live(live_id):
            part.counts["test clips outside the subset"] += 1
        elif not image_ids:
            part.add_issue(UNLABELED_CLIPS, where, "the clip has no true image")
        elif subset.leaves_room(part.counts["clips"] + part.counts[MISSING_CLIPS]):
            truths = tuple(dict.fromkeys(split_image_id(name)[0] for name in image_ids))
            listed = [name for name in truths if part.has_product(f"{live_id} {name}")]
            if len(listed) < len(truths):
                message = f"{len(listed)} of {len(truths)} images are in the gallery of its live"
                part.add_issue(UNLISTED_TRUTHS, where, message)
            clip = {"clip_id": video_id, "product_ids": listed or list(truths), "shop_id": live_id}
            _convert_clip(test, clip, duration_s, finder, part, where, bool(listed))


def _convert_gallery(
    test: Lpr4mTest, live_id: str, names: Sequence[str], finder: MediaFinder, part: PartWriter
) -> None:
    """Write the products of a live; each listed image and each view on disk is one image."""
    views: dict[str, dict[int, IndexedImage | None]] = {}
    for name in names:
        image_id, number = split_image_id(name)
        views.setdefault(image_id, {})[number] = None
    numbered = test.has_numbered_views
    for image_id, own in views.items():
        found = own | finder.find_views(live_id, image_id)
        title = test.titles.get(image_id) or test.titles.get(f"{image_id}-0", "")
        for number in (number for number, image in found.items() if image is None):
            where = f"live {live_id}: {image_id}-{number}"
            part.add_issue(MISSING_IMAGES, where, "the image is not on disk")
        row = _product_row(live_id, image_id, title, found)
        if row is None:
            message = "the product has neither an image nor a title"
            part.add_issue(MISSING_MAIN_VIEWS, f"live {live_id}: {image_id}", message)
            continue
        is_main = numbered or not test.titles or bool(title)
        part.add_product(f"{live_id} {image_id}", row | ({} if is_main else {"main": False}))
        part.counts[PRODUCTS] += 1
        part.counts[IMAGES] += sum(image is not None for image in found.values())
        part.counts[MAIN_IMAGES] += is_main


def _product_row(
    live_id: str, image_id: str, title: str, views: Mapping[int, IndexedImage | None]
) -> dict[str, Any] | None:
    """Return the product of an image; its main view is that with the lowest number."""
    paths = [str(image.path) for _, image in sorted(views.items()) if image is not None]
    if not paths and not title:
        return None
    row: dict[str, Any] = {"product_id": image_id, "title": title, "shop_id": live_id}
    row |= {"image": paths[0]} if paths else {}
    return row | ({"images": paths[1:]} if paths[1:] else {})


def _convert_clip(
    test: Lpr4mTest,
    clip: dict[str, Any],
    duration_s: float,
    finder: MediaFinder,
    part: PartWriter,
    where: str,
    has_truth: bool,
) -> None:
    """Write a clip.

    One without frames or without a true image in the gallery stays in the denominator, as a clip
    with missing media.
    """
    video_id = clip["clip_id"]
    known = test.boxes.get(video_id, {})
    frames = finder.list_frames(video_id)
    boxes = _normalize(test, frames, finder, part, known, where)
    clip |= {"split": "test", "attributes": frame_boxes.compute_buckets(list(boxes.values()))}
    transcript = transcript_rows(test.transcripts.get(video_id, ""), duration_s)
    clip |= {"transcript": transcript} if transcript else {}
    if not frames:
        part.add_issue(MISSING_CLIPS, where, f"clip {video_id!r} has no frame on disk")
    part.counts["clips"] += bool(frames) and has_truth
    if frames and any(boxes.values()):
        clip["boxes"] = [boxes[name] for name in frames]
    names = [str(image.path) for image in frames.values()] or sorted(known) or [video_id]
    part.add_clip(clip | {"frames": names}, missing=not frames or not has_truth)


def _normalize(
    test: Lpr4mTest,
    frames: Mapping[str, IndexedImage],
    finder: MediaFinder,
    part: PartWriter,
    boxes: Mapping[str, Sequence[PixelBox]],
    where: str,
) -> dict[str, list[Box]]:
    """Return the boxes of all frames that are on disk or annotated, as shares, by frame id.

    Empty if the file has no boxes, or if they are pixels of frames whose size is not known.
    """
    if not test.boxes:
        return {}
    first = next(iter(frames.values()), None)
    known = None if test.shares or first is None else finder.original_size(first)
    if not test.shares and known is None:
        part.add_issue(UNKNOWN_SIZES, where, "the original size of the frames is not known")
        return {}
    normalized, outside = {}, 0
    for name in sorted({*frames, *boxes}):
        size = None if test.shares else (frames[name].size if name in frames else None) or known
        normalized[name], leaving = frame_boxes.normalize(boxes.get(name, ()), size)
        outside += leaving
    if outside:
        part.add_issue(OUTSIDE_BOXES, where, f"{outside} boxes leave their frames and are clipped")
    return normalized
