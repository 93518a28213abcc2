"""A session as files: chapters, a table, and pairs to train on."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from sgmn.media.transcript import format_webvtt
from sgmn.records import Product, Utterance
from sgmn.service.streams.journal import WindowRecord
from sgmn.service.streams.kept_frames import KeptFrames
from sgmn.service.streams.layers import LayeredSegment, segment_to_json

CLIP_S = 10.0  # of the clips of pairs, as long as a window
FRAMES_PER_CLIP = 10
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


@dataclass(frozen=True)
class PairSource:
    """Where pairs come from.

    Attributes:
        session_id: The session.
        shop_id: Its shop.
        products: Its products, by id.
        thumbnails: Small JPEGs of products, by id, for those whose image is not on this machine.
        frames: Its frames, as far as they are kept.
        windows: Its windows, for the words.
    """

    session_id: str
    shop_id: str
    products: Mapping[str, Product]
    thumbnails: Mapping[str, bytes]
    frames: KeptFrames
    windows: Sequence[WindowRecord]


def write_pairs(segments: Iterable[LayeredSegment], source: PairSource, file: IO[bytes]) -> int:
    """Write reviewed segments as a dataset (docs/data.md) in a zip archive; return the clips.

    A segment becomes clips of ten seconds. Those without kept frames or words are left out, as
    are segments that are not reviewed, and those in which nothing is on sale.
    """
    clips: list[dict[str, Any]] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for layered in segments:
            product_id = layered.segment.product_id
            if layered.verdict in ("confirmed", "corrected") and product_id in source.products:
                clips.extend(_write_clips(layered, source, archive))
        used = dict.fromkeys(product_id for clip in clips for product_id in clip["product_ids"])
        products = [_write_product(product_id, source, archive) for product_id in used]
        archive.writestr("products.jsonl", _to_lines(products))
        archive.writestr("clips.jsonl", _to_lines(clips))
    return len(clips)


def _write_clips(
    layered: LayeredSegment, source: PairSource, archive: zipfile.ZipFile
) -> Iterable[dict[str, Any]]:
    segment = layered.segment
    count = max(1, round((segment.end - segment.start) / CLIP_S))
    edges = np.linspace(segment.start, segment.end, count + 1)
    for number, (start_s, end_s) in enumerate(pairwise(edges)):
        found = list(source.frames.between(float(start_s), float(end_s)))
        text = _words_between(source.windows, float(start_s), float(end_s))
        if not found and not text:
            continue
        clip_id = f"{source.session_id}-{layered.review_id}-{number}"
        places = np.linspace(0, len(found) - 1, min(len(found), FRAMES_PER_CLIP)).round()
        names = []
        for place in places.astype(int):
            names.append(f"frames/{clip_id}-{found[place][1].name}")
            archive.write(found[place][1], names[-1])
        said = [{"start": 0.0, "end": float(end_s - start_s), "text": text}] if text else []
        yield {
            "clip_id": clip_id,
            "frames": names,
            "transcript": said,
            "product_ids": [segment.product_id],
            "shop_id": source.shop_id,
        }


def _words_between(windows: Sequence[WindowRecord], start_s: float, end_s: float) -> str:
    """Return the words of the window around the middle of a clip; windows overlap."""
    middle_s = (start_s + end_s) / 2
    inside = [window for window in windows if start_s <= window.center_s < end_s]
    if not inside:
        return ""
    return min(inside, key=lambda window: abs(window.center_s - middle_s)).text


def _write_product(product_id: str, source: PairSource, archive: zipfile.ZipFile) -> dict[str, Any]:
    product = source.products[product_id]
    row = {
        "product_id": product_id,
        "title": product.title,
        "category": product.category,
        "shop_id": source.shop_id,
    }
    name = f"products/{len(archive.namelist()):06d}"
    if product.image is not None and product.image.is_file():
        name += product.image.suffix.lower()
        archive.write(product.image, name)
    elif product_id in source.thumbnails:
        name += ".jpg"
        archive.writestr(name, source.thumbnails[product_id])
    else:
        return row
    return {**row, "image": name}


def _to_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_windows(path: Path) -> list[WindowRecord]:
    """Return the windows of a journal; none if it was deleted by its age."""
    from sgmn.service.streams.journal import read_journal

    return [record for record in read_journal(path) if isinstance(record, WindowRecord)]
