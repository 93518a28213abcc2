"""Where the words of a stream come from: a transcript, one that is still growing, or its sound."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sgmn.errors import SgmnError
from sgmn.live.session import Source
from sgmn.media import transcript as transcripts
from sgmn.media.address import Address, redacted
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.jsonl_follower import follow_jsonl
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.live_transcript import Follower, Hearing
from sgmn.media.speech_recognition import Recogniser
from sgmn.records import Utterance

if TYPE_CHECKING:
    from sgmn.cli.serving import Asked

STANDARD = "-"
LAST_WORDS_S = 60.0  # for which the end of a stream waits for its last words
# How long words take to come, at most as a rule: recognised, or in a playlist of subtitles.
RECOGNISED_S, FETCHED_S = 10.0, 6.0


def require_fitting(asked: Asked, address: Address, is_live: bool) -> None:
    """Refuse what does not go together. Raises SgmnError."""
    if asked.asr and asked.transcript:
        raise SgmnError("--asr and --transcript both give words", remedy="give one of them")
    if asked.language and not asked.asr:
        raise SgmnError("--language is of --asr, which is not there", remedy="give --asr small")
    if asked.asr and asked.live and not (asked.pace or address.is_live):
        remedy = "add --pace, or leave out --live"
        raise SgmnError("a file at full speed leaves no time for --asr", address.name, remedy)
    if asked.wait is not None and not (is_live and asked.wait >= 0):
        raise SgmnError("--wait is of running streams, in seconds", remedy="leave it out")
    if not is_live and asked.transcript and _is_running(asked.transcript):
        remedy = "give .srt, .vtt, .json or .txt"
        raise SgmnError("is of a running stream", redacted(asked.transcript), remedy)
    if asked.transcript == STANDARD == asked.source:
        raise SgmnError("standard input cannot be both", "--transcript", "give one as a file")


def of_recording(asked: Asked, length_s: float) -> Sequence[Utterance]:
    """What is said in a recording, all of it."""
    if asked.asr:
        return tuple(Recogniser(asked.asr, asked.language or "").transcribe(asked.source))
    if asked.transcript is None:
        return ()
    return transcripts.read(Path(asked.transcript), length_s or transcripts.WHOLE_S)


def wait_s(asked: Asked) -> float:
    """How long a window waits for its words."""
    if asked.wait is not None:
        return asked.wait
    if asked.asr:
        return RECOGNISED_S
    return FETCHED_S if asked.transcript and _is_web(asked.transcript) else 0.0


@dataclass(frozen=True)
class Ears:
    """How to hear a running stream; made before the stream is opened, as models take time."""

    asked: Asked
    length_s: float = 0.0
    damage: list[str] = field(default_factory=list)
    recogniser: Recogniser | None = None

    @classmethod
    def of(cls, asked: Asked, length_s: float) -> Ears:
        """As is asked for; a Whisper model is loaded now."""
        recogniser = Recogniser(asked.asr, asked.language or "") if asked.asr else None
        return cls(asked, length_s, recogniser=recogniser)

    @contextmanager
    def open(self, source: LiveSource) -> Iterator[Heard]:
        """Hear `source` for the length of a `with`."""
        follow = self._follow(source)
        if follow is None:
            yield Heard(of_recording(self.asked, self.length_s), _nothing)
            return
        hearing = Hearing()
        with follow(hearing) as follower:
            yield Heard(
                hearing, partial(follower.finish, LAST_WORDS_S) if self.recogniser else _nothing
            )

    def _follow(self, source: LiveSource) -> Callable[[Hearing], Follower] | None:
        """What fills a Hearing; None where all words are there at once."""
        where, damage = self.asked.transcript, self.damage
        if self.recogniser is not None:
            recogniser = self.recogniser
            return lambda hearing: _recognising(recogniser, source, hearing, damage)
        if where is None or not _is_running(where):
            return None
        if _is_web(where):
            return lambda hearing: follow_webvtt(where, hearing, damage, lambda: source.zero_s)
        given = sys.stdin if where == STANDARD else Path(where)
        return lambda hearing: follow_jsonl(given, hearing, damage)


class Heard(NamedTuple):
    """The words of a stream, and how to wait for the last of them once it has ended."""

    said: Sequence[Utterance]
    finish: Callable[[], None]


@dataclass(frozen=True)
class Finished:
    """A source whose end comes when its last words have."""

    source: Source
    finish: Callable[[], None]

    @property
    def damage(self) -> Sequence[str]:
        """As the source has it."""
        return self.source.damage

    @property
    def dropped(self) -> int:
        """As the source has it."""
        return self.source.dropped

    @property
    def reconnects(self) -> int:
        """As the source has it."""
        return self.source.reconnects

    def __iter__(self) -> Iterator[LiveFrame]:
        """The frames."""
        yield from self.source
        self.finish()

    def close(self) -> None:
        """End it."""
        self.source.close()


def _recognising(
    recogniser: Recogniser, source: LiveSource, hearing: Hearing, damage: list[str]
) -> Follower:
    def work(follower: Follower) -> None:
        try:
            recogniser.listen(source.sound(), hearing)
        except Exception as error:  # noqa: BLE001 - pictures go on alone, and it is told
            follower.refuse(f"{source.name}: speech recognition ends early ({error})")

    return Follower(source.name, work, damage)


def _is_running(transcript: str) -> bool:
    """Whether a transcript may still grow."""
    if transcript == STANDARD or _is_web(transcript):
        return True
    path = Path(transcript)
    return path.suffix.lower() == ".jsonl" or path.is_fifo()


def _is_web(transcript: str) -> bool:
    return transcript.lower().startswith(("http://", "https://"))


def _nothing() -> None:
    """There is nothing to wait for."""
