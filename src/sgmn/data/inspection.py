"""Checks a dataset, and reports all problems at once.

An error spoils training or evaluation. A warning is unusual, but may be intended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal

from sgmn import jsonl
from sgmn.data import dataset as datasets
from sgmn.data.dataset import Dataset, Stream
from sgmn.errors import MediaError, RecordError
from sgmn.media import container, image
from sgmn.records import Clip, Utterance

Severity = Literal["error", "warning"]
TOLERANCE_S = 0.5  # a container's duration and the last cue rarely agree to the frame
_MAX_LISTED = 5  # product ids in a summary


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: where it is, what it is, and how severe."""

    where: str
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class DatasetCounts:
    """Numbers of records. `shops` counts the shops of products, clips, photos and streams."""

    products: int = 0
    shops: int = 0
    clips: int = 0
    clips_with_text: int = 0
    photos: int = 0
    streams: int = 0
    stream_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """The findings about a dataset, in the order of the checks, and its counts."""

    dataset: Dataset
    findings: tuple[Finding, ...]
    counts: DatasetCounts

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def inspect_dataset(folder: Path, *, deep: bool = False) -> Inspection:
    """Read a dataset and check it; with `deep`, open every image and video as well.

    Raises RecordError only if the folder is not a dataset.
    """
    data = datasets.read_dataset(folder, skip_invalid=True)
    findings = chain(
        (Finding(issue.where, issue.message) for issue in data.rejected_rows),
        _find_missing_files(data),
        _find_unknown_products(data),
        _check_clips(data.clips),
        _find_unused_products(data),
        chain.from_iterable(map(_check_timeline, data.streams)),
        _find_unreadable_files(data) if deep else (),
    )
    return Inspection(data, tuple(findings), _count_records(data))


def _count_records(data: Dataset) -> DatasetCounts:
    rows = (data.products, data.clips, data.photos, data.streams)
    return DatasetCounts(
        products=len(data.products),
        shops=len({row.shop_id for part in rows for row in part}),
        clips=len(data.clips),
        clips_with_text=sum(bool(clip.text) for clip in data.clips),
        photos=len(data.photos),
        streams=len(data.streams),
        stream_hours=sum(map(_duration_s, data.streams)) / 3600,
    )


def _duration_s(stream: Stream) -> float:
    ends = [span.end for span in stream.timeline] + [cue.end for cue in stream.transcript]
    return max(ends, default=0.0)


def _image_files(data: Dataset) -> Iterator[tuple[str, Path]]:
    """Every image file, with the record that names it."""
    yield from (
        (f"product {p.product_id!r}", path) for p in data.products for path in p.image_paths
    )
    yield from ((f"clip {clip.clip_id!r}", path) for clip in data.clips for path in clip.frames)
    yield from ((f"photo of {photo.product_id!r}", photo.path) for photo in data.photos)


def _video_files(data: Dataset) -> Iterator[tuple[str, Path]]:
    """Every video file, with the record that names it."""
    yield from ((f"clip {c.clip_id!r}", c.video) for c in data.clips if c.video is not None)
    yield from ((f"stream {stream.stream_id!r}", stream.video) for stream in data.streams)


def _find_missing_files(data: Dataset) -> Iterator[Finding]:
    for where, path in chain(_image_files(data), _video_files(data)):
        try:
            if not jsonl.path_exists(path):
                yield Finding(where, f"{path} does not exist")
        except RecordError as error:
            yield Finding(where, f"{error.where} {error.message}")


def _find_unknown_products(data: Dataset) -> Iterator[Finding]:
    if not data.products:  # the catalogue is elsewhere, so nothing can be compared
        return
    known = {product.key for product in data.products}
    for where, shop_id, product_ids in _references(data):
        for product_id in sorted({p for p in product_ids if (shop_id, p) not in known}):
            yield Finding(
                where, f"product {product_id!r} is not in products.jsonl{_shop_suffix(shop_id)}"
            )


def _references(data: Dataset) -> Iterator[tuple[str, str, Iterable[str]]]:
    for clip in data.clips:
        yield f"clip {clip.clip_id!r}", clip.shop_id, clip.product_ids
    for photo in data.photos:
        yield f"photo {photo.path}", photo.shop_id, (photo.product_id,)
    for stream in data.streams:
        sold = [span.product_id for span in stream.timeline if span.product_id is not None]
        yield f"stream {stream.stream_id!r}", stream.shop_id, sold


