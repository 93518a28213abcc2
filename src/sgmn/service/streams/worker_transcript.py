"""The words of a stream in its worker: posted utterances, subtitles, or speech recognition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from sgmn.media.audio import AudioChunk
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.jsonl_follower import follow_jsonl
from sgmn.media.live_source import LiveSource
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_follower import follow_speech
from sgmn.service.streams.worker_config import TranscriptOptions

UTTERANCES_FILE = "utterances.jsonl"
DELAYS_S = {"none": 0.0, "utterances": 0.0, "subtitles": 6.0, "asr": 10.0}  # usual upper bounds
DRAIN_TIMEOUT_S = 60.0  # how long the end of a stream waits for its last words


def transcript_delay_s(options: TranscriptOptions) -> float:
    """Return the seconds for which a window waits for its words."""
    return DELAYS_S[options.kind] if options.delay_s is None else options.delay_s


@dataclass
class TimeShift:
    """How much later the time of a session is than that of its source; unknown before a frame."""

    shift_s: float = 0.0
    known: Event = field(default_factory=Event)

    def set(self, shift_s: float) -> None:
        """Set the shift when the first frame arrives."""
        if not self.known.is_set():
            self.shift_s = shift_s
            self.known.set()


class ShiftedAudio:
    """The audio of a source, in the time of its session."""

    def __init__(self, source: LiveSource, shift: TimeShift) -> None:
        self.name = source.name
        self._source, self._shift = source, shift

    def audio_chunks(self) -> Iterator[AudioChunk]:
        """Yield the audio until the source ends."""
        for time_s, samples in self._source.audio_chunks():
            self._shift.known.wait()  # audio comes after the first frame, which sets it
            yield time_s + self._shift.shift_s, samples

    def discard_audio(self) -> None:
        """Drop all further audio."""
        self._source.discard_audio()


@contextmanager
def follow_transcript(
    options: TranscriptOptions,
    folder: Path,
    source: LiveSource,
    shift: TimeShift,
    fetch: Callable[[str], str] | None,
    threads: int,
    damage: list[str],
) -> Iterator[tuple[LiveTranscript, Callable[[], None]]]:
    """Collect the words of a stream; yields them, and a function that waits for the last ones."""
    transcript = LiveTranscript()
    follower: TranscriptFollower | None = None
    if options.kind == "utterances":
        (folder / UTTERANCES_FILE).touch()
        follower = follow_jsonl(folder / UTTERANCES_FILE, transcript, damage)
    elif options.kind == "subtitles":
        origin_s = partial(_session_origin_s, source, shift)
        follower = follow_webvtt(options.url, transcript, damage, origin_s, fetch)
    elif options.kind == "asr":
        from sgmn.media.speech_recognition import SpeechRecognizer

        settings = SpeechSettings(options.model, options.language, cpu_threads=threads)
        recognizer = SpeechRecognizer(settings)
        follower = follow_speech(ShiftedAudio(source, shift), recognizer, transcript, damage)
    if follower is None:
        yield transcript, _do_nothing
        return
    with follower:
        waits = options.kind == "asr"
        drain = partial(follower.wait_until_finished, DRAIN_TIMEOUT_S)
        yield transcript, drain if waits else _do_nothing


def _session_origin_s(source: LiveSource, shift: TimeShift) -> float | None:
    origin_s = source.origin_s
    return None if origin_s is None or not shift.known.is_set() else origin_s - shift.shift_s


def _do_nothing() -> None:
    """Stand in for a wait that is not needed."""
