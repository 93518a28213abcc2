"""The options of `sgmn watch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sgmn.cli.options import (
    ALL_MODALITIES,
    EffortOption,
    HwaccelOption,
    IndexOption,
    ModalitiesOption,
    ModelOption,
    RuntimeOption,
    ShopOption,
)
from sgmn.model.runtimes import TORCH

STANDARD_STREAM = "-"  # standard input or output


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """The arguments of `sgmn watch`; the command line is built from these fields."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Recording, or live stream: an address that starts with http(s)://, rtmp://, "
            "rtsp://, srt://, udp://, tcp:// or tcp-listen://; webcam:0; "
            "or - for MPEG-TS on standard input.",
        ),
    ]
    index: IndexOption
    transcript: Annotated[
        str | None,
        typer.Option(
            "--transcript",
            "-t",
            metavar="FILE",
            help="Transcript: .srt, .vtt, .json or .txt. For a live stream also a source that "
            "grows: a .jsonl file, a named pipe, - for standard input, or the URL of a WebVTT "
            "playlist.",
        ),
    ] = None
    asr: Annotated[
        str | None,
        typer.Option(
            "--asr",
            metavar="MODEL",
            help="Transcribe the audio with this Whisper model: auto (chosen for the hardware), "
            "a name such as small, or a folder.",
        ),
    ] = None
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="CODE",
            help="Spoken language for --asr, e.g. en. Recommended: without it, Whisper detects the "
            "language of each audio window on its own.",
        ),
    ] = None
    hot_words: Annotated[
        bool,
        typer.Option(
            "--hot-words",
            help="With --asr: pass the brands and names of the products to Whisper as hints. "
            "Slower, and no more accurate with the model base.",
        ),
    ] = False
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="FOLDER",
            help="Folder for the transcripts that --asr makes of recordings, so that each is "
            "transcribed only once. Defaults to the user's cache folder.",
        ),
    ] = None
    srt: Annotated[
        Path | None,
        typer.Option(
            "--srt",
            metavar="FILE",
            help="Write the transcript as SRT, or as WebVTT if FILE ends in .vtt.",
        ),
    ] = None
    transcript_delay: Annotated[
        float | None,
        typer.Option(
            "--transcript-delay",
            metavar="SECONDS",
            help="How long a live window waits for its transcript. "
            "Defaults to 10 with --asr, 6 for a WebVTT playlist, and 0 otherwise.",
        ),
    ] = None
    model: ModelOption = None
    runtime: RuntimeOption = TORCH
    effort: EffortOption = "adaptive"
    hwaccel: HwaccelOption = "none"
    shop: ShopOption = None
    modalities: ModalitiesOption = ALL_MODALITIES
    timeline: Annotated[
        Path | None,
        typer.Option(
            "--timeline",
            metavar="FILE",
            help="TOML file with timeline settings that override those of the model.",
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the timeline as JSON."),
    ] = None
    vtt: Annotated[
        Path | None,
        typer.Option("--vtt", metavar="FILE", help="Write the timeline as WebVTT chapters."),
    ] = None
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write an illustrated report of a recording as one HTML file.",
        ),
    ] = None
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="FILE", help="JSON file with the true timeline to compare with."
        ),
    ] = None
    events: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Write events as JSON Lines while they happen; - for standard output.",
        ),
    ] = None
    webhook: Annotated[
        str | None,
        typer.Option("--webhook", metavar="URL", help="Send each event to this URL (HTTP POST)."),
    ] = None
    webhook_secret_env: Annotated[
        str | None,
        typer.Option(
            "--webhook-secret-env",
            metavar="NAME",
            help="Environment variable that holds the secret for signing webhook requests.",
        ),
    ] = None
    lag: Annotated[
        float,
        typer.Option(
            "--lag", metavar="SECONDS", help="How long an event may be corrected afterwards."
        ),
    ] = 6.0
    live: Annotated[
        bool, typer.Option("--live", help="Process a file as if it were a live stream.")
    ] = False
    realtime: Annotated[
        bool,
        typer.Option(
            "--realtime", help="With --live: read the file in real time instead of at full speed."
        ),
    ] = False
    attempts: Annotated[
        int,
        typer.Option(
            "--attempts",
            min=0,
            metavar="N",
            help="Give up after this many failed connection attempts in a row (0: never).",
        ),
    ] = 10

    @property
    def events_path(self) -> Path | None:
        """The file for events, or None for no events or standard output."""
        return None if not self.events or self.events_on_stdout else Path(self.events)

    @property
    def has_event_output(self) -> bool:
        """Whether events are written or sent anywhere."""
        return bool(self.events or self.webhook)

    @property
    def events_on_stdout(self) -> bool:
        """Whether standard output is reserved for events, so that messages go to stderr."""
        return self.events == STANDARD_STREAM
