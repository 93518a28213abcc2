"""Lines of the dataset layout to records, and records back to lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sgmn.errors import MediaError, RecordError
from sgmn.jsonl import Fields, is_number, placed
from sgmn.media import transcript as transcripts
from sgmn.records import Box, Clip, Product, Segment, Utterance

_BOX = "give each frame a list of [left, top, right, bottom]"
_TRANSCRIPT = "give a list of {start, end, text}, or the path of a transcript file"


@dataclass(frozen=True, slots=True)
class Photo:
    """A labelled photograph of a product, taken by a customer rather than the shop."""

    path: Path
    product_id: str
    shop_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Stream:
    """A whole livestream with its ground truth: what was on sale from when to when."""

    stream_id: str
    video: Path
    transcript: tuple[Utterance, ...] = ()
    timeline: tuple[Segment, ...] = ()
    shop_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


def photo(fields: Fields, root: Path) -> Photo:
    """The photo of one line of photos.jsonl."""
    path = fields.path("path", root)
    if path is None:
        raise RecordError("'path' is missing", where=fields.where, remedy="give the picture's path")
    product_id, shop_id = fields.text("product_id"), fields.text("shop_id", "")
    return Photo(path, product_id, shop_id, fields.rest())


def clip(fields: Fields, root: Path) -> Clip:
    """The clip of one line of clips.jsonl; a transcript file named there is read as well."""
    try:
        clip_id, video = fields.text("clip_id"), fields.path("video", root)
        start = fields.number("start", 0.0)
        end = fields.number("end") if fields.has("end") else None
        return Clip(
            clip_id=clip_id,
            video=video,
            frames=fields.paths("frames", root),
            transcript=_transcript(fields, root, partial(_length_s, video, start, end), start),
            product_ids=fields.texts("product_ids"),
            shop_id=fields.text("shop_id", ""),
            start=start,
            end=end,
            boxes=tuple(_boxes(fields)),
            split=fields.text("split", ""),
            attributes=fields.mapping("attributes"),
            extra=fields.rest(),
        )
    except RecordError as error:
        raise placed(error, fields.where) from error


def stream(fields: Fields, path: Path) -> Stream:
    """The stream of one file of streams/; its video stands relative to that file."""
    video = fields.path("video", path.parent)
    if video is None:
        raise RecordError("'video' is missing", where=fields.where, remedy="give the video's path")
    return Stream(
        stream_id=fields.text("stream_id", path.stem),
        video=video,
        transcript=_transcript(fields, path.parent, partial(_length_s, video, 0.0, None)),
        timeline=tuple(_segment(span) for span in fields.objects("timeline")),
        shop_id=fields.text("shop_id", ""),
        extra=fields.rest(),
    )


def _length_s(video: Path | None, start: float, end: float | None) -> float:
    """Seconds from `start` to `end` or to the video's end; 0.0 where that is not known."""
    if end is not None:
        return end - start
    from sgmn.media import video as videos  # datasets without videos are read without PyAV

    try:
        return 0.0 if video is None else videos.duration(video) - start
    except MediaError:  # whoever needs the video itself will say so
        return 0.0


def _transcript(
    fields: Fields, root: Path, length_s: Callable[[], float], start: float = 0.0
) -> tuple[Utterance, ...]:
    given = fields.values.get("transcript")
    if isinstance(given, str):
        path = fields.path("transcript", root)
        assert path is not None
        return _transcript_file(path, fields.where, length_s, start)
    if given is not None and not isinstance(given, list):
        raise fields.refuse("transcript", given, _TRANSCRIPT)
    return tuple(_utterance(cue) for cue in fields.objects("transcript"))


def _transcript_file(
    path: Path, where: str, length_s: Callable[[], float], start: float
) -> tuple[Utterance, ...]:
    try:
        return transcripts.read(path, length_s, start)
    except MediaError as error:
        raise RecordError(f"'transcript': {error}", where=where, remedy=_TRANSCRIPT) from error


def _utterance(cue: Fields) -> Utterance:
    start, end, text = cue.number("start"), cue.number("end"), cue.text("text", "")
    try:
        return Utterance(start, end, text)
    except RecordError as error:
        raise placed(error, cue.where) from error


def _segment(span: Fields) -> Segment:
    start, end = span.number("start"), span.number("end")
    product_id = span.text("product_id") if span.has("product_id") else None
    try:
        return Segment(start, end, product_id)
    except RecordError as error:
        raise placed(error, span.where) from error


def _boxes(fields: Fields) -> list[tuple[Box, ...]]:
    frames = []
    for place, frame in enumerate(fields.list("boxes")):
        if not isinstance(frame, list) or not all(_is_box(box) for box in frame):
            raise fields.refuse(f"boxes[{place}]", frame, _BOX)
        frames.append(tuple(_box(box) for box in frame))
    return frames


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(is_number(side) for side in box)


def _box(sides: Sequence[float]) -> Box:
    left, top, right, bottom = sides
    return float(left), float(top), float(right), float(bottom)


def product_line(product: Product, root: Path) -> dict[str, Any]:
    """The product as a line of products.jsonl in the folder `root`; empty fields are left out."""
    known = {
        "product_id": product.product_id,
        "title": product.title,
        "image": None if product.image is None else _relative(product.image, root),
        "images": [_relative(path, root) for path in product.images],
        "shop_id": product.shop_id,
        "category": product.category,
        "attributes": dict(product.attributes),
    }
    return _line(known, product.extra, f"product {product.product_id!r}")


def clip_line(clip: Clip, root: Path) -> dict[str, Any]:
    """The clip as a line of clips.jsonl in the folder `root`; empty fields are left out."""
    known = {
        "clip_id": clip.clip_id,
        "video": None if clip.video is None else _relative(clip.video, root),
        "frames": [_relative(path, root) for path in clip.frames],
        "transcript": [{"start": u.start, "end": u.end, "text": u.text} for u in clip.transcript],
        "product_ids": list(clip.product_ids),
        "shop_id": clip.shop_id,
        "start": clip.start if clip.start else None,
        "end": clip.end,
        "boxes": [[list(box) for box in frame] for frame in clip.boxes],
        "split": clip.split,
        "attributes": dict(clip.attributes),
    }
    return _line(known, clip.extra, f"clip {clip.clip_id!r}")


def _line(known: dict[str, Any], extra: Mapping[str, Any], where: str) -> dict[str, Any]:
    clash = sorted(known.keys() & extra.keys())
    if clash:
        raise RecordError(
            f"its extra fields hold {clash[0]!r}, which is a field of its own",
            where=where,
            remedy="rename the extra field",
        )
    return {k: v for k, v in known.items() if v not in (None, "", [], {})} | dict(extra)


def _relative(path: Path, root: Path) -> str:
    whole, base = path.absolute(), root.absolute()
    inside = whole.is_relative_to(base)
    return (whole.relative_to(base) if inside else whole).as_posix()
