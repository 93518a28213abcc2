"""A session as a file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from sgmn.live.chapters import format_chapters, timeline_to_json
from sgmn.service import problems
from sgmn.service.context import Context, ServiceContext
from sgmn.service.indexes import open_table
from sgmn.service.problems import ApiError
from sgmn.service.routes.reviews import read_titles, stream_time_s
from sgmn.service.routes.session_models import SessionRow
from sgmn.service.streams.exports import format_csv, format_vtt, read_windows
from sgmn.service.streams.journal import FILE_NAME
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.layers import Layer, LayeredSegment, read_layer
from sgmn.service.streams.pairs import (
    PairSession,
    ZipSink,
    select_reviewed,
    split_segments,
    to_lines,
    write_clips,
    write_products,
)
from sgmn.service.streams.pinned_shelf import read_pinned_products
from sgmn.service.streams.recordings import RECORDING_FOLDER
from sgmn.service.streams.service import streams_of
from sgmn.service.streams.store import Row

router = APIRouter(
    prefix="/v1/sessions",
    tags=["exports"],
    responses=problems.responses(401, 403, 404, 409, 422),
)
Format = Literal["json", "vtt", "chapters", "csv", "pairs"]
_MEDIA_TYPES = {
    "json": "application/json",
    "vtt": "text/vtt",
    "chapters": "text/vtt",
    "csv": "text/csv",
    "pairs": "application/zip",
}
_SUFFIXES = {"json": "json", "vtt": "vtt", "chapters": "vtt", "csv": "csv", "pairs": "zip"}
_CHUNK_BYTES = 1 << 18
_CONTENT: dict[str, dict[str, str]] = {media_type: {} for media_type in _MEDIA_TYPES.values()}


@router.get(
    "/{session_id}/export",
    summary="Export a session",
    response_class=Response,
    responses={200: {"content": _CONTENT, "description": "The file."}},
)
def export_session(
    context: Context,
    session: SessionRow,
    format: Annotated[
        Format,
        Query(
            description="json: the timeline; vtt: all segments as JSON cues; chapters: products "
            "as WebVTT chapters; csv: a table; pairs: reviewed segments as a dataset to train on."
        ),
    ] = "json",
    layer: Annotated[
        Layer, Query(description="machine, or reviewed: the machine's with all reviews on top.")
    ] = "reviewed",
) -> Response:
    """A timeline as a file. `pairs` always holds reviewed segments, as far as frames are kept."""
    streams = streams_of(context)
    titles = read_titles(streams, session)
    chosen: Layer = "reviewed" if format == "pairs" else layer
    with context.database.read() as connection:
        now_s = stream_time_s(streams, session)
        segments = read_layer(connection, session["id"], chosen, now_s)
    name = f"{session['id']}-{format}.{_SUFFIXES[format]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    media_type = _MEDIA_TYPES[format]
    if format == "pairs":
        file = _write_pairs(context, session, segments)
        return StreamingResponse(_read_chunks(file), media_type=media_type, headers=headers)
    text = _format(format, segments, titles)
    return Response(text, media_type=media_type, headers=headers)


def _format(kind: Format, segments: list[LayeredSegment], titles: dict[str, str]) -> str:
    import json

    if kind == "csv":
        return format_csv(segments, titles)
    if kind == "vtt":
        return format_vtt(segments, titles)
    plain = [layered.segment for layered in segments]
    if kind == "chapters":
        return format_chapters(plain, titles)
    return json.dumps(timeline_to_json(plain, titles), ensure_ascii=False)


def _write_pairs(
    context: ServiceContext, session: Row, segments: list[LayeredSegment]
) -> IO[bytes]:
    streams = streams_of(context)
    folder = streams.folder(session["id"])
    table = open_table(context, session["catalogue_id"])
    thumbnails = {} if table is None else table.thumbnails(session["shop_id"])
    products = read_pinned_products(streams.shelf(session))
    sides = split_segments(session["id"], select_reviewed(segments, products))
    source = PairSession(
        session_id=session["id"],
        shop_id=session["shop_id"],
        frames=KeptFrames(folder / FRAMES_FOLDER),
        recording=folder / RECORDING_FOLDER,
        windows=read_windows(folder / FILE_NAME),
    )
    file = tempfile.TemporaryFile(dir=context.settings.data)  # noqa: SIM115 - read by the answer
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        sink = ZipSink(archive)
        clips = list(write_clips(sides, source, sink))
        if clips:
            rows = write_products(products.values(), thumbnails, session["shop_id"], sink)
            sink.add_bytes("products.jsonl", to_lines(rows))
            sink.add_bytes("clips.jsonl", to_lines(clips))
    if not clips:
        file.close()
        raise ApiError(409, "No reviewed segment has kept frames; review some first.")
    file.seek(0)
    return file


def _read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
