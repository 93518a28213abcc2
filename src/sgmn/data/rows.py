"""Parses rows of the dataset layout into records, and turns records into rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sgmn.errors import MediaError, RecordError
from sgmn.jsonl import Fields, is_finite_number, with_location
from sgmn.media import transcript as transcripts
from sgmn.records import Box, Clip, Product, Segment, Utterance

_BOX_REMEDY = "pass a list of [left, top, right, bottom] for each frame"
_TRANSCRIPT_REMEDY = "pass a list of {start, end, text}, or the path of a transcript file"


@dataclass(frozen=True, slots=True)
class Photo:
    """A labeled photo of a product, taken by a customer and not by the shop."""

    path: Path
    product_id: str
    shop_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Stream:
    """A whole livestream with its true timeline: which product was on sale when."""

    stream_id: str
    video: Path
    transcript: tuple[Utterance, ...] = ()
    timeline: tuple[Segment, ...] = ()
    shop_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


def parse_photo(fields: Fields, root: Path) -> Photo:
    """Parse one line of photos.jsonl."""
    path = fields.get_path("path", root)
    if path is None:
        raise RecordError(
            "'path' is missing", where=fields.where, remedy="set the path of the image"
        )
    product_id, shop_id = fields.get_text("product_id"), fields.get_text("shop_id", "")
    return Photo(path, product_id, shop_id, fields.unread_fields())


def parse_clip(fields: Fields, root: Path) -> Clip:
    """Parse one line of clips.jsonl. A transcript file that it names is read as well."""
    try:
        clip_id, video = fields.get_text("clip_id"), fields.get_path("video", root)
        start = fields.get_number("start", 0.0)
        end = fields.get_number("end") if fields.has("end") else None
        return Clip(
            clip_id=clip_id,
            video=video,
            frames=fields.get_paths("frames", root),
            transcript=_parse_transcript(
                fields, root, partial(_read_duration, video, start, end), start
            ),
            product_ids=fields.get_texts("product_ids"),
            shop_id=fields.get_text("shop_id", ""),
            start=start,
            end=end,
            boxes=tuple(_parse_boxes(fields)),
            split=fields.get_text("split", ""),
            attributes=fields.get_mapping("attributes"),
            extra=fields.unread_fields(),
        )
    except RecordError as error:
        raise with_location(error, fields.where) from error


def parse_stream(fields: Fields, path: Path) -> Stream:
    """Parse a stream file; the path of its video is relative to that file."""
    video = fields.get_path("video", path.parent)
    if video is None:
        raise RecordError(
            "'video' is missing", where=fields.where, remedy="set the path of the video"
        )
    return Stream(
        stream_id=fields.get_text("stream_id", path.stem),
        video=video,
        transcript=_parse_transcript(
            fields, path.parent, partial(_read_duration, video, 0.0, None)
        ),
        timeline=tuple(_parse_segment(span) for span in fields.get_objects("timeline")),
        shop_id=fields.get_text("shop_id", ""),
        extra=fields.unread_fields(),
    )


def _read_duration(video: Path | None, start: float, end: float | None) -> float:
    """Seconds from `start` to `end`, or to the end of the video; 0.0 if unknown."""
    if end is not None:
        return end - start
    from sgmn.media import video as videos  # datasets without videos do not need PyAV

    try:
        return 0.0 if video is None else videos.read_duration(video) - start
    except MediaError:  # reported when the video itself is needed
        return 0.0


def _parse_transcript(
    fields: Fields, root: Path, read_duration: Callable[[], float], start: float = 0.0
) -> tuple[Utterance, ...]:
    value = fields.values.get("transcript")
    if isinstance(value, str):
        path = fields.get_path("transcript", root)
        assert path is not None
        return _read_transcript(path, fields.where, read_duration, start)
    if value is not None and not isinstance(value, list):
        raise fields.invalid_value("transcript", value, _TRANSCRIPT_REMEDY)
    return tuple(_parse_utterance(cue) for cue in fields.get_objects("transcript"))


def _read_transcript(
    path: Path, where: str, read_duration: Callable[[], float], start: float
) -> tuple[Utterance, ...]:
    try:
        return transcripts.read_transcript(path, read_duration, start)
    except MediaError as error:
        raise RecordError(
            f"'transcript': {error}", where=where, remedy=_TRANSCRIPT_REMEDY
        ) from error


def _parse_utterance(cue: Fields) -> Utterance:
    start, end, text = cue.get_number("start"), cue.get_number("end"), cue.get_text("text", "")
    try:
        return Utterance(start, end, text)
    except RecordError as error:
        raise with_location(error, cue.where) from error


def _parse_segment(span: Fields) -> Segment:
    start, end = span.get_number("start"), span.get_number("end")
    product_id = span.get_text("product_id") if span.has("product_id") else None
    try:
        return Segment(start, end, product_id)
    except RecordError as error:
        raise with_location(error, span.where) from error


def _parse_boxes(fields: Fields) -> list[tuple[Box, ...]]:
    frames = []
    for number, frame in enumerate(fields.get_list("boxes")):
        if not isinstance(frame, list) or not all(_is_box(box) for box in frame):
            raise fields.invalid_value(f"boxes[{number}]", frame, _BOX_REMEDY)
        frames.append(tuple(_to_box(box) for box in frame))
    return frames


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(is_finite_number(side) for side in box)


def _to_box(sides: Sequence[float]) -> Box:
    left, top, right, bottom = sides
    return float(left), float(top), float(right), float(bottom)


def product_to_row(product: Product, root: Path) -> dict[str, Any]:
    """The product as a row of products.jsonl in the folder `root`, without empty fields."""
    known = {
        "product_id": product.product_id,
        "title": product.title,
        "image": None if product.image is None else _relative_path(product.image, root),
        "images": [_relative_path(path, root) for path in product.images],
        "shop_id": product.shop_id,
        "category": product.category,
        "attributes": dict(product.attributes),
    }
    return _to_row(known, product.extra, f"product {product.product_id!r}")


def clip_to_row(clip: Clip, root: Path) -> dict[str, Any]:
    """The clip as a row of clips.jsonl in the folder `root`, without empty fields."""
    known = {
        "clip_id": clip.clip_id,
        "video": None if clip.video is None else _relative_path(clip.video, root),
        "frames": [_relative_path(path, root) for path in clip.frames],
        "transcript": [{"start": u.start, "end": u.end, "text": u.text} for u in clip.transcript],
        "product_ids": list(clip.product_ids),
        "shop_id": clip.shop_id,
        "start": clip.start if clip.start else None,
        "end": clip.end,
        "boxes": [[list(box) for box in frame] for frame in clip.boxes],
        "split": clip.split,
        "attributes": dict(clip.attributes),
    }
    return _to_row(known, clip.extra, f"clip {clip.clip_id!r}")


def _to_row(known: dict[str, Any], extra: Mapping[str, Any], where: str) -> dict[str, Any]:
    duplicates = sorted(known.keys() & extra.keys())
    if duplicates:
        raise RecordError(
            f"has {duplicates[0]!r} among its extra fields, which is a standard field",
            where=where,
            remedy="rename the extra field",
        )
    return {k: v for k, v in known.items() if v not in (None, "", [], {})} | dict(extra)


def _relative_path(path: Path, root: Path) -> str:
    absolute, base = path.absolute(), root.absolute()
    is_inside = absolute.is_relative_to(base)
    return (absolute.relative_to(base) if is_inside else absolute).as_posix()
