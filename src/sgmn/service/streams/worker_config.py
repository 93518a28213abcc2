"""What a worker process is told when it starts, over its control connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

TranscriptKind = Literal["none", "utterances", "subtitles", "asr"]


@dataclass(frozen=True, slots=True)
class TranscriptOptions:
    """Where the words of a stream come from.

    Attributes:
        kind: "none"; "utterances", which are posted while the session runs; "subtitles", a WebVTT
            playlist; or "asr", speech recognition.
        url: Address of the subtitles.
        model: Whisper model of the speech recognition: auto, a name, or a folder.
        language: Spoken language, such as en; "" to detect it.
        delay_s: How long a window waits for its words; None for the usual time of the kind.
    """

    kind: TranscriptKind = "none"
    url: str = field(default="", repr=False)
    model: str = "auto"
    language: str = ""
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """One session, as its worker needs to know it.

    Attributes:
        session_id: The session.
        source: The address of the stream, with its secrets.
        folder: Folder of the session: journal, frames, utterances.
        shelf: File of the products.
        encoder: Local socket of the encoder process, which is where the worker is started.
        policy: Fields of the `OutboundPolicy`; None allows every source.
        modalities: The modalities that are compared.
        transcript: Where the words come from.
        lag_s: Seconds for which an event may be corrected.
        timeline: Timeline settings that replace those of the model.
        realtime: Play a file in real time instead of at full speed.
        attempts: Failed connections in a row that end the stream; None for no limit.
        max_gap_s: The longest gap by which the time of the stream advances after a crash.
        kept_side: Longer side of the frames that are kept as JPEG files, in pixels; None for none.
        record: Whether to record the stream.
        may_skip: Whether only key frames may be decoded while this machine is too slow.
        last_event_id: Newest event in the log; only later ones are reported.
        logged_gaps: Number of gaps in the log.
        reason: Why a worker starts again, for the gap.
        threads: Threads of speech recognition.
    """

    session_id: str
    source: str = field(repr=False)
    folder: Path
    shelf: Path
    encoder: Path = Path()
    policy: dict[str, Any] | None = None
    modalities: tuple[str, ...] = ("image", "text")
    transcript: TranscriptOptions = TranscriptOptions()
    lag_s: float = 6.0
    timeline: dict[str, Any] = field(default_factory=dict)
    realtime: bool = False
    attempts: int | None = 10
    max_gap_s: float = 3600.0
    kept_side: int | None = 640
    record: bool = False
    may_skip: bool = True
    last_event_id: int = 0
    logged_gaps: int = 0
    reason: str = ""
    threads: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON types."""
        content = asdict(self)
        return {k: str(v) if isinstance(v, Path) else v for k, v in content.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WorkerConfig:
        """Return a configuration from `to_json`."""
        values = {f.name: content[f.name] for f in fields(cls)}
        for name in ("folder", "shelf", "encoder"):
            values[name] = Path(values[name])
        values["modalities"] = tuple(values["modalities"])
        values["transcript"] = TranscriptOptions(**values["transcript"])
        return cls(**values)
