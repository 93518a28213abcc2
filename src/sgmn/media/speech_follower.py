"""Transcribe the audio of a live source in the background."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Protocol

from sgmn.media.audio import AudioChunk
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.media.speech_recognition import SpeechRecognizer

__all__ = ["AudioSource", "follow_speech"]

_LOG = logging.getLogger(__name__)


class AudioSource(Protocol):
    """A source of audio, such as a `LiveSource` with `with_audio`."""

    name: str

    def audio_chunks(self) -> Iterator[AudioChunk]:
        """Yield the audio until the source ends."""

    def discard_audio(self) -> None:
        """Drop all further audio."""


def follow_speech(
    source: AudioSource,
    recognizer: SpeechRecognizer,
    transcript: LiveTranscript,
    damage: list[str] | None = None,
) -> TranscriptFollower:
    """Add what is spoken in `source` to `transcript`, in a thread, until the source ends.

    If the recognition fails, one line in `damage` (or in the log) says so. From then on, the
    source drops and counts its audio, and its frames continue.
    """

    def work(follower: TranscriptFollower) -> None:
        try:
            recognizer.transcribe_stream(source.audio_chunks(), transcript)
        except Exception as error:  # noqa: BLE001 - an error of the engine must not end the stream
            _LOG.debug("speech recognition failed", exc_info=True)
            follower.report_error(f"{source.name}: speech recognition stopped early ({error})")
        finally:
            source.discard_audio()

    return TranscriptFollower(source.name, work, damage)
