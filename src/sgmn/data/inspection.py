"""What is wrong with a dataset: everything at once, not the first fault only.

An error spoils training or evaluation; a warning is odd, and may be meant.
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
LEEWAY_S = 0.5  # a container's length and the last cue seldom agree to the frame
_LISTED = 5  # names in a summary


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, what, and how bad."""

    where: str
    what: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is. `shops` counts those of products, clips, photos and streams."""

    products: int = 0
    shops: int = 0
    clips: int = 0
    clips_with_words: int = 0
    photos: int = 0
    streams: int = 0
    stream_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """The findings of a folder, in the order of the checks, and its counts."""

    dataset: Dataset
    findings: tuple[Finding, ...]
    counts: Counts

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are not mere warnings."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def inspect(folder: Path, *, deep: bool = False) -> Inspection:
    """Read a dataset and check it; `deep` opens every picture and video as well.

    Raises RecordError only for a folder that is no dataset.
    """
    data = datasets.read(folder, skip_bad=True)
    found = chain(
        (Finding(refusal.where, refusal.what) for refusal in data.refused),
        _missing(data),
        _unknown_products(data),
        _clips(data.clips),
        _unused_products(data),
        chain.from_iterable(map(_timeline, data.streams)),
        _unreadable(data) if deep else (),
    )
    return Inspection(data, tuple(found), _counts(data))


def _counts(data: Dataset) -> Counts:
    rows = (data.products, data.clips, data.photos, data.streams)
    return Counts(
        products=len(data.products),
        shops=len({row.shop_id for part in rows for row in part}),
        clips=len(data.clips),
        clips_with_words=sum(bool(clip.words) for clip in data.clips),
        photos=len(data.photos),
        streams=len(data.streams),
        stream_hours=sum(map(_length_s, data.streams)) / 3600,
    )


def _length_s(stream: Stream) -> float:
    ends = [span.end for span in stream.timeline] + [cue.end for cue in stream.transcript]
    return max(ends, default=0.0)


def _pictures(data: Dataset) -> Iterator[tuple[str, Path]]:
    """Every picture, with the record that names it."""
    yield from ((f"product {p.product_id!r}", path) for p in data.products for path in p.pictures)
    yield from ((f"clip {clip.clip_id!r}", path) for clip in data.clips for path in clip.frames)
    yield from ((f"photo of {photo.product_id!r}", photo.path) for photo in data.photos)


def _videos(data: Dataset) -> Iterator[tuple[str, Path]]:
    """Every video, with the record that names it."""
    yield from ((f"clip {c.clip_id!r}", c.video) for c in data.clips if c.video is not None)
    yield from ((f"stream {stream.stream_id!r}", stream.video) for stream in data.streams)


def _missing(data: Dataset) -> Iterator[Finding]:
    for where, path in chain(_pictures(data), _videos(data)):
        try:
            if not jsonl.exists(path):
                yield Finding(where, f"{path} does not exist")
        except RecordError as error:
            yield Finding(where, f"{error.where} {error.what}")


def _unknown_products(data: Dataset) -> Iterator[Finding]:
    if not data.products:  # a shop elsewhere; the clips alone cannot tell
        return
    known = {product.key for product in data.products}
    for where, shop_id, product_ids in _references(data):
        for product_id in sorted({p for p in product_ids if (shop_id, p) not in known}):
            yield Finding(where, f"product {product_id!r} is not in products.jsonl{_of(shop_id)}")


def _references(data: Dataset) -> Iterator[tuple[str, str, Iterable[str]]]:
    for clip in data.clips:
        yield f"clip {clip.clip_id!r}", clip.shop_id, clip.product_ids
    for photo in data.photos:
        yield f"photo {photo.path}", photo.shop_id, (photo.product_id,)
    for stream in data.streams:
        sold = [span.product_id for span in stream.timeline if span.product_id is not None]
        yield f"stream {stream.stream_id!r}", stream.shop_id, sold


def _of(shop_id: str) -> str:
    return f" (shop {shop_id!r})" if shop_id else ""


def _clips(clips: Iterable[Clip]) -> Iterator[Finding]:
    for clip in clips:
        where = f"clip {clip.clip_id!r}"
        if clip.end is not None and clip.end <= clip.start:
            yield Finding(where, f"lasts no time ({clip.start} to {clip.end} s)")
        if not clip.product_ids:
            yield Finding(where, "names no product: no evaluation counts it", "warning")
        outside = sum(_is_outside(cue, clip) for cue in clip.transcript)
        if outside:
            span = f"{clip.start} to {'its end' if clip.end is None else f'{clip.end} s'}"
            what = f"{outside} of {len(clip.transcript)} utterances lie outside {span}"
            yield Finding(where, what, "warning")


def _is_outside(cue: Utterance, clip: Clip) -> bool:
    if cue.end < clip.start - LEEWAY_S:
        return True
    return clip.end is not None and cue.start > clip.end + LEEWAY_S


def _unused_products(data: Dataset) -> Iterator[Finding]:
    if not data.clips:
        return
    sold = {(clip.shop_id, product_id) for clip in data.clips for product_id in clip.product_ids}
    unused = [product.product_id for product in data.products if product.key not in sold]
    if unused:
        listed = ", ".join(unused[:_LISTED]) + (", …" if len(unused) > _LISTED else "")
        what = f"{len(unused)} of {len(data.products)} products are in no clip: {listed}"
        yield Finding("products.jsonl", what, "warning")


def _timeline(stream: Stream) -> Iterator[Finding]:
    where = f"stream {stream.stream_id!r}"
    if not stream.timeline:
        yield Finding(where, "has no timeline: nothing can be measured on it", "warning")
    ordered = sorted(stream.timeline, key=lambda span: (span.start, span.end))
    for before, after in pairwise(ordered):
        if after.start < before.end:
            what = f"{before.product_id!r} until {before.end} s overlaps {after.product_id!r}"
            yield Finding(where, f"{what} from {after.start} s")


def _unreadable(data: Dataset) -> Iterator[Finding]:
    """Opens each file once, however many records name it."""
    lengths: dict[Path, float] = {}
    for where, path in _first_uses(_pictures(data)):
        yield from _opened(where, partial(image.read, path))
    for where, path in _first_uses(_videos(data)):
        if not path.is_dir():  # which is a folder of frames
            yield from _opened(where, partial(_measure, path, lengths))
    yield from _beyond(data, lengths)


def _first_uses(files: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    seen = Counter[Path]()
    for where, path in files:
        seen[path] += 1
        if seen[path] == 1 and _is_there(path):
            yield where, path


def _is_there(path: Path) -> bool:
    try:
        return jsonl.exists(path)
    except RecordError:  # which `_missing` has listed
        return False


def _opened(where: str, open_it: Callable[[], object]) -> Iterator[Finding]:
    try:
        open_it()
    except MediaError as error:
        yield Finding(where, str(error))


def _measure(path: Path, lengths: dict[Path, float]) -> None:
    """Note a video's length in seconds, 0.0 where it states none; MediaError for no video."""
    with container.opened(path) as opened:
        container.video_stream(opened, path)
    lengths[path] = container.duration(path)


def _beyond(data: Dataset, lengths: dict[Path, float]) -> Iterator[Finding]:
    for clip in data.clips:
        length = lengths.get(clip.video, 0.0) if clip.video else 0.0
        where = f"clip {clip.clip_id!r}"
        if length and clip.start >= length:
            yield Finding(where, f"starts at {clip.start} s, and its video ends at {length:.2f} s")
        elif length and clip.end is not None and clip.end > length + LEEWAY_S:
            what = f"ends at {clip.end} s, and its video at {length:.2f} s"
            yield Finding(where, what, "warning")
