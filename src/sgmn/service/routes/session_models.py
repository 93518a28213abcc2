"""What requests and answers about sessions hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sgmn.live.effort import Effort
from sgmn.service.auth import Caller, Viewer
from sgmn.service.context import Context
from sgmn.service.database import tables
from sgmn.service.fields import NO_CONTROL, SessionId
from sgmn.service.problems import not_found
from sgmn.service.streams.states import State
from sgmn.service.streams.store import Row

MAX_TIME_S = 1e7  # of a stream: 115 days
TimeS = Annotated[float, Field(ge=0, le=MAX_TIME_S, allow_inf_nan=False)]
Url = Annotated[str, Field(min_length=1, max_length=8192, pattern=NO_CONTROL)]
_EXAMPLE: dict[str, JsonValue] = {
    "catalogue_id": "cat_" + "a" * 26,
    "source": "https://shop.example/live/stream.m3u8",
    "transcript": {"kind": "subtitles", "url": "https://shop.example/live/words.m3u8"},
}


class Transcript(BaseModel):
    """Where the words of a stream come from."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["none", "utterances", "subtitles", "asr"] = Field(
        default="none",
        description="none; utterances, which are posted while the session runs; subtitles, a "
        "WebVTT playlist; or asr, speech recognition.",
    )
    url: Url | None = Field(default=None, description="Of the subtitles.")
    model: str = Field(default="auto", max_length=200, description="Whisper model of asr.")
    language: str = Field(
        default="", max_length=10, pattern=r"^[A-Za-z-]*$", description="Of asr, such as en."
    )
    delay_s: float | None = Field(
        default=None, ge=0, le=120, description="How long a window waits for its words."
    )


class NewSession(BaseModel):
    """A stream to recognize."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    catalogue_id: str = Field(pattern=r"^cat_[a-z2-7]{26}$", description="What is on sale.")
    source: Url = Field(description="The address of the stream. Its secrets are never shown again.")
    transcript: Transcript = Transcript()
    modalities: list[Literal["image", "text"]] = Field(
        default=["image", "text"], min_length=1, max_length=2, description="What is compared."
    )
    lag_s: float = Field(
        default=6.0, ge=0, le=600, description="How long an event may be corrected."
    )
    realtime: bool = Field(default=False, description="Play a recording in real time.")
    effort: Effort = Field(
        default="adaptive",
        description="exact: decode all frames. adaptive: decode all frames, but only the key "
        "frames of a live stream while the machine is too slow for it.",
    )
    record: bool = Field(
        default=False,
        description="Keep the stream as MP4, without encoding it again, for replay and exports.",
    )
    attempts: int | None = Field(
        default=10,
        ge=1,
        le=1_000_000,
        description="Failed connections in a row that end the stream; null for no limit.",
    )


class Session(BaseModel):
    """A session: one stream that is recognized."""

    id: str
    shop_id: str
    catalogue_id: str
    index_version: int = Field(description="The version of the products that the session uses.")
    source: str = Field(description="The address without its secrets.")
    options: dict[str, JsonValue]
    state: State
    state_detail: str | None = Field(description="Why, for people.")
    created_s: float
    started_s: float | None
    ended_s: float | None
    last_seq: int = Field(description="Rows in its log.")
    version: int

    @classmethod
    def from_row(cls, row: Row) -> Session:
        """The document of a session."""
        return cls.model_validate({**row, "source": row["source_redacted"]})


class NewUtterance(BaseModel):
    """Something that was said; times are seconds of the stream."""

    model_config = ConfigDict(extra="forbid")

    start: TimeS
    end: TimeS
    text: str = Field(min_length=1, max_length=2000)


class NewUtterances(BaseModel):
    """What was said."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"utterances": [{"start": 1.5, "end": 3.0, "text": "this is the mug"}]}]
        },
    )

    utterances: list[NewUtterance] = Field(min_length=1, max_length=500)


class Accepted(BaseModel):
    """How many items were accepted."""

    accepted: int


class Now(BaseModel):
    """What is on sale in a session now."""

    state: State
    state_detail: str | None
    wall_s: float = Field(description="When this was answered.")
    now: dict[str, JsonValue] | None = Field(
        description="The newest window: product_id (null: nothing), confidence, choices, time_s, "
        "lag_s; null before the first one, and if the session does not run."
    )
    stream: dict[str, JsonValue] | None = Field(
        description="The worker's heartbeat: newest frame, dropped frames, reconnects, damage."
    )


def find_session(
    connection: sa.Connection, caller: Caller, session_id: str, *, lock: bool = False
) -> Row:
    """The row of a session; 404 if it is unknown or of another shop. `lock` it to change it."""
    sessions = tables.sessions
    query = sa.select(sessions).where(sessions.c.id == session_id, caller.scope(sessions.c.shop_id))
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise not_found("session")
    return dict(row)


def _load_session(context: Context, caller: Viewer, session_id: SessionId) -> Row:
    with context.database.read() as connection:
        return find_session(connection, caller, session_id)


SessionRow = Annotated[dict[str, Any], Depends(_load_session)]  # of the path, for a viewer