def _shop_suffix(shop_id: str) -> str:
    return f" (shop {shop_id!r})" if shop_id else ""


def _check_clips(clips: Iterable[Clip]) -> Iterator[Finding]:
    for clip in clips:
        where = f"clip {clip.clip_id!r}"
        if clip.end is not None and clip.end <= clip.start:
            yield Finding(where, f"has no duration ({clip.start} to {clip.end} s)")
        if not clip.product_ids:
            yield Finding(where, "names no product: it is not evaluated", "warning")
        outside = sum(_is_outside(cue, clip) for cue in clip.transcript)
        if outside:
            span = f"{clip.start} to {'its end' if clip.end is None else f'{clip.end} s'}"
            message = f"{outside} of {len(clip.transcript)} utterances lie outside {span}"
            yield Finding(where, message, "warning")


def _is_outside(cue: Utterance, clip: Clip) -> bool:
    if cue.end < clip.start - TOLERANCE_S:
        return True
    return clip.end is not None and cue.start > clip.end + TOLERANCE_S


def _find_unused_products(data: Dataset) -> Iterator[Finding]:
    if not data.clips:
        return
    sold = {(clip.shop_id, product_id) for clip in data.clips for product_id in clip.product_ids}
    unused = [product.product_id for product in data.products if product.key not in sold]
    if unused:
        listed = ", ".join(unused[:_MAX_LISTED]) + (", …" if len(unused) > _MAX_LISTED else "")
        message = f"{len(unused)} of {len(data.products)} products are in no clip: {listed}"
        yield Finding("products.jsonl", message, "warning")


def _check_timeline(stream: Stream) -> Iterator[Finding]:
    where = f"stream {stream.stream_id!r}"
    if not stream.timeline:
        yield Finding(where, "has no timeline: it is not evaluated", "warning")
    ordered = sorted(stream.timeline, key=lambda span: (span.start, span.end))
    for before, after in pairwise(ordered):
        if after.start < before.end:
            message = f"{before.product_id!r} until {before.end} s overlaps {after.product_id!r}"
            yield Finding(where, f"{message} from {after.start} s")


def _find_unreadable_files(data: Dataset) -> Iterator[Finding]:
    """Open each file once, however many records name it."""
    durations_s: dict[Path, float] = {}
    for where, path in _existing_files(_image_files(data)):
        yield from _try_opening(where, partial(image.read_image, path))
    for where, path in _existing_files(_video_files(data)):
        if not path.is_dir():  # a folder is a video as single frames
            yield from _try_opening(where, partial(_open_video, path, durations_s))
    yield from _check_clip_ends(data, durations_s)


def _existing_files(files: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    seen = Counter[Path]()
    for where, path in files:
        seen[path] += 1
        if seen[path] == 1 and _file_exists(path):
            yield where, path


def _file_exists(path: Path) -> bool:
    try:
        return jsonl.path_exists(path)
    except RecordError:  # reported by `_find_missing_files`
        return False


def _try_opening(where: str, open_file: Callable[[], object]) -> Iterator[Finding]:
    try:
        open_file()
    except MediaError as error:
        yield Finding(where, str(error))


def _open_video(path: Path, durations_s: dict[Path, float]) -> None:
    """Store the duration of a video in seconds, 0.0 if it states none.

    Raises MediaError if the file is not a video.
    """
    with container.open_container(path) as video:
        container.find_video_stream(video, path)
    durations_s[path] = container.read_duration(path)


def _check_clip_ends(data: Dataset, durations_s: dict[Path, float]) -> Iterator[Finding]:
    for clip in data.clips:
        duration_s = durations_s.get(clip.video, 0.0) if clip.video else 0.0
        where = f"clip {clip.clip_id!r}"
        if duration_s and clip.start >= duration_s:
            yield Finding(
                where, f"starts at {clip.start} s, but its video ends at {duration_s:.2f} s"
            )
        elif duration_s and clip.end is not None and clip.end > duration_s + TOLERANCE_S:
            message = f"ends at {clip.end} s, but its video at {duration_s:.2f} s"
            yield Finding(where, message, "warning")
