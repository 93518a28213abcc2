"""The recording of a session: its parts, and each of them as a video with range requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from sgmn.service import problems
from sgmn.service.context import Context
from sgmn.service.problems import not_found
from sgmn.service.routes.session_models import SessionRow
from sgmn.service.streams.recordings import RECORDING_FOLDER, list_parts, part_path
from sgmn.service.streams.service import streams_of

router = APIRouter(
    prefix="/v1/sessions",
    tags=["pictures"],
    responses=problems.responses(401, 403, 404, 422),
)


class RecordedPart(BaseModel):
    """A part of a recording; a connection that breaks begins a new one."""

    number: int = Field(description="Where parts overlap, the one with the higher number counts.")
    start: float = Field(description="Seconds of the stream at its start.")
    end: float = Field(description="Seconds of the stream up to which it is recorded.")
    is_complete: bool = Field(description="Whether it has ended regularly.")
    bytes: int


class Recording(BaseModel):
    """What is recorded of a session."""

    items: list[RecordedPart]


@router.get("/{session_id}/recordings", summary="List the parts of a recording")
def list_recordings(context: Context, session: SessionRow) -> Recording:
    """The parts of a recording in order; none if nothing is recorded, or kept any more."""
    folder = streams_of(context).folder(session["id"]) / RECORDING_FOLDER
    items = [
        RecordedPart(
            number=part.number,
            start=part.start_s,
            end=part.end_s,
            is_complete=part.is_complete,
            bytes=part_path(folder, part.number).stat().st_size,
        )
        for part in list_parts(folder)
    ]
    return Recording(items=items)


@router.get(
    "/{session_id}/recording",
    summary="Get a recording",
    response_class=FileResponse,
    responses={
        200: {"content": {"video/mp4": {}}, "description": "The video."},
        206: {"content": {"video/mp4": {}}, "description": "The bytes of the Range."},
        416: {"description": "The Range is outside the video."},
    },
)
def get_recording(
    context: Context,
    session: SessionRow,
    part: Annotated[
        int | None, Query(ge=1, le=9999, description="Its number; the newest if left out.")
    ] = None,
) -> FileResponse:
    """A part of a recording as MP4, also while it is recorded; takes range requests."""
    folder = streams_of(context).folder(session["id"]) / RECORDING_FOLDER
    numbers = [one.number for one in list_parts(folder)]
    if not numbers or (part is not None and part not in numbers):
        raise not_found("recording")
    path = part_path(folder, numbers[-1] if part is None else part)
    return FileResponse(
        path, media_type="video/mp4", headers={"Cache-Control": "private, no-cache"}
    )
