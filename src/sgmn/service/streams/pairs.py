"""Reviewed segments of sessions as a dataset to train on (docs/data.md)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from sgmn.records import Product
from sgmn.service.streams.journal import WindowRecord
from sgmn.service.streams.kept_frames import KeptFrames
from sgmn.service.streams.layers import LayeredSegment
from sgmn.service.streams.recordings import find_part, part_path

CLIP_S = 10.0  # as long as a window
FRAMES_PER_CLIP = 10
HELD_OUT_SHARE = 0.25
MAX_SIDE = 640  # of frames from a recording, in pixels
_TOUCH_S = 0.5  # segments of a product that are closer than this are one
Split = Literal["train", "val"]


class Sink(Protocol):
    """Receives the files of a dataset."""

    def add_file(self, name: str, path: Path) -> None:
        """Add a copy of a file."""

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""


class ZipSink:
    """Writes a dataset into a zip archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add_file(self, name: str, path: Path) -> None:
        """Add a copy of a file."""
        self._archive.write(path, name)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self._archive.writestr(name, content)


class FolderSink:
    """Writes a dataset into a folder; files of the same disk are linked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add_file(self, name: str, path: Path) -> None:
        """Add a link to a file, or a copy."""
        target = self._target(name)
        try:
            os.link(path, target)
        except OSError:  # another disk
            shutil.copyfile(path, target)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self._target(name).write_bytes(content)

    def _target(self, name: str) -> Path:
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


@dataclass(frozen=True)
class PairSession:
    """A session from which clips are taken.

    Attributes:
        session_id: The session.
        shop_id: Its shop.
        frames: Its frames, as far as they are kept.
        recording: Folder of its recording, for frames that are not kept any more.
        windows: Its windows, for the words.
    """

    session_id: str
    shop_id: str
    frames: KeptFrames
    recording: Path
    windows: Sequence[WindowRecord]


def select_reviewed(
    segments: Iterable[LayeredSegment], product_ids: Iterable[str]
) -> list[LayeredSegment]:
    """Return the segments of which people say that one of these products is on sale."""
    known = set(product_ids)
    return [
        one
        for one in segments
        if one.verdict in ("confirmed", "corrected") and one.segment.product_id in known
    ]


def split_segments(
    session_id: str, reviewed: Sequence[LayeredSegment]
) -> list[tuple[LayeredSegment, Split]]:
    """Assign reviewed segments to a side: about a quarter to "val", by a hash of their reviews.

    Pieces of one review, and segments of one product that follow each other, are on one side:
    their frames are almost the same. So a segment changes its side at most when an earlier segment
    that it follows is reviewed later.
    """
    ordered = sorted(reviewed, key=lambda one: one.segment.start)
    keys: dict[str, str] = {}  # of a review: the first review of its group
    for number, one in enumerate(ordered):
        assert one.review_id is not None
        previous = ordered[number - 1] if number else None
        key = one.review_id
        if previous is not None and previous.review_id is not None and _touch(previous, one):
            key = keys[previous.review_id]
        keys.setdefault(one.review_id, key)
    return [(one, _side(session_id, keys[str(one.review_id)])) for one in ordered]


def _touch(first: LayeredSegment, second: LayeredSegment) -> bool:
    is_same = first.segment.product_id == second.segment.product_id
    return is_same and second.segment.start - first.segment.end < _TOUCH_S


def _side(session_id: str, key: str) -> Split:
    digest = hashlib.sha256(f"{session_id}/{key}".encode()).digest()
    return "val" if int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE else "train"


def write_clips(
    sides: Iterable[tuple[LayeredSegment, Split]], session: PairSession, sink: Sink
) -> Iterator[dict[str, Any]]:
    """Write the frames of reviewed segments, and yield the rows of clips.jsonl.

    A segment to train on becomes clips of ten seconds; one that is held out becomes a single clip
    from its middle, so that each segment counts once in an evaluation. Those without frames and
    words are left out.
    """
    for layered, split in sides:
        for start_s, end_s in _clip_spans(layered, split):
            row = _write_clip(layered, (start_s, end_s), session, sink)
            if row is not None:
                yield {**row, "split": split}


def _clip_spans(layered: LayeredSegment, split: Split) -> list[tuple[float, float]]:
    segment = layered.segment
    length_s = segment.end - segment.start
    if split == "val":
        middle_s, half_s = (segment.start + segment.end) / 2, min(CLIP_S, length_s) / 2
        return [(middle_s - half_s, middle_s + half_s)]
    edges = np.linspace(segment.start, segment.end, max(1, round(length_s / CLIP_S)) + 1)
    return [(float(start_s), float(end_s)) for start_s, end_s in pairwise(edges)]


def _write_clip(
    layered: LayeredSegment, span: tuple[float, float], session: PairSession, sink: Sink
) -> dict[str, Any] | None:
    start_s, end_s = span
    clip_id = f"{session.session_id}-{layered.review_id}-{round(1000 * start_s)}"
    names = _write_frames(clip_id, span, session, sink)
    text = _words_between(session.windows, start_s, end_s)
    if not names and not text:
        return None
    said = [{"start": 0.0, "end": end_s - start_s, "text": text}] if text else []
    return {
        "clip_id": clip_id,
        "frames": names,
        "transcript": said,
        "product_ids": [layered.segment.product_id],
        "shop_id": session.shop_id,
    }


def _write_frames(
    clip_id: str, span: tuple[float, float], session: PairSession, sink: Sink
) -> list[str]:
    """Write the frames of a clip, evenly spaced, and return their names in the dataset."""
    found = list(session.frames.between(*span))
    names = []
    if found:
        places = np.linspace(0, len(found) - 1, min(len(found), FRAMES_PER_CLIP)).round()
        for place in places.astype(int):
            names.append(f"frames/{clip_id}-{found[place][1].name}")
            sink.add_file(names[-1], found[place][1])
        return names
    for time_s, jpeg in _read_recorded(session.recording, span):
        names.append(f"frames/{clip_id}-{round(1000 * time_s):010d}.jpg")
        sink.add_bytes(names[-1], jpeg)
    return names


def _read_recorded(folder: Path, span: tuple[float, float]) -> Iterator[tuple[float, bytes]]:
    """Yield time and JPEG of a frame per second from a recording; none if there is none."""
    from sgmn.media.image import encode_jpeg
    from sgmn.media.video import read_frames

    start_s, end_s = span
    part = find_part(folder, (start_s + end_s) / 2)
    if part is None:
        return
    frames = read_frames(
        part_path(folder, part.number),
        start_s=max(0.0, start_s - part.start_s),
        end_s=end_s - part.start_s,
        max_side=MAX_SIDE,
    )
    for frame in frames:
        yield frame.time_s + part.start_s, encode_jpeg(frame.rgb)


def _words_between(windows: Sequence[WindowRecord], start_s: float, end_s: float) -> str:
    """Return the words of the window around the middle of a clip; windows overlap."""
    middle_s = (start_s + end_s) / 2
    inside = [window for window in windows if start_s <= window.center_s < end_s]
    if not inside:
        return ""
    return min(inside, key=lambda window: abs(window.center_s - middle_s)).text


def write_products(
    products: Iterable[Product], thumbnails: Mapping[str, bytes], shop_id: str, sink: Sink
) -> Iterator[dict[str, Any]]:
    """Write the images of products, and yield the rows of products.jsonl.

    `thumbnails` are small JPEGs by product id, for products whose image is not on this machine.
    """
    for number, product in enumerate(products):
        row: dict[str, Any] = {
            "product_id": product.product_id,
            "title": product.title,
            "category": product.category,
            "shop_id": shop_id,
        }
        names = []
        paths = [product.image, *product.images] if product.image is not None else []
        for place, path in enumerate(path for path in paths if path is not None and path.is_file()):
            names.append(f"products/{number:06d}-{place}{path.suffix.lower()}")
            sink.add_file(names[-1], path)
        if not names and product.product_id in thumbnails:
            names.append(f"products/{number:06d}.jpg")
            sink.add_bytes(names[-1], thumbnails[product.product_id])
        if names:
            row |= {"image": names[0], "images": names[1:]}
        if names or product.title:
            yield row


def to_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
