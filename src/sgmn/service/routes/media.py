"""Pictures of a session: its frames, and where the model looked in them."""

from __future__ import annotations

import pathlib
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from sgmn.errors import SgmnError
from sgmn.service import problems
from sgmn.service.context import Context
from sgmn.service.problems import ApiError, not_found
from sgmn.service.routes.session_models import MAX_TIME_S, SessionRow
from sgmn.service.streams.encoder_client import draw_heatmap
from sgmn.service.streams.exports import read_windows
from sgmn.service.streams.journal import FILE_NAME
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.messages import ConnectionLost
from sgmn.service.streams.service import Streams, streams_of
from sgmn.service.streams.store import Row

router = APIRouter(
    prefix="/v1/sessions",
    tags=["pictures"],
    responses=problems.responses(401, 403, 404, 422),
)
HEATMAP_TIMEOUT_S = 30.0
_TIME_HEADER = "X-Frame-Time"  # seconds of the stream
_CACHE = {"Cache-Control": "private, max-age=3600"}
TimeInPath = Annotated[
    float,
    Path(ge=0, le=MAX_TIME_S, allow_inf_nan=False, description="Seconds of the stream."),
]


class FrameSpan(BaseModel):
    """A part of a stream whose frames are kept; times are seconds of the stream."""

    start: float
    end: float


class FrameSpans(BaseModel):
    """The parts of a stream whose frames are kept, in order."""

    items: list[FrameSpan]


@router.get("/{session_id}/frames", summary="List what frames are kept")
def list_frames(context: Context, session: SessionRow) -> FrameSpans:
    """From when to when there are frames to get."""
    spans = KeptFrames(streams_of(context).folder(session["id"]) / FRAMES_FOLDER).spans()
    return FrameSpans(items=[FrameSpan(start=start, end=end) for start, end in spans])


@router.get(
    "/{session_id}/frames/{time_s}.jpg",
    summary="Get a frame",
    response_class=FileResponse,
    responses={200: {"content": {"image/jpeg": {}}, "description": "The newest frame by then."}},
)
def get_frame(context: Context, session: SessionRow, time_s: TimeInPath) -> FileResponse:
    """The newest frame at or before a time; 404 if none is kept."""
    found_s, path = _find_frame(streams_of(context), session, time_s)
    return FileResponse(path, media_type="image/jpeg", headers=_headers(found_s))


@router.get(
    "/{session_id}/heatmaps/{time_s}.png",
    summary="Get a heatmap",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}, "description": "The frame with its heatmap."},
        **problems.responses(409, 503),
    },
)
def get_heatmap(
    context: Context,
    session: SessionRow,
    time_s: TimeInPath,
    text: Annotated[
        str | None,
        Query(max_length=5000, description="Words that guide; those of the stream if left out."),
    ] = None,
) -> Response:
    """A frame with where the model looks for the product, guided by what was said then."""
    streams = streams_of(context)
    found_s, path = _find_frame(streams, session, time_s)
    supervisor = streams.supervisor
    if supervisor is None:
        raise ApiError(503, "The encoder does not run here.", headers={"Retry-After": "30"})
    supervisor.encoder.start()
    words = _words_at(streams, session, found_s) if text is None else text
    try:
        picture, has_heatmap = draw_heatmap(
            supervisor.encoder.socket,
            streams.shelf(session),
            path.read_bytes(),
            words,
            HEATMAP_TIMEOUT_S,
        )
    except (ConnectionLost, TimeoutError) as error:
        detail = "The encoder is starting or busy; try again."
        raise ApiError(503, detail, headers={"Retry-After": "5"}) from error
    except SgmnError as error:
        raise problems.from_sgmn_error(error, 409) from error
    except FileNotFoundError as error:
        raise not_found("frame") from error
    if not has_heatmap:
        raise ApiError(409, "The model of this session has no heatmaps.")
    return Response(picture, media_type="image/png", headers=_headers(found_s))


def _find_frame(streams: Streams, session: Row, time_s: float) -> tuple[float, pathlib.Path]:
    found = KeptFrames(streams.folder(session["id"]) / FRAMES_FOLDER).find(time_s)
    if found is None:
        raise not_found("frame")
    return found


def _words_at(streams: Streams, session: Row, time_s: float) -> str:
    windows = read_windows(streams.folder(session["id"]) / FILE_NAME)
    nearest = min(windows, key=lambda window: abs(window.center_s - time_s), default=None)
    return "" if nearest is None else nearest.text


def _headers(time_s: float) -> dict[str, str]:
    return {_TIME_HEADER: f"{time_s:.3f}", **_CACHE}
