"""Transcripts for `sgmn watch`: a file, a file or playlist that grows, or speech recognition."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sgmn.cli.speech import create_speech_recognizer, transcribe_recording
from sgmn.cli.watch_options import STANDARD_STREAM, WatchOptions
from sgmn.live.frame_source import FrameSource
from sgmn.media import transcript as transcripts
from sgmn.media.hls_subtitles import follow_webvtt
from sgmn.media.jsonl_follower import follow_jsonl
from sgmn.media.live_source import LiveFrame, LiveSource
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.media.speech_follower import follow_speech
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.subtitle_writer import SubtitleWriter
from sgmn.records import Product, Utterance

DRAIN_TIMEOUT_S = 60.0  # how long the end of a stream waits for its last utterances
ASR_DELAY_S, PLAYLIST_DELAY_S = 10.0, 6.0  # usual upper bounds


def read_transcript(
    options: WatchOptions, duration_s: float, products: Sequence[Product] = ()
) -> Sequence[Utterance]:
    """Return the whole transcript of a recording, from a file or by speech recognition."""
    if options.asr:
        return transcribe_recording(options, products, duration_s)
    if options.transcript is None:
        return ()
    return transcripts.read_transcript(
        Path(options.transcript), duration_s or transcripts.DEFAULT_DURATION_S
    )


def write_subtitles(options: WatchOptions, utterances: Sequence[Utterance]) -> None:
    """Write a whole transcript as subtitles, if they are requested."""
    with open_subtitles(options) as write:
        for utterance in utterances:
            write(utterance)


@contextmanager
def open_subtitles(options: WatchOptions) -> Iterator[Callable[[Utterance], None]]:
    """Open the requested file of subtitles; return what writes one, or does nothing."""
    if options.srt is None:
        yield _ignore_utterance
        return
    with SubtitleWriter(options.srt) as writer:
        yield writer.write


def transcript_delay_s(options: WatchOptions) -> float:
    """Return the seconds for which a live window waits for its transcript."""
    if options.transcript_delay is not None:
        return options.transcript_delay
    if options.asr:
        return ASR_DELAY_S
    return PLAYLIST_DELAY_S if options.transcript and _is_url(options.transcript) else 0.0


def is_growing(transcript: str) -> bool:
    """Return whether a transcript may grow while it is read."""
    if transcript == STANDARD_STREAM or _is_url(transcript):
        return True
    path = Path(transcript)
    return path.suffix.lower() == ".jsonl" or path.is_fifo()


def _is_url(transcript: str) -> bool:
    return transcript.lower().startswith(("http://", "https://"))


class LiveUtterances(NamedTuple):
    """The utterances of a live stream, and a function that waits for the last of them."""

    utterances: Sequence[Utterance]
    drain: Callable[[], None]


@dataclass(frozen=True)
class TranscriptSource:
    """The transcript of a live stream.

    Create it before the stream is opened, because loading a speech recognizer takes time.
    `damage` collects a line for each fault of the transcript.
    """

    options: WatchOptions
    duration_s: float = 0.0
    damage: list[str] = field(default_factory=list)
    recognizer: SpeechRecognizer | None = None

    @classmethod
    def from_options(
        cls, options: WatchOptions, duration_s: float, products: Sequence[Product] = ()
    ) -> TranscriptSource:
        """Create the source that the options request; loads the speech recognizer, if any.

        Args:
            options: The options of the command.
            duration_s: Length of the stream if it is a file, else 0.
            products: The products on the shelf, for `--hot-words`.
        """
        recognizer = None
        if options.asr:
            recognizer = create_speech_recognizer(options, products, is_live=True)
        return cls(options, duration_s, recognizer=recognizer)

    @contextmanager
    def follow(self, source: LiveSource) -> Iterator[LiveUtterances]:
        """Collect the utterances of `source` until the `with` block ends."""
        start_follower = self._follower_factory(source)
        if start_follower is None:
            transcript = read_transcript(self.options, self.duration_s)
            write_subtitles(self.options, transcript)
            yield LiveUtterances(transcript, _do_nothing)
            return
        with open_subtitles(self.options) as write:
            utterances = LiveTranscript(on_add=write)
            with start_follower(utterances) as follower:
                waits = self.recognizer is not None
                drain = partial(follower.wait_until_finished, DRAIN_TIMEOUT_S)
                yield LiveUtterances(utterances, drain if waits else _do_nothing)

    def _follower_factory(
        self, source: LiveSource
    ) -> Callable[[LiveTranscript], TranscriptFollower] | None:
        """Return what starts a follower, or None if the transcript is complete from the start."""
        transcript, damage = self.options.transcript, self.damage
        if self.recognizer is not None:
            recognizer = self.recognizer
            return lambda utterances: follow_speech(source, recognizer, utterances, damage)
        if transcript is None or not is_growing(transcript):
            return None
        if _is_url(transcript):
            return lambda utterances: follow_webvtt(
                transcript, utterances, damage, lambda: source.origin_s
            )
        stream = sys.stdin if transcript == STANDARD_STREAM else Path(transcript)
        return lambda utterances: follow_jsonl(stream, utterances, damage)


def _do_nothing() -> None:
    """Stand in for a wait that is not needed."""


def _ignore_utterance(utterance: Utterance) -> None:
    """Stand in for subtitles that are not requested."""


@dataclass(frozen=True)
class DrainedSource:
    """A frame source that ends only after the last utterances have arrived."""

    source: FrameSource
    drain: Callable[[], None]

    @property
    def damage(self) -> Sequence[str]:
        """Faults of the underlying source."""
        return self.source.damage

    @property
    def dropped_frames(self) -> int:
        """Dropped frames of the underlying source."""
        return self.source.dropped_frames

    @property
    def reconnects(self) -> int:
        """Reconnects of the underlying source."""
        return self.source.reconnects

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yield the frames, then wait for the last utterances."""
        yield from self.source
        self.drain()

    def close(self) -> None:
        """Close the underlying source."""
        self.source.close()
